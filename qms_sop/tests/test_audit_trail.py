import base64
import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import psycopg2

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.service.model import get_public_method
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import GROUPS, QmsSopCommon

KEY = "k1:the-key-of-the-tests-is-long"


class AuditCommon(QmsSopCommon):
    """The trail, read as a reader would."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.events = cls.env["qms.audit.event"]
        cls.checks = cls.env["qms.audit.check"]
        cls.env.cr.flush()

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.anchors_in(folder.name)
        if self.env["qms.audit.anchor"].search_count([], limit=1):
            # A scheduled job has been here; its file is not the one of the test.
            self.env.cr.execute(
                """ALTER TABLE qms_audit_anchor DISABLE TRIGGER USER;
                   DELETE FROM qms_audit_anchor;
                   ALTER TABLE qms_audit_anchor ENABLE TRIGGER USER"""
            )

    def anchors_in(self, folder):
        """Have the anchors in a folder of the test's own."""
        self.anchor_path = Path(folder, "sub", "anchors.jsonl")
        variables = {"QMS_AUDIT_ANCHOR_FILE": str(self.anchor_path)}
        self.startPatcher(patch.dict("os.environ", variables))

    def start_run(self, *args, **values):
        run = super().start_run(*args, **values)
        # As it would be in a request of its own.
        self.env.cr.flush()
        return run

    def trail(self, record):
        """Return the events of a record, in order."""
        return self.events.search(
            [("root_model", "=", record._name), ("root_id", "=", record.id)],
            order="sequence",
        )

    def said(self, event):
        return json.loads(event.content)

    @contextmanager
    def key(self, text=KEY):
        with patch.dict("os.environ", {"QMS_AUDIT_KEY": text}):
            yield


