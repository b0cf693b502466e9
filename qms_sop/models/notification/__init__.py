from . import qms_notification_template
from . import qms_notification_channel
from . import qms_notification
from . import qms_notification_worker
