from . import qms_error_classify
from . import qms_error_classify_match
