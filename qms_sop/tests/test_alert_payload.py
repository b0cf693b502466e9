import json
from datetime import datetime

from odoo.tests import BaseCase, tagged

from ..schemas.alerts import AlertmanagerWebhook, check_webhook
from ..tools import standard_webhooks
from ..tools.alert_payload import (
    ALERTMANAGER,
    MAX_PAIRS,
    MAX_TITLE,
    Mapping,
    PayloadError,
    compile_path,
    load,
    read_alerts,
)
from ..tools.label_pattern import holds
from ..tools.standard_webhooks import SignatureError

PLAIN = Mapping(
    alerts="not_null(alerts, @)",
    **{
        name: name
        for name in (
            *("fingerprint", "title", "description", "severity", "status"),
            *("starts_at", "ends_at", "labels", "annotations", "url"),
        )
    },
)


@tagged("post_install", "-at_install")
class TestAlertPayload(BaseCase):
    def parse(self, *alerts, mapping=PLAIN):
        reports, problems = read_alerts({"alerts": list(alerts)}, mapping)
        self.assertEqual(problems, [])
        return reports

    def test_alertmanager(self):
        (report,) = self.parse(
            {
                "status": "resolved",
                "labels": {"alertname": "Disk", "severity": "page", "instance": "a"},
                "annotations": {"summary": "Disk of a is full", "description": "91 %"},
                "startsAt": "2026-01-31T10:15:00.123456789+02:00",
                "endsAt": "2026-01-31T08:20:59.999Z",
                "generatorURL": "http://prometheus/graph",
                "fingerprint": "abc",
                "new in a later version": {"x": [1]},
            },
            mapping=ALERTMANAGER,
        )
        self.assertEqual(report.fingerprint, "abc")
        self.assertEqual(report.title, "Disk of a is full")
        self.assertEqual(report.description, "91 %")
        self.assertEqual(report.severity, "page")
        self.assertTrue(report.resolved)
        self.assertEqual(report.starts_at, datetime(2026, 1, 31, 8, 15))
        self.assertEqual(report.ends_at, datetime(2026, 1, 31, 8, 20, 59))
        self.assertEqual(report.labels["instance"], "a")
        self.assertEqual(report.url, "http://prometheus/graph")

    def test_what_still_fires_has_no_end(self):
        for end in ("0001-01-01T00:00:00Z", "2026-01-31T09:00:00Z", "", None):
            with self.subTest(end):
                (report,) = self.parse(
                    {
                        "status": "firing",
                        "labels": {"alertname": "Disk"},
                        "startsAt": "2026-01-31T08:15:00Z",
                        "endsAt": end,
                    },
                    mapping=ALERTMANAGER,
                )
                self.assertFalse(report.resolved)
                self.assertIsNone(report.ends_at)

    def test_plain_shapes(self):
        alert = {"title": "Down", "status": "OK", "starts_at": 1769847300}
        for payload in (alert, [alert], {"alerts": [alert]}, {"alerts": alert}):
            with self.subTest(payload):
                (report,), problems = read_alerts(payload, PLAIN)
                self.assertEqual(problems, [])
                self.assertEqual(report.title, "Down")
                self.assertTrue(report.resolved)
                self.assertEqual(report.starts_at, datetime(2026, 1, 31, 8, 15))
        self.assertEqual(read_alerts({"alerts": []}, PLAIN), ([], []))

    def test_fingerprint_that_is_missing_follows_from_title_and_labels(self):
        one, same, other = self.parse(
            {"title": "Down", "labels": {"a": "1", "b": 2}},
            {"title": "Down", "labels": {"b": "2", "a": "1"}, "status": "ok"},
            {"title": "Down", "labels": {"a": "2", "b": 2}},
        )
        self.assertEqual(one.fingerprint, same.fingerprint)
        self.assertNotEqual(one.fingerprint, other.fingerprint)

    def test_status_that_is_missing_follows_from_the_end(self):
        over, coming, open_ = self.parse(
            {"title": "A", "ends_at": "2020-01-01T00:00:00Z"},
            {"title": "B", "ends_at": "2999-01-01T00:00:00Z"},
            {"title": "C"},
        )
        self.assertTrue(over.resolved)
        self.assertFalse(coming.resolved)
        self.assertFalse(open_.resolved)

    def test_an_end_before_the_start_is_the_start(self):
        (report,) = self.parse(
            {
                "title": "A",
                "status": "ok",
                "starts_at": "2026-01-31T08:15:00Z",
                "ends_at": "2026-01-31T08:14:59Z",
            }
        )
        self.assertEqual(report.ends_at, report.starts_at)

    def test_what_is_kept_is_bounded_and_clean(self):
        (report,) = self.parse(
            {
                "title": "x" * 1000 + "\n",
                "severity": "a\0b",
                "description": "\ud800",
                "labels": {f"l{n:03}": {"deep": [n]} for n in range(500)},
            }
        )
        self.assertEqual(len(report.title), MAX_TITLE)
        self.assertTrue(report.title.endswith("…"))
        self.assertEqual(report.severity, "ab")
        self.assertEqual(report.description, "?")
        self.assertEqual(len(report.labels), MAX_PAIRS)
        self.assertEqual(report.labels["l007"], '{"deep": [7]}')

    def test_one_bad_alert_does_not_spoil_the_others(self):
        reports, problems = read_alerts(
            {
                "alerts": [
                    {"title": "Good"},
                    {"title": "When?", "starts_at": "yesterday"},
                    "Down",
                    {"labels": {}},
                    {"title": "L", "labels": ["a"]},
                    {"title": "T", "starts_at": True},
                    {"title": "F", "starts_at": 1e300},
                ]
            },
            PLAIN,
        )
        self.assertEqual([report.title for report in reports], ["Good"])
        for problem, words in zip(
            problems,
            (
                'alerts[1]: starts_at: "yesterday" is not a time',
                "alerts[2]: it is a text; an object is needed",
                "alerts[3]: title: “title” finds nothing",
                "alerts[4]: labels: a list is found",
                "alerts[5]: starts_at: true or false is found",
                "alerts[6]: starts_at: 1e+300 is not a time",
            ),
            strict=True,
        ):
            self.assertIn(words, problem)

    def test_payloads_that_cannot_be_read(self):
        for body, words in (
            ("", "is not JSON"),
            ("{", "is not JSON"),
            ('"text"', "a text; a JSON object or a list of them is needed"),
            ('{"a": NaN}', "NaN is no JSON"),
            ("[" + "9" * 5000 + "]", "is not JSON"),
        ):
            with self.subTest(body[:10]), self.assertRaisesRegex(PayloadError, words):
                load(body)
        with self.assertRaisesRegex(PayloadError, "alerts: “alerts” finds nothing"):
            read_alerts({}, ALERTMANAGER)
        with self.assertRaisesRegex(PayloadError, "at most 2000"):
            read_alerts({"alerts": [{}] * 2001}, PLAIN)

    def test_paths(self):
        compile_path("a.b[0].c || 'x'")
        for expression in ("a..b", "a[", "!", "nonsense(", ""):
            with (
                self.subTest(expression),
                self.assertRaisesRegex(PayloadError, "is not a JMESPath expression"),
            ):
                compile_path(expression)
        with self.assertRaisesRegex(PayloadError, "cannot be applied"):
            read_alerts({"a": 1}, Mapping(alerts="length(a)"))

    def test_webhook_schema(self):
        good = {
            "version": "4",
            "alerts": [
                {"status": "firing", "labels": {"alertname": "A"}, "startsAt": "x"}
            ],
        }
        self.assertEqual(check_webhook(good, AlertmanagerWebhook), [])
        (remark,) = check_webhook({**good, "truncatedAlerts": 3}, AlertmanagerWebhook)
        self.assertIn("left out 3 alert(s)", remark)
        for bad, words in (
            ({**good, "version": "3"}, "version: Input should be '4'"),
            ({"version": "4"}, "alerts: Field required"),
            ({**good, "alerts": [{"labels": {}}]}, "alerts.0.status: Field required"),
            ([good], "the body: Input should be"),
        ):
            with self.subTest(words), self.assertRaisesRegex(PayloadError, words):
                check_webhook(bad, AlertmanagerWebhook)


