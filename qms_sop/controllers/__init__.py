from . import dispatcher
from . import markdown
from . import openapi
from . import sop_runs
