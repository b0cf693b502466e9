from . import controllers
from . import models
from . import report
from . import wizard

from odoo.tools import SQL, split_every

# Records with a trail, and how many of them are told of at a time
_RECORDS = ("qms.postmortem", "qms.incident")
_BATCH = 1000


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
        _tell_removal(env[model])
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


def _tell_removal(records):
    """Have the trails of all records of a model end with what became of them.

    The trails stay, and nobody shall believe that the records were made away with.

    :param records: any of the model
    """
    events = records.env["qms.audit.event"]
    every = records.with_context(active_test=False).search([], order="id")
    for some in split_every(_BATCH, every.ids, records.browse):
        for record in some:
            events._record(record, "deleted", reason="qms_incident was uninstalled")
        events._flush_pending()
        records.env.invalidate_all()
