from . import test_api_incidents
from . import test_qms_incident
from . import test_qms_incident_closure
from . import test_timeline_text
from . import test_qms_incident_update
from . import test_tours
from . import test_qms_incident_wizards
from . import test_qms_postmortem
