import base64
import gc
import hashlib
import io
import json
import os
import tempfile
import tracemalloc
import zipfile
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, HttpCase, tagged
from odoo.tools import mute_logger
from odoo.tools.pdf import PdfReader

from ..models.audit import qms_audit_check
from ..models.bundle import qms_audit_bundle
from ..tools import verify_bundle
from ..tools.verify_bundle import Verification, ZipSource, audit_chain
from .test_audit_trail import KEY, AuditCommon

LOG = b"2025-11-01 ERROR psycopg2.pool.PoolError: connection pool exhausted\n"


class BundleCommon(AuditCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.auditor = cls.users["auditor"]

    def setUp(self):
        super().setUp()
        self.startPatcher(patch.dict("os.environ", {"QMS_AUDIT_KEY": KEY}))
        self.run_ = self.full_run()

    def full_run(self):
        """Return a finished run with one of everything."""
        run = self.start_run(severity="high", summary="Größe · 数据库")
        run.log_error("No space left on device")
        self.env.cr.flush()
        evidence = run.add_evidence("../app log.txt", base64.b64encode(LOG).decode())
        self.env.cr.flush()
        run.record_rca("The disk was full.")
        self.work(run)
        run.complete("Mended. " * 1000)
        self.env.cr.flush()
        run.amend("Typing mistake", "It was the other disk.")
        self.env.cr.flush()
        self.assertTrue(evidence["sha256"])
        return run

    def bundles(self, role="auditor"):
        return self.env["qms.audit.bundle"].with_user(self.users[role])

    def export(self, role="auditor", **arguments):
        return self.bundles(role).export_bundle(
            **(arguments or {"run_ids": self.run_.ids})
        )

    def files(self, answer):
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(answer["content"])))
        return {name: archive.read(name) for name in archive.namelist()}

    def verify(self, content, keys=KEY):
        """Return what is wrong with a bundle."""
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            file.write(content)
            file.flush()
            source = ZipSource(file.name)
            self.verification = Verification(source, audit_chain.Keys(keys), 10**9)
            self.verification.run()
        return self.verification.problems


