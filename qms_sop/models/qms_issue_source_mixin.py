from odoo import api, fields, models
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked

from ..tools import github
from ..tools.faults import at_field
from ..tools.idempotency import idempotent
from ..tools.values import without_none


class QmsIssueSourceMixin(models.AbstractModel):
    """A record about which issues are made at GitHub."""

    _name = "qms.issue.source.mixin"
    _description = "Record that issues are about"

    issue_count = fields.Integer("Issues", compute="_compute_issues")
    issue_text = fields.Char("Issue", compute="_compute_issues")

    def _compute_issues(self):
        found = {}
        for issue in self.env["qms.issue"].search(
            Domain("res_model", "=", self._name) & Domain("res_id", "in", self.ids)
        ):
            found.setdefault(issue.res_id, []).append(issue)
        for record in self:
            issues = found.get(record.id, [])
            record.issue_count = len(issues)
            record.issue_text = ", ".join(
                issue.reference or issue.repository for issue in issues
            )

    # === What the issue says ===

    def _issue_title(self):
        """Return the title that is proposed.

        :rtype: str
        """
        self.ensure_one()
        return self.display_name

    def _issue_body(self):
        """Return the text that is proposed, in Markdown.

        :rtype: str
        """
        raise NotImplementedError

    @api.model
    def _issue_part(self, heading, text):
        """Return a part of the text of an issue; nothing without a text.

        :param str heading: what it is about
        :param str text: Markdown
        :rtype: str
        """
        if not text:
            return ""
        between = "\n" if text.startswith("- ") else " "
        return f"**{heading}**:{between}{text}"

    @api.model
    def _issue_list(self, lines, bullet="- "):
        """Return texts as a list in Markdown, without the empty ones.

        :param lines: texts
        :param str bullet: what each line begins with
        :rtype: str
        """
        found = (" ".join((line or "").split()) for line in lines)
        return "\n".join(f"{bullet}{github.plain(line)}" for line in found if line)

    def _issue_labels(self, tracker):
        """Return the labels that are proposed.

        :param qms.issue.tracker tracker: where it is made
        :rtype: list[str]
        """
        return tracker._labels_of()

    def _issue_made(self, issue):
        """Do what follows from an issue that was made.

        :param qms.issue issue: made
        """

    def _issue_draft(self, tracker):
        """Return what is proposed.

        :param qms.issue.tracker tracker: where it is made
        :return: ``title``, ``body``, ``labels``
        :rtype: dict
        """
        title = " ".join(self._issue_title().split())
        limit = github.TITLE_LIMIT
        return {
            "title": title if len(title) <= limit else f"{title[: limit - 1]}…",
            "body": self._issue_body()[: github.BODY_LIMIT - 1000],
            "labels": self._issue_labels(tracker),
        }

    # === Buttons ===

    def action_create_issue(self):
        """Ask for the words of an issue, and show them as they will be.

        :return: the action that opens the dialog
        :rtype: dict
        """
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_issue_create_action"
        )
        return {
            **action,
            "context": {
                "default_res_model": self._name,
                "default_res_id": self.id,
                "dialog_size": "extra-large",
            },
        }

    def action_view_issues(self):
        """Open the issues about the record."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_issue_action"
        )
        domain = [("res_model", "=", self._name), ("res_id", "=", self.id)]
        issues = self.env["qms.issue"].search(domain)
        if len(issues) == 1:
            return {
                **action,
                "views": [(False, "form")],
                "res_id": issues.id,
                "context": {},
            }
        return {**action, "domain": domain, "context": {}}

    # === RPC ===

    @api.readonly
    @checked
    def preview_issue(self, tracker: str | None = None) -> dict:
        """Return what an issue about one record would say.

        :param tracker: name or repository of an issue tracker; the first when missing
        :return: ``repository``, ``title``, ``body`` (Markdown), ``labels``
        :raises ValidationError: when there is no such tracker
        """
        self._only_one()
        with at_field("tracker"):
            chosen = self.env["qms.issue.tracker"]._choose(tracker, self.company_id)
        return {"repository": chosen.repository, **self._issue_draft(chosen)}

    @checked
    @idempotent
    def create_issue(
        self,
        title: str | None = None,
        body: str | None = None,
        labels: list[str] | None = None,
        tracker: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Ask for an issue about one record; there is one in each tracker at most.

        It is made right after the call; ``qms.issue.get_issue`` tells what became of
        it.

        :param title: one line; proposed from the record when missing
        :param body: Markdown; proposed from the record when missing
        :param labels: proposed from the record when missing
        :param tracker: name or repository of an issue tracker; the first when missing
        :return: as ``qms.issue.get_issue``, and ``existing``: whether there was one
            already, which stays as it is
        :raises ValidationError: naming the argument at fault
        """
        self._only_one()
        with at_field("tracker"):
            chosen = self.env["qms.issue.tracker"]._choose(tracker, self.company_id)
        draft = self._issue_draft(chosen)
        issue, existing = self.env["qms.issue"]._ask(
            self,
            chosen,
            title or draft["title"],
            body or draft["body"],
            draft["labels"] if labels is None else labels,
        )
        return {**without_none(issue._to_dict()), "existing": existing}
