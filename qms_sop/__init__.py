from . import controllers
from . import models
from . import report
from . import wizard

from odoo.addons.qms_error_code.tools.uninstall import empty_tables


def uninstall_hook(env):
    """Remove what the ORM does not know of, or cannot delete in its order."""
    empty_tables(env, "qms_sop")
    env.cr.execute("DROP SEQUENCE IF EXISTS qms_sop_run_number")
