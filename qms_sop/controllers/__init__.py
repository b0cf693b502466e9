from . import dispatcher
from . import markdown
from . import sop_runs
