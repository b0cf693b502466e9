import base64
import threading
from datetime import datetime, timedelta
from unittest.mock import patch
from xmlrpc.client import Fault

from psycopg2.errors import InsufficientPrivilege

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, HttpCase, freeze_time, new_test_user, tagged
from odoo.tools import SQL, mute_logger

from odoo.addons.base.models import res_users

from ..models.document.qms_sop_document import FOUR_EYES
from ..models.run.qms_sop_run_signature import CLOSING_ACTIVITY
from ..models.signature import qms_signature_attempt
from ..tools.signing import SigningLockedError, SigningRefusedError
from ..tools.zones import in_zone
from .common import GROUPS, QmsSopCommon

# What new_test_user() gives as a password: the login
PASSWORD = "qms_manager"
LOG = base64.b64encode(b"pool exhausted\n").decode()


class SignatureCase(QmsSopCommon):
    """Attempts are written by cursors of their own, which need the test mode."""

    @classmethod
    def setUpClass(cls):
        # How long a password is hashed is not what is tested, and takes a minute.
        cls.classPatch(res_users, "MIN_ROUNDS", 1)
        super().setUpClass()
        cls.require_signed_approval(True)
        cls.second_manager = new_test_user(
            cls.env, login="qms_manager_2", groups=GROUPS["manager"], name="Mira Second"
        )
        cls.manager.tz = "Europe/Berlin"

    def setUp(self):
        super().setUp()
        if not type(self)._registry_patched:
            self.registry_enter_test_mode()

    def in_review(self, code="SOP-SIGN-001", **values):
        document = self.draft_sop(code, **values)
        document.action_submit()
        return document.with_user(self.manager)

    def refused(self, call, *args, error=UserError, **kwargs):
        """Return the message of a refusal, without undoing what was written."""
        try:
            call(*args, **kwargs)
        except error as refusal:
            return str(refusal)
        return self.fail("it was accepted")

    def attempts(self, user=None):
        """Return the outcomes of the attempts of somebody, in order."""
        attempts = self.env["qms.signature.attempt"].search(
            [("user_id", "=", (user or self.manager).id)], order="id"
        )
        return attempts.mapped("outcome")

    def tamper(self, record, column, value):
        """Change a record the way nobody can but the database's owner."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE %s SET %s = %s WHERE id = %s",
                SQL.identifier(record._table),
                SQL.identifier(column),
                value,
                record.id,
            )
        )
        self.env.invalidate_all()

    def finished(self, severity="critical", **values):
        run = self.work(self.start_run(severity=severity, **values))
        run.add_evidence("log.txt", LOG)
        run.log_error("pool exhausted")
        run.complete("Restarted.")
        return run


@tagged("post_install", "-at_install")
class TestApproval(SignatureCase):
    def test_a_signature_approves(self):
        document = self.in_review()
        with freeze_time("2026-01-15 11:30:00"):
            answer = document.sign_and_approve(PASSWORD, "Read twice.")
        self.assertEqual(document.state, "approved")
        self.assertEqual(document.approved_by_id, self.manager)
        signature = document.signature_ids
        self.assertRecordValues(
            signature,
            [
                {
                    "model": "qms.sop.document",
                    "res_id": document.id,
                    "record_name": document.display_name,
                    "meaning": "approved",
                    "user_id": self.manager.id,
                    "signer_name": self.manager.name,
                    "signer_login": "qms_manager",
                    "on_behalf_of_name": False,
                    "signed_at": datetime(2026, 1, 15, 11, 30),
                    "signed_at_text": "2026-01-15 12:30:00 CET (UTC+01:00)",
                    "comment": "Read twice.",
                    "content_hash": document._signed_hash(
                        {"format": 2, "effective_date": True}
                    ),
                    "validity": "valid",
                }
            ],
        )
        self.assertEqual(
            answer,
            {
                "id": signature.id,
                "meaning": "approved",
                "signer": self.manager.name,
                "login": "qms_manager",
                "on_behalf_of": False,
                "signed_at": "2026-01-15T11:30:00Z",
                "timezone": "Europe/Berlin",
                "credential": "password",
                "sha256": signature.content_hash,
                "valid": True,
                "state": "approved",
            },
        )
        self.assertEqual(self.attempts(), ["verified"])

    def test_no_approval_without_a_signature(self):
        document = self.in_review()
        for call in (
            document.action_approve,
            lambda: document.write({"state": "approved"}),
            lambda: document.with_context(
                identity_check=True,
                password=PASSWORD,
                signed=True,
                install_mode=True,
                skip_signature=True,
            ).write({"state": "approved"}),
            lambda: document.sudo().write({"state": "approved"}),
            document.sudo().action_approve,
        ):
            said = self.refused(call)
            self.assertIn("an API key cannot sign", said)
            self.assertIn("sign_and_approve", said)
        self.assertEqual(document.state, "in_review")

    def test_an_earlier_signature_does_not_count(self):
        document = self.in_review()
        document.sign("reviewed", PASSWORD)
        self.refused(document.write, {"state": "approved"})
        other = self.in_review("SOP-SIGN-002")
        other.sign_and_approve(PASSWORD)
        self.refused(document.write, {"state": "approved"})
        self.assertIn(
            "cannot be signed as “Approved”",
            self.refused(document.sign, "approved", PASSWORD),
        )

    def test_a_session_confirmed_a_moment_ago_does_not_count(self):
        # Odoo's own check of the identity is silent for ten minutes.
        document = self.in_review()
        document.sign("reviewed", PASSWORD)
        self.refused(document.sign_and_approve, "", error=ValidationError)
        self.refused(document.sign_and_approve, False, error=ValidationError)
        self.refused(document.sign_and_approve, "wrong")
        self.assertEqual(document.state, "in_review")

    def test_wrong_password(self):
        document = self.in_review()
        said = self.refused(document.sign_and_approve, "wrong")
        self.assertIn("password is wrong", said)
        self.assertIn("2 more", said)
        # Somebody else's password is as wrong.
        said = self.refused(document.sign_and_approve, "qms_manager_2")
        self.assertIn("1 more", said)
        self.assertEqual(document.state, "in_review")
        self.assertFalse(document.signature_ids)
        self.assertEqual(self.attempts(), ["wrong", "wrong"])

    def test_bad_arguments_do_not_echo_the_password(self):
        document = self.in_review()
        for password in (4711, ["s3cret"], {"s3cret": 1}):
            said = self.refused(document.sign_and_approve, password)
            self.assertIn("password", said)
            self.assertNotIn("4711", said)
            self.assertNotIn("s3cret", said)
        said = self.refused(document.sign, "blessed", PASSWORD)
        self.assertIn("reviewed, approved, performed", said)
        said = self.refused(document.sign_and_approve, PASSWORD, on_behalf_of="nobody")
        self.assertIn("'nobody'", said)

    def test_the_password_is_nowhere(self):
        password = "correct horse battery"
        self.manager.password = password
        document = self.in_review()
        with self.assertLogs("odoo", "DEBUG") as logs:
            document.sign_and_approve(password)
            self.env.cr.precommit.run()
        self.assertNotIn(password, "\n".join(logs.output))
        for table in ("qms_signature", "qms_signature_attempt"):
            self.env.cr.execute(SQL("SELECT * FROM %s", SQL.identifier(table)))
            self.assertNotIn(password, str(self.env.cr.fetchall()))

    def test_four_eyes_still_hold(self):
        document = self.draft_sop("SOP-SIGN-004")
        document.with_user(self.manager).purpose = "Mine, too."
        document.action_submit()
        mine = document.with_user(self.manager)
        said = self.refused(mine.sign_and_approve, PASSWORD)
        self.assertIn("changed this revision and cannot approve it", said)
        self.assertIn(
            "signed as “reviewed” by others",
            self.refused(mine._check_can_sign, "reviewed", self.manager),
        )
        self.assertFalse(self.attempts(), "nobody was asked for a password")
        self.env["ir.config_parameter"].set_param(FOUR_EYES, "False")
        mine.sign_and_approve(PASSWORD)
        self.assertEqual(document.state, "approved")

    def test_who_approves(self):
        document = self.in_review()
        for role in ("operator", "author", "automation", "auditor"):
            with self.subTest(role):
                self.refused(
                    document.with_user(self.users[role]).sign_and_approve,
                    f"qms_{role}",
                    error=AccessError,
                )
        self.assertEqual(document.state, "in_review")
        self.assertFalse(document.signature_ids)

    def test_the_setting(self):
        self.env["res.config.settings"].create(
            {"qms_approval_signature": False}
        ).execute()
        document = self.in_review()
        self.assertFalse(document.approval_signature)
        document.action_approve()
        self.assertEqual(document.state, "approved")
        self.assertFalse(document.signature_ids)
        self.env["res.config.settings"].create(
            {"qms_approval_signature": True}
        ).execute()
        document.invalidate_recordset()
        self.assertTrue(document.approval_signature)
        self.refused(self.in_review("SOP-SIGN-005").action_approve)
        settings = self.env["res.config.settings"].get_values()
        self.assertTrue(settings["qms_approval_signature"])

    def test_the_system_installs_but_answers_no_request(self):
        document = self.in_review().with_user(self.env.ref("base.user_root"))
        with patch(
            "odoo.addons.qms_sop.models.document.qms_sop_document_signature.request",
            object(),
        ):
            self.assertTrue(document._approval_signature())
        thread = threading.current_thread()
        with patch.object(thread, "uid", self.manager.id, create=True):
            self.assertTrue(document._approval_signature())
        job = document.with_context(cron_id=1)
        self.assertTrue(job._approval_signature())
        self.assertIn("only a person", self.refused(document.sign_and_approve, "x"))
        document.action_approve()
        self.assertEqual(document.state, "approved")

    def test_a_server_action_does_not_approve(self):
        document = self.in_review()
        action = self.env["ir.actions.server"].create(
            {
                "name": "Approve",
                "model_id": self.env.ref("qms_sop.model_qms_sop_document").id,
                "state": "code",
                "code": "record.sudo().write({'state': 'approved'})",
            }
        )
        admin = self.env.ref("base.user_admin")
        run = (
            action.with_user(admin)
            .with_context(active_model=document._name, active_id=document.id)
            .run
        )
        self.assertIn("is signed with the password", self.refused(run))
        # Code may call what is private, too.
        for proof in ("None", "True", "dict(use=True)", "record"):
            action.code = f"env['qms.signature']._sign(record, 'approved', {proof})"
            self.assertIn("is made by signing", self.refused(run))
        self.assertFalse(document.signature_ids)

    def test_a_password_is_good_for_one_signature(self):
        document = self.in_review()
        attempts = self.env["qms.signature.attempt"].with_user(self.manager)
        signatures = self.env["qms.signature"].with_user(self.manager)
        other = self.in_review("SOP-SIGN-006")
        for signer, record, meaning in (
            (signatures, other, "reviewed"),
            (signatures, document, "approved"),
            (signatures.with_user(self.second_manager), document, "reviewed"),
        ):
            proof = attempts._verify(document, "reviewed", PASSWORD)
            self.refused(signer._sign, record, meaning, proof)
        proof = attempts._verify(document, "reviewed", PASSWORD)
        signatures._sign(document, "reviewed", proof)
        self.refused(signatures._sign, document, "reviewed", proof)
        self.assertEqual(document.signature_ids.mapped("meaning"), ["reviewed"])
        self.assertFalse(other.signature_ids)


@tagged("post_install", "-at_install")
class TestLock(SignatureCase):
    def test_three_failures_lock(self):
        document = self.in_review()
        with freeze_time("2026-01-15 10:00:00") as clock:
            for minute in range(2):
                self.refused(document.sign, "reviewed", "wrong")
                clock.move_to(f"2026-01-15 10:0{minute + 1}:00")
            said = self.refused(
                document.sign, "reviewed", "wrong", error=SigningLockedError
            )
            self.assertIn("locked for you, after 3 failed attempts", said)
            self.assertIn("in 15 minutes", said)
            # Neither the right password nor another record helps.
            clock.move_to("2026-01-15 10:16:30")
            for record in (document, self.in_review("SOP-SIGN-003")):
                said = self.refused(
                    record.sign, "reviewed", PASSWORD, error=SigningLockedError
                )
                self.assertIn("in 1 minutes", said)
            # Somebody else is not locked.
            document.with_user(self.second_manager).sign("reviewed", "qms_manager_2")
            # Attempts during the lock do not make it longer.
            clock.move_to("2026-01-15 10:17:01")
            document.sign("reviewed", PASSWORD)
        self.assertEqual(self.attempts(), ["wrong"] * 3 + ["locked"] * 2 + ["verified"])

    def test_slow_failures_do_not_lock(self):
        document = self.in_review()
        with freeze_time("2026-01-15 10:00:00") as clock:
            for at in ("10:00", "10:08", "10:16", "10:24", "10:32"):
                clock.move_to(f"2026-01-15 {at}:00")
                self.refused(
                    document.sign, "reviewed", "wrong", error=SigningRefusedError
                )
            document.sign("reviewed", PASSWORD)
        self.assertEqual(self.attempts(), ["wrong"] * 5 + ["verified"])

    def test_success_starts_counting_anew(self):
        document = self.in_review()
        for _round in range(3):
            for _failure in range(2):
                self.refused(
                    document.sign, "reviewed", "wrong", error=SigningRefusedError
                )
            document.sign("reviewed", PASSWORD)
        self.assertEqual(self.attempts(), ["wrong", "wrong", "verified"] * 3)

    def test_many_at_once_get_no_more_guesses(self):
        # What is not decided yet counts, so a fourth does not even get to the password.
        document = self.in_review()
        attempts = document.env["qms.signature.attempt"]
        self.assertEqual(
            [bool(attempts._begin(document, "reviewed")[1]) for _n in range(5)],
            [False, False, False, True, True],
        )

    def test_the_log_tells(self):
        document = self.in_review()
        with patch.object(qms_signature_attempt, "_logger") as logger:
            self.refused(document.sign, "reviewed", "wrong")
        self.assertEqual(
            logger.info.call_args.args[1:],
            ("wrong", self.manager.id, document._name, document.id),
        )

    def test_who_sees_attempts(self):
        self.refused(self.in_review().sign, "reviewed", "wrong")
        attempts = self.env["qms.signature.attempt"]
        for role in ("manager", "auditor"):
            self.assertTrue(attempts.with_user(self.users[role]).search([]))
        for role in ("operator", "author", "automation"):
            self.refused(
                attempts.with_user(self.users[role]).search, [], error=AccessError
            )
        for call in (
            lambda: attempts.create({"outcome": "verified"}),
            lambda: attempts.search([]).write({"outcome": "verified"}),
            attempts.search([]).unlink,
        ):
            self.assertIn("by the system only", self.refused(call))


@tagged("post_install", "-at_install")
class TestKeys(SignatureCase, HttpCase):
    """An API key does not show who is there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.key = (
            cls.env["res.users.apikeys"]
            .with_user(cls.manager)
            .sudo()
            ._generate("rpc", "test", None)
        )

    def call(self, credential, method, *args, **kwargs):
        return self.xmlrpc_object.execute_kw(
            self.env.cr.dbname, self.manager.id, credential, *method, args, kwargs
        )

    def rpc_refused(self, credential, method, *args, **kwargs):
        with self.assertRaises(Fault) as refusal:
            self.call(credential, method, *args, **kwargs)
        self.assertNotIn("Traceback", refusal.exception.faultString)
        return refusal.exception.faultString

    def test_a_key_instead_of_the_password(self):
        document = self.in_review()
        said = self.refused(document.sign_and_approve, self.key)
        self.assertIn("An API key cannot sign", said)
        self.assertEqual(self.attempts(), ["key"])
        self.assertEqual(document.state, "in_review")

    def test_a_request_that_came_with_a_key(self):
        document = self.in_review()
        approve = ("qms.sop.document", "sign_and_approve")
        for password in (self.key, PASSWORD):
            said = self.rpc_refused(self.key, approve, document.ids, password)
            self.assertIn("An API key cannot sign", said)
        said = self.rpc_refused(
            self.key, ("qms.sop.document", "action_approve"), document.ids
        )
        self.assertIn("an API key cannot sign", said)
        said = self.rpc_refused(
            self.key,
            ("qms.sop.document", "write"),
            document.ids,
            {"state": "approved"},
        )
        self.assertIn("an API key cannot sign", said)
        # The dialog is no way round.
        dialog = self.call(
            self.key,
            ("qms.signature.dialog", "create"),
            {
                "model": "qms.sop.document",
                "res_id": document.id,
                "operation": "approve",
                "meaning": "approved",
            },
        )
        said = self.rpc_refused(
            self.key,
            ("qms.signature.dialog", "action_sign"),
            [dialog],
            context={"password": PASSWORD},
        )
        self.assertIn("An API key cannot sign", said)
        self.assertEqual(document.state, "in_review")

    def test_a_request_that_came_with_the_password(self):
        document = self.in_review()
        approve = ("qms.sop.document", "sign_and_approve")
        said = self.rpc_refused(PASSWORD, approve, document.ids, "wrong")
        self.assertIn("password is wrong", said)
        answer = self.call(PASSWORD, approve, document.ids, PASSWORD, "Remotely.")
        self.assertEqual(answer["state"], "approved")
        self.assertEqual(document.signature_ids.comment, "Remotely.")

    def test_a_revoked_key_does_not_sign_either(self):
        document = self.in_review()
        read = ("qms.sop.document", "read")
        self.call(self.key, read, document.ids, ["state"])
        # Odoo remembers for a while that the key was good.
        self.env.cr.execute("DELETE FROM res_users_apikeys")
        self.call(self.key, read, document.ids, ["state"])
        said = self.rpc_refused(
            self.key, ("qms.sop.document", "sign_and_approve"), document.ids, PASSWORD
        )
        self.assertIn("An API key cannot sign", said)

    def test_bearer(self):
        document = self.in_review()
        answer = self.url_open(
            "/json/2/qms.sop.document/sign_and_approve",
            json={"ids": document.ids, "password": PASSWORD},
            headers={"Authorization": f"Bearer {self.key}"},
        )
        self.assertEqual(answer.status_code, 403)
        self.assertIn("An API key cannot sign", answer.json()["message"])
        self.assertEqual(document.state, "in_review")

    def test_a_key_does_not_delegate(self):
        values = {
            "delegate_id": self.second_manager.id,
            "date_to": fields.Datetime.to_string(
                fields.Datetime.now() + timedelta(days=1)
            ),
            "reason": "Away",
        }
        said = self.rpc_refused(
            self.key, ("qms.signature.delegation", "create"), values
        )
        self.assertIn("An API key cannot sign", said)

    def test_approve_with_the_dialog(self):
        document = self.in_review()
        self.start_tour(
            f"/odoo/qms-sops/{document.id}", "qms_sop_sign_tour", login="qms_manager"
        )
        self.assertEqual(document.state, "approved")
        self.assertRecordValues(
            document.signature_ids,
            [
                {
                    "meaning": "approved",
                    "signer_login": "qms_manager",
                    "comment": "Read twice.",
                    "valid": True,
                }
            ],
        )
        self.assertFalse(
            self.env["qms.signature.dialog"].search([]).filtered("password"),
            "the password was kept",
        )

    def test_sign_the_closing_with_the_dialog(self):
        run = self.finished()
        self.start_tour(
            f"/odoo/qms-runs/{run.id}",
            "qms_sop_sign_closing_tour",
            login="qms_operator",
        )
        self.assertEqual(run.closing_signature, "given")
        self.assertEqual(run.signature_ids.meaning, "closed")


