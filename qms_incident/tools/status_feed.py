"""An Atom feed (RFC 4287) of what is said outside; no Odoo."""

import re
import xml.etree.ElementTree as ET

_ATOM = "http://www.w3.org/2005/Atom"
# What XML 1.0 cannot hold, not even escaped
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def atom_feed(title, url, feed_url, updated, entries):
    """Return an Atom feed.

    :param str title: of the feed
    :param str url: of the page that it is about
    :param str feed_url: its own
    :param str updated: RFC 3339, when something changed last
    :param entries: dicts with ``id`` (a URN), ``title``, ``url``, ``published``,
        ``updated`` (RFC 3339) and ``text`` (plain)
    :return: the document
    :rtype: bytes
    """
    ET.register_namespace("", _ATOM)
    feed = ET.Element(f"{{{_ATOM}}}feed")
    _add(feed, "id", feed_url)
    _add(feed, "title", title)
    _add(feed, "updated", updated)
    _add(feed, "link", rel="alternate", type="text/html", href=url)
    _add(feed, "link", rel="self", type="application/atom+xml", href=feed_url)
    _add(_add(feed, "author"), "name", title)
    for one in entries:
        entry = _add(feed, "entry")
        _add(entry, "id", one["id"])
        _add(entry, "title", one["title"])
        _add(entry, "link", rel="alternate", type="text/html", href=one["url"])
        _add(entry, "published", one["published"])
        _add(entry, "updated", one["updated"])
        _add(entry, "content", one["text"], type="text")
    return ET.tostring(feed, encoding="utf-8", xml_declaration=True)


def _add(parent, name, text=None, **attributes):
    element = ET.SubElement(parent, f"{{{_ATOM}}}{name}", attributes)
    if text is not None:
        element.text = _ILLEGAL.sub("\ufffd", text)
    return element