@tagged("post_install", "-at_install")
class TestAuditBundle(BundleCommon):
    """What an auditor takes away proves itself."""

    def test_it_has_everything(self):
        self.env["qms.audit.anchor"].sudo()._take()
        answer = self.export()
        files = self.files(answer)
        name = self.run_.name
        digest = hashlib.sha256(LOG).hexdigest()
        self.assertEqual(
            sorted(files),
            [
                "README.txt",
                "anchors.jsonl",
                "audit_chain.py",
                f"chain/qms.sop.document-{self.sop.id}.jsonl",
                f"chain/qms.sop.run-{self.run_.id}.jsonl",
                f"evidence/{digest}-.._app_log.txt",
                "heads.jsonl",
                "manifest.json",
                f"runs/{name}.json",
                "seal.json",
                "sops/SOP-TEST-001-1.0.0.json",
                "sops/SOP-TEST-001-1.0.0.md",
                "verify_bundle.py",
            ],
        )
        self.assertEqual(list(files), sorted(files))
        run = json.loads(files[f"runs/{name}.json"])
        self.assertEqual(run["state"], "completed")
        self.assertEqual(len(run["steps"]), 3)
        self.assertEqual(run["errors"][0]["error_message"], "No space left on device")
        self.assertEqual(run["evidence"][0]["sha256"], digest)
        self.assertEqual(run["rca"][0]["root_cause"], "The disk was full.")
        self.assertEqual(run["amendments"][0]["text"], "It was the other disk.")
        self.assertNotIn("status_url", run)
        sop = json.loads(files["sops/SOP-TEST-001-1.0.0.json"])
        self.assertEqual(sop["content_hash"], self.sop.content_hash)
        manifest = json.loads(files["manifest.json"])
        self.assertEqual(manifest["records"]["qms.sop.run"], self.run_.ids)
        self.assertEqual(
            answer["manifest_sha256"],
            hashlib.sha256(files["manifest.json"]).hexdigest(),
        )
        events = [
            json.loads(line)["content"]
            for line in files[f"chain/qms.sop.run-{self.run_.id}.jsonl"].splitlines()
        ]
        self.assertEqual(events, self.trail(self.run_).mapped("content"))

    def test_it_proves_itself(self):
        self.env["qms.audit.anchor"].sudo()._take()
        content = base64.b64decode(self.export()["content"])
        self.assertEqual(self.verify(content), [])
        self.assertEqual(self.verification.notes, [])
        self.assertEqual(self.verification.counts["evidence"], 1)
        # Without the key nothing is wrong, but not everything was checked.
        self.assertEqual(self.verify(content, ""), [])
        self.assertTrue(self.verification.notes)
        other = self.verify(content, "k1:another-key-of-16-or-more")
        self.assertIn("manifest.json: it was changed: it does not have its seal", other)

    def test_same_data_same_bytes(self):
        first = self.export()
        self.env.invalidate_all()
        self.assertEqual(self.export(role="manager"), first)
        self.assertEqual(
            first["filename"], f"audit-bundle-{first['manifest_sha256'][:16]}.zip"
        )
        self.run_.amend("Again", "It was both disks.")
        self.assertNotEqual(self.export()["sha256"], first["sha256"])

    def test_open_run_same_bytes_later(self):
        """What only depends on the time at which it is read is not in it."""
        run = self.start_run(severity="high")
        first = self.export(run_ids=run.ids)
        self.env.invalidate_all()
        with freeze_time(run.start_time + timedelta(days=400)):
            self.assertEqual(self.export(run_ids=run.ids), first)
        said = json.loads(self.files(first)[f"runs/{run.name}.json"])
        self.assertEqual(
            set(said["clocks"]["response"]), {"deadline", "at_risk_at", "stopped_at"}
        )

    def test_actions(self):
        actions = self.env["qms.action"].with_user(self.manager)
        action = actions.browse(
            actions.create_action("Rotate the logs", rca_id=self.run_.rca_ids.id)["id"]
        )
        self.env.cr.flush()
        answer = self.export()
        content = base64.b64decode(answer["content"])
        self.assertEqual(self.verify(content), [])
        files = self.files(answer)
        name = f"actions/{action.reference.replace('/', '_')}.json"
        self.assertEqual(json.loads(files[name])["title"], "Rotate the logs")
        self.assertIn(f"chain/qms.action-{action.id}.jsonl", files)
        with freeze_time(action.due_date + timedelta(days=1)):
            self.assertEqual(self.export(), answer)
        self.env.cr.execute(
            "UPDATE qms_action SET name = 'Nothing' WHERE id = %s", [action.id]
        )
        self.env.invalidate_all()
        content = base64.b64decode(self.export()["content"])
        self.assertEqual(
            self.verify(content),
            [
                f"{name}: its title is not what event 1 of "
                f"chain/qms.action-{action.id}.jsonl tells"
            ],
        )
        check = self.checks._verify("qms.action", action.id)
        self.assertEqual([one["kind"] for one in check.findings], ["differs"])

    def test_by_period(self):
        # What other tests and the demo left lies in other years.
        with self.assertRaises(ValidationError):
            self.export(since="yesterday")
        run = self.start_run()
        since = f"{run.start_time.isoformat()}Z"
        answer = self.export(since=since)
        manifest = json.loads(self.files(answer)["manifest.json"])
        self.assertIn(run.id, manifest["records"]["qms.sop.run"])
        nothing = self.export(until="1999-01-01T00:00:00Z")
        self.assertEqual(nothing["runs"], 0)
        self.assertEqual(self.verify(base64.b64decode(nothing["content"])), [])

    def test_roles(self):
        for role in ("operator", "author", "automation"):
            with (
                self.subTest(role=role),
                self.assertRaisesRegex(AccessError, "Only auditors and QMS managers"),
            ):
                self.export(role)
        self.assertEqual(self.export("manager")["runs"], 1)

    def test_arguments(self):
        for arguments in ({"run_ids": []}, {"run_ids": [1], "since": "2026-01-01"}):
            with self.assertRaisesRegex(ValidationError, "Say which runs"):
                self.export(**arguments)
        with self.assertRaisesRegex(ValidationError, "no runs with these ids.*: 0"):
            self.export(run_ids=[0, *self.run_.ids])
        with self.assertRaisesRegex(ValidationError, "run_ids"):
            self.export(run_ids="all")

    def test_limit(self):
        with (
            patch.object(qms_audit_bundle, "RPC_LIMIT_MB", 0),
            self.assertRaisesRegex(UserError, "Take fewer runs"),
        ):
            self.export()

    def test_other_companies_stay_out(self):
        company = self.env["res.company"].create({"name": "Another"})
        self.manager.sudo().company_ids |= company
        run = self.start_run(user=self.manager)
        self.env.cr.execute(
            "UPDATE qms_sop_run SET company_id = %s WHERE id = %s", [company.id, run.id]
        )
        self.env.invalidate_all()
        with self.assertRaisesRegex(ValidationError, "may not see them"):
            self.export(run_ids=run.ids)

    def test_same_evidence_twice(self):
        run = self.start_run()
        for _time in range(2):
            run.add_evidence("a.log", base64.b64encode(LOG).decode())
        answer = self.export(run_ids=run.ids)
        self.assertEqual(self.verify(base64.b64decode(answer["content"])), [])
        names = [name for name in self.files(answer) if name.startswith("evidence/")]
        self.assertEqual(len(names), 2)

    def test_an_anchor_of_a_later_time_is_left_out(self):
        anchors = self.env["qms.audit.anchor"].sudo()
        anchors._take()
        self.run_.amend("Later", "Later.")
        self.env.cr.flush()
        anchors._take()
        # As a transaction sees it that began before the second one was taken.
        bundles = self.bundles()
        with patch.object(type(bundles), "_last_anchor", lambda self: 1):
            files = self.files(self.export())
        last = json.loads(files["anchors.jsonl"].splitlines()[-1])
        self.assertEqual(json.loads(last["content"])["anchor"], 1)

    def peak(self, work, run):
        """Return how many bytes of memory are taken at the most while something works.

        :param work: called with a run
        """
        # What is made once, and stays, is not counted.
        work(run)
        self.env.invalidate_all()
        gc.collect()
        tracemalloc.start()
        try:
            work(run)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_constant_memory(self):
        """How long it takes is measured by the benchmark."""
        small, large = self.start_run(), self.start_run()
        for number in range(3_000):
            self.events._record(large, "entry", text=f"Entry {number} {'x' * 500}")
        self.env.cr.flush()
        size = sum(len(event.content) for event in self.trail(large))
        self.assertGreater(size, 2_500_000)
        bundles = {
            run: base64.b64decode(self.export(run_ids=run.ids)["content"])
            for run in (small, large)
        }
        for module, name, value in (
            (qms_audit_check, "_BATCH", 50),
            (qms_audit_bundle, "_EVENTS", 50),
            (verify_bundle, "_CHUNK", 65536),
        ):
            self.startPatcher(patch.object(module, name, value))

        def verify(run):
            check = self.checks._verify(run._name, run.id)
            self.assertEqual(check.state, "passed")

        def export(run):
            with tempfile.TemporaryFile() as file:
                mine = run.with_env(self.bundles().env)
                self.bundles()._write_bundle(file, {mine._name: mine})

        def verify_offline(run):
            self.assertEqual(self.verify(bundles[run]), [])

        for work in (verify, export, verify_offline):
            with self.subTest(work.__name__):
                more = self.peak(work, large) - self.peak(work, small)
                self.assertLess(more, size / 4)


