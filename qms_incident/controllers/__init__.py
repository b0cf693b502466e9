from . import incidents
from . import postmortems
from . import incidents_similar
from . import status
from . import timeline
from . import metrics
