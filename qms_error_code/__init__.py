from . import models, report, wizard
from .tools.uninstall import empty_tables


def uninstall_hook(env):
    """Remove what Odoo cannot delete in its order."""
    empty_tables(env, "qms_error_code")
