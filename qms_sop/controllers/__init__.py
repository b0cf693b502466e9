from . import dispatcher
from . import sop_runs
