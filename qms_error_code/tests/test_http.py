from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger


@tagged("post_install", "-at_install")
class TestHttp(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operator = new_test_user(
            cls.env, "qms_http", groups="qms_error_code.group_qms_operator"
        )
        cls.robot = new_test_user(
            cls.env, "qms_robot", groups="qms_error_code.group_qms_automation"
        )

    def _call(self, method, *args):
        return self.make_jsonrpc_request(
            f"/web/dataset/call_kw/qms.error.code/{method}",
            {"model": "qms.error.code", "method": method, "args": args, "kwargs": {}},
        )

    def test_classify_and_upsert(self):
        self.authenticate("qms_robot", "qms_robot")
        answer = self._call(
            "upsert_code", "ZEBRA_HTTP", {"severity": "p1", "patterns": ["zebra 7"]}
        )
        self.assertTrue(answer["created"])
        matches = self._call("classify", "a zebra 7 came")
        self.assertEqual(matches[0]["code"], "ZEBRA_HTTP")
        self.assertEqual(matches[0]["severity"], "high")

    @mute_logger("odoo.http")
    def test_errors_name_what_is_accepted(self):
        self.authenticate("qms_robot", "qms_robot")
        for args, words in (
            (("classify", 5), "text: 5 is not accepted"),
            (("classify",), "Accepted arguments: text"),
            (("upsert_code", "ZEBRA", {"severity": "urgent"}), "critical (P0)"),
            (("_classify", "x"), "Private methods"),
            (("_resolve", "x"), "Private methods"),
        ):
            with self.subTest(args=args):
                error = self._error(*args)
                self.assertIn(words, error["data"]["message"])

    def _error(self, method, *args):
        """The error that the server answers with."""
        response = self.url_open(
            f"/web/dataset/call_kw/qms.error.code/{method}",
            json={
                "jsonrpc": "2.0",
                "params": {
                    "model": "qms.error.code",
                    "method": method,
                    "args": args,
                    "kwargs": {},
                },
            },
        )
        return response.json()["error"]

    def test_tour_classify_a_log(self):
        self.start_tour("/odoo", "qms_error_code_classify", login="qms_http")
