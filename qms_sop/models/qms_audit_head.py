from odoo import fields, models
from odoo.tools import SQL

from .qms_audit_event import protect

_FORWARD = """
CREATE OR REPLACE FUNCTION qms_audit_forward() RETURNS trigger AS $$
BEGIN
    IF NEW.sequence <= OLD.sequence OR NEW.root_model <> OLD.root_model
       OR NEW.root_id <> OLD.root_id THEN
        RAISE EXCEPTION 'UPDATE on % refused: the head of an audit trail only moves '
            'forward', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$ LANGUAGE plpgsql;
"""


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
        self.env.cr.execute(_FORWARD)
        self.env.cr.execute(
            SQL(
                "CREATE OR REPLACE TRIGGER qms_audit_forward BEFORE UPDATE ON %s"
                " FOR EACH ROW EXECUTE FUNCTION qms_audit_forward()",
                SQL.identifier(self._table),
            )
        )
