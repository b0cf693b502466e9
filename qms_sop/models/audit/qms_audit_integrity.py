from datetime import timedelta

from babel.dates import format_timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.tools import SQL
from odoo.tools.misc import babel_locale_parse

from .qms_audit_check import READERS

# The jobs run every week and every night, and may be a little late.
CHECK_EVERY = timedelta(days=8)
ANCHOR_EVERY = timedelta(hours=26)


class QmsAuditIntegrity(models.TransientModel):
    """The auditor's page: how far the trail can be trusted, and what to look at."""

    _name = "qms.audit.integrity"
    _description = "Integrity of the audit trail"

    verdict = fields.Selection(
        [
            ("intact", "Intact"),
            ("stale", "Not verified lately"),
            ("broken", "Tampered with"),
        ],
        compute="_compute_verdict",
    )
    warnings = fields.Text(compute="_compute_verdict")
    events = fields.Integer(compute="_compute_trail")
    trails = fields.Integer(compute="_compute_trail")
    hash_version = fields.Char("Algorithm", compute="_compute_trail")
    keyed = fields.Boolean("Has a key", compute="_compute_trail")
    protected = fields.Boolean("The database refuses changes", compute="_compute_trail")
    check_id = fields.Many2one(
        "qms.audit.check", "Verification", compute="_compute_check"
    )
    status = fields.Selection(
        [("passed", "Passed"), ("failed", "Failed"), ("never", "Never verified")],
        "Result",
        compute="_compute_check",
    )
    checked_at = fields.Datetime("Verified", compute="_compute_check")
    checked_ago = fields.Char("Age of the verification", compute="_compute_check")
    checked_events = fields.Integer("Events verified", compute="_compute_check")
    finding_count = fields.Integer("Findings", compute="_compute_check")
    anchor_id = fields.Many2one("qms.audit.anchor", "Number", compute="_compute_anchor")
    anchored_at = fields.Datetime("Taken", compute="_compute_anchor")
    anchored_ago = fields.Char("Age of the anchor", compute="_compute_anchor")
    unanchored = fields.Integer(
        "Events since",
        compute="_compute_anchor",
        help="Events that no anchor knows of yet.",
    )
    file = fields.Char(compute="_compute_anchor", help="On the server.")
    sent_to = fields.Char(
        compute="_compute_anchor", help="Where else anchors go each time."
    )
    question_ids = fields.One2many(
        "qms.audit.question", "page_id", "What to look at", readonly=True
    )

    def _compute_display_name(self):
        self.display_name = self.env._("Integrity")

    @api.depends("status", "finding_count")
    def _compute_verdict(self):
        now = fields.Datetime.now()
        for page in self:
            warnings = []
            late = not page.checked_at or now - page.checked_at > CHECK_EVERY
            if not page.anchored_at or now - page.anchored_at > ANCHOR_EVERY:
                warnings.append(
                    self.env._(
                        "No anchor was taken within a day: take one now, and see "
                        "whether the scheduled job runs."
                    )
                )
            if not page.keyed:
                warnings.append(
                    self.env._(
                        "The server has no key for the trail (option qms_audit_key): "
                        "whoever owns the database could make all hashes again, and "
                        "only the anchors would tell."
                    )
                )
            broken = page.status == "failed" or not page.protected
            if not page.protected:
                warnings.insert(
                    0,
                    self.env._(
                        "The protection of the trail in the database is switched off."
                    ),
                )
            page.warnings = "\n".join(warnings) or False
            page.verdict = "broken" if broken else "stale" if late else "intact"

    def _compute_trail(self):
        ((events, trails),) = self.env.execute_query(
            SQL("SELECT COALESCE(sum(sequence), 0), count(*) FROM qms_audit_head")
        )
        version = self.env["qms.audit.event"]._keys().version
        off = []
        self.env["qms.audit.check"]._check_triggers(off.append)
        for page in self:
            page.events, page.trails = events, trails
            page.hash_version, page.keyed = version, ":" in version
            page.protected = not off

    def _compute_check(self):
        check = self.env["qms.audit.check"].search(
            [
                ("state", "!=", "running"),
                ("root_model", "=", False),
                ("root_id", "in", (False, 0)),
                ("since", "=", False),
                ("until", "=", False),
            ],
            limit=1,
        )
        for page in self:
            page.check_id = check
            page.status = check.state or "never"
            page.checked_at = check.finished_at
            page.checked_ago = self._ago(check.finished_at)
            page.checked_events = check.events
            page.finding_count = check.finding_count

    def _compute_anchor(self):
        anchors = self.env["qms.audit.anchor"]
        anchor = anchors.search([], limit=1)
        since = self.env["qms.audit.event"].search_count(
            [("recorded_at", ">", anchor.taken_at)] if anchor else []
        )
        for page in self:
            page.anchor_id = anchor
            page.anchored_at = anchor.taken_at
            page.anchored_ago = self._ago(anchor.taken_at)
            page.unanchored = since
            page.file = anchor.file
            page.sent_to = anchors._told_where()

    @api.model
    def _ago(self, time):
        """Return how long ago something was, in words.

        :param datetime time: naive UTC, or a false value
        :rtype: str | bool
        """
        if not time:
            return False
        # What was this very second is past as well.
        past = max(fields.Datetime.now() - time, timedelta(seconds=1))
        return format_timedelta(
            -past,
            add_direction=True,
            locale=babel_locale_parse(self.env.lang),
        )

    # === Opening it ===

    @api.model
    def action_open(self):
        """Open the page.

        :return: the action
        :rtype: dict
        :raises AccessError: for anybody but auditors and managers
        """
        if not any(self.env.user.has_group(group) for group in READERS):
            raise AccessError(
                self.env._("Only auditors and QMS managers see the integrity page.")
            )
        page = self.create({})
        page._ask()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Integrity"),
            "res_model": self._name,
            "res_id": page.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "main",
        }

    @api.model
    def _workspace(self):
        """Return the actions of the auditor's workspace, and what they list.

        The favourites that are shared there are the questions of the page.

        :return: models, by the external ids of the actions
        :rtype: dict[str, str]
        """
        return {
            "qms_sop.qms_audit_run_action": "qms.sop.run",
            "qms_sop.qms_audit_document_action": "qms.sop.document",
            "qms_sop.qms_audit_event_action": "qms.audit.event",
        }

    def _ask(self):
        """Count what the shared favourites of the workspace find."""
        workspace = self._workspace()
        actions = {self.env.ref(name).id: name for name in workspace}
        filters = self.env["ir.filters"].search(
            Domain("action_id", "in", list(actions))
            & Domain("user_ids", "in", [self.env.uid, False])
        )
        questions = []
        for one in filters.sorted("id"):
            name = actions[one.action_id.id]
            if one.model_id != workspace[name]:
                continue
            found = self.env[one.model_id].with_context(active_test=False)
            try:
                count = found.search_count(one._get_eval_domain())
            except (ValueError, TypeError, SyntaxError):
                # Anybody may share a favourite; one that is broken is not asked.
                continue
            questions.append(
                {
                    "page_id": self.id,
                    "filter_id": one.id,
                    "action_name": name,
                    "count": count,
                }
            )
        self.env["qms.audit.question"].create(questions)

    def action_verify(self):
        """Verify everything now, and open the result.

        :rtype: dict
        """
        return self.env["qms.audit.check"].action_verify()

    def action_anchor(self):
        """Take an anchor now, and show the page again.

        :rtype: dict
        """
        action = self.env["qms.audit.anchor"].action_take()
        action["params"]["next"] = self.action_open()
        return action
