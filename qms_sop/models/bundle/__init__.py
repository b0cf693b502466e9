from . import qms_audit_bundle
