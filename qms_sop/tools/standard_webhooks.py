"""Signatures of webhooks, as https://www.standardwebhooks.com specifies them.

The content that is signed is ``<webhook-id>.<webhook-timestamp>.<body>``, the signature
``v1,`` and the base64 of its HMAC-SHA256. This module knows nothing of Odoo.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
# The specification asks for 24 to 64 bytes.
_KEY_BYTES = range(24, 65)
TOLERANCE = 300  # seconds
_MAX_ID = 255


class SignatureError(ValueError):
    """A signature, or a secret, that is not accepted; the message says why."""


def new_secret():
    """Return a new secret, ``whsec_`` and base64.

    :rtype: str
    """
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret):
    """Return the bytes that a secret stands for.

    :param str secret: base64 of 24 to 64 bytes, with or without ``whsec_``
    :rtype: bytes
    :raise SignatureError: when it is something else
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError("it is not base64") from None
    if len(key) not in _KEY_BYTES:
        raise SignatureError(
            f"it has {len(key)} bytes, and {_KEY_BYTES[0]} to {_KEY_BYTES[-1]} are "
            "accepted"
        )
    return key


def sign(secret, webhook_id, timestamp, body):
    """Return the signature of a body.

    :param str secret: see :func:`key_of`
    :param str webhook_id: names the message, the same when it is sent again
    :param int timestamp: Unix seconds
    :param bytes body: as it is sent
    :return: ``v1,<base64>``
    :rtype: str
    """
    content = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
    digest = hmac.new(key_of(secret), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(secret, headers, body, now):
    """Check that a body comes from who knows the secret, and was sent just now.

    :param str secret: see :func:`key_of`
    :param headers: mapping with ``webhook-id``, ``webhook-timestamp`` and
        ``webhook-signature`` (one or more signatures, separated by spaces)
    :param bytes body: as it came
    :param float now: Unix seconds
    :return: the webhook-id, by which a message that comes twice is known
    :rtype: str
    :raise SignatureError: when something is missing, too old or wrong
    """
    webhook_id = headers.get("webhook-id") or ""
    timestamp = headers.get("webhook-timestamp") or ""
    signatures = headers.get("webhook-signature") or ""
    for name, value in (
        ("webhook-id", webhook_id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signatures),
    ):
        if not value:
            raise SignatureError(f"the header {name} is missing")
    if len(webhook_id) > _MAX_ID:
        raise SignatureError(f"webhook-id is longer than {_MAX_ID} characters")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 12):
        raise SignatureError("webhook-timestamp is no number of seconds since 1970")
    if abs(now - int(timestamp)) > TOLERANCE:
        raise SignatureError(
            f"webhook-timestamp is more than {TOLERANCE // 60} minutes from now"
        )
    expected = sign(secret, webhook_id, int(timestamp), body).encode()
    # Not any(): how long it takes must not tell how far a guess came.
    matching = [
        hmac.compare_digest(expected, given.encode()) for given in signatures.split()
    ]
    if True not in matching:
        raise SignatureError("webhook-signature does not fit the body and the secret")
    return webhook_id
