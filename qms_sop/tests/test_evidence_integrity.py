import base64
import hashlib
import json
import uuid
from pathlib import Path

from odoo.exceptions import UserError
from odoo.tests import HttpCase, new_test_user, tagged

from ..models.run.qms_sop_run_evidence_integrity import DamagedEvidenceError
from .common import GROUPS, QmsSopCommon

# Equal content is one file in the filestore, which test processes share; this one is
# damaged, so nobody else may have it.
LOG = (
    "2025-11-01 12:00:00 ERROR psycopg2.pool.PoolError: connection pool exhausted "
    f"{uuid.uuid4()}\n"
).encode()
FORGED = LOG.replace(b"ERROR", b"INFO ")


@tagged("post_install", "-at_install")
class TestEvidenceIntegrity(QmsSopCommon, HttpCase):
    def setUp(self):
        super().setUp()
        # There is one connection in a test: from one that only reads, no other one
        # that writes could be opened, as a server does.
        self.set_registry_readonly_mode(False)
        self.addCleanup(self.set_registry_readonly_mode, True)
        self.run_ = self.start_run()
        self.run_.add_evidence("app.log", base64.b64encode(LOG).decode())
        self.evidence = self.run_.evidence_ids
        self.attachment = self.env["ir.attachment"].search(
            [
                ("res_model", "=", "qms.sop.run.evidence"),
                ("res_field", "=", "datas"),
                ("res_id", "=", self.evidence.id),
            ]
        )

    def forge(self, content=FORGED):
        """Change the file on the disk, as an intruder would; ``None`` removes it."""
        self.env.flush_all()
        path = Path(self.attachment._full_path(self.attachment.store_fname))
        kept = path.read_bytes()
        self.addCleanup(path.write_bytes, kept)
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        self.env.invalidate_all()

    def damages(self):
        return self.env["qms.audit.event"].search(
            [("root_id", "=", self.run_.id), ("kind", "=", "damaged")]
        )

    def refused(self, call):
        # Without a savepoint, which would undo what the trail was told.
        try:
            call()
        except DamagedEvidenceError as refusal:
            return str(refusal)
        return self.fail("it was given out")

    def test_good_files_are_given_out(self):
        self.assertFalse(self.evidence.damaged)
        self.assertEqual(
            base64.b64decode(self.evidence.read(["datas"])[0]["datas"]), LOG
        )
        self.assertIn("pool exhausted", self.evidence.preview)
        self.assertFalse(self.damages())

    def test_changed_and_missing_files_are_reported(self):
        for content in (FORGED, None):
            with self.subTest(content):
                self.forge(content)
                said = self.refused(lambda: self.evidence.read(["datas"]))
                self.assertIn("app.log of RUN-", said)
                self.assertIn(hashlib.sha256(content or b"").hexdigest(), said)
                self.assertIn(hashlib.sha256(LOG).hexdigest(), said)
                self.refused(self.evidence.read)
                self.assertTrue(self.evidence.damaged)
                self.assertFalse(self.evidence.preview)
        told = self.damages()
        self.assertEqual(len(told), 2, "each finding once, however often it is met")
        self.assertEqual(
            {event.changes["sha256"][1] for event in told},
            {hashlib.sha256(FORGED).hexdigest(), hashlib.sha256(b"").hexdigest()},
        )
        self.assertEqual(told.user_id, self.operator)

    def test_the_form_still_opens(self):
        self.forge()
        [values] = self.evidence.with_context(bin_size=True).web_read(
            {"datas": {}, "name": {}, "damaged": {}, "preview": {}}
        )
        self.assertTrue(values["damaged"])
        self.assertFalse(values["preview"])

    def test_forged_evidence_classifies_nothing(self):
        self.forge()
        self.refused(self.evidence._classify_run)
        self.assertFalse(self.run_.error_code_id)

    def test_download(self):
        new_test_user(self.env, login="qms_reader", groups=GROUPS["auditor"])
        self.authenticate("qms_reader", "qms_reader")
        addresses = (
            f"/web/content/qms.sop.run.evidence/{self.evidence.id}/datas",
            f"/web/content/{self.attachment.id}",
        )
        for address in addresses:
            answer = self.url_open(address)
            self.assertEqual((answer.status_code, answer.content), (200, LOG))
        self.forge()
        for address in addresses:
            with self.subTest(address):
                answer = self.url_open(address)
                self.assertGreaterEqual(answer.status_code, 400)
                self.assertNotIn(b"pool exhausted", answer.content)

    def test_rest(self):
        key = (
            self.env["res.users.apikeys"]
            .with_user(self.operator)
            .sudo()
            ._generate("rpc", "test", None)
        )
        address = f"/api/v1/sop-runs/{self.run_.id}/evidence/{self.evidence.id}/content"
        headers = {"Authorization": f"Bearer {key}"}
        self.assertEqual(self.url_open(address, headers=headers).content, LOG)
        self.forge()
        answer = self.url_open(address, headers=headers)
        self.assertEqual(answer.status_code, 500)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        problem = json.loads(answer.text)
        self.assertIn("is damaged", problem["detail"])
        self.assertNotIn("pool exhausted", answer.text)

    def test_report(self):
        report = self.env["report.qms_sop.report_sop_run"]
        self.assertEqual(report._evidence(self.run_)[0]["damaged"], "")
        self.forge()
        self.assertEqual(
            report._evidence(self.run_)[0]["damaged"],
            hashlib.sha256(FORGED).hexdigest(),
        )
        html = self.env["ir.actions.report"]._render_qweb_html(
            "qms_sop.report_sop_run", self.run_.ids
        )[0]
        self.assertIn(b"Damaged: the file that is kept", html)

    def test_nothing_is_read_to_list_files(self):
        self.forge()
        with self.assertQueryCount(__system__=10):
            self.evidence.search_read([], ["name", "size_text", "sha256"])

    def test_the_hash_is_not_for_clients_to_say(self):
        with self.assertRaises(UserError):
            self.evidence.with_user(self.manager).write({"sha256": "0" * 64})
