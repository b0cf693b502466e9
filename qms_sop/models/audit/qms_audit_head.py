from odoo import fields, models

from .qms_audit_event import guard, protect


class QmsAuditHead(models.Model):
    """The last event of each trail: what writers lock, and what is anchored.

    It tells of a cut-off end; the anchors tell of a head that was turned back.
    """

    _name = "qms.audit.head"
    _description = "Head of an audit trail"
    _inherit = ["qms.audit.sealed.mixin"]
    _log_access = False
    _order = "id desc"

    root_model = fields.Char(required=True, readonly=True)
    root_id = fields.Many2oneReference(
        model_field="root_model", required=True, readonly=True
    )
    sequence = fields.Integer(
        "Events", required=True, readonly=True, help="Number of events so far."
    )
    hash = fields.Char(required=True, readonly=True)

    _root_uniq = models.UniqueIndex(
        "(root_model, root_id)", "A record has one audit trail."
    )

    def init(self):
        protect(self.env, self._table, "DELETE")
        guard(self.env, self._table, "qms_audit_forward", "UPDATE", "qms_audit_forward")