@tagged("post_install", "-at_install")
class TestAuditTrail(AuditCommon):
    """What is done to a controlled record stands in its trail."""

    def test_opening_a_run_is_one_event(self):
        run = self.start_run(severity="high", summary="Slow")
        (event,) = self.trail(run)
        self.assertEqual(
            (event.kind, event.model, event.res_id, event.sequence),
            ("created", "qms.sop.run", run.id, 1),
        )
        self.assertEqual(event.user_id, self.operator)
        self.assertEqual(event.user_login, "qms_operator")
        said = self.said(event)
        self.assertEqual(said["changes"]["summary"], [None, "Slow"])
        self.assertEqual(
            said["changes"]["sop_id"],
            [None, {"id": self.sop.id, "name": "SOP-TEST-001 1.0.0"}],
        )
        self.assertEqual(
            said["changes"]["severity_id"][1],
            {"id": run.severity_id.id, "name": "high"},
        )
        self.assertEqual(
            [part["name"] for part in said["parts"]],
            ["1. Look", "2. Mend", "3. Tidy up"],
        )
        self.assertIn("1. Look · 2. Mend · 3. Tidy up", event.told)
        # What stands in a column already is not told again.
        self.assertNotIn(run.name, event.told)
        self.assertNotIn(self.operator.name, event.told)
        self.assertNotIn("status_token", said["changes"])
        self.assertNotIn(run.sudo().status_token, event.content)

    def test_each_transition_is_one_event(self):
        run = self.start_run()
        self.work(run)
        run.hold("Waiting for parts")
        run.resume()
        run.complete("Mended.")
        states = [
            (event.model, event.record_name, *self.said(event)["changes"]["state"])
            for event in self.trail(run)
            if event.kind == "state"
        ]
        step = "qms.sop.run.step"
        self.assertEqual(
            states,
            [
                (step, "1. Look", "pending", "in_progress"),
                (step, "1. Look", "in_progress", "completed"),
                (step, "2. Mend", "pending", "in_progress"),
                (step, "2. Mend", "in_progress", "completed"),
                ("qms.sop.run", run.name, "in_progress", "on_hold"),
                ("qms.sop.run", run.name, "on_hold", "in_progress"),
                (step, "3. Tidy up", "pending", "skipped"),
                ("qms.sop.run", run.name, "in_progress", "completed"),
            ],
        )
        hold = self.trail(run).filtered(lambda event: event.reason)[:1]
        self.assertEqual(hold.reason, "Waiting for parts")
        self.assertIn("State: In progress → On hold", hold.told)

    def test_errors_evidence_and_analysis_are_in_the_runs_trail(self):
        run = self.start_run()
        run.log_error("No space left on device", "STEP_FAILURE")
        run.add_evidence("df.txt", base64.b64encode(b"full").decode())
        rca = run.record_rca(
            "The disk was full",
            whys=[{"question": "Why?", "answer": "Logs"}],
            contributing_factors=["No rotation"],
            confirm=True,
        )
        _created, error, evidence, analysis, confirmed = self.trail(run)
        self.assertEqual((error.kind, error.record_name), ("error", "STEP_FAILURE"))
        self.assertEqual(error.occurred_at, run.error_ids.occurred_at)
        self.assertEqual(
            self.said(evidence)["changes"]["sha256"][1], run.evidence_ids.sha256
        )
        self.assertNotIn("datas", self.said(evidence)["changes"])
        self.assertEqual(
            (analysis.kind, analysis.model, analysis.res_id),
            ("created", "qms.rca", rca["id"]),
        )
        self.assertEqual(
            {(part["model"], part["name"]) for part in self.said(analysis)["parts"]},
            {("qms.rca.why", "Why?"), ("qms.rca.factor", "No rotation")},
        )
        self.assertEqual(confirmed.kind, "state")

    def test_old_and_new_values(self):
        run = self.start_run(severity="low")
        run.update_run(severity="high", summary="Worse than thought")
        event = self.trail(run)[-1]
        self.assertEqual(event.kind, "changed")
        old, new = self.said(event)["changes"]["severity_id"]
        self.assertEqual((old["name"], new["name"]), ("low", "high"))
        self.assertIn("Severity: low → high", event.told)
        run.update_run(summary="Worse than thought")
        self.assertEqual(self.trail(run)[-1], event, "nothing changed")

    def test_long_texts_are_told_by_their_hash(self):
        run = self.start_run()
        run.summary = "x" * 5000
        new = self.said(self.trail(run)[-1])["changes"]["summary"][1]
        self.assertEqual((new["length"], new["start"]), (5000, "x" * 1000))

    def test_document(self):
        draft = self.draft_sop("SOP-TRAIL-001")
        (created,) = self.trail(draft)
        self.assertEqual((created.kind, created.user_id), ("created", self.author))
        self.assertEqual(
            [
                part["name"]
                for part in self.said(created)["parts"]
                if part["model"] == "qms.sop.step"
            ],
            ["Look", "Mend", "Tidy up"],
        )
        self.env.cr.flush()
        first, second, third = draft.step_ids
        draft.write(
            {
                "purpose": "To be changed.",
                "step_ids": [
                    Command.update(first.id, {"name": "Look twice"}),
                    Command.delete(third.id),
                    Command.create({"name": "Wait", "sequence": 9}),
                ],
            }
        )
        changed = self.trail(draft)[-1]
        self.assertEqual(
            self.said(changed)["changes"]["purpose"],
            ["To be tested.", "To be changed."],
        )
        parts = {
            (part["kind"], part["name"]): part["changes"]
            for part in self.said(changed)["parts"]
        }
        self.assertEqual(
            set(parts),
            {("changed", "Look twice"), ("deleted", "Tidy up"), ("created", "Wait")},
        )
        self.assertEqual(parts["changed", "Look twice"]["name"], ["Look", "Look twice"])
        self.env.cr.flush()
        second.command_ids = [Command.create({"name": "See", "command": "ls"})]
        self.assertEqual(
            [part["model"] for part in self.said(self.trail(draft)[-1])["parts"]],
            ["qms.sop.step.command"],
        )
        self.env.cr.flush()
        draft.action_submit()
        self.env.cr.flush()
        draft.with_user(self.manager).reject("Say why.")
        self.assertEqual(self.trail(draft)[-1].reason, "Say why.")
        self.env.cr.flush()
        self.approve(draft)
        self.assertEqual(
            [
                self.said(event)["changes"]["state"]
                for event in self.trail(draft)
                if event.kind == "state"
            ],
            [
                ["draft", "in_review"],
                ["in_review", "draft"],
                ["draft", "in_review"],
                ["in_review", "approved"],
            ],
        )
        self.assertEqual(self.trail(draft)[-1].user_id, self.manager)

    def test_reading_is_in_the_documents_trail(self):
        group = self.env.ref("qms_error_code.group_qms_operator")
        self.sop.with_user(self.manager).acknowledge_group_id = group
        self.sop.with_user(self.operator).acknowledge()
        event = self.trail(self.sop)[-1]
        self.assertEqual(
            (event.model, event.user_id), ("qms.sop.acknowledgement", self.operator)
        )

    def test_trail_outlives_its_record(self):
        draft = self.draft_sop("SOP-GONE-001")
        self.env.cr.flush()
        trail = self.trail(draft)
        draft.unlink()
        events = self.events.search(
            [("root_model", "=", draft._name), ("root_id", "=", draft.id)]
        )
        self.assertEqual(len(events), len(trail) + 1)
        self.assertEqual(events[0].kind, "deleted")
        self.assertEqual(
            self.said(events[0])["changes"]["code"], ["SOP-GONE-001", None]
        )
        self.assertEqual(self.checks._verify(draft._name, draft.id).state, "passed")

    def test_many_records_are_written_in_one_batch(self):
        runs = self.env["qms.sop.run"].browse(
            [self.start_run().id for _number in range(4)]
        )

        def cost(count):
            self.env.cr.flush()
            some = runs[:count]
            some.write({"summary": f"Together {count}"})
            self.env.flush_all()
            before = self.env.cr.sql_log_count
            self.env.cr.flush()
            return self.env.cr.sql_log_count - before

        cost(1)
        self.assertEqual(cost(4), cost(1))
        # The heads; who and when; the events with the new heads
        self.assertEqual(cost(4), 3)

    def test_savepoint(self):
        run = self.start_run()
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            run.summary = "Never happened"
            run.write({"resolution_time": -1})
        run.summary = "Happened"
        self.assertEqual(
            [
                self.said(event)["changes"].get("summary")
                for event in self.trail(run)
                if event.kind == "changed"
            ],
            [[None, "Happened"]],
        )
        with self.env.cr.savepoint():
            run.summary = "Inside"
        run.summary = "Outside"
        self.assertEqual(self.trail(run).mapped("sequence"), [1, 2, 3, 4])
        self.assertEqual(self.checks._verify(run._name, run.id).state, "passed")

    def test_rolled_back_after_it_was_written(self):
        run = self.start_run()
        self.env.cr.flush()
        with self.assertRaises(RuntimeError), self.env.cr.savepoint():
            run.summary = "Never happened"
            self.env.cr.flush()
            self.assertEqual(len(self.trail(run)), 2)
            raise RuntimeError
        self.assertEqual(len(self.trail(run)), 1)
        run.summary = "Happened"
        self.assertEqual(self.checks._verify(run._name, run.id).state, "passed")

    def test_timeline_entries(self):
        run = self.start_run()
        run.add_evidence("df.txt", base64.b64encode(b"full").decode())
        entry = run.add_timeline_entry(
            "Called the data centre",
            occurred_at="2026-01-02T03:04:05+01:00",
            component="storage",
            evidence=run.evidence_ids.ids,
        )
        event = self.trail(run)[-1]
        self.assertEqual((event.kind, event.sequence), ("entry", entry["sequence"]))
        self.assertEqual(str(event.occurred_at), "2026-01-02 02:04:05")
        self.assertGreater(event.recorded_at, event.occurred_at)
        self.assertIn("Called the data centre", event.told)
        self.assertIn("df.txt", event.told)
        self.assertEqual(event.component, "storage")
        self.assertFalse(event.pinned)
        run.pin_timeline_entry(entry["sequence"])
        event.invalidate_recordset()
        self.assertTrue(event.pinned)
        run.pin_timeline_entry(entry["sequence"], False)
        event.invalidate_recordset()
        self.assertFalse(event.pinned)
        # The review of a run goes on after it has ended.
        run.cancel("Not needed")
        run.add_timeline_entry("Looked at the graphs again")
        self.assertEqual(self.trail(run)[-1].kind, "entry")

    def test_timeline_entries_are_checked(self):
        run, other = self.start_run(), self.start_run()
        proof = other.add_evidence("a.txt", base64.b64encode(b"a").decode())["id"]
        for values in (
            {"text": "  "},
            {"text": "x", "occurred_at": "yesterday"},
            {"text": "x", "occurred_at": "2999-01-01T00:00:00Z"},
            {"text": "x", "evidence": [proof]},
            {"text": 5},
        ):
            with self.subTest(values), self.assertRaises(ValidationError):
                run.add_timeline_entry(**values)
        with self.assertRaises(ValidationError):
            run.pin_timeline_entry(1)
        with self.assertRaises(AccessError):
            run.with_user(self.users["auditor"]).add_timeline_entry("I was here")

    def test_key(self):
        with self.key():
            run = self.start_run()
            self.assertEqual(self.trail(run).hash_version, "hmac-sha256:k1")
            self.assertEqual(self.checks._verify(run._name, run.id).state, "passed")
        check = self.checks._verify(run._name, run.id)
        self.assertEqual([one["kind"] for one in check.findings or ()], ["key"])
        with self.key("k2:another-key-of-the-tests-is-long," + KEY):
            run.summary = "Later"
            self.assertEqual(self.trail(run)[-1].hash_version, "hmac-sha256:k2")
            self.assertEqual(self.checks._verify(run._name, run.id).state, "passed")
        with self.key("short"), self.assertRaises(UserError) as caught:
            self.events._keys()
        self.assertNotIn("short:", str(caught.exception))


