from . import test_qms_incident
