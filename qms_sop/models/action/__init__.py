from . import qms_action_counter
from . import qms_action
from . import qms_action_signature
from . import qms_action_rpc
from . import qms_action_reminder
from . import qms_action_recurrence
from . import qms_action_issue
from . import qms_action_api