@tagged("post_install", "-at_install")
class TestAuditBundleDownload(BundleCommon, HttpCase):
    """The wizard, and the file that it gives out."""

    def setUp(self):
        super().setUp()
        # A damaged file is told in the trail, by another connection.
        self.set_registry_readonly_mode(False)
        self.addCleanup(self.set_registry_readonly_mode, True)

    def wizard(self, role="auditor", **values):
        context = {"active_model": "qms.sop.run", "active_ids": self.run_.ids}
        return self.bundles(role).with_context(**context).create(values)

    def test_download(self):
        wizard = self.wizard()
        self.assertEqual(wizard.run_count, 1)
        self.assertEqual(self.wizard(run_ids=False).run_count, 0)
        url = wizard.action_download()["url"]
        self.authenticate("qms_auditor", "qms_auditor")
        with mute_logger("odoo.http"):
            self.assertEqual(self.url_open(url).status_code, 404, "not made yet")
        self.assertEqual(wizard.action_make()["res_id"], wizard.id)
        self.addCleanup(wizard._path().unlink, missing_ok=True)
        self.assertEqual(wizard._path().stat().st_mode & 0o777, 0o600)
        response = self.url_open(url)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.content, base64.b64decode(self.export()["content"]))
        manifest = hashlib.sha256(self.files(self.export())["manifest.json"])
        self.assertEqual(wizard.manifest_sha256, manifest.hexdigest())
        self.assertIn(wizard.filename, response.headers["Content-Disposition"])
        # It is asked for by one person, and given to nobody else.
        self.authenticate("qms_manager", "qms_manager")
        with mute_logger("odoo.http"):
            self.assertEqual(self.url_open(url).status_code, 404)

    def test_files_are_removed(self):
        wizard = self.wizard()
        wizard.action_make()
        path = wizard._path()
        self.addCleanup(path.unlink, missing_ok=True)
        os.utime(path, (0, 0))
        wizard._gc_files()
        self.assertTrue(path.exists())
        wizard.sudo().unlink()
        wizard._gc_files()
        self.assertFalse(path.exists())

    def test_offered_on_runs_to_those_who_may(self):
        context = {"active_model": "qms.sop.run", "active_ids": self.run_.ids}
        form = Form(self.bundles().with_context(**context))
        self.assertEqual(form.run_ids.ids, self.run_.ids)
        self.assertEqual(form.run_count, 1)
        # As the web client opens it, which wants the names at once
        wanted = {"run_ids": {"fields": {"display_name": {}}}, "run_count": {}}
        shown = self.bundles().with_context(**context).onchange({}, [], wanted)
        self.assertEqual(shown["value"]["run_count"], 1)
        action = self.env.ref("qms_sop.qms_audit_bundle_runs_action")
        for role, offered in (
            ("auditor", True),
            ("manager", True),
            ("operator", False),
        ):
            actions = self.env["ir.actions.actions"].with_user(self.users[role])
            bound = actions.get_bindings("qms.sop.run").get("action", ())
            ids = {one["id"] for one in bound}
            self.assertEqual(action.id in ids, offered, role)

    def test_nothing_to_download(self):
        with self.assertRaisesRegex(UserError, "no run"):
            self.wizard(run_ids=False).action_make()
        with self.assertRaises(AccessError):
            self.wizard("operator")

    def test_period_of_the_wizard(self):
        day = self.run_.start_time.date()
        wizard = self.wizard(run_ids=False, date_from=day, date_to=day)
        runs = self.env["qms.sop.run"].search(wizard._domains()["qms.sop.run"])
        self.assertIn(self.run_, runs)

    def test_damaged_evidence_is_reported(self):
        self.env.flush_all()
        attachment = self.env["ir.attachment"].search(
            [
                ("res_model", "=", "qms.sop.run.evidence"),
                ("res_field", "=", "datas"),
                ("res_id", "=", self.run_.evidence_ids.id),
            ]
        )
        path = Path(attachment._full_path(attachment.store_fname))
        self.addCleanup(path.write_bytes, path.read_bytes())
        path.unlink()
        path.write_bytes(b"forged")
        self.env.invalidate_all()
        content = base64.b64decode(self.export()["content"])
        (problem,) = self.verify(content)
        self.assertIn("app log.txt was damaged on the server", problem)
        self.assertNotIn(b"forged", content)

    def test_with_reports(self):
        """As the real wkhtmltopdf makes them."""
        bundles = self.bundles().with_context(force_report_rendering=True)
        answer = bundles.export_bundle(run_ids=self.run_.ids, reports=True)
        content = self.files(answer)[f"reports/{self.run_.name}.pdf"]
        text = "".join(
            page.extract_text() for page in PdfReader(io.BytesIO(content)).pages
        )
        self.assertIn(self.run_.name, text)
        self.assertIn(self.run_.evidence_ids.sha256[:16], text)
        self.assertEqual(self.verify(base64.b64decode(answer["content"])), [])
