import base64
import xmlrpc.client
from unittest.mock import patch

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .api_common import QmsApiCase
from .test_audit_trail import KEY, AuditCommon


class Attacked(AuditCommon, QmsApiCase):
    """A finished run with one of everything, on an approved revision; all anchored."""

    key = QmsApiCase.key

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(patch.dict("os.environ", {"QMS_AUDIT_KEY": KEY}))
        cls.administrator = cls.env.ref("base.user_admin")
        runs = cls.env["qms.sop.run"].with_user(cls.operator)
        cls.run_ = runs.browse(runs.start_run(cls.sop.code, summary="Slow")["id"])
        cls.env.cr.flush()
        cls.run_.log_error("No space left on device", "STEP_FAILURE")
        cls.run_.add_evidence("df.txt", base64.b64encode(b"full").decode())
        cls.run_.record_rca(
            "The disk was full", whys=[{"question": "W", "answer": "A"}]
        )
        cls.run_.rca_ids.action_confirm()
        cls.env.cr.flush()
        for step in cls.run_.step_ids.filtered("mandatory"):
            step.complete("Done.")
        cls.run_.complete("Mended.")
        cls.run_.amend("Typing mistake", "It was the other disk.")
        cls.env.cr.flush()

    def changes(self, run):
        """Return ways to change a record that is finished, by what they are."""
        evidence, error, rca = run.evidence_ids, run.error_ids, run.rca_ids
        step, sop = run.step_ids[:1], run.sop_id
        return {
            "resolution of a run": lambda: run.write({"resolution": "All well"}),
            "state of a run": lambda: run.write({"state": "in_progress"}),
            "times of a run": lambda: run.write({"end_time": "2020-01-01 00:00:00"}),
            "run through its SOP": lambda: run.write(
                {"step_ids": [Command.delete(step.id)]}
            ),
            "deletion of a run": lambda: run.unlink(),
            "result of a step": lambda: step.write({"actual_result": "x"}),
            "deletion of a step": lambda: step.unlink(),
            "error": lambda: error.write({"error_message": "x"}),
            "deletion of an error": lambda: error.unlink(),
            "another error": lambda: run.log_error("Forged"),
            "evidence": lambda: evidence.write({"datas": "eA=="}),
            "hash of evidence": lambda: evidence.write({"sha256": "0" * 64}),
            "deletion of evidence": lambda: evidence.unlink(),
            "more evidence": lambda: run.add_evidence("x", "eA=="),
            "root cause": lambda: rca.write({"root_cause": "x"}),
            "why": lambda: rca.why_ids.write({"answer": "x"}),
            "deletion of an analysis": lambda: rca.unlink(),
            "amendment": lambda: run.amendment_ids.write({"text": "x"}),
            "deletion of an amendment": lambda: run.amendment_ids.unlink(),
            "revision": lambda: sop.write({"purpose": "x"}),
            "fingerprint": lambda: sop.write({"content_hash": "0" * 64}),
            "step of a revision": lambda: sop.step_ids[:1].write({"name": "x"}),
            "deletion of a revision": lambda: sop.unlink(),
            "approver": lambda: sop.write({"approved_by_id": self.author.id}),
        }

    def found(self):
        self.env.cr.flush()
        check = self.checks._verify()
        return {(one["kind"], one["id"]) for one in check.findings or ()}


