from . import incidents
from . import timeline
