from odoo import fields, models


class QmsSopAcknowledgement(models.Model):
    """One person's word to have read and understood one SOP revision.

    Nobody has the right to create one: ``qms.sop.document.acknowledge`` does,
    for the user who calls it and nobody else.
    """

    _name = "qms.sop.acknowledgement"
    _description = "Read and understood"
    _order = "acknowledged_on desc, id desc"
    _rec_name = "user_id"

    document_id = fields.Many2one(
        "qms.sop.document", "SOP", required=True, index=True, ondelete="restrict"
    )
    user_id = fields.Many2one("res.users", "Who", required=True, ondelete="restrict")
    acknowledged_on = fields.Datetime(
        "When", required=True, default=fields.Datetime.now
    )

    _once = models.Constraint(
        "UNIQUE(document_id, user_id)",
        "This person has acknowledged this revision already.",
    )
