from . import dispatcher
from . import alerts
from . import markdown
from . import openapi
from . import sop_runs
from . import catalogue
from . import health
from . import sops
