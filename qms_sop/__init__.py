from . import controllers
from . import models
from . import report
from . import wizard

from odoo.addons.qms_error_code.tools.uninstall import empty_tables

from .models.audit.qms_audit_event import unprotect


def uninstall_hook(env):
    """Remove what the ORM does not know of, or cannot delete in its order."""
    # Also the done ones, which are archived and still refer to their types.
    activities = env["mail.activity"].with_context(active_test=False)
    activities.search([("res_model", "=like", "qms.%")]).unlink()
    parameters = env["ir.config_parameter"]
    parameters.search([("key", "=like", "qms_sop.%")]).unlink()
    unprotect(env)
    empty_tables(env, "qms_sop")
    env.cr.execute("DROP SEQUENCE IF EXISTS qms_sop_run_number")
