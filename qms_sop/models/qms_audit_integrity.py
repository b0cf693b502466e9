from odoo import fields, models
from odoo.tools import SQL


class QmsAuditIntegrity(models.TransientModel):
    """How far the audit trail can be trusted, on one page."""

    _name = "qms.audit.integrity"
    _description = "Integrity of the audit trail"

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
    finding_count = fields.Integer("Findings", compute="_compute_check")
    anchor_id = fields.Many2one("qms.audit.anchor", compute="_compute_anchor")
    anchored_at = fields.Datetime("Taken", compute="_compute_anchor")
    unanchored = fields.Integer(
        "Events since",
        compute="_compute_anchor",
        help="Events that no anchor knows of yet.",
    )
    file = fields.Char(compute="_compute_anchor", help="On the server.")

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
            page.finding_count = check.finding_count

    def _compute_anchor(self):
        anchor = self.env["qms.audit.anchor"].search([], limit=1)
        since = self.env["qms.audit.event"].search_count(
            [("recorded_at", ">", anchor.taken_at)] if anchor else []
        )
        for page in self:
            page.anchor_id = anchor
            page.anchored_at = anchor.taken_at
            page.unanchored = since
            page.file = anchor.file

    def action_verify(self):
        """Verify everything now, and open the result.

        :rtype: dict
        """
        return self.env["qms.audit.check"].action_verify()

    def action_anchor(self):
        """Take an anchor now.

        :rtype: dict
        """
        return self.env["qms.audit.anchor"].action_take()
