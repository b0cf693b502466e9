from . import models

from odoo.addons.qms_error_code.tools.uninstall import empty_tables


def uninstall_hook(env):
    """Remove what the ORM does not know of, or cannot delete in its order."""
    # Also the done ones, which are archived and still refer to their types.
    activities = env["mail.activity"].with_context(active_test=False)
    activities.search([("res_model", "=like", "qms.incident%")]).unlink()
    parameters = env["ir.config_parameter"]
    parameters.search([("key", "=like", "qms_incident.%")]).unlink()
    # Runs refer to their incidents, and stay.
    env["qms.sop.run"]._forget_incidents()
    empty_tables(env, "qms_incident")
