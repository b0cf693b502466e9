from . import qms_incident_month_report
from . import qms_incident_month_report_letter
from . import qms_postmortem_report
from . import qms_postmortem_report_letter
