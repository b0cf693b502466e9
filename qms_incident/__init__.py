from . import controllers
from . import models
from . import wizard


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
    env["qms.sop.run"]._forget_incidents()
    # Their templates go, which notifications refer to.
    env.cr.execute(
        "DELETE FROM qms_notification"
        " WHERE model IN ('qms.incident', 'qms.postmortem')"
    )