@tagged("post_install", "-at_install")
class TestAuditAttacks(Attacked):
    """Whoever tries to alter history is refused, or found out."""

    def test_every_role_and_the_superuser(self):
        users = {**self.users, "administrator": self.administrator, "superuser": None}
        for role, user in users.items():
            run = self.run_.with_user(user) if user else self.run_.sudo()
            for what, change in self.changes(run).items():
                with (
                    self.subTest(role=role, what=what),
                    self.assertRaises(UserError),
                    self.env.cr.savepoint(),
                ):
                    change()
        self.assertEqual(self.found(), set())

    def test_sudo_of_an_administrator(self):
        run = self.run_.with_user(self.administrator).sudo()
        for what, change in self.changes(run).items():
            with (
                self.subTest(what=what),
                self.assertRaises(UserError),
                self.env.cr.savepoint(),
            ):
                change()

    def test_import(self):
        for record, field in (
            (self.run_, "resolution"),
            (self.run_.step_ids[:1], "actual_result"),
            (self.run_.rca_ids, "root_cause"),
            (self.run_.evidence_ids, "name"),
            (self.sop, "purpose"),
            (self.trail(self.run_)[:1], "kind"),
        ):
            known = record._export_rows([["id"]])[0][0]
            mine = self.env[record._name].with_user(self.administrator)
            with self.subTest(record._name):
                answer = mine.load(["id", field], [[known, "Forged"]])
                self.assertFalse(answer["ids"])
                self.assertTrue(answer["messages"])

    def test_server_action(self):
        for code in (
            f"env['qms.sop.run'].sudo().browse({self.run_.id})"
            ".write({'resolution': 'x'})",
            f"env['qms.sop.run.evidence'].sudo().browse({self.run_.evidence_ids.id})"
            ".unlink()",
            f"env['qms.sop.document'].sudo().browse({self.sop.id})"
            ".write({'purpose': 'x'})",
            f"env['qms.sop.run'].sudo().browse({self.run_.id}).purge('x')",
        ):
            action = self.env["ir.actions.server"].create(
                {
                    "name": "Forge",
                    "model_id": self.env["ir.model"]._get_id("qms.sop.run"),
                    "state": "code",
                    "code": code,
                }
            )
            with (
                self.subTest(code),
                self.assertRaises(UserError),
                self.env.cr.savepoint(),
            ):
                action.with_user(self.administrator).run()

    def test_rest(self):
        path = f"sop-runs/{self.run_.id}"
        user = self.users["automation"]
        for method, where, body in (
            ("PATCH", path, {"resolution": "All well"}),
            ("PATCH", path, {"state": "in_progress"}),
            ("PATCH", f"{path}/steps/1", {"state": "failed", "result": "x"}),
            ("POST", f"{path}/errors", {"error_message": "x"}),
            ("POST", f"{path}/evidence", {"name": "x", "content": "eA=="}),
            ("DELETE", path, None),
            ("DELETE", f"{path}/events", None),
            ("POST", f"{path}/events", {"text": ""}),
        ):
            with self.subTest(method=method, where=where):
                with mute_logger("odoo.http", "odoo.addons.qms_sop"):
                    answer = self.call(method, where, user, body)
                self.assertIn(answer.status_code, (405, 409, 422), answer.text)
        self.assertEqual(self.run_.resolution, "Mended.")

    def test_xmlrpc(self):
        event, check = self.trail(self.run_)[:1], self.checks._verify()
        user = self.users["automation"]
        call = self.xmlrpc_object.execute_kw
        for model, method, arguments in (
            ("qms.sop.run", "write", [[self.run_.id], {"resolution": "x"}]),
            ("qms.sop.run", "unlink", [[self.run_.id]]),
            ("qms.sop.run", "purge", [[self.run_.id], "x"]),
            ("qms.sop.run", "_write_system", [[self.run_.id], {"name": "x"}]),
            ("qms.audit.event", "create", [{"kind": "entry"}]),
            ("qms.audit.event", "unlink", [[event.id]]),
            ("qms.audit.event", "_insert", [[], []]),
            ("qms.audit.anchor", "_take", []),
            ("qms.audit.anchor", "action_take", []),
            ("qms.audit.check", "write", [[check.id], {"state": "passed"}]),
        ):
            with (
                self.subTest(model=model, method=method),
                mute_logger("odoo.http", "odoo.addons.rpc.controllers.xmlrpc"),
                self.assertRaises(xmlrpc.client.Fault) as caught,
            ):
                call(
                    self.env.cr.dbname,
                    user.id,
                    self.key(user),
                    model,
                    method,
                    arguments,
                )
            self.assertNotEqual(caught.exception.faultCode, 3, "the key is good")

    def test_result_of_a_verification(self):
        """Nobody writes a result that was not found."""
        check = self.checks._verify()
        for role in ("operator", "author", "manager", "auditor", "automation"):
            mine = check.with_user(self.users[role])
            for attempt in (
                lambda mine=mine: mine.write({"state": "passed"}),
                lambda mine=mine: mine.create({"name": "x", "state": "passed"}),
                lambda mine=mine: mine.unlink(),
            ):
                with self.assertRaises(AccessError):
                    attempt()

    def test_clock_of_the_server_set_back(self):
        """The trail is written by the clock of the database."""
        with freeze_time("2001-01-01"):
            run = self.start_run()
        (event,) = self.trail(run)
        self.assertGreater(event.recorded_at.year, 2020)
        self.assertEqual(self.found(), set())

    def test_clock_of_the_database_set_back(self):
        run = self.start_run()
        events = type(self.events)
        users_and_clock = events._users_and_clock

        def back(self, user_ids):
            names, now = users_and_clock(self, user_ids)
            return names, f"2001{now[4:]}"

        with patch.object(events, "_users_and_clock", back):
            run.summary = "Long ago"
            self.env.cr.flush()
        self.assertEqual(self.found(), {("clock", run.id)})

    def test_clock_of_the_database_set_forward_to_purge(self):
        """Found as soon as the clock is right again."""
        run, run_id = self.run_.with_user(self.manager), self.run_.id
        events = type(self.events)
        users_and_clock = events._users_and_clock
        later = self.trail(run)[-1].recorded_at.replace(year=2099)

        def forward(self, user_ids):
            names, now = users_and_clock(self, user_ids)
            return names, f"2099{now[4:]}"

        with (
            patch.object(events, "_users_and_clock", forward),
            patch.object(type(run), "_retention_now", lambda self: later),
        ):
            run.purge("It is 2099")
            self.env.cr.flush()
        self.assertEqual(self.found(), {("clock", run_id)})

    def test_server_clock_set_forward_to_purge(self):
        run = self.run_.with_user(self.manager)
        with (
            freeze_time("2099-01-01"),
            self.assertRaisesRegex(UserError, "it is kept until"),
            self.env.cr.savepoint(),
        ):
            run.purge("It is 2099")

    def test_retention_shortened_to_purge(self):
        """A manager may; it is in the trail of the rule, and a year always remains."""
        rule = self.run_.with_user(self.manager).retention_rule_id
        rule.with_user(self.manager).write({"years": 1, "basis": "I want it gone"})
        self.env.cr.flush()
        with self.assertRaisesRegex(UserError, "1 years"), self.env.cr.savepoint():
            self.run_.with_user(self.manager).purge("Now")
        event = self.trail(rule)[-1]
        self.assertEqual(
            (event.user_id, event.changes["years"]), (self.manager, [10, 1])
        )