@tagged("post_install", "-at_install")
class TestSignature(SignatureCase):
    def setUp(self):
        super().setUp()
        self.document = self.in_review()
        self.document.sign_and_approve(PASSWORD)
        self.signature = self.document.signature_ids

    def test_nobody_changes_or_deletes_it(self):
        values = {"signer_name": "Somebody else"}
        for user in (*self.users.values(), self.env.ref("base.user_root")):
            for records in (
                self.signature.with_user(user),
                self.signature.with_user(user).sudo(),
            ):
                for call in (
                    lambda records=records: records.write(values),
                    lambda records=records: records.create(values),
                    records.unlink,
                    records.copy,
                    lambda records=records: records.load(
                        ["signer_name"], [["Somebody else"]]
                    ),
                ):
                    with self.subTest(user=user.login):
                        try:
                            answer = call()
                        except UserError:
                            continue
                        # load() tells instead of raising
                        self.assertFalse(answer["ids"])
        for role in GROUPS:
            signatures = self.env["qms.signature"].with_user(self.users[role])
            self.assertEqual(
                [
                    signatures.has_access(operation)
                    for operation in ("read", "create", "write", "unlink")
                ],
                [True, False, False, False],
                role,
            )

    def test_the_database_refuses_too(self):
        run = self.finished()
        run.amend("Why", "What")
        self.env.flush_all()
        for table in ("qms_signature", "qms_sop_run_amendment"):
            for statement in (
                "UPDATE %s SET id = id",
                "DELETE FROM %s",
                "TRUNCATE %s CASCADE",
            ):
                with (
                    self.subTest(table=table, statement=statement),
                    mute_logger("odoo.sql_db"),
                    self.assertRaises(InsufficientPrivilege),
                ):
                    self.env.cr.execute(SQL(statement, SQL.identifier(table)))

    def test_the_trail_tells(self):
        events = self.env["qms.audit.event"]
        events._flush_pending()
        self.refused(self.document.sign, "reviewed", "wrong")
        told = events.search(
            [
                ("root_model", "=", "qms.sop.document"),
                ("root_id", "=", self.document.id),
                ("kind", "in", ["signed", "signing_refused"]),
            ],
            order="sequence",
        )
        self.assertEqual(told.mapped("kind"), ["signed", "signing_refused"])
        self.assertEqual(told.user_id, self.manager)
        self.assertEqual(
            told[0].changes["content_hash"], [None, self.signature.content_hash]
        )
        self.assertEqual(told[0].changes["meaning"], [None, "approved"])
        self.assertEqual(told[1].reason, "Wrong password")
        run = self.finished()
        run.amend("Typing error", "It was 40.")
        told = events.search([("root_id", "=", run.id), ("kind", "=", "amended")])
        self.assertEqual(told.reason, "Typing error")
        self.assertEqual(told.changes["text"], [None, "It was 40."])

    def test_it_tells_when_the_content_was_changed(self):
        self.tamper(self.document.step_ids[0], "name", "Look away")
        self.assertFalse(self.signature.valid)
        self.assertEqual(self.signature.validity, "changed")
        self.tamper(self.document.step_ids[0], "name", "Look")
        self.assertTrue(self.signature.valid)
        self.tamper(self.document, "version", "9.9.9")
        self.assertFalse(self.signature.with_user(self.users["auditor"]).valid)

    def test_all_that_is_shown_as_signed_is_signed(self):
        self.assertEqual(self.signature.covered, {"format": 2, "effective_date": True})
        for column, value in (
            ("change_summary", "Nothing of importance."),
            ("effective_date", "2020-01-01"),
            ("effective_date", None),
            ("code", "SOP-OTHER-001"),
            ("version", "9.9.9"),
            ("author_id", self.manager.id),
            ("previous_id", self.sop.id),
            ("owner", "Somebody else"),
            ("purpose", "Another one"),
        ):
            with self.subTest(column, value=value):
                self.env.cr.execute("SAVEPOINT tampered")
                self.tamper(self.document, column, value)
                self.assertEqual(self.signature.validity, "changed")
                self.env.cr.execute("ROLLBACK TO SAVEPOINT tampered")
                self.env.invalidate_all()
        self.assertTrue(self.signature.valid)
        # Who looks after it, and when it is looked at again, are not what it says.
        steward = self.document.with_user(self.manager)
        steward.write({"review_date": "2031-01-01", "responsible_id": self.manager.id})
        self.assertTrue(self.signature.valid)

    def test_who_signs_before_the_date_is_set_signs_no_date(self):
        document = self.in_review("SOP-SIGN-011")
        document.with_user(self.author).sign("authored", "qms_author")
        document.with_user(self.second_manager).sign("reviewed", "qms_manager_2")
        dialog = self.env["qms.signature.dialog"].with_user(self.manager)
        dialog = dialog.browse(document._open_signing("approve", "approved")["res_id"])
        shown = dialog.content_hash
        answer = document.sign_and_approve(PASSWORD)
        self.assertEqual(answer["sha256"], shown, "not what was shown before")
        self.assertTrue(document.effective_date)
        self.env.invalidate_all()
        self.assertEqual(
            document.signature_ids.mapped("validity"), ["valid", "valid", "valid"]
        )

    def test_signatures_of_earlier_formats_stay_verifiable(self):
        run = self.finished()
        with (
            patch.object(type(self.document), "_signature_covers", lambda *_args: {}),
            patch.object(type(run), "_signature_covers", lambda *_args: {}),
        ):
            document = self.in_review("SOP-SIGN-012")
            document.sign_and_approve(PASSWORD)
            run.sign("closed", "qms_operator")
        self.assertEqual(document.signature_ids.content_hash, document.content_hash)
        self.assertTrue(document.signature_ids.valid)
        self.assertTrue(run.signature_ids.valid)
        # They never said anything of these.
        self.tamper(document, "change_summary", "Said later")
        self.tamper(run, "mitigated_at", "2020-01-01 00:00:00")
        self.assertTrue(document.signature_ids.valid)
        self.assertTrue(run.signature_ids.valid)
        self.tamper(document, "purpose", "Another one")
        self.tamper(run, "resolution", "Another one")
        self.assertFalse(document.signature_ids.valid)
        self.assertFalse(run.signature_ids.valid)

    def test_it_outlives_the_record(self):
        self.env.flush_all()
        self.env.cr.execute("ALTER TABLE qms_signature DISABLE TRIGGER qms_audit_rows")
        self.tamper(self.signature, "res_id", 0)
        self.assertEqual(self.signature.validity, "missing")

    def test_the_printed_name_stays(self):
        name = self.signature.signer_name
        self.manager.write({"name": "Another Name", "login": "another"})
        self.assertEqual(self.signature.signer_name, name)
        self.assertEqual(self.signature.signer_login, "qms_manager")

    def test_author_and_reviewer(self):
        draft = self.draft_sop("SOP-SIGN-010")
        draft.sign("authored", "qms_author")
        self.assertIn(
            "cannot be signed as “Reviewed”",
            self.refused(draft.sign, "reviewed", "qms_author"),
        )
        draft.purpose = "Another one."
        self.env.invalidate_all()
        self.assertEqual(draft.signature_ids.validity, "changed")
        draft.action_submit()
        draft.sign("authored", "qms_author")
        draft.with_user(self.second_manager).sign("reviewed", "qms_manager_2")
        self.assertEqual(
            draft.signature_ids.mapped(lambda s: (s.meaning, s.validity)),
            [("authored", "changed"), ("authored", "valid"), ("reviewed", "valid")],
        )

    def test_who_may_not_write_does_not_sign(self):
        before = self.document.signature_ids
        for role in ("auditor", "operator"):
            self.refused(
                self.document.with_user(self.users[role]).sign,
                "reviewed",
                f"qms_{role}",
                error=AccessError,
            )
        self.assertEqual(self.document.signature_ids, before)

    def test_the_dialog(self):
        document = self.in_review("SOP-SIGN-011")
        action = document._open_signing("sign")
        dialogs = self.env["qms.signature.dialog"].with_user(self.manager)
        form = Form(dialogs.browse(action["res_id"]))
        self.assertEqual(form.record_name, document.display_name)
        shown = form.content_hash
        form.password = PASSWORD
        dialog = form.save()
        self.env.flush_all()
        dialog.invalidate_recordset()
        self.assertFalse(dialog.password)
        self.refused(dialog.action_sign, error=ValidationError)
        dialog.with_context(password=PASSWORD).action_sign()
        self.assertEqual(document.signature_ids.meaning, "reviewed")
        self.assertEqual(document.signature_ids.content_hash, shown)
        stray = dialogs.create(
            {"model": "res.partner", "res_id": 1, "meaning": "reviewed"}
        )
        self.assertIn(
            "not signed",
            self.refused(stray.with_context(password=PASSWORD).action_sign),
        )

    def test_another_company(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="qms_outsider",
            groups=GROUPS["manager"],
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        run = self.finished()
        run.sign("closed", "qms_operator")
        found = self.env["qms.signature"].with_user(outsider).search([])
        self.assertIn(self.signature, found, "a shared SOP")
        self.assertNotIn(run.signature_ids, found)


@tagged("post_install", "-at_install")
class TestRunSignature(SignatureCase):
    def activities(self, run):
        return run.activity_ids.filtered(
            lambda activity: activity.activity_type_id == self.env.ref(CLOSING_ACTIVITY)
        )

    def test_grave_runs_need_a_closing_signature(self):
        runs = self.env["qms.sop.run"]
        for severity, expected in (
            ("critical", "missing"),
            ("high", "missing"),
            ("medium", False),
            (None, False),
        ):
            run = self.finished(severity)
            self.assertEqual(run.state, "completed")
            self.assertEqual(run.closing_signature, expected, severity)
            self.assertEqual(
                self.activities(run).user_id,
                self.operator if expected else runs.user_id,
            )
        missing = [("closing_signature", "=", "missing")]
        self.assertEqual(runs.search_count([*missing, ("sop_id", "=", self.sop.id)]), 2)

    def test_the_closing_signature(self):
        run = self.finished()
        activity = self.activities(run)
        answer = run.sign("closed", "qms_operator", "All clear.")
        self.assertTrue(answer["valid"])
        self.assertEqual(run.closing_signature, "given")
        self.assertFalse(activity.active)
        self.assertEqual(run.signature_ids.comment, "All clear.")

    def test_failed_yes_cancelled_no(self):
        run = self.start_run(severity="high")
        run.fail("No access")
        self.assertEqual(run.closing_signature, "missing")
        run = self.start_run(severity="high")
        run.cancel("A drill")
        self.assertFalse(run.closing_signature)
        self.assertNotIn("closed", run._signature_meanings())

    def test_open_runs_are_not_signed(self):
        run = self.start_run()
        said = self.refused(run.sign, "performed", "qms_operator")
        self.assertIn("Accepted: nothing", said)
        self.assertFalse(run.can_sign)
        self.refused(run.action_sign)

    def test_the_severity_decides(self):
        severity = self.env["qms.severity"]._resolve("medium")
        self.assertFalse(severity.signature_required)
        severity.signature_required = True
        self.assertEqual(self.finished("medium").closing_signature, "missing")
        new = self.env["qms.severity"].create({"name": "Odd", "code": "odd"})
        self.assertFalse(new.signature_required)

    def test_automation_completes_and_does_not_sign(self):
        robot = self.users["automation"]
        run = self.work(self.start_run(user=robot, severity="critical"))
        run.complete()
        self.assertEqual(run.closing_signature, "missing")
        self.assertFalse(self.activities(run), "nobody asks a machine")

    def test_any_change_of_what_was_signed_shows(self):
        run = self.finished()
        rca = self.env["qms.rca"].browse(
            run.record_rca(
                "A leak",
                contributing_factors=["Load"],
                whys=[{"question": "Why?", "answer": "Because."}],
                confirm=True,
            )["id"]
        )
        run.amend("Typing error", "It was 40.")
        run.sign("closed", "qms_operator")
        self.env.flush_all()
        self.env.cr.execute(
            "ALTER TABLE qms_sop_run_amendment DISABLE TRIGGER qms_audit_rows"
        )
        signature = run.signature_ids
        self.assertTrue(signature.valid)
        for record, column, value in (
            (run, "resolution", "Nothing was done."),
            (run, "end_time", "2020-01-01 00:00:00"),
            (run, "severity_id", self.env["qms.severity"]._resolve("low").id),
            (run, "resolution_time", 1),
            (run, "mitigated_at", "2020-01-01 00:00:00"),
            (run, "resolution_deadline", "2020-01-01 00:00:00"),
            (run, "acknowledged_by_id", self.manager.id),
            (run, "user_id", self.manager.id),
            (run.step_ids[0], "actual_result", "Never looked"),
            (run.step_ids[1], "state", "failed"),
            (run.step_ids[1], "user_id", self.manager.id),
            (run.error_ids, "error_message", "fine"),
            (run.evidence_ids, "sha256", "0" * 64),
            (run.evidence_ids, "name", "other.txt"),
            (rca, "root_cause", "Nobody knows"),
            (rca.why_ids, "answer", "Magic"),
            (rca.factor_ids, "name", "The moon"),
            (run.amendment_ids, "text", "It was 4000."),
        ):
            with self.subTest(record=record._name, column=column):
                self.env.flush_all()
                self.env.cr.execute("SAVEPOINT tampered")
                self.tamper(record, column, value)
                self.assertEqual(signature.validity, "changed")
                self.env.cr.execute("ROLLBACK TO SAVEPOINT tampered")
                self.env.invalidate_all()
                self.assertEqual(signature.validity, "valid")
        for record in (run.step_ids[2], run.error_ids, run.evidence_ids, rca.why_ids):
            with self.subTest(deleted=record._name):
                self.env.cr.execute("SAVEPOINT tampered")
                self.env.cr.execute(
                    SQL(
                        "DELETE FROM %s WHERE id = %s",
                        SQL.identifier(record._table),
                        record.id,
                    )
                )
                self.env.invalidate_all()
                self.assertEqual(signature.validity, "changed")
                self.env.cr.execute("ROLLBACK TO SAVEPOINT tampered")
                self.env.invalidate_all()

    def test_the_timeline_tells(self):
        run = self.finished()
        run.sign("closed", "qms_operator", "All clear.")
        run.amend("Typing error", "It was 40.")
        told = {
            event["type"]: event["detail"]
            for event in run._timeline()
            if event["type"] in ("run.signed", "run.amended")
        }
        self.assertEqual(
            told,
            {
                "run.signed": f"closed · {self.operator.name} (qms_operator) · "
                "All clear.",
                "run.amended": "It was 40.",
            },
        )
        labels = self.env["report.qms_sop.report_sop_run"]._event_labels()
        self.assertLessEqual(told.keys(), labels.keys())

    def test_the_review_goes_on_after_signing(self):
        run = self.finished()
        run.sign("closed", "qms_operator")
        run.record_rca("A leak", confirm=True)
        run.amend("Typing error", "It was 40.")
        run.action_revoke_status_link()
        run.active = False
        run.sign("reviewed", "qms_operator")
        self.assertEqual(run.signature_ids.mapped("validity"), ["valid", "valid"])

    def test_a_renamed_code_or_person_invalidates_nothing(self):
        run = self.finished(error_code="DB_DEADLOCK")
        run.sign("closed", "qms_operator")
        self.operator.write({"name": "Renamed", "login": "renamed"})
        run.error_code_id.sudo().title = "Renamed"
        self.env.invalidate_all()
        self.assertTrue(run.signature_ids.valid)

    def test_signing_counts_as_a_change(self):
        run = self.finished()
        # What a transaction adds to its own new run is part of version 1.
        self.env.cr.precommit.data["qms_sop.new_resources"].clear()
        before = run.lock_version
        run.sign("closed", "qms_operator")
        self.assertGreater(run.lock_version, before)


@tagged("post_install", "-at_install")
class TestRcaSignature(SignatureCase):
    def test_confirm_and_sign(self):
        run = self.finished()
        rca = (
            self.env["qms.rca"]
            .with_user(self.operator)
            .browse(run.record_rca("A leak")["id"])
        )
        self.refused(rca.sign, "verified", "qms_operator")
        answer = rca.sign_and_confirm("qms_operator", "Seen in the code.")
        self.assertEqual((answer["state"], answer["valid"]), ("confirmed", True))
        self.assertEqual(rca.confirmed_by_id, self.operator)
        self.tamper(rca, "fix", "None")
        self.assertEqual(rca.signature_ids.validity, "changed")

    def test_confirming_needs_no_signature(self):
        run = self.finished()
        rca = self.env["qms.rca"].browse(run.record_rca("A leak", confirm=True)["id"])
        self.assertFalse(rca.signature_ids)
        rca.with_user(self.operator).sign("reviewed", "qms_operator")
        self.assertTrue(rca.signature_ids.valid)


@tagged("post_install", "-at_install")
class TestDelegation(SignatureCase):
    def delegate(self, delegator=None, **values):
        return (
            self.env["qms.signature.delegation"]
            .with_user(delegator or self.second_manager)
            .create(
                {
                    "delegate_id": self.manager.id,
                    "date_from": fields.Datetime.now() - timedelta(hours=1),
                    "date_to": fields.Datetime.now() + timedelta(days=1),
                    "reason": "On leave",
                    **values,
                }
            )
        )

    def test_signing_for_somebody_names_both(self):
        delegation = self.delegate()
        document = self.in_review()
        answer = document.sign_and_approve(PASSWORD, on_behalf_of="qms_manager_2")
        self.assertEqual(answer["on_behalf_of"], "Mira Second")
        self.assertRecordValues(
            document.signature_ids,
            [
                {
                    "user_id": self.manager.id,
                    "on_behalf_of_id": self.second_manager.id,
                    "on_behalf_of_name": "Mira Second",
                    "delegation_id": delegation.id,
                }
            ],
        )

    def test_only_within_what_was_delegated(self):
        document = self.in_review()
        sign = document.sign_and_approve
        refuse = {"on_behalf_of": "qms_manager_2"}
        now = fields.Datetime.now()
        hour = timedelta(hours=1)
        self.assertIn("has not delegated", self.refused(sign, PASSWORD, **refuse))
        for values in (
            {"meaning": "closed"},
            {"date_from": now + hour},
            {"date_from": now - 2 * hour, "date_to": now - hour},
            {"delegate_id": self.operator.id},
        ):
            self.delegate(**values)
            with self.subTest(values):
                self.assertIn(
                    "has not delegated", self.refused(sign, PASSWORD, **refuse)
                )
        revoked = self.delegate()
        revoked.action_revoke()
        self.assertEqual(revoked.state, "revoked")
        self.refused(sign, PASSWORD, **refuse)
        self.delegate(meaning="approved")
        sign(PASSWORD, **refuse)

    def test_not_for_those_who_wrote_it(self):
        # Four eyes are those of the people the signature stands for.
        self.delegate()
        draft = self.draft_sop("SOP-DELEGATE-001")
        draft.with_user(self.second_manager).purpose = "Mine."
        draft.action_submit()
        said = self.refused(
            draft.with_user(self.manager).sign_and_approve,
            PASSWORD,
            on_behalf_of="qms_manager_2",
        )
        self.assertIn("Mira Second wrote or changed this revision", said)

    def test_not_for_those_who_could_not(self):
        self.delegate(delegator=self.operator)
        said = self.refused(
            self.in_review().sign_and_approve, PASSWORD, on_behalf_of="qms_operator"
        )
        self.assertIn("no QMS manager", said)

    def test_people_delegate_their_own_signature_only(self):
        for env in (self.env, self.env(user=self.manager)):
            self.refused(
                env["qms.signature.delegation"].create,
                {
                    "delegator_id": self.second_manager.id,
                    "delegate_id": self.operator.id,
                    "date_to": "2099-01-01",
                    "reason": "Mine",
                },
                error=AccessError,
            )

    def test_it_is_revoked_and_never_changed(self):
        delegation = self.delegate()
        self.assertEqual(delegation.state, "active")
        for call in (
            lambda: delegation.write({"date_to": "2099-01-01"}),
            lambda: delegation.sudo().write({"delegate_id": self.operator.id}),
            delegation.sudo().unlink,
        ):
            self.refused(call)
        self.refused(
            delegation.with_user(self.operator).action_revoke, error=AccessError
        )
        delegation.with_user(self.manager).action_revoke()
        self.assertEqual(delegation.revoked_by_id, self.manager)

    def test_limits(self):
        now = fields.Datetime.now()
        for values, error in (
            ({"date_to": now + timedelta(days=400)}, ValidationError),
            ({"revoked_on": now}, UserError),
        ):
            self.refused(self.delegate, error=error, **values)


@tagged("post_install", "-at_install")
class TestAmendment(SignatureCase):
    def test_beside_and_for_good(self):
        run = self.finished()
        before = run.read(["resolution", "end_time", "state"])
        with freeze_time("2026-01-15 10:00:00"):
            answer = run.amend(" Typing error ", "The pool was raised to 40.")
        self.assertEqual(answer["amended_at"], "2026-01-15T10:00:00Z")
        self.assertEqual(run.read(["resolution", "end_time", "state"]), before)
        note = run.amendment_ids
        self.assertRecordValues(
            note,
            [
                {
                    "reason": "Typing error",
                    "text": "The pool was raised to 40.",
                    "user_id": self.operator.id,
                }
            ],
        )
        for records in (note, note.sudo(), note.with_user(self.manager)):
            for call in (
                lambda records=records: records.write({"text": "x"}),
                lambda records=records: records.create({"run_id": run.id}),
                records.unlink,
                records.copy,
            ):
                self.refused(call)

    def test_refusals(self):
        run = self.start_run()
        self.assertIn("change it", self.refused(run.amend, "Why", "What"))
        run = self.finished()
        self.refused(run.amend, " ", "What", error=ValidationError)
        self.refused(run.amend, "Why", "", error=ValidationError)
        self.refused(
            run.with_user(self.users["auditor"]).amend, "Why", "What", error=AccessError
        )

    def test_a_replay_amends_once(self):
        run = self.finished()
        first = run.amend("Why", "What", idempotency_key="k-1")
        self.assertEqual(run.amend("Why", "What", idempotency_key="k-1"), first)
        self.assertEqual(len(run.amendment_ids), 1)

    def test_the_dialog(self):
        run = self.finished()
        wizard = Form(
            self.env["qms.sop.amend"]
            .with_user(self.operator)
            .with_context(default_run_id=run.id)
        )
        wizard.text, wizard.reason = "It was 40.", "Typing error"
        wizard.save().action_amend()
        self.assertEqual(run.amendment_ids.text, "It was 40.")


@tagged("post_install", "-at_install")
class TestZones(SignatureCase):
    def test_zones(self):
        noon = datetime(2026, 7, 1, 12)
        for zone, expected in (
            ("Europe/Berlin", "2026-07-01 14:00:00 CEST (UTC+02:00)"),
            ("UTC", "2026-07-01 12:00:00 UTC"),
            ("Asia/Kolkata", "2026-07-01 17:30:00 IST (UTC+05:30)"),
            (
                "America/Sao_Paulo",
                "2026-07-01 09:00:00 America/Sao_Paulo (UTC-03:00)",
            ),
            ("Nowhere/Land", "2026-07-01 12:00:00 UTC"),
        ):
            self.assertEqual(in_zone(noon, zone), expected)
        self.assertEqual(in_zone(None, "UTC"), "")
