from . import qms_incident_dashboard
