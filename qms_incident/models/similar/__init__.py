from . import qms_incident_similar
