from . import qms_incident_dashboard
from . import res_users_month
from . import qms_notification_month