@tagged("post_install", "-at_install")
class TestAuditIsAppendOnly(AuditCommon):
    """Nobody adds, changes or deletes events, by any way that Odoo offers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        sop = cls.sop.code
        runs = cls.env["qms.sop.run"].with_user(cls.operator)
        cls.opened = runs.browse(runs.start_run(sop)["id"])
        cls.env.cr.flush()
        cls.event = cls.events.search([("root_id", "=", cls.opened.id)], limit=1)

    def attempts(self, model, record):
        values = {"root_model": "qms.sop.run", "root_id": 1, "sequence": 1}
        return {
            "create": lambda: model.create(values),
            "write": lambda: record.write({"sequence": 5}),
            "unlink": lambda: record.unlink(),
            "copy": lambda: record.copy(),
        }

    def test_every_role_and_the_superuser(self):
        anchor = self.env["qms.audit.anchor"]._take()[0]
        administrator = self.env.ref("base.user_admin")
        users = {**self.users, "administrator": administrator, "superuser": None}
        records = (self.event, self.env["qms.audit.head"].search([], limit=1), anchor)
        for role, user in users.items():
            for record in records:
                mine = record.with_user(user) if user else record.sudo()
                for name, attempt in self.attempts(mine.browse(), mine).items():
                    with (
                        self.subTest(role=role, model=record._name, attempt=name),
                        self.assertRaises(UserError),
                    ):
                        attempt()

    def test_import_and_server_action(self):
        administrator = self.env.ref("base.user_admin")
        events = self.events.with_user(administrator)
        answer = events.load(
            ["id", "kind"], [[f"__export__.event_{self.event.id}", "x"]]
        )
        self.assertFalse(answer["ids"])
        for code in (
            "records = env['qms.audit.event'].sudo().search([], limit=1)\n"
            "records.write({'kind': 'entry'})",
            "env['qms.audit.event'].sudo().search([], limit=1).unlink()",
            "env['qms.audit.head'].sudo().search([], limit=1).unlink()",
        ):
            action = self.env["ir.actions.server"].create(
                {
                    "name": "Forge",
                    "model_id": self.env["ir.model"]._get_id("qms.sop.run"),
                    "state": "code",
                    "code": code,
                }
            )
            with self.subTest(code), self.assertRaises(UserError):
                action.with_user(administrator).run()

    def test_only_public_methods_are_open_to_clients(self):
        for name in ("_record", "_insert", "_flush_pending", "_pending"):
            with self.subTest(name), self.assertRaises(AccessError):
                get_public_method(self.events, name)

    def test_rights(self):
        for role in GROUPS:
            events = self.events.with_user(self.users[role])
            with self.subTest(role=role):
                self.assertTrue(events.has_access("read"))
                for operation in ("create", "write", "unlink"):
                    self.assertFalse(events.has_access(operation))
                for model in ("qms.audit.check", "qms.audit.anchor", "qms.audit.head"):
                    found = self.env[model].with_user(self.users[role])
                    allowed = role in ("manager", "auditor")
                    self.assertEqual(found.has_access("read"), allowed, model)
                    for operation in ("create", "write", "unlink"):
                        self.assertFalse(found.has_access(operation))

    def test_database_refuses(self):
        for query in (
            "UPDATE qms_audit_event SET kind = 'entry' WHERE id = %(id)s",
            "DELETE FROM qms_audit_event WHERE id = %(id)s",
            "TRUNCATE qms_audit_event",
            "UPDATE qms_audit_head SET sequence = 0",
            "UPDATE qms_audit_head SET hash = 'x'",
            "UPDATE qms_audit_head SET root_id = 0, sequence = sequence + 1",
            "DELETE FROM qms_audit_head",
            "TRUNCATE qms_audit_head",
            "TRUNCATE qms_audit_anchor",
        ):
            with (
                self.subTest(query),
                mute_logger("odoo.sql_db"),
                self.assertRaises(psycopg2.errors.InsufficientPrivilege),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(query, {"id": self.event.id})

    def test_users_with_a_trail_stay(self):
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(psycopg2.errors.ForeignKeyViolation),
            self.env.cr.savepoint(),
        ):
            self.env.cr.execute(
                "DELETE FROM res_users WHERE id = %s", [self.operator.id]
            )

    def test_other_companies_see_nothing(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        stranger = self.users["auditor"].copy(
            {
                "login": "stranger",
                "company_id": company.id,
                "company_ids": [Command.set(company.ids)],
            }
        )
        events = self.events.with_user(stranger)
        self.assertFalse(events.search([("root_model", "=", "qms.sop.run")]))
        self.assertTrue(events.search([("root_model", "=", "qms.sop.document")]))

    def test_only_auditors_and_managers_verify(self):
        for role in GROUPS:
            events = self.events.with_user(self.users[role])
            if role in ("manager", "auditor"):
                answer = events.verify("qms.sop.run", self.opened.id)
                self.assertEqual((answer["state"], answer["events"]), ("passed", 1))
            else:
                with self.assertRaises(AccessError):
                    events.verify()
        auditor = self.events.with_user(self.users["auditor"])
        for arguments in ({"res_id": 1}, {"since": "soon"}, {"model": 3}):
            with self.assertRaises(ValidationError):
                auditor.verify(**arguments)


@tagged("post_install", "-at_install")
class TestAuditVerification(AuditCommon):
    """Whoever owns the database can switch the triggers off; it is found out."""

    def setUp(self):
        super().setUp()
        keyed = self.key()
        keyed.__enter__()
        self.addCleanup(keyed.__exit__, None, None, None)
        self.run_ = self.start_run()
        for text in ("One", "Two", "Three", "Four"):
            self.run_.summary = text
            self.env.cr.flush()

    def tamper(self, *queries):
        """Run SQL as the owner of the database, with the triggers off."""
        self.env.cr.flush()
        for table in ("qms_audit_event", "qms_audit_head"):
            self.env.cr.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for query in queries:
            self.env.cr.execute(query, {"id": self.run_.id})
        for table in ("qms_audit_event", "qms_audit_head"):
            self.env.cr.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        self.env.invalidate_all()

    def found(self, whole=False):
        """Return what a verification finds, as ``{(kind, sequence)}``."""
        scope = () if whole else ("qms.sop.run", self.run_.id)
        check = self.checks._verify(*scope)
        self.assertEqual(check.state, "failed" if check.findings else "passed")
        return {(one["kind"], one["sequence"]) for one in check.findings or ()}

    def test_nothing_wrong(self):
        self.assertEqual(self.found(), set())
        self.assertEqual(self.found(whole=True), set())

    def test_edited(self):
        self.tamper(
            "UPDATE qms_audit_event SET content = replace(content, 'Two', 'Ten')"
            " WHERE root_id = %(id)s AND root_model = 'qms.sop.run' AND sequence = 3"
        )
        self.assertEqual(self.found(), {("edited", 3)})

    def test_edited_columns(self):
        for column, value in (
            ("user_id", "2"),
            ("kind", "'entry'"),
            ("occurred_at", "now()"),
            ("root_name", "'RUN'"),
        ):
            with self.subTest(column), self.env.cr.savepoint() as savepoint:
                self.tamper(
                    f"UPDATE qms_audit_event SET {column} = {value} WHERE sequence = 3"
                    " AND root_id = %(id)s AND root_model = 'qms.sop.run'"
                )
                self.assertEqual(self.found(), {("edited", 3)})
                savepoint.rollback()

    def test_deleted_in_the_middle(self):
        self.tamper(
            "DELETE FROM qms_audit_event WHERE sequence = 3 AND root_id = %(id)s"
            " AND root_model = 'qms.sop.run'"
        )
        self.assertEqual(self.found(), {("missing", 3)})

    def test_reordered(self):
        swap = (
            "UPDATE qms_audit_event SET sequence = %s WHERE sequence = %s"
            " AND root_id = %%(id)s AND root_model = 'qms.sop.run'"
        )
        self.tamper(swap % (99, 3), swap % (3, 4), swap % (4, 99))
        self.assertEqual(self.found(), {("reordered", 3), ("reordered", 4)})

    def test_truncated(self):
        self.tamper(
            "DELETE FROM qms_audit_event WHERE sequence > 3 AND root_id = %(id)s"
            " AND root_model = 'qms.sop.run'"
        )
        self.assertEqual(self.found(), {("truncated", 4)})

    def test_rehashed_without_the_key(self):
        self.tamper(
            """UPDATE qms_audit_event SET hash_version = 'sha256',
                      content = replace(content, 'Four', 'Five'),
                      hash = encode(sha256(convert_to(previous_hash || chr(10) ||
                          replace(content, 'Four', 'Five'), 'UTF8')), 'hex')
                WHERE root_id = %(id)s AND root_model = 'qms.sop.run'
                  AND sequence = 5""",
            """UPDATE qms_audit_head h SET hash = e.hash FROM qms_audit_event e
                WHERE e.root_model = h.root_model AND e.root_id = h.root_id
                  AND e.sequence = h.sequence AND h.root_id = %(id)s""",
        )
        self.assertEqual(self.found(), {("rehashed", 5)})

    def test_triggers_switched_off(self):
        self.env.cr.execute(
            "ALTER TABLE qms_audit_event DISABLE TRIGGER qms_audit_rows"
        )
        self.assertEqual(self.found(), {("trigger", 0)})

    def test_record_made_past_the_trail(self):
        self.env.cr.execute(
            """INSERT INTO qms_sop_run (name, sop_id, state, trigger, company_id,
                                        create_date)
                    SELECT 'RUN-FORGED', sop_id, state, trigger, company_id,
                           now() + interval '1 hour'
                      FROM qms_sop_run WHERE id = %s""",
            [self.run_.id],
        )
        self.assertEqual(self.found(whole=True), {("untracked", 0)})

    def test_anchor_finds_truncated_tail(self):
        self.env["qms.audit.anchor"]._take()
        self.assertEqual(self.anchor_path.stat().st_mode & 0o777, 0o600)
        self.tamper(
            "DELETE FROM qms_audit_event WHERE sequence > 3 AND root_id = %(id)s"
            " AND root_model = 'qms.sop.run'",
            """UPDATE qms_audit_head h SET sequence = 3, hash = e.hash
                 FROM qms_audit_event e
                WHERE e.root_model = h.root_model AND e.root_id = h.root_id
                  AND e.sequence = 3 AND h.root_id = %(id)s
                  AND h.root_model = 'qms.sop.run'""",
        )
        self.assertEqual(self.found(), {("truncated", 4)})
        # Without the file it would be known that the file is gone, and that the run
        # is not what is left of its trail.
        self.anchor_path.unlink()
        self.assertEqual(
            {kind for kind, _number in self.found()}, {"anchor", "differs"}
        )

    def test_anchor_finds_deleted_run(self):
        self.env["qms.audit.anchor"]._take()
        self.tamper(
            "DELETE FROM qms_audit_event WHERE root_id = %(id)s"
            " AND root_model = 'qms.sop.run'",
            "DELETE FROM qms_audit_head WHERE root_id = %(id)s"
            " AND root_model = 'qms.sop.run'",
            "DELETE FROM qms_sop_run_step WHERE run_id = %(id)s",
            "DELETE FROM qms_sop_run WHERE id = %(id)s",
        )
        self.assertEqual(self.found(whole=True), {("deleted", 0)})

    def test_anchor_is_not_taken_over_a_change(self):
        anchors = self.env["qms.audit.anchor"]
        anchors._take()
        with self.key(""):
            # Hashed again as a whole, without the key, and well.
            self.tamper(
                "DELETE FROM qms_audit_event WHERE root_id = %(id)s"
                " AND root_model = 'qms.sop.run'",
                "DELETE FROM qms_audit_head WHERE root_id = %(id)s"
                " AND root_model = 'qms.sop.run'",
            )
            for text in ("A", "B", "C", "D", "E", "F"):
                self.run_.summary = text
                self.env.cr.flush()
        _anchor, rewritten = anchors._take()
        self.assertEqual(rewritten, [("qms.sop.run", self.run_.id)])
        found = self.found()
        self.assertIn(("rewritten", 5), found)
        self.assertIn(("rehashed", 6), found)

    def test_only_what_moved_is_anchored(self):
        anchors = self.env["qms.audit.anchor"]
        everything = anchors._take()[0]
        self.assertGreater(everything.heads, 1)
        self.run_.summary = "Five"
        second = anchors._take()[0]
        self.assertEqual((second.number, second.heads), (everything.number + 1, 1))
        self.assertEqual(second.previous_hash, everything.hash)
        third = anchors._take()[0]
        self.assertEqual(third.heads, 0)
        self.assertEqual(self.found(whole=True), set())
        # The file was cut off, or an anchor was taken out of the database.
        lines = self.anchor_path.read_text().splitlines(keepends=True)
        self.anchor_path.write_text("".join(lines[:-1]))
        self.assertEqual(self.found(), {("anchor", 0)})

    def test_anchor_file_that_cannot_be_written(self):
        with patch.dict("os.environ", {"QMS_AUDIT_ANCHOR_FILE": "/proc/none/a"}):
            with self.assertRaises(UserError) as caught:
                self.env["qms.audit.anchor"]._take()
        self.assertIn("/proc/none/a", str(caught.exception))

    def test_period(self):
        check = self.checks._verify(since=self.trail(self.run_)[0].recorded_at)
        self.assertEqual(check.state, "passed")
        self.assertGreaterEqual(check.events, 5)
        check = self.checks._verify(until=self.trail(self.sop)[0].recorded_at)
        self.assertNotIn(self.run_.id, [check.root_id])
        self.assertEqual(check.state, "passed")

    def test_verification_can_be_resumed(self):
        whole = self.checks._verify()
        check = self.checks._begin()
        slices = 1
        while not check._go_on(seconds=1e-9):
            slices += 1
        self.assertGreater(slices, 2)
        self.assertEqual(
            (check.state, check.events, check.roots),
            (whole.state, whole.events, whole.roots),
        )

    def test_scheduled_verification_tells_the_auditors(self):
        self.tamper(
            "DELETE FROM qms_audit_event WHERE sequence = 3 AND root_id = %(id)s"
            " AND root_model = 'qms.sop.run'"
        )
        auditor = self.users["auditor"].partner_id
        with self.enter_registry_test_mode():
            self.env.ref("qms_sop.ir_cron_audit_verify").method_direct_trigger()
        message = self.env["mail.message"].search(
            [("partner_ids", "in", auditor.ids)], order="id desc", limit=1
        )
        self.assertIn("did not pass", message.subject)
        self.assertIn("events 3 to 3 are not there", message.body)
        check = self.checks.search([], limit=1)
        self.assertEqual((check.state, check.finding_count), ("failed", 1))


@tagged("post_install", "-at_install")
class TestRecordsAndTrail(AuditCommon):
    """A record that was changed by SQL is no longer what its trail tells."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        runs = cls.env["qms.sop.run"].with_user(cls.operator)
        cls.run_ = runs.browse(runs.start_run(cls.sop.code, summary="Slow")["id"])
        cls.env.cr.flush()
        cls.run_.log_error("No space left on device", "STEP_FAILURE")
        cls.run_.add_evidence("df.txt", base64.b64encode(b"full").decode())
        cls.run_.record_rca("The disk was full", confirm=True)
        cls.env.cr.flush()
        for step in cls.run_.step_ids.filtered("mandatory"):
            step.complete("Done.")
            cls.env.cr.flush()
        cls.run_.complete("Mended. " * 1000)
        cls.env.cr.flush()
        cls.run_.amend("Typing mistake", "It was the other disk.")
        cls.env.cr.flush()

    def found(self, *scope):
        check = self.checks._verify(*(scope or ("qms.sop.run", self.run_.id)))
        return [(one["kind"], one["detail"]) for one in check.findings or ()]

    def test_nothing_wrong(self):
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found("qms.sop.document", self.sop.id), [])

    def test_changed_by_sql(self):
        run, step = self.run_.id, self.run_.step_ids[0].id
        differs = "its %s is not what the trail tells"
        for query, expected in (
            ("UPDATE qms_sop_run SET resolution = 'All well' WHERE id = %s", differs),
            ("UPDATE qms_sop_run SET state = 'failed' WHERE id = %s", differs),
            ("UPDATE qms_sop_run SET summary = NULL WHERE id = %s", differs),
            (
                "UPDATE qms_sop_run_step SET actual_result = 'x' WHERE run_id = %s"
                f" AND id = {step}",
                f"qms.sop.run.step,{step}: {differs}",
            ),
            (
                "UPDATE qms_sop_run_error SET error_message = 'x' WHERE run_id = %s",
                differs,
            ),
            (
                "UPDATE qms_sop_run_evidence SET sha256 = 'x' WHERE run_id = %s",
                differs,
            ),
            ("UPDATE qms_rca SET root_cause = 'x' WHERE run_id = %s", differs),
        ):
            column = query.partition("SET ")[2].split()[0]
            with self.subTest(query), self.env.cr.savepoint() as savepoint:
                self.env.cr.execute(query, [run])
                ((kind, detail),) = self.found()
                self.assertEqual(kind, "differs")
                self.assertIn(expected % column, detail)
                savepoint.rollback()

    def test_parts_put_in_or_taken_out_by_sql(self):
        self.env.cr.execute(
            "DELETE FROM qms_sop_run_evidence WHERE run_id = %s", [self.run_.id]
        )
        self.env.cr.execute(
            """INSERT INTO qms_sop_run_error (run_id, error_code_id, error_message,
                                              occurred_at)
                    SELECT run_id, error_code_id, 'forged', occurred_at
                      FROM qms_sop_run_error
                     WHERE run_id = %s""",
            [self.run_.id],
        )
        self.assertEqual(
            [kind for kind, _detail in self.found()], ["untracked", "vanished"]
        )

    def test_revision_changed_by_sql(self):
        self.env.cr.execute(
            "UPDATE qms_sop_document SET content_hash = 'x' WHERE id = %s",
            [self.sop.id],
        )
        scope = ("qms.sop.document", self.sop.id)
        self.assertEqual({kind for kind, _detail in self.found(*scope)}, {"differs"})

    def test_step_of_a_revision_changed_by_sql(self):
        self.env.cr.execute(
            "UPDATE qms_sop_step SET instructions = 'rm -rf /' WHERE document_id = %s",
            [self.sop.id],
        )
        self.assertEqual(
            self.found("qms.sop.document", self.sop.id),
            [("differs", "what it says does not have its fingerprint")],
        )

    def test_older_than_the_trail(self):
        """What was there before the trail began is not compared."""
        self.env.cr.execute(
            """INSERT INTO qms_sop_run (name, sop_id, state, trigger, company_id)
                    SELECT 'RUN-OLD', sop_id, 'in_progress', trigger, company_id
                      FROM qms_sop_run WHERE id = %s RETURNING id""",
            [self.run_.id],
        )
        old = self.env["qms.sop.run"].browse(self.env.cr.fetchone())
        old.summary = "Seen later"
        self.env.cr.flush()
        self.assertEqual(self.found("qms.sop.run", old.id), [])
