import json
import time
from datetime import datetime, timedelta
from unittest.mock import patch

import psycopg2.errors
from psycopg2.pool import PoolError

from odoo import sql_db
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..controllers.rate_limit import _buckets
from ..models.res_config_settings_api import RATE_LIMIT
from .api_common import QmsApiCase

_HTTP = "odoo.http"


@tagged("post_install", "-at_install")
class TestApiProtocol(QmsApiCase):
    """What holds for every operation: each status by what really causes it."""

    def setUp(self):
        super().setUp()
        self.run_ = self.start_run()
        self.path = f"sop-runs/{self.run_.id}"

    def handle(self, function):
        """Let a function answer what reads a run."""
        runs = self.registry["qms.sop.run"]
        return patch.object(runs, "_api_get", function, create=True)

    def post(self, body, path=None, headers=None):
        return self.call(
            "POST",
            path or f"{self.path}/errors",
            self.operator,
            data=body,
            headers={"Content-Type": "application/json", **(headers or {})},
        )

    def test_400(self):
        for body in (
            b"x",
            b'{"error_message": ',
            b'{"error_message": NaN}',
            b'{"error_message": -Infinity}',
            b'{"error_message": "\xff"}',
            b'{"error_message": "\\ud800"}',
            b"[" * 100_000,
            b"",
        ):
            with self.subTest(body[:30]):
                self.assert_problem(self.post(body), 400, "bad-request")
        self.assertFalse(self.run_.error_ids)

    def test_401(self):
        key = self.key(self.operator)
        for value in (
            None,
            "",
            "Bearer",
            "Bearer wrong",
            f"Basic {key}",
            f"Bearer {key[:-1]}",
        ):
            with self.subTest(value):
                headers = {} if value is None else {"Authorization": value}
                response = self.call("GET", self.path, headers=headers)
                self.assert_problem(response, 401, "unauthorized")
                self.assertIn("bearer", response.headers["WWW-Authenticate"].lower())

    def test_expired_and_removed_keys(self):
        keys = self.env["res.users.apikeys"].with_user(self.operator).sudo()
        # For the database it is as late as when the tests of this class began.
        key = keys._generate("rpc", "short", datetime.now() - timedelta(days=1))
        headers = {"Authorization": f"Bearer {key}"}
        self.assert_problem(self.call("GET", self.path, headers=headers), 401)
        self.assertEqual(self.call("GET", self.path, self.operator).status_code, 200)
        keys.search([("user_id", "=", self.operator.id)]).unlink()
        self.assert_problem(self.call("GET", self.path, self.operator), 401)
        del self._keys[self.operator]

    def test_404_and_405(self):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            for user in (None, self.operator):
                for path in ("nothing", "sop-runs/1/nothing/else", "%00"):
                    with self.subTest(path, method=method):
                        response = self.call(method, path, user)
                        self.assert_problem(response, 404, "not-found")
        for method in ("PUT", "DELETE", "TRACE", "QUERY"):
            with self.subTest(method):
                response = self.call(method, self.path, self.operator)
                self.assert_problem(response, 405, "method-not-allowed")
                self.assertEqual(response.headers["Allow"], "GET, HEAD, OPTIONS, PATCH")

    def test_406(self):
        for accept in ("text/html", "image/*", "application/xml;q=0.9"):
            with self.subTest(accept):
                response = self.call(
                    "GET", self.path, self.operator, headers={"Accept": accept}
                )
                self.assert_problem(response, 406, "not-acceptable")
        for accept in ("application/json", "application/*", "text/html, */*;q=0.1"):
            with self.subTest(accept):
                response = self.call(
                    "GET", self.path, self.operator, headers={"Accept": accept}
                )
                self.assertEqual(response.status_code, 200)

    def test_409_when_a_record_is_locked(self):
        country = self.env["res.country"].search([], limit=1)
        # A transaction of somebody else, on a row that nobody here has touched
        with sql_db.db_connect(self.env.cr.dbname).cursor() as other:
            other.execute(
                "SELECT id FROM res_country WHERE id = %s FOR UPDATE NOWAIT",
                [country.id],
            )
            with (
                self.handle(lambda runs, *_args: country.sudo().lock_for_update()),
                mute_logger(_HTTP),
            ):
                response = self.call("GET", self.path, self.operator)
            self.assert_problem(response, 409, "conflict")

    def test_411(self):
        def chunks():
            yield b'{"error_message": '
            yield b'"in pieces"}'

        response = self.post(chunks())
        self.assert_problem(response, 411, "length-required")
        self.assertFalse(self.run_.error_ids)

    def test_413(self):
        body = json.dumps({"error_message": "x" * (1024 * 1024)})
        self.assert_problem(self.post(body), 413, "content-too-large")
        self.env["ir.config_parameter"].set_param("qms_sop.evidence_limit_mb", "1")
        # Over the limit of a file, and over that of the whole request
        for size in (1024 * 1024 + 1, 4 * 1024 * 1024):
            with self.subTest(size), mute_logger(_HTTP):
                response = self.call(
                    "POST",
                    f"{self.path}/evidence",
                    self.operator,
                    files={"file": ("a.log", b"x" * size)},
                )
                self.assert_problem(response, 413, "content-too-large")
        self.assertFalse(self.run_.error_ids or self.run_.evidence_ids)

    def test_415(self):
        for kind in ("text/plain", "application/xml", "multipart/form-data", ""):
            with self.subTest(kind):
                response = self.post(b"{}", headers={"Content-Type": kind})
                self.assert_problem(response, 415, "unsupported-media-type")
                self.assertEqual(response.headers["Accept"], "application/json")
        response = self.post(
            b'{"error_message": "x"}',
            headers={"Content-Type": "application/json; charset=utf-8"},
        )
        self.assertEqual(response.status_code, 201)

    def test_429(self):
        _buckets.clear()
        self.addCleanup(_buckets.clear)
        self.env["ir.config_parameter"].set_param(RATE_LIMIT, "3")
        statuses = [
            self.call("GET", self.path, self.operator).status_code for _ in range(3)
        ]
        self.assertEqual(statuses, [200] * 3)
        response = self.call("GET", self.path, self.operator)
        self.assert_problem(response, 429, "too-many-requests")
        self.assertTrue(0 < int(response.headers["Retry-After"]) <= 20)
        # Each key has its own share, and the status link needs none.
        self.assertEqual(
            self.call("GET", self.path, self.users["auditor"]).status_code, 200
        )
        token = self.run_.status_token
        self.assertEqual(self.call("GET", f"sop-runs/{token}").status_code, 200)
        self.env["ir.config_parameter"].set_param(RATE_LIMIT, "0")
        self.assertEqual(self.call("GET", self.path, self.operator).status_code, 200)

    def test_rate_limit_setting(self):
        settings = self.env["res.config.settings"]
        parameters = self.env["ir.config_parameter"]
        self.assertEqual(settings.create({}).qms_api_rate_limit, 3_000)
        for limit in (0, 120):
            settings.create({"qms_api_rate_limit": limit}).execute()
            self.assertEqual(parameters.get_param(RATE_LIMIT), str(limit))
            self.assertEqual(settings._qms_rate_limit(), limit)
        with self.assertRaisesRegex(Exception, "0 for no limit"):
            settings.create({"qms_api_rate_limit": -1})

    def test_500_tells_nothing(self):
        def fail(_runs, *_args):
            raise KeyError("the secret")

        with self.handle(fail), mute_logger(_HTTP):
            response = self.call("GET", self.path, self.operator)
        self.assert_problem(response, 500, "internal-error")
        self.assertNotIn("secret", response.text)

    def test_503_when_the_database_gives_up(self):
        def wait(runs, *_args):
            runs.env.cr.execute("SET LOCAL statement_timeout = 10; SELECT pg_sleep(5)")

        with self.handle(wait), mute_logger(_HTTP, "odoo.sql_db"):
            response = self.call("GET", self.path, self.operator)
        self.assert_problem(response, 503, "unavailable")
        self.assertGreater(int(response.headers["Retry-After"]), 0)

    def test_503_without_a_database(self):
        # Before a route is known: no connection, and none left in the pool.
        for name, error in (
            ("check_signaling", psycopg2.OperationalError("connection refused")),
            ("cursor", PoolError("The Connection Pool Is Full")),
        ):
            with (
                self.subTest(name),
                patch.object(self.registry, name, side_effect=error),
                mute_logger(_HTTP),
            ):
                response = self.call("GET", self.path, self.operator)
            self.assert_problem(response, 503, "unavailable")
            self.assertNotIn("refused", response.text)

    def test_503_when_all_tries_are_in_vain(self):
        def collide(_runs, *_args):
            raise psycopg2.errors.SerializationFailure("could not serialize access")

        with (
            self.handle(collide),
            patch("odoo.service.model.time.sleep"),
            patch("odoo.service.model.errorcodes.lookup", return_value="collision"),
            mute_logger(_HTTP, "odoo.service.model"),
        ):
            response = self.call("GET", self.path, self.operator)
        self.assert_problem(response, 503, "unavailable")

    def test_options_runs_no_handler(self):
        with self.handle(lambda *_args: self.fail("The handler was run.")):
            response = self.call("OPTIONS", self.path, self.operator)
        self.assertEqual(response.status_code, 204)
        self.assertFalse(response.content)
        self.assertTrue(response.headers["X-Request-Id"])

    def test_request_id(self):
        given = "deploy-4711/step.2"
        with self.assertLogs("odoo.addons.qms_sop.controllers.dispatcher") as logs:
            response = self.call(
                "GET", self.path, self.operator, headers={"X-Request-Id": given}
            )
            refused = self.call("GET", self.path, headers={"X-Request-Id": given})
            # The line is written when the answer has been sent.
            limit = time.monotonic() + 10
            while len(logs.output) < 2 and time.monotonic() < limit:
                time.sleep(0.01)
        for answer in (response, refused):
            self.assertEqual(answer.headers["X-Request-Id"], given)
        self.assertIn(f"GET /api/v1/{self.path} 200", logs.output[0])
        self.assertIn(f"user={self.operator.id}", logs.output[0])
        self.assertIn(f"GET /api/v1/{self.path} 401", logs.output[1])
        for line in logs.output[:2]:
            self.assertIn(f"request_id={given}", line)
        for odd in ("a b", "x" * 129, "ä".encode("latin-1"), "<script>"):
            with self.subTest(odd):
                made = self.call(
                    "GET", self.path, self.operator, headers={"X-Request-Id": odd}
                ).headers["X-Request-Id"]
                self.assertRegex(made, r"^[0-9a-f]{32}$")

    def test_one_line_in_the_log(self):
        with self.assertLogs("odoo.addons.qms_sop.controllers.dispatcher") as logs:
            self.call("GET", "a%0AGET /api/v1/forged 200 user=1", self.operator)
            limit = time.monotonic() + 10
            while not logs.output and time.monotonic() < limit:
                time.sleep(0.01)
        self.assertNotIn("\n", logs.output[0])
        self.assertIn("a%0AGET%20", logs.output[0])

    def test_nothing_is_kept_by_caches(self):
        for path, kept in ((self.path, "no-store"), ("openapi.json", "no-cache")):
            response = self.call("GET", path, self.operator)
            self.assertEqual(response.headers["Cache-Control"], kept)

    def test_head(self):
        got = self.call("GET", self.path, self.operator)
        head = self.call("HEAD", self.path, self.operator)
        self.assertEqual(head.status_code, 200)
        self.assertFalse(head.content)
        for name in ("Content-Type", "Content-Length", "ETag"):
            self.assertEqual(head.headers[name], got.headers[name])

    # === Idempotency ===

    def test_idempotency_key(self):
        headers = {"Idempotency-Key": "one"}
        body = {"sop_code": "SOP-TEST-001", "summary": "Überlauf"}
        first = self.call("POST", "sop-runs", self.operator, body, headers)
        self.assertEqual(first.status_code, 201)
        self.assertNotIn("Idempotency-Replayed", first.headers)
        # The same, said in another way
        again = self.post(
            json.dumps(dict(reversed(body.items())), indent=4), "sop-runs", headers
        )
        self.assertEqual(again.status_code, 201)
        self.assertEqual(again.content, first.content)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        for name in ("Location", "ETag"):
            self.assertEqual(again.headers[name], first.headers[name])
        other = {**body, "summary": "Else"}
        response = self.call("POST", "sop-runs", self.operator, other, headers)
        self.assert_problem(response, 422, "idempotency-key-reused")
        response = self.call(
            "POST",
            f"{self.path}/errors",
            self.operator,
            {"error_message": "x"},
            headers,
        )
        self.assert_problem(response, 422, "idempotency-key-reused")
        # Keys are their user's own.
        theirs = self.call("POST", "sop-runs", self.users["automation"], body, headers)
        self.assertNotEqual(theirs.json()["id"], first.json()["id"])

    def test_idempotent_upload(self):
        def upload(content):
            # requests makes another boundary each time.
            return self.call(
                "POST",
                f"{self.path}/evidence",
                self.operator,
                headers={"Idempotency-Key": "upload"},
                files={"file": ("a.log", content)},
            )

        first, again = upload(b"x"), upload(b"x")
        self.assertEqual(first.status_code, 201, first.text)
        self.assertEqual(again.content, first.content)
        self.assertEqual(len(self.run_.evidence_ids), 1)
        self.assert_problem(upload(b"y"), 422, "idempotency-key-reused")

    def test_a_refused_request_can_be_corrected(self):
        headers = {"Idempotency-Key": "corrected"}
        path = f"{self.path}/transitions"
        refused = self.call(
            "POST", path, self.operator, {"state": "completed"}, headers
        )
        self.assert_problem(refused, 422, "refused")
        done = self.call(
            "POST", path, self.operator, {"state": "on_hold", "reason": "x"}, headers
        )
        self.assertEqual(done.status_code, 200)

    def test_odd_idempotency_keys(self):
        for key in ("", "x" * 256, "a\tb"):
            with self.subTest(key):
                response = self.post(
                    b'{"error_message": "x"}', headers={"Idempotency-Key": key}
                )
                self.assert_problem(response, 422, "invalid", "Idempotency-Key")
        self.assertFalse(self.run_.error_ids)

    def test_idempotency_keys_are_kept_for_a_day(self):
        headers = {"Idempotency-Key": "yesterday"}
        body = {"error_message": "x"}
        path = f"{self.path}/errors"
        self.call("POST", path, self.operator, body, headers)
        keys = self.env["qms.idempotency.key"]
        for hours, left in ((23, 1), (25, 0)):
            self.env.cr.execute(
                "UPDATE qms_idempotency_key SET created_at ="
                " now() at time zone 'utc' - %s * interval '1 h'"
                " WHERE key = 'yesterday'",
                [hours],
            )
            keys.invalidate_model()
            keys._gc_old_keys()
            found = keys.search_count([("key", "=", "yesterday")])
            self.assertEqual(found, left)
        self.call("POST", path, self.operator, body, headers)
        self.assertEqual(len(self.run_.error_ids), 2)
