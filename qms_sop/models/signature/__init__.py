from . import qms_signature_delegation
from . import qms_signature
from . import qms_signature_attempt
from . import qms_signature_passkey
from . import qms_signed_mixin
from . import qms_signature_audit
