import uuid

import pytz

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import format_datetime, get_lang, hmac

from odoo.addons.qms_sop.tools.values import to_rfc3339

from ...tools.status_feed import atom_feed

# From well to worst
STATES = ("operational", "recovering", "degraded", "partial_outage", "outage")
# What a severity is called outside, as long as users suffer; others are degradations
_BY_SEVERITY = {"critical": "outage", "high": "partial_outage"}
_MANAGER = "qms_error_code.group_qms_manager"
# A page stays a page, whatever happened.
_MOST_PAST = 100


class QmsStatusPage(models.AbstractModel):
    """What people outside are told, in plain values only.

    No record reaches the page, so it shows nothing that is not put together here.
    """

    _name = "qms.status.page"
    _description = "Status page"

    # === Which pages there are ===

    @api.model
    def _pages(self):
        """Return the companies whose pages the user may see.

        :rtype: res.company records
        """
        # sudo: visitors may not read companies, only whether they have a page.
        companies = self.env["res.company"].sudo()
        domain = Domain("qms_status_page", "=", "everybody")
        if self._is_member():
            domain |= Domain("qms_status_page", "=", "members") & Domain(
                "id", "in", self.env.user.company_ids.ids
            )
        return companies.search(domain)

    @api.model
    def _page(self, slug):
        """Return the company with a page, if the user may see that.

        :param str slug: the last part of its address
        :rtype: res.company record, or an empty one
        """
        return self._pages().filtered(lambda page: page.qms_status_slug == slug)

    @api.model
    def _asks_to_sign_in(self, slug=None):
        """Tell whether the user sees nothing only for not being signed in.

        :param slug: of one page; of any when ``None``
        :rtype: bool
        """
        if self._is_member():
            return False
        # sudo: as in _pages
        pages = self.env["res.company"].sudo()
        slugs = pages.search([("qms_status_page", "=", "members")]).mapped(
            "qms_status_slug"
        )
        # Compared here: what an address holds need not be a text to PostgreSQL.
        return bool(slugs) if slug is None else slug in slugs

    @api.model
    def _is_member(self):
        return not self.env.user._is_public()

    @api.model
    def _previewed(self, company_id=None):
        """Return the company whose page the user may see before it is switched on.

        :param company_id: database id; the company that the user works in by default
        :rtype: res.company record, or an empty one
        """
        if not self.env.user.has_group(_MANAGER):
            return self.env["res.company"]
        own = self.env.user.company_ids
        wanted = company_id or self.env.company.id
        # sudo: like the page itself
        return own.filtered(lambda company: company.id == wanted).sudo()

    # === What is on a page ===

    @api.model
    def _content(self, company, preview=False):
        """Return what a status page says.

        :param company: res.company record, with the rights to read it
        :param bool preview: whether it is shown before it is switched on
        :return: plain values, nothing but what may be known outside
        :rtype: dict
        """
        incidents = self._incidents(company)
        # sudo: as of incidents; only the names that systems have outside leave
        systems = self.env["qms.incident.system"].sudo()._of_page(company)
        said = self._said(incidents)
        path = company._status_page_path()
        zone = incidents._zone(company)
        entries = [
            self._entry(incident, systems, said.get(incident.id, ()), zone)
            for incident in incidents
        ]
        ongoing = [entry for entry in entries if entry["ongoing"]]
        past = [entry for entry in entries if not entry["ongoing"]]
        past.sort(key=lambda entry: entry["until"]["iso"], reverse=True)
        worst = dict.fromkeys(systems.ids, STATES[0])
        for incident, entry in zip(incidents, entries, strict=True):
            if entry["ongoing"]:
                for system in incident.system_ids & systems:
                    worst[system.id] = self._worse(worst[system.id], entry["effect"])
        overall = STATES[0]
        for entry in ongoing:
            overall = self._worse(overall, entry["effect"])
        labels = self._state_labels()
        return {
            "title": company.qms_status_title or company.name,
            "note": company.qms_status_note or None,
            "logo": self._logo(company),
            "lang": self._language(),
            "feed_path": f"{path}/feed" if path else None,
            "preview": preview,
            "overall": overall,
            "overall_label": self._overall_labels(bool(systems))[overall],
            "systems": [
                {
                    "name": system.public_name,
                    "state": worst[system.id],
                    "label": labels[worst[system.id]],
                }
                for system in systems
            ],
            "ongoing": ongoing,
            "past": past[:_MOST_PAST],
            "days": company.qms_status_days,
        }

    @api.model
    def _language(self):
        """Return the language that a page is in, as HTML names it.

        :rtype: str
        """
        return get_lang(self.env).code.partition("@")[0].replace("_", "-")

    @api.model
    def _incidents(self, company):
        """Return the incidents on the page of a company, the latest first.

        :rtype: qms.incident records
        """
        # sudo: nobody outside may read incidents; what leaves is in _entry.
        incidents = self.env["qms.incident"].sudo()
        domain = Domain("company_id", "=", company.id)
        domain &= incidents._public_domain(company.qms_status_days)
        return incidents.search(domain, order="detected_at desc, id desc").filtered(
            lambda incident: incident.public_status.strip()
        )

    @api.model
    def _said(self, incidents):
        """Return the published updates by the id of their incident, the last first.

        :rtype: dict[int, list]
        """
        # sudo: like the incidents; only those of their texts that were published
        updates = self.env["qms.incident.update"].sudo()
        found = {}
        for update in updates.search(
            Domain("incident_id", "in", incidents.ids)
            & Domain("public_text", "!=", False)
        ):
            found.setdefault(update.incident_id.id, []).append(update)
        return found

    @api.model
    def _entry(self, incident, systems, updates, zone):
        """Return what is told of one incident.

        What was said last is what stands in the incident: it may have been corrected
        there, and the text before must be seen no more.

        :param incident: qms.incident record
        :param systems: what the page shows of systems
        :param updates: its published updates, the last first
        :param str zone: IANA name of the zone that times are shown in
        :rtype: dict
        """
        names = [one.public_name for one in systems if one in incident.system_ids]
        state, label = self._phase(incident)
        until = incident.resolved_at or incident.closed_at
        ongoing = state not in ("resolved", "withdrawn")
        last = updates[0].sent_at if updates else None
        texts = [(last, incident.public_status.strip())]
        texts += [(one.sent_at, one.public_text.strip()) for one in updates[1:]]
        changed = [
            incident.detected_at,
            last,
            *(incident[name] for name in ("triaged_at", "mitigated_at")),
            until,
        ]
        return {
            "key": self._key(incident),
            "title": incident.public_title
            or (
                self.env._("Disruption of %s", ", ".join(names))
                if names
                else self.env._("Disruption")
            ),
            "state": state,
            "label": label,
            "ongoing": ongoing,
            "effect": self._effect(incident),
            "systems": names,
            "since": self._moment(incident.detected_at, zone),
            "until": None if ongoing else self._moment(until, zone),
            "changed": to_rfc3339(max(filter(None, changed))),
            "texts": [
                {"at": self._moment(at, zone) if at else None, "text": text}
                for at, text in texts
            ],
        }

    @api.model
    def _phase(self, incident):
        """Return how far an incident has come, as it is called outside.

        :return: a word for programs and one for people
        :rtype: tuple[str, str]
        """
        phases = {
            "detected": ("investigating", self.env._("Investigating")),
            "triaged": ("identified", self.env._("Being worked on")),
            "mitigated": ("monitoring", self.env._("Recovering")),
            "false_positive": ("withdrawn", self.env._("No disruption after all")),
        }
        return phases.get(incident.state) or ("resolved", self.env._("Resolved"))

    @api.model
    def _effect(self, incident):
        """Return what an incident that is not over does to its systems.

        :return: one of ``STATES``
        """
        if incident.state == "mitigated":
            return "recovering"
        return _BY_SEVERITY.get(incident.severity, "degraded")

    @api.model
    def _worse(self, one, other):
        return max(one, other, key=STATES.index)

    @api.model
    def _state_labels(self):
        """Return what the states of systems are called.

        :rtype: dict[str, str]
        """
        return {
            "operational": self.env._("Operational"),
            "recovering": self.env._("Recovering"),
            "degraded": self.env._("Degraded"),
            "partial_outage": self.env._("Partial outage"),
            "outage": self.env._("Outage"),
        }

    @api.model
    def _overall_labels(self, systems):
        """Return what the page says first.

        :param bool systems: whether it shows systems
        :rtype: dict[str, str]
        """
        well = (
            self.env._("All systems operational")
            if systems
            else self.env._("No disruption is known")
        )
        return {
            "operational": well,
            "recovering": self.env._("Recovering: we are watching it"),
            "degraded": self.env._("Degraded service"),
            "partial_outage": self.env._("Partial outage"),
            "outage": self.env._("Outage"),
        }

    @api.model
    def _key(self, incident):
        """Return what names an incident outside and tells nothing of it.

        :rtype: str
        """
        return hmac(self.env(su=True), "qms_incident.status_page", incident.id)[:32]

    @api.model
    def _moment(self, value, zone):
        """Return a time for programs, and for people who have no script running.

        :param datetime value: naive, in UTC
        :param str zone: IANA name
        :rtype: dict
        """
        name = pytz.utc.localize(value).astimezone(pytz.timezone(zone)).tzname()
        shown = format_datetime(self.env, value, tz=zone, dt_format="d MMM y, HH:mm")
        return {"iso": to_rfc3339(value), "text": f"{shown} {name}"}

    @api.model
    def _logo(self, company):
        """Return the logo of a company as a data URI, if it has one of its own.

        :rtype: str | None
        """
        if company.uses_default_logo or not company.logo_web:
            return None
        return f"data:image/png;base64,{company.logo_web.decode()}"

    # === As a feed ===

    @api.model
    def _feed(self, company):
        """Return the Atom feed of a status page.

        :param company: res.company record, with the rights to read it
        :rtype: bytes
        """
        content = self._content(company)
        entries = [*content["ongoing"], *content["past"]]
        url = company._status_page_url()
        return atom_feed(
            title=content["title"],
            url=url,
            feed_url=f"{url}/feed",
            updated=max(
                (entry["changed"] for entry in entries),
                default=to_rfc3339(company.create_date),
            ),
            entries=[self._feed_entry(entry, url) for entry in entries],
        )

    @api.model
    def _feed_entry(self, entry, url):
        texts = [
            f"{text['at']['text']}: {text['text']}" if text["at"] else text["text"]
            for text in entry["texts"]
        ]
        return {
            "id": uuid.UUID(hex=entry["key"], version=5).urn,
            "title": f"{entry['title']} – {entry['label']}",
            "url": f"{url}#{entry['key']}",
            "published": entry["since"]["iso"],
            "updated": entry["changed"],
            "text": "\n\n".join(texts),
        }
