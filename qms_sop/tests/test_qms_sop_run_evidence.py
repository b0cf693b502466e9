import base64
import hashlib

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import QmsSopCommon

LOG = b"2025-11-01 12:00:00 ERROR psycopg2.pool.PoolError: connection pool exhausted\n"


@tagged("post_install", "-at_install")
class TestQmsSopRunEvidence(QmsSopCommon):
    def add(self, run, content, **values):
        return run.add_evidence("app.log", base64.b64encode(content).decode(), **values)

    def test_hash_size_and_source(self):
        run = self.start_run()
        answer = self.add(run, LOG, source="docker logs app", step=2)
        evidence = run.evidence_ids
        self.assertEqual(answer["sha256"], hashlib.sha256(LOG).hexdigest())
        self.assertEqual(answer["size"], len(LOG))
        self.assertEqual(evidence.source, "docker logs app")
        self.assertEqual(evidence.step_id, run.step_ids[1])
        self.assertEqual(evidence.user_id, self.operator)
        self.assertEqual(evidence.mimetype, "text/plain")
        self.assertEqual(base64.b64decode(evidence.datas), LOG)
        self.assertIn("connection pool exhausted", evidence.preview)

    def test_collector_and_hash_are_not_for_the_client_to_say(self):
        run = self.start_run()
        evidence = (
            self.env["qms.sop.run.evidence"]
            .with_user(self.operator)
            .create(
                {
                    "run_id": run.id,
                    "name": "a.txt",
                    "datas": base64.b64encode(b"x"),
                    "sha256": "0" * 64,
                    "size": 1000,
                    "user_id": self.manager.id,
                }
            )
        )
        self.assertEqual(evidence.sha256, hashlib.sha256(b"x").hexdigest())
        self.assertEqual((evidence.size, evidence.user_id), (1, self.operator))

    def test_classify_sets_what_the_run_lacks(self):
        run = self.start_run()
        answer = self.add(run, LOG, classify=True)
        self.assertEqual(run.error_code_id.name, answer["classification"][0]["code"])
        self.assertEqual(run.category_id.code, "DATABASE")
        self.assertTrue(run.severity_id)

    def test_limit(self):
        self.env["ir.config_parameter"].set_param("qms_sop.evidence_limit_mb", "1")
        run = self.start_run()
        self.add(run, b"x" * 1024 * 1024)
        with self.assertRaisesRegex(ValidationError, "the limit is 1 MB"):
            self.add(run, b"x" * (1024 * 1024 + 1))

    def test_default_limit_is_25_mb(self):
        self.assertEqual(self.env["qms.sop.run.evidence"]._limit_mb(), 25)

    def test_refusals(self):
        run = self.start_run()
        with self.assertRaisesRegex(ValidationError, "not valid base64"):
            run.add_evidence("a.txt", "not base64!")
        with self.assertRaisesRegex(ValidationError, "is empty"):
            run.add_evidence("a.txt", "")

    def test_never_replaced(self):
        run = self.start_run()
        self.add(run, LOG)
        with self.assertRaisesRegex(UserError, "never replaced"):
            run.evidence_ids.datas = base64.b64encode(b"other")
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            run.evidence_ids.sudo().unlink()
