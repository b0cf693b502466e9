import base64
import hashlib
import json
from unittest.mock import patch

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from odoo.exceptions import AccessDenied
from odoo.tests import HttpCase, tagged
from odoo.tools import SQL

from ..models.signature import qms_signature_passkey
from ..tools.signing import PasskeyAnswer
from .test_signature import PASSWORD, SignatureCase


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Authenticator:
    """A passkey in software: answers challenges as a device does, once touched.

    :ivar str identifier: of the credential
    :ivar str public_key: COSE, as Odoo keeps it
    """

    def __init__(self, name):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.identifier = encode(name.encode())
        numbers = self._key.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        self.public_key = base64.urlsafe_b64encode(cose).decode()
        self.count = 0

    def answer(self, challenge, origin, verified=True):
        """Return what the browser sends.

        :param bool verified: whether the person has shown to be the one, to the device
        """
        self.count += 1
        host = origin.split("//")[1].split(":")[0]
        data = hashlib.sha256(host.encode()).digest()
        data += bytes([0x05 if verified else 0x01]) + self.count.to_bytes(4, "big")
        client = json.dumps(
            {"type": "webauthn.get", "challenge": challenge, "origin": origin}
        ).encode()
        signed = data + hashlib.sha256(client).digest()
        return {
            "id": self.identifier,
            "rawId": self.identifier,
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "authenticatorData": encode(data),
                "clientDataJSON": encode(client),
                "signature": encode(self._key.sign(signed, ec.ECDSA(hashes.SHA256()))),
            },
        }

    def private_key(self):
        """Return the key as a browser imports it (JWK)."""
        numbers = self._key.private_numbers()
        public = numbers.public_numbers
        return {
            "kty": "EC",
            "crv": "P-256",
            **{
                name: encode(number.to_bytes(32, "big"))
                for name, number in (
                    ("d", numbers.private_value),
                    ("x", public.x),
                    ("y", public.y),
                )
            },
        }


