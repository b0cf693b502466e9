from odoo import api, models

from odoo.addons.qms_sop.tools.markdown import to_html
from odoo.addons.qms_sop.tools.qr import qr_svg

from ..tools import postmortem_tables, postmortem_text
from ..tools.postmortem_sections import LESSONS, UNDER

_STATE_STYLES = {"in_review": "q-medium", "published": "q-good"}
# How wide the columns of tables are, against each other; the others are 14
_WIDTHS = {
    "time (utc)": 21,
    "event": 40,
    "evidence": 20,
    "id": 11,
    "action": 38,
    "priority": 10,
    "type": 15,
    "status": 11,
}
# Letters of a section that is kept on one page
_SHORT = 1_200


class QmsPostmortemReport(models.AbstractModel):
    """One post-mortem on paper: what is handed out, and filed.

    Everything is read as the user who prints.
    """

    _name = "report.qms_incident.report_postmortem"
    _inherit = ["qms.paper.report"]
    _description = "Post-mortem on paper"

    @api.model
    def _get_report_values(self, docids, data=None):
        postmortems = self._records("qms.postmortem", docids, data)
        return {"pages": [self._page(postmortem) for postmortem in postmortems]}

    @api.model
    def _footer_text(self, records):
        return self.env._(
            "%(postmortem)s (%(state)s) · %(printed)s",
            postmortem=records.name,
            state=records._state_label(records.state),
            printed=self._printed_text(),
        )

    @api.model
    def _page(self, postmortem):
        """Return what is printed of one post-mortem, as texts.

        :param postmortem: qms.postmortem record
        :rtype: dict
        """
        url = f"{postmortem.get_base_url()}/odoo/qms-postmortems/{postmortem.id}"
        verdicts = dict(
            self.env["qms.postmortem.participant"]
            ._fields["verdict"]
            ._description_selection(self.env)
        )
        return {
            "postmortem": postmortem,
            "final": postmortem.state == "published",
            "state": postmortem._state_label(postmortem.state),
            "style": _STATE_STYLES.get(postmortem.state, ""),
            "quick": postmortem.kind == "quick",
            "url": url,
            "qr": qr_svg(url, 112),
            "facts": self._facts(postmortem),
            "sections": self._sections(postmortem),
            "reviews": [
                {
                    # sudo: who took part is told to everybody who reads it
                    "name": one.user_id.sudo().name,
                    "role": one.role or "",
                    "verdict": verdicts.get(one.verdict, self.env._("Not reviewed")),
                    "when": self._instant(one.reviewed_at),
                    "comment": one.comment or "",
                }
                for one in postmortem.participant_ids
            ],
            "signatures": postmortem.signature_ids,
            "amendments": [
                {
                    "text": to_html(one.text),
                    "reason": one.reason,
                    "when": self._instant(one.amended_at),
                    "who": one.user_id.sudo().name,
                }
                for one in postmortem.amendment_ids
            ],
        }

    @api.model
    def _instant(self, value):
        return self._time(value, "yyyy-MM-dd HH:mm:ss xxx")

    @api.model
    def _facts(self, postmortem):
        """Return what a post-mortem is about, and who wrote it by when.

        :return: rows of two facts each, a fact being its label and its text
        :rtype: list[list[tuple[str, str]]]
        """
        incident, header = postmortem.incident_id, postmortem._header()
        methods = incident._fields["detection_method"]._description_selection(self.env)
        on_time = {"yes": self.env._("on time"), "no": self.env._("late")}
        published = (
            self._instant(postmortem.published_at),
            on_time.get(postmortem.published_on_time),
        )
        facts = [
            (self.env._("Incident"), f"{incident.name} {incident.title}"),
            (self.env._("Company"), postmortem.company_id.sudo().name),
            (self.env._("Began"), self._instant(incident.occurred_at)),
            (self.env._("Detected"), self._instant(incident.detected_at)),
            (self.env._("Resolved"), self._instant(incident.resolved_at)),
            (self.env._("Duration"), header["duration"].partition(" (")[0]),
            (self.env._("Affected systems"), header["systems"]),
            (
                self.env._("Reported by"),
                incident.detected_by
                or dict(methods).get(incident.detection_method, ""),
            ),
            (self.env._("Author"), header["author"]),
            (self.env._("Meeting"), self._instant(postmortem.meeting_at)),
            (self.env._("Published"), ", ".join(filter(None, published))),
            (self.env._("Due"), self._instant(postmortem.due_at)),
        ]
        return [facts[place : place + 2] for place in range(0, len(facts), 2)]

    @api.model
    def _sections(self, postmortem):
        """Return the sections of a post-mortem as they are printed.

        :return: dicts with ``heading``, ``above`` (a heading before it), ``below``
            (whether it stands below another one), ``html`` (what stays with the
            heading, and the rest) and ``table``
        :rtype: list[dict]
        """
        found, around = [], None
        for key, heading, text in postmortem._sections():
            group = UNDER.get(key)
            table = text and postmortem_tables.table_of(text)
            found.append(
                {
                    "heading": heading,
                    "above": LESSONS if group == LESSONS != around else "",
                    "below": bool(group),
                    "html": [] if table else self._blocks(text or ""),
                    "table": table and self._printed_table(*table),
                }
            )
            around = group
        return found

    @api.model
    def _blocks(self, text):
        """Return a text as HTML: what is kept on the page of its heading, and the rest.

        :param str text: Markdown
        :return: nothing for nothing
        :rtype: list
        """
        parts = (text, "") if len(text) < _SHORT else postmortem_text.parted(text)
        return [to_html(part) for part in parts if part]

    @api.model
    def _printed_table(self, titles, rows):
        """Return a table as it is printed: without columns in which nothing stands.

        :param list titles: of the columns
        :param list rows: of cells
        :return: ``titles`` (pairs of a text and a width), ``rows`` (of pairs of HTML
            and a width)
        :rtype: dict
        """
        used = [
            place
            for place in range(len(titles))
            if any(row[place] not in ("", "-") for row in rows)
        ]
        widths = {place: _WIDTHS.get(titles[place].lower(), 14) for place in used}
        total = sum(widths.values()) or 1
        shares = {place: round(100 * one / total, 1) for place, one in widths.items()}
        return {
            "titles": [(titles[place], shares[place]) for place in used],
            "rows": [
                [(self._cell(row[place]), shares[place]) for place in used]
                for row in rows
            ],
        }

    @api.model
    def _cell(self, text):
        # Alone, a dash is the beginning of a list.
        return "–" if text == "-" else to_html(text)
