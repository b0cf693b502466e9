from . import incidents
from . import status
from . import timeline
