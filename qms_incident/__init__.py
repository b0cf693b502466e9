from . import controllers
from . import models
from . import report
from . import wizard

from odoo.fields import Domain
from odoo.tools import SQL, split_every

from odoo.addons.qms_sop.tools.audit_pending import Ref

from .models.record.qms_audit_bundle import LINKS

# Records with a trail, and how many of them are told of at a time
_RECORDS = ("qms.postmortem", "qms.incident")
_BATCH = 1000
_REASON = "qms_incident was uninstalled"


def uninstall_hook(env):
    """Remove what the ORM does not know of, or cannot delete in its order.

    Runs and actions stay: they are emptied of what refers to incidents.
    """
    # Also the done ones, which are archived and still refer to their types.
    activities = env["mail.activity"].with_context(active_test=False)
    activities.search([("res_model", "=like", "qms.incident%")]).unlink()
    activities.search([("res_model", "=like", "qms.postmortem%")]).unlink()
    parameters = env["ir.config_parameter"]
    parameters.search([("key", "=like", "qms_incident.%")]).unlink()
    rules = env["qms.retention.rule"].with_context(active_test=False)
    rules.search([("applies_to", "in", _RECORDS)]).unlink()
    for model in _RECORDS:
        _tell(env[model], "deleted", ())
    for model, links in LINKS.items():
        _tell(env[model], "changed", links)
    env["qms.sop.run"]._forget_incidents()
    env.cr.execute("DELETE FROM qms_metric WHERE name LIKE 'incident%'")
    # The templates of notifications go, which these refer to.
    for table, column in (("qms_notification", "model"), ("qms_issue", "res_model")):
        env.cr.execute(
            SQL(
                "DELETE FROM %s WHERE %s IN %s",
                SQL.identifier(table),
                SQL.identifier(column),
                _RECORDS,
            )
        )


def _tell(records, kind, links):
    """Have trails tell what the uninstallation does, as the records do not.

    Trails stay. Nobody shall believe that records were made away with, or moved.

    :param records: any of the model
    :param str kind: of the events
    :param links: fields that are emptied; only of records that have one
    """
    events = records.env["qms.audit.event"]
    domain = Domain.OR(Domain(name, "!=", False) for name in links)
    every = records.with_context(active_test=False).search(
        domain if links else Domain.TRUE, order="id"
    )
    for some in split_every(_BATCH, every.ids, records.browse):
        for record in some:
            emptied = {
                name: [Ref(record[name]._name, record[name].id), None]
                for name in links
                if record[name]
            }
            events._record(record, kind, changes=emptied, reason=_REASON)
        events._flush_pending()
        records.env.invalidate_all()
