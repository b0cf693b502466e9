from odoo.tests import tagged

from .common import QmsCase

# The reference table of SOP-TRIAGE-001.
TRIAGE_CODES = {
    "BASE_IMAGE_DRIFT": ("DEPLOYMENT", "medium"),
    "WKHTMLTOPDF_MISMATCH": ("DEPLOYMENT", "high"),
    "TEST_FAILURE": ("DEPLOYMENT", "critical"),
    "REGISTRY_AUTH_FAILURE": ("DEPLOYMENT", "critical"),
    "DB_CONNECTION_LEAK": ("DATABASE", "high"),
    "DB_CONNECTION_TIMEOUT": ("DATABASE", "critical"),
    "DB_SLOW_QUERY": ("DATABASE", "medium"),
    "DB_DEADLOCK": ("DATABASE", "high"),
    "IMPORT_ERROR": ("APPLICATION", "high"),
    "ATTRIBUTE_ERROR": ("APPLICATION", "high"),
    "MEMORY_ERROR": ("INFRASTRUCTURE", "critical"),
    "CPU_THROTTLING": ("INFRASTRUCTURE", "high"),
}
# What on-call engineers really see, and the entry that must come first.
REAL_LOGS = {
    "DB_CONNECTION_LEAK": """\
2026-01-12 10:00:00 INFO web: GET /reports 200
2026-01-12 10:00:07 WARNING pool: connection 7 was not returned after ValueError
2026-01-12 10:00:09 ERROR psycopg2.pool.PoolError: connection pool exhausted
10.0.0.9 - - [12/Jan/2026 10:00:09] "GET /health HTTP/1.1" 500 -
10.0.0.9 - - [12/Jan/2026 10:00:10] "GET /health HTTP/1.1" 500 -
""",
    "DB_MIGRATION_FAILURE": """\
Traceback (most recent call last):
  File "/app/views.py", line 12, in get
    return Tenant.objects.get(pk=pk)
django.db.utils.ProgrammingError: relation "tenancy_tenant" does not exist
LINE 1: SELECT "tenancy_tenant"."id" FROM "tenancy_tenant"
10.0.0.9 "GET /tenants/4 HTTP/1.1" 500 Internal Server Error
""",
    "DB_CONNECTION_REFUSED": """\
psycopg2.OperationalError: connection to server at "db" (10.0.0.5), port 5432 failed: \
Connection refused
	Is the server running on that host and accepting TCP/IP connections?
""",
    "OOM_KILLED": """\
[81213.1] python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0
[81213.9] Out of memory: Killed process 4711 (python3) total-vm:4194304kB
shop-worker-1 exited with code 137
""",
    "REGISTRY_AUTH_FAILURE": """\
#4 ERROR: failed to pull image "registry.example.com/base:1"
Error response from daemon: unauthorized: authentication required
""",
    "PORT_IN_USE": """\
node:events:497
Error: listen EADDRINUSE: address already in use :::3000
shop-web-1 exited with code 1
""",
    "DNS_FAILURE": """\
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.example.com'): \
Max retries exceeded with url: /v1 (Caused by NewConnectionError: \
[Errno -3] Temporary failure in name resolution)
""",
}


@tagged("post_install", "-at_install")
class TestCatalogueData(QmsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        data = cls.env["ir.model.data"].search(
            [("module", "=", "qms_error_code"), ("model", "=", "qms.error.code")]
        )
        cls.shipped = cls.codes.browse(data.mapped("res_id"))

    def test_codes_of_the_triage_sop(self):
        for name, expected in TRIAGE_CODES.items():
            code = self.codes._resolve(name)
            self.assertEqual(
                (code.category_id.code, code.severity_id.code), expected, name
            )

    def test_the_catalogue_is_complete(self):
        self.assertGreaterEqual(len(self.shipped), 40)
        self.assertIn("STEP_FAILURE", self.shipped.mapped("name"))
        for code in self.shipped:
            for field in (
                "title",
                "description",
                "common_causes",
                "resolution",
                "prevention",
                "pattern_ids",
            ):
                self.assertTrue(code[field], f"{code.name}: {field} is empty")

    def test_every_example_gives_its_own_code_first(self):
        patterns = self.shipped.pattern_ids
        self.assertGreater(len(patterns), 150)
        for pattern in patterns:
            with self.subTest(pattern=pattern.pattern):
                self.assertTrue(pattern.example)
                match = self.codes.classify(pattern.example)[0]
                self.assertEqual(match["code"], pattern.error_code_id.name)

    def test_every_example_of_a_category_answers_its_question(self):
        for pattern in self.categories.search([]).pattern_ids:
            with self.subTest(pattern=pattern.pattern):
                code, category, _matches = self.codes._classify(pattern.example)
                self.assertFalse(code)
                self.assertEqual(category, pattern.category_id)

    def test_real_logs(self):
        for name, log in REAL_LOGS.items():
            with self.subTest(code=name):
                matches = self.codes.classify(log)
                self.assertEqual(
                    matches[0]["code"], name, [match["code"] for match in matches]
                )

    def test_a_healthy_log_gives_no_code(self):
        log = """\
2026-01-12 10:00:00,123 11 INFO prod odoo.modules.loading: Modules loaded.
2026-01-12 10:00:01,001 11 INFO prod werkzeug: 10.0.0.9 "GET /web HTTP/1.1" 200 - 12
2026-01-12 10:00:02,417 11 INFO prod odoo.service.server: Worker WorkerHTTP (21) alive
2026-01-12 10:00:03,500 11 INFO prod backup: nightly backup finished, 2.1 GB
=================== 412 passed, 3 skipped in 61.20s ===================
"""
        self.assertFalse(self.codes.classify(log)[0]["code"])
