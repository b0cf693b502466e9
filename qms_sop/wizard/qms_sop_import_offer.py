from odoo import fields, models


class QmsSopImportOffer(models.TransientModel):
    """What a row of a table offers; it is taken over when it is ticked."""

    _name = "qms.sop.import.offer"
    _description = "Record offered by a table of a Markdown file"
    _order = "import_id, source, line, id"

    import_id = fields.Many2one("qms.sop.import", required=True, ondelete="cascade")
    source = fields.Integer(help="Which of the files, counted from 0.")
    filename = fields.Char("File", readonly=True)
    line = fields.Integer(readonly=True)
    key = fields.Char(readonly=True)
    group = fields.Char(readonly=True)
    action = fields.Selection(
        [
            ("add", "New"),
            ("link", "Known"),
            ("change", "Different"),
            ("none", "Same"),
            ("problem", "Problem"),
        ],
        "Catalogue",
        readonly=True,
    )
    text = fields.Char("What would happen", readonly=True)
    allowed = fields.Boolean(readonly=True)
    taken = fields.Boolean("Take over")