@tagged("post_install", "-at_install")
class TestLabelPattern(BaseCase):
    def test_conditions_mean_what_they_mean_in_alertmanager(self):
        for operator, expected, actual, result in (
            ("=", "a", "a", True),
            ("=", "a", "A", False),
            ("=", "", "", True),
            ("!=", "", "a", True),
            ("!=", "a", "", True),
            ("=~", "db.*", "db1", True),
            ("=~", "db", "db1", False),
            ("=~", "b1", "db1", False),
            ("=~", "a|b", "b", True),
            ("=~", ".*", "", True),
            ("=~", ".+", "", False),
            ("!~", "db.*", "web", True),
            ("!~", "db.*", "db1", False),
        ):
            with self.subTest(operator=operator, expected=expected, actual=actual):
                self.assertEqual(holds(operator, expected, actual), result)


@tagged("post_install", "-at_install")
class TestStandardWebhooks(BaseCase):
    # The test vector of the specification's own libraries
    SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    BODY = b'{"test": 2432232314}'
    HEADERS = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    NOW = 1614265330

    def test_signature_of_the_specification(self):
        self.assertEqual(
            standard_webhooks.verify(self.SECRET, self.HEADERS, self.BODY, self.NOW),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
        )

    def test_one_of_several_signatures_is_enough(self):
        # While a secret is exchanged, senders sign with both.
        several = f"v1,AAAA v1a,x {self.HEADERS['webhook-signature']}"
        self.assertEqual(
            standard_webhooks.verify(
                self.SECRET,
                {**self.HEADERS, "webhook-signature": several},
                self.BODY,
                self.NOW + 299,
            ),
            self.HEADERS["webhook-id"],
        )

    def test_refused(self):
        for changes, body, now, words in (
            ({}, self.BODY + b" ", 0, "does not fit"),
            ({"webhook-id": "msg_other"}, self.BODY, 0, "does not fit"),
            ({"webhook-signature": "v1,é"}, self.BODY, 0, "does not fit"),
            ({"webhook-signature": "v1"}, self.BODY, 0, "does not fit"),
            ({}, self.BODY, 301, "more than 5 minutes"),
            ({}, self.BODY, -301, "more than 5 minutes"),
            ({"webhook-timestamp": "soon"}, self.BODY, 0, "no number of seconds"),
            ({"webhook-id": ""}, self.BODY, 0, "webhook-id is missing"),
            ({"webhook-id": "x" * 256}, self.BODY, 0, "longer than 255"),
            ({"webhook-signature": None}, self.BODY, 0, "signature is missing"),
        ):
            with self.subTest(words), self.assertRaisesRegex(SignatureError, words):
                standard_webhooks.verify(
                    self.SECRET, {**self.HEADERS, **changes}, body, self.NOW + now
                )
        with self.assertRaisesRegex(SignatureError, "does not fit"):
            standard_webhooks.verify(
                standard_webhooks.new_secret(), self.HEADERS, self.BODY, self.NOW
            )

    def test_secrets(self):
        secret = standard_webhooks.new_secret()
        self.assertRegex(secret, r"^whsec_[A-Za-z0-9+/]{43}=$")
        self.assertNotEqual(secret, standard_webhooks.new_secret())
        self.assertEqual(
            standard_webhooks.verify(
                secret,
                {
                    "webhook-id": "m1",
                    "webhook-timestamp": "100",
                    "webhook-signature": standard_webhooks.sign(
                        secret, "m1", 100, json.dumps({}).encode()
                    ),
                },
                b"{}",
                100,
            ),
            "m1",
        )
        for bad, words in (("whsec_%", "not base64"), ("whsec_AAAA", "3 bytes")):
            with self.subTest(bad), self.assertRaisesRegex(SignatureError, words):
                standard_webhooks.key_of(bad)
