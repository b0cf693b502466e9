"""Markdown as it is written in runbooks, turned into safe HTML."""

from functools import lru_cache

from markdown_it import MarkdownIt
from markupsafe import Markup


@lru_cache(maxsize=1)
def _renderer():
    # "js-default" leaves raw HTML off: a tag in the source is shown, not run.
    return MarkdownIt("js-default", {"linkify": False, "typographer": False})


def to_html(text):
    """Render Markdown for the backend.

    :param text: Markdown source, or a false value
    :return: HTML in which every tag was made by the renderer
    :rtype: markupsafe.Markup
    """
    return Markup(_renderer().render(text)) if text else Markup()
