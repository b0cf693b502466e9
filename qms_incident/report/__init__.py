from . import qms_incident_month_report
from . import qms_incident_month_report_letter
