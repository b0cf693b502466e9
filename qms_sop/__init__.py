from . import controllers
from . import models
from . import wizard


def uninstall_hook(env):
    """Drop what the ORM does not know of."""
    env.cr.execute("DROP SEQUENCE IF EXISTS qms_sop_run_number")
