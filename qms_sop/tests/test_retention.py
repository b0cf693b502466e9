import base64
import io
import json
import tempfile
import zipfile
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import psycopg2

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..tools.verify_bundle import Verification, ZipSource, audit_chain
from .common import GROUPS
from .test_audit_trail import KEY, AuditCommon

REASON = "Yearly clean-up"


class RetentionCommon(AuditCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rules = cls.env["qms.retention.rule"].with_context(active_test=False)
        rules.search([]).active = False
        cls.env.flush_all()
        cls.rule = cls.make_rule("qms.sop.run", 10)

    @classmethod
    def make_rule(cls, model, years, **values):
        return cls.env["qms.retention.rule"].create(
            {
                "name": "Rule of the test",
                "applies_to": model,
                "years": years,
                "basis": "ISO 9001, 7.5.3",
                **values,
            }
        )

    @contextmanager
    def in_the_past(self, years=11):
        """Have the trail written as if it were years ago."""
        self.env.cr.flush()
        events = type(self.events)
        users_and_clock = events._users_and_clock

        def past(self, user_ids):
            names, now = users_and_clock(self, user_ids)
            return names, f"{int(now[:4]) - years}-02-01{now[10:]}"

        with patch.object(events, "_users_and_clock", past):
            yield
            self.env.cr.flush()

    def old_run(self, years=11):
        """Return a finished run of long ago, with one of everything."""
        with self.in_the_past(years):
            run = self.start_run(summary="Secret of a customer")
            run.log_error("No space left on device", "STEP_FAILURE", step=1)
            run.add_evidence("df.txt", base64.b64encode(b"full").decode())
            run.record_rca("The disk was full", whys=[{"question": "W", "answer": "L"}])
            self.work(run)
            run.complete("Mended.")
            run.amend("Typing mistake", "It was the other disk.")
            run.message_post(body="Well done")
            run.with_user(self.manager).activity_schedule(
                "mail.mail_activity_data_todo", user_id=self.manager.id
            )
        return run.with_user(self.manager)

    def found(self):
        """Return what a verification of everything finds, as ``{(kind, id)}``."""
        self.env.cr.flush()
        check = self.checks._verify()
        return {(one["kind"], one["id"]) for one in check.findings or ()}

    def events_of(self, model, record_id):
        return self.events.search(
            [("root_model", "=", model), ("root_id", "=", record_id)], order="sequence"
        )


@tagged("post_install", "-at_install")
class TestRetentionRule(RetentionCommon):
    """Which rule counts, and for how long."""

    def test_the_most_exact_rule_counts(self):
        run = self.old_run(0)
        self.assertEqual(run.retention_rule_id, self.rule)
        exact = self.make_rule("qms.sop.run", 3, classification="Emergency")
        company = self.make_rule("qms.sop.run", 2, company_id=run.company_id.id)
        for classification, rule in (("Emergency", exact), (False, company)):
            self.env.cr.execute(
                "UPDATE qms_sop_document SET classification = %s WHERE id = %s",
                [classification, self.sop.id],
            )
            self.env.invalidate_all()
            self.assertEqual(run.retention_rule_id, rule)
            self.assertEqual(
                run.kept_until.year, self.trail(run)[-1].recorded_at.year + rule.years
            )
        (exact | company | self.rule).active = False
        run.invalidate_recordset()
        self.assertFalse(run.retention_rule_id)
        self.assertFalse(run.kept_until)

    def test_nothing_ends_for_an_open_run(self):
        run = self.start_run()
        self.assertEqual(run.retention_rule_id, self.rule)
        self.assertFalse(run.kept_until)

    def test_back_dating_does_not_shorten_it(self):
        run = self.start_run()
        self.work(run)
        long_ago = run.start_time - timedelta(days=20 * 365)
        run.start_time = long_ago
        run.write({"state": "completed", "end_time": long_ago})
        self.assertGreater(run.kept_until.year, run.create_date.year + 9)

    def test_rules_are_controlled(self):
        for role in GROUPS:
            mine = self.rule.with_user(self.users[role])
            with self.subTest(role=role):
                for operation in ("create", "write", "unlink"):
                    self.assertEqual(mine.has_access(operation), role == "manager")
        self.rule.with_user(self.manager).write({"years": 1, "basis": "A new contract"})
        event = self.trail(self.rule)[-1]
        self.assertEqual(event.user_id, self.manager)
        self.assertEqual(event.changes["years"], [10, 1])
        self.assertEqual(event.reason, "A new contract")
        for years in (0, -1, 101):
            with (
                self.assertRaises(psycopg2.errors.CheckViolation),
                mute_logger("odoo.sql_db"),
                self.env.cr.savepoint(),
            ):
                self.rule.years = years
                self.rule.flush_recordset()
        with (
            self.assertRaises(psycopg2.errors.UniqueViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.make_rule("qms.sop.run", 5)

    def test_defaults(self):
        for name in ("run", "document"):
            rule = self.env.ref(f"qms_sop.qms_retention_rule_{name}")
            self.assertEqual(rule.years, 10)


@tagged("post_install", "-at_install")
class TestPurge(RetentionCommon):
    """What is old enough goes for good; what is not, stays."""

    def test_before_its_time(self):
        run = self.old_run(9)
        with self.assertRaises(UserError) as caught:
            run.purge(REASON)
        said = str(caught.exception)
        self.assertIn(run.name, said)
        self.assertIn(f"until {run.kept_until} (10 years", said)
        self.assertIn("ISO 9001", said)
        self.assertTrue(run.exists())
        self.assertEqual(self.found(), set())

    def test_what_cannot_be_purged(self):
        with self.in_the_past():
            open_run = self.start_run()
        old = self.old_run()
        with self.assertRaisesRegex(UserError, f"{open_run.name}: it is In progress"):
            (old | open_run.with_user(self.manager)).purge(REASON)
        self.assertTrue(old.exists(), "all of them, or none")
        self.rule.active = False
        with self.assertRaisesRegex(UserError, "no rule says how long"):
            old.purge(REASON)
        with self.assertRaisesRegex(ValidationError, "say why"):
            old.purge("  ")

    def test_only_managers(self):
        run = self.old_run()
        for role in ("operator", "author", "auditor", "automation"):
            with (
                self.subTest(role=role),
                self.assertRaisesRegex(AccessError, "Only QMS managers"),
            ):
                run.with_user(self.users[role]).purge(REASON)
        self.assertTrue(run.exists())

    def test_purge(self):
        run = self.old_run()
        evidence, rca = run.evidence_ids, run.rca_ids
        attachment = self.env["ir.attachment"].search(
            [("res_model", "=", evidence._name), ("res_id", "=", evidence.id)]
            + [("res_field", "=", "datas")]
        )
        before = self.trail(run)
        count, hashes = len(before), before.mapped("hash")
        name, run_id = run.name, run.id
        self.assertEqual(
            run.purge(REASON), {"purged": 1, "names": [name]}, "it says what is gone"
        )
        self.assertFalse([*run.exists(), *evidence.exists(), *rca.exists()])
        self.assertFalse(attachment.exists())
        for model, column in (
            ("mail.message", "model"),
            ("mail.activity", "res_model"),
        ):
            left = self.env[model].search(
                [(column, "=", "qms.sop.run"), ("res_id", "=", run_id)]
            )
            self.assertFalse(left, model)
        events = self.events_of("qms.sop.run", run_id)
        tombstone = events[-1]
        self.assertEqual(events[:-1].mapped("hash"), hashes)
        self.assertEqual(set(events[:-1].mapped("content")), {""})
        self.assertNotIn("Secret", tombstone.content)
        self.assertEqual(
            (tombstone.kind, tombstone.user_id, tombstone.reason, tombstone.root_name),
            ("purged", self.manager, REASON, name),
        )
        data = json.loads(tombstone.content)["data"]
        self.assertEqual(data["erased"], count)
        self.assertEqual(data["removed"]["qms.sop.run.evidence"], 1)
        self.assertEqual((data["years"], data["state"]), (10, "completed"))
        self.assertIn("ISO 9001", tombstone.told)
        self.assertIn("1 × SOP run evidence", tombstone.told)
        self.assertIn("Erased", events[0].told)
        self.assertFalse(events[0].user_name)
        self.assertEqual(self.found(), set())
        # An anchor that knew of it is content, and so is the next one.
        self.assertEqual(self.env["qms.audit.anchor"].sudo()._take()[1], [])

    def test_anchored_before(self):
        run = self.old_run()
        anchors = self.env["qms.audit.anchor"].sudo()
        anchors._take()
        run_id = run.id
        run.purge(REASON)
        self.assertEqual(self.found(), set())
        self.assertEqual(anchors._take()[1], [])
        # A tombstone does not excuse a hash that is not the anchored one.
        self.env.cr.execute(
            """ALTER TABLE qms_audit_event DISABLE TRIGGER USER;
               UPDATE qms_audit_event SET hash = repeat('f', 64)
                WHERE root_model = 'qms.sop.run' AND root_id = %s AND sequence = 1;
               ALTER TABLE qms_audit_event ENABLE TRIGGER USER""",
            [run_id],
        )
        self.assertEqual({found[1] for found in self.found()}, {run_id})

    def test_many_at_once(self):
        runs = self.old_run() | self.old_run()
        self.assertEqual(runs.purge(REASON)["purged"], 2)
        self.assertEqual(self.found(), set())

    def test_archived_run(self):
        run = self.old_run()
        with self.in_the_past():
            run.action_archive()
        self.assertEqual(run.purge(REASON)["purged"], 1)

    def test_signatures_stay_as_proof(self):
        run = self.old_run()
        self.env["qms.signature"].sudo()._add_sealed(
            [
                {
                    "model": run._name,
                    "res_id": run.id,
                    "record_name": run.name,
                    "meaning": "closed",
                    "user_id": self.manager.id,
                    "signer_name": "M",
                    "signer_login": "m",
                    "signed_at": run.end_time,
                    "timezone": "UTC",
                    "content_hash": "0" * 64,
                }
            ]
        )
        # Signing is an act, from which the years count again.
        with self.assertRaisesRegex(UserError, "it is kept until"):
            run.purge(REASON)

    def test_revision(self):
        self.make_rule("qms.sop.document", 10)
        with self.in_the_past():
            old = self.approved_sop("SOP-OLD-001")
            old.with_user(self.manager).acknowledge_group_id = self.env.ref(
                "qms_error_code.group_qms_operator"
            )
            old.with_user(self.operator).acknowledge()
            run = self.start_run(sop=old)
            run.cancel("Not needed")
        old = old.with_user(self.manager)
        with self.assertRaisesRegex(UserError, "it is Approved"):
            old.purge(REASON)
        with self.in_the_past():
            old.action_obsolete()
        with self.assertRaisesRegex(UserError, "1 × SOP run refer to it"):
            old.purge(REASON)
        run.with_user(self.manager).purge(REASON)
        document_id, step = old.id, old.step_ids[0]
        old.purge(REASON)
        self.assertFalse([*old.exists(), *step.exists()])
        self.assertEqual(self.events_of(old._name, document_id)[-1].kind, "purged")
        self.assertEqual(self.found(), set())

    def test_revisions_that_refer_to_each_other(self):
        self.make_rule("qms.sop.document", 10)
        with self.in_the_past():
            one = self.draft_sop("SOP-ONE-001")
            two = self.draft_sop("SOP-TWO-001", related_ids=one.ids)
            for document in (one, two):
                self.approve(document).with_user(self.manager).action_obsolete()
        one, two = one.with_user(self.manager), two.with_user(self.manager)
        with self.assertRaisesRegex(UserError, "refer to it"):
            one.purge(REASON)
        self.assertEqual((one | two).purge(REASON)["purged"], 2)

    def test_what_people_were_told_goes_as_well(self):
        run = self.old_run()
        channel = self.env["qms.notification.channel"].create(
            {
                "name": "Chat",
                "new_url": "slack://TokenAAAA/TokenBBBBB/TokenCCCCCCCCCCCCCCCCCCCC/#qa",
            }
        )
        told = self.env["qms.notification"]._enqueue(
            "run_opened", run, key="test", channels=channel
        )
        self.assertTrue(told)
        run.purge(REASON)
        self.assertFalse(told.exists())

    def test_wizard(self):
        purged, kept = self.old_run(), self.old_run()
        wizard = self.env["qms.retention.purge"].with_user(self.manager)
        form = Form(wizard)
        self.assertLessEqual({purged.id, kept.id}, set(form.run_ids.ids))
        form.run_ids.remove(kept.id)
        form.reason = REASON
        saved = form.save()
        self.assertEqual(saved.run_ids, purged)
        saved.action_purge()
        self.assertFalse(purged.exists())
        self.assertTrue(kept.exists())
        form.applies_to = "qms.sop.document"
        self.assertFalse(form.document_ids)
        with self.assertRaisesRegex(UserError, "nothing to purge"):
            form.save().action_purge()
        for role in ("operator", "author", "auditor", "automation"):
            with self.assertRaises(AccessError):
                wizard.with_user(self.users[role]).create({})

    def test_wizard_says_what_stays(self):
        self.make_rule("qms.sop.document", 10)
        with self.in_the_past():
            old = self.approved_sop("SOP-OLD-002")
            self.start_run(sop=old).cancel("Not needed")
            old.with_user(self.manager).action_obsolete()
        wizard = self.env["qms.retention.purge"].with_user(self.manager)
        purge = wizard.create({"applies_to": "qms.sop.document"})
        self.assertNotIn(old, purge.document_ids)
        self.assertIn("SOP-OLD-002 1.0.0: 1 × SOP run refer to it", purge.stays)

    def bundle(self, **arguments):
        """Return a bundle as ``{name: content}``, and its verification."""
        bundles = self.env["qms.audit.bundle"].with_user(self.users["auditor"])
        answer = bundles.export_bundle(**arguments)
        content = base64.b64decode(answer["content"])
        archive = zipfile.ZipFile(io.BytesIO(content))
        files = {name: archive.read(name) for name in archive.namelist()}
        return answer, files, self.verify_bundle(files)

    def verify_bundle(self, files, keys=KEY):
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
            file.flush()
            verification = Verification(
                ZipSource(file.name), audit_chain.Keys(keys), 10**9
            )
            verification.run()
        return verification

    def test_bundle(self):
        self.startPatcher(patch.dict("os.environ", {"QMS_AUDIT_KEY": KEY}))
        run = self.old_run()
        self.env["qms.audit.anchor"].sudo()._take()
        day, run_id = run.start_time.date(), run.id
        run.purge(REASON)
        self.env.cr.flush()
        answer, files, verification = self.bundle(run_ids=[run_id])
        self.assertEqual((answer["runs"], answer["purged"]), (0, 1))
        name = f"chain/qms.sop.run-{run_id}.jsonl"
        self.assertNotIn(b"Secret", b"".join(files.values()))
        self.assertEqual((verification.problems, verification.notes), ([], []))
        self.assertTrue(verification.proved)
        self.assertEqual(verification.counts["purged"], 1)
        without_key = self.verify_bundle(files, "")
        self.assertEqual(without_key.problems, [])
        self.assertFalse(without_key.proved)
        # What is left of the events cannot be changed unnoticed.
        for old, new in ((b'"state"', b'"entry"'), (b"qms.sop.run.error", b"qms.rca")):
            forged = {**files, name: files[name].replace(old, new, 1)}
            self.assertNotEqual(forged[name], files[name])
            problems = "\n".join(self.verify_bundle(forged).problems)
            self.assertIn("Not purged as it should be", problems)
        # Nor can a trail without its tombstone pass for the trail of a purged run.
        lines = files[name].splitlines(keepends=True)
        forged = {**files, name: b"".join(lines[:-1])}
        self.assertIn(
            "there is no record", "\n".join(self.verify_bundle(forged).problems)
        )
        since = f"{day}T00:00:00Z"
        self.assertGreaterEqual(self.bundle(since=since)[0]["purged"], 1)
        until = self.bundle(until="1999-01-01T00:00:00Z")
        self.assertEqual((until[0]["runs"], until[0]["purged"]), (0, 0))
        wizard = self.env["qms.audit.bundle"].with_user(self.users["auditor"])
        wizard = wizard.create({"date_from": day})
        self.assertGreaterEqual(wizard.purged_count, 1)


@tagged("post_install", "-at_install")
class TestPurgeForged(RetentionCommon):
    """A purge that was none is refused or found."""

    def tamper(self, *queries, **values):
        self.env.cr.flush()
        tables = ("qms_audit_event", "qms_audit_head", "qms_sop_run_amendment")
        for table in tables:
            self.env.cr.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for query in queries:
            self.env.cr.execute(query, values)
        for table in tables:
            self.env.cr.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        self.env.invalidate_all()

    def test_the_database_refuses_without_a_tombstone(self):
        run = self.old_run()
        for query in (
            "UPDATE qms_audit_event SET content = '' WHERE root_id = %s",
            "DELETE FROM qms_sop_run_amendment WHERE run_id = %s",
        ):
            with (
                self.subTest(query),
                mute_logger("odoo.sql_db"),
                self.assertRaises(psycopg2.errors.InsufficientPrivilege),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(query, [run.id])
        run_id = run.id
        run.purge(REASON)
        # With one, only what was said may be emptied, and not the tombstone itself.
        for query in (
            "UPDATE qms_audit_event SET content = '' WHERE root_id = %s",
            "UPDATE qms_audit_event SET content = '', kind = 'entry'"
            " WHERE root_id = %s AND sequence = 1",
            "UPDATE qms_audit_event SET content = 'x' WHERE root_id = %s"
            " AND sequence = 1",
        ):
            with (
                self.subTest(query),
                mute_logger("odoo.sql_db"),
                self.assertRaises(psycopg2.errors.InsufficientPrivilege),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(query, [run_id])

    def test_run_deleted_past_the_trail(self):
        run = self.start_run()
        self.assertEqual(self.found(), set())
        self.tamper(
            "DELETE FROM qms_sop_run_step WHERE run_id = %(id)s",
            "DELETE FROM qms_sop_run WHERE id = %(id)s",
            id=run.id,
        )
        self.assertEqual(self.found(), {("vanished", run.id)})

    def test_content_erased_past_the_trail(self):
        run = self.start_run()
        self.tamper(
            "UPDATE qms_audit_event SET content = '' WHERE root_id = %(id)s"
            " AND root_model = 'qms.sop.run'",
            id=run.id,
        )
        self.assertEqual(self.found(), {("purged", run.id)})

    def test_clock_set_forward(self):
        """The tombstone is written by the clock of the database."""
        run = self.old_run(9)
        run_id = run.id
        mixin = self.env.registry["qms.retention.mixin"]
        with patch.object(
            mixin,
            "_retention_now",
            lambda self: run.end_time.replace(year=run.end_time.year + 50),
        ):
            run.purge(REASON)
        self.assertEqual(self.found(), {("purged", run_id)})

    def test_brought_back(self):
        run = self.old_run()
        run_id = run.id
        run.purge(REASON)
        self.env.cr.execute(
            """INSERT INTO qms_sop_run (id, name, sop_id, state, trigger, company_id)
                    VALUES (%s, 'RUN-FORGED', %s, 'completed', 'manual', %s)""",
            [run_id, self.sop.id, self.env.company.id],
        )
        self.assertEqual(self.found(), {("purged", run_id)})

    def test_function_of_the_triggers_replaced(self):
        self.env.cr.execute(
            """CREATE OR REPLACE FUNCTION qms_audit_refuse() RETURNS trigger AS
               $$ BEGIN RETURN NEW; END $$ LANGUAGE plpgsql"""
        )
        self.assertEqual(self.found(), {("trigger", 0)})
