from . import res_company
from . import qms_incident_system_public
from . import qms_incident_public
from . import qms_status_page
from . import res_config_settings_status
