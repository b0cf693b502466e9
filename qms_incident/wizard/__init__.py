from . import qms_incident_decision
from . import qms_incident_entry
from . import qms_incident_import
from . import qms_incident_role
from . import qms_incident_message
from . import qms_retention_purge
from . import qms_incident_message_public