@tagged("post_install", "-at_install")
class TestPasskey(SignatureCase, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if "auth.passkey.key" not in cls.env:
            cls.skipTest(cls, "Odoo's module auth_passkey is not installed.")

    def setUp(self):
        super().setUp()
        self.origin = self.base_url()
        self.env["ir.config_parameter"].set_param("web.base.url", self.origin)
        self.passkey = self.register(self.manager, "the manager's own")
        self.document = self.in_review()

    def register(self, user, name):
        """Give a user a passkey, as Odoo does when he adds one."""
        authenticator = Authenticator(name)
        self.env.cr.execute(
            SQL(
                """INSERT INTO auth_passkey_key
                               (name, credential_identifier, public_key, create_uid)
                        VALUES (%s, %s, %s, %s)""",
                name,
                authenticator.identifier,
                authenticator.public_key,
                user.id,
            )
        )
        self.env.invalidate_all()
        return authenticator

    def rpc(self, method, *args, error=False, **context):
        """Call a method of the dialog, as the web client does."""
        answer = self.url_open(
            f"/web/dataset/call_kw/qms.signature.dialog/{method}",
            data=json.dumps(
                {
                    "params": {
                        "model": "qms.signature.dialog",
                        "method": method,
                        "args": args,
                        "kwargs": {"context": context},
                    }
                }
            ),
            headers={"Content-Type": "application/json"},
        ).json()
        self.env.invalidate_all()
        if error:
            self.assertIn("error", answer)
            return answer["error"]["data"]["message"]
        self.assertNotIn("error", answer)
        return answer["result"]

    def dialog(self, document=None, operation="approve", meaning="approved"):
        document = document or self.document
        return document._open_signing(operation, meaning)["res_id"]

    def sign(self, dialog, answer, **kwargs):
        return self.rpc(
            "action_sign_with_passkey", [dialog], passkey=json.dumps(answer), **kwargs
        )

    def test_a_passkey_approves(self):
        self.authenticate("qms_manager", PASSWORD)
        dialog = self.dialog()
        self.assertTrue(self.env["qms.signature.dialog"].browse(dialog).exists())
        options = self.rpc("begin_passkey", [dialog])
        self.assertEqual(options["userVerification"], "required")
        self.assertEqual(
            options["allowCredentials"],
            [{"type": "public-key", "id": self.passkey.identifier}],
        )
        self.sign(dialog, self.passkey.answer(options["challenge"], self.origin))
        self.assertEqual(self.document.state, "approved")
        signature = self.document.signature_ids
        self.assertEqual(signature.credential, "passkey")
        self.assertTrue(signature.valid)
        self.assertEqual(self.attempts(), ["verified"])
        trail = self.env["qms.audit.event"].search(
            [("kind", "=", "signed"), ("root_id", "=", self.document.id)]
        )
        self.assertEqual(trail.changes["credential"], [None, "passkey"])

    def test_what_is_refused(self):
        """Each is an attempt to sign with something that is no answer to this."""
        stranger = self.register(self.second_manager, "somebody else's")
        unknown = Authenticator("never registered")
        self.authenticate("qms_manager", PASSWORD)
        other = self.dialog(self.in_review("SOP-SIGN-020"))
        reviewed = self.dialog(operation="sign", meaning="reviewed")
        own = self.dialog()

        def ask(dialog, device=self.passkey, **kwargs):
            challenge = self.rpc("begin_passkey", [dialog])["challenge"]
            return device.answer(challenge, self.origin, **kwargs)

        def replayed():
            answer = ask(own)
            self.rpc("begin_passkey", [own])
            return answer

        def bent(change):
            answer = ask(own)
            change(answer)
            return answer

        def login():
            headers = {"Content-Type": "application/json"}
            options = self.url_open("/auth/passkey/start-auth", "{}", headers=headers)
            challenge = options.json()["result"]["challenge"]
            self.rpc("begin_passkey", [own])
            return self.passkey.answer(challenge, self.origin)

        cases = {
            "asked for another record": lambda: ask(other),
            "asked for another meaning": lambda: ask(reviewed),
            "asked for logging in": login,
            "asked before": replayed,
            "of somebody else": lambda: ask(own, stranger),
            "of nobody": lambda: ask(own, unknown),
            "without showing to the device who it is": lambda: ask(own, verified=False),
            "signature of something else": lambda: bent(
                lambda answer: answer["response"].update(signature=encode(b"no"))
            ),
            "no data of an authenticator": lambda: bent(
                lambda answer: answer["response"].update(authenticatorData="")
            ),
            "no answer": lambda: bent(lambda answer: answer.pop("response")),
            "no credential": lambda: bent(lambda answer: answer.update(id=5)),
            "no object": lambda: ask(own) and "yes",
        }
        for what, answer in cases.items():
            with self.subTest(what):
                given = answer()
                said = self.sign(own, given, error=True)
                self.assertIn("The passkey was not accepted", said)
        self.assertFalse(self.document.signature_ids)
        self.assertEqual(self.document.state, "in_review")

    def test_the_content_is_what_was_shown(self):
        self.authenticate("qms_manager", PASSWORD)
        dialog = self.dialog()
        challenge = self.rpc("begin_passkey", [dialog])["challenge"]
        self.tamper(self.document, "purpose", "Another one")
        said = self.sign(
            dialog, self.passkey.answer(challenge, self.origin), error=True
        )
        self.assertIn("not accepted", said)
        self.assertFalse(self.document.signature_ids)

    def test_nothing_was_asked(self):
        self.authenticate("qms_manager", PASSWORD)
        dialog = self.dialog()
        answer = self.passkey.answer(encode(b"0" * 32), self.origin)
        self.assertIn("too long ago", self.sign(dialog, answer, error=True))
        with patch.object(qms_signature_passkey, "_SECONDS", -1):
            challenge = self.rpc("begin_passkey", [dialog])["challenge"]
            answer = self.passkey.answer(challenge, self.origin)
            self.assertIn("too long ago", self.sign(dialog, answer, error=True))
        self.assertFalse(self.document.signature_ids)

    def test_an_answer_is_good_once(self):
        self.authenticate("qms_manager", PASSWORD)
        dialog = self.dialog(operation="sign", meaning="reviewed")
        challenge = self.rpc("begin_passkey", [dialog])["challenge"]
        answer = self.passkey.answer(challenge, self.origin)
        self.sign(dialog, answer)
        self.assertIn("too long ago", self.sign(dialog, answer, error=True))
        self.assertEqual(len(self.document.signature_ids), 1)

    def test_refusals_lock_whatever_they_were(self):
        # Without a web request: its rollback would undo the attempts, which in
        # earnest are in a transaction of their own.
        def sign(credential):
            return self.refused(self.document._sign_and_approve, credential)

        self.assertIn("2 more", sign("wrong"))
        passkeys = type(self.env["qms.signature.passkey"])
        answer = PasskeyAnswer("{}", encode(b"0" * 32))
        with patch.object(passkeys, "_verify", side_effect=AccessDenied()):
            self.assertIn("The passkey was not accepted", said := sign(answer))
            self.assertIn("1 more", said)
            self.assertIn("Signing is locked", sign(answer))
        with patch.object(passkeys, "_verify") as verify:
            self.assertIn("Signing is locked", sign(answer))
            self.assertFalse(verify.called)
        self.assertEqual(self.attempts(), ["wrong", "passkey", "passkey", "locked"])

    def test_the_password_does_as_well(self):
        self.authenticate("qms_manager", PASSWORD)
        self.rpc("action_sign", [self.dialog()], password=PASSWORD)
        self.assertEqual(self.document.signature_ids.credential, "password")

    def test_who_has_none(self):
        dialogs = self.env["qms.signature.dialog"]
        mine = dialogs.with_user(self.manager).browse(self.dialog())
        self.assertTrue(mine.has_passkey)
        document = self.document.with_user(self.second_manager)
        dialog = dialogs.with_user(self.second_manager).browse(self.dialog(document))
        self.assertFalse(dialog.has_passkey)
        self.authenticate("qms_manager_2", "qms_manager_2")
        said = self.rpc("begin_passkey", [dialog.id], error=True)
        self.assertIn("Sign with your password", said)

    def test_no_remote_call_and_no_context(self):
        dialog = self.env["qms.signature.dialog"].with_user(self.manager)
        dialog = dialog.browse(self.dialog())
        self.assertIn("with your password", self.refused(dialog.begin_passkey))
        challenge = encode(b"0" * 32)
        answer = json.dumps(self.passkey.answer(challenge, self.origin))
        forged = dialog.with_context(
            passkey=answer, qms_signing={"nonce": "", "at": 2**40}
        )
        self.assertIn("too long ago", self.refused(forged.action_sign_with_passkey))
        for given in ({"response": answer, "challenge": challenge}, [answer], 1):
            self.refused(self.document.sign_and_approve, given)
        self.assertFalse(self.document.signature_ids)

    def test_without_odoos_module(self):
        passkeys = self.env["qms.signature.passkey"].with_user(self.manager)
        self.assertTrue(passkeys._of_user())
        registry = self.env.registry
        with patch.object(
            type(registry),
            "__contains__",
            lambda registry, name: (
                name != "auth.passkey.key" and name in registry.models
            ),
        ):
            self.assertFalse(passkeys._of_user())

    def test_with_the_dialog(self):
        device = json.dumps(
            {"id": self.passkey.identifier, "key": self.passkey.private_key()}
        )
        self.start_tour(
            f"/odoo/qms-sops/{self.document.id}",
            "qms_sop_passkey_tour",
            login="qms_manager",
            code=f"localStorage.setItem('qms_sop.passkey', JSON.stringify({device}));"
            "odoo.startTour('qms_sop_passkey_tour', {mode: 'auto'})",
        )
        self.assertEqual(self.document.state, "approved")
        self.assertEqual(self.document.signature_ids.credential, "passkey")
