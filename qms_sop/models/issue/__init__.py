from . import qms_issue_tracker
from . import qms_issue
