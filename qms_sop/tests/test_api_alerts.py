import json
import time

from odoo.tests import tagged

from ..controllers import rate_limit
from ..schemas.alerts import AcceptedDelivery
from ..tools import standard_webhooks
from .api_common import QmsApiCase


@tagged("post_install", "-at_install")
class TestAlertsApi(QmsApiCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automation = cls.users["automation"]
        cls.source = cls.env.ref("qms_sop.qms_alert_source_alertmanager")
        cls.generic = cls.env.ref("qms_sop.qms_alert_source_generic")
        cls.payload = json.loads(cls.source.example_payload)

    def post(self, path, body, user=None, **headers):
        return self.call(
            "POST",
            f"alerts/{path}",
            user or self.automation,
            data=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )

    def accepted(self, response):
        self.assertEqual(response.status_code, 202, response.text)
        self.assert_valid(AcceptedDelivery, response.json())
        return response.json()

    def test_alertmanager(self):
        answer = self.accepted(self.post("alertmanager", self.payload))
        self.assertEqual((answer["state"], answer["error"]), ("processed", None))
        (alert,) = answer["alerts"]
        self.assertEqual(alert["fingerprint"], "3f8a1c0d5b7e9f24")
        run = self.env["qms.sop.run"].browse(alert["run"]["id"])
        self.assertEqual(alert["run"]["name"], run.name)
        self.assertEqual(run.sop_code, "SOP-DBCONN-001")
        self.assertEqual(run.error_code_id.name, "DB_TOO_MANY_CONNECTIONS")
        self.assertEqual(run.severity, "medium")
        again = self.accepted(self.post("alertmanager", self.payload))
        self.assertEqual(again["alerts"], answer["alerts"])
        self.assertNotEqual(again["id"], answer["id"])
        over = {**self.payload["alerts"][0], "status": "resolved"}
        answer = self.accepted(
            self.post("alertmanager", {**self.payload, "alerts": [over]})
        )
        self.assertEqual(answer["alerts"][0]["status"], "resolved")
        self.assertEqual(run.alert_state, "resolved")

    def test_any_source(self):
        answer = self.accepted(self.post("generic", {"title": "Shop is down"}))
        self.assertEqual(answer["alerts"][0]["run"]["state"], "in_progress")
        answer = self.accepted(self.post("grafana", {**self.payload, "version": "1"}))
        self.assertEqual(len(answer["alerts"]), 1)

    def test_what_cannot_be_read_is_kept(self):
        for body in (b"no JSON", b"[]", b'{"version": "3"}', b"\xff"):
            answer = self.accepted(self.post("alertmanager", body))
            self.assertEqual(answer["state"], "unprocessable")
            delivery = self.env["qms.alert.delivery"].browse(answer["id"])
            self.assertEqual(delivery.error, answer["error"])
            self.assertEqual(delivery.size, len(body))

    def test_refused(self):
        deliveries = self.env["qms.alert.delivery"]
        before = deliveries.search_count([])
        url = "alerts/alertmanager"
        self.assert_problem(self.call("POST", url, json_body={}), 401)
        self.assert_problem(self.call("GET", url, self.automation), 405)
        for role in ("operator", "author", "auditor"):
            response = self.post("alertmanager", self.payload, self.users[role])
            problem = self.assert_problem(response, 403)
            self.assertIn("may not deliver alerts", problem["detail"])
        self.assert_problem(self.post("nothing", {}), 404)
        self.assert_problem(self.post("alertmanager", b" " * ((1 << 20) + 1)), 413)
        self.assert_problem(
            self.post("alertmanager", b"x", **{"Content-Type": "text/plain"}), 415
        )
        self.assertEqual(deliveries.search_count([]), before)

    def test_overload_is_503_which_senders_try_again(self):
        self.env["ir.config_parameter"].sudo().set_param("qms_sop.api_rate_limit", "1")
        self.addCleanup(rate_limit._buckets.clear)
        self.accepted(self.post("generic", {"title": "One"}))
        response = self.post("generic", {"title": "Two"})
        self.assert_problem(response, 503, "unavailable")
        self.assertTrue(int(response.headers["Retry-After"]))

    def test_signed(self):
        self.generic.action_new_secret()
        secret = self.generic.signing_secret
        body = b'{"title": "Shop is down"}'
        now = int(time.time())
        headers = {
            "Webhook-Id": "msg_1",
            "Webhook-Timestamp": str(now),
            "Webhook-Signature": standard_webhooks.sign(secret, "msg_1", now, body),
        }
        problem = self.assert_problem(self.post("generic", body), 403)
        self.assertIn("webhook-id is missing", problem["detail"])
        self.assert_problem(self.post("generic", body + b" ", **headers), 403)
        answer = self.accepted(self.post("generic", body, **headers))
        self.assertEqual(self.accepted(self.post("generic", body, **headers)), answer)

    def test_documented(self):
        document = self.call("GET", "openapi.json").json()
        for path in ("/alerts/alertmanager", "/alerts/{source}"):
            operation = document["paths"][path]["post"]
            self.assertIn("202", operation["responses"])
            self.assertIn("503", operation["responses"])
        webhook = document["components"]["schemas"]["AlertmanagerWebhook"]
        self.assertIn("groupKey", webhook["properties"])
        self.assertTrue(webhook["additionalProperties"])
