import hashlib
import json
import threading
from contextlib import contextmanager
from unittest.mock import patch

from psycopg2.errorcodes import SERIALIZATION_FAILURE
from psycopg2.errors import SerializationFailure

from odoo.service import model as odoo_service
from odoo.tests import HttpCase, tagged

from ..models import ir_http_contention
from ..models.audit.qms_audit_event import QmsAuditEvent
from ..tools import contention
from .common import QmsSopCommon


class Collision(SerializationFailure):
    """As the database would raise it."""

    pgcode = SERIALIZATION_FAILURE


class ContentionCase(QmsSopCommon, HttpCase):
    """Requests that collide, without anybody to collide with."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        automation = cls.users["automation"]
        keys = cls.env["res.users.apikeys"].with_user(automation).sudo()
        cls.key = keys._generate("rpc", "test", None)
        cls.automation = automation

    def setUp(self):
        super().setUp()
        self.run_ = self.start_run()
        self.name = f"qms.sop.run,{self.run_.id}"
        self.addCleanup(contention._busy.clear)

    @contextmanager
    def collisions(self, times):
        """Let writing the trail fail so many times; yields how often Odoo waited.

        It fails where it does in earnest: after the method, before the commit.
        """
        write, left, naps = QmsAuditEvent._insert, [times], []

        def insert(events, rows, ends):
            if left[0] and threading.current_thread() is not threading.main_thread():
                left[0] -= 1
                raise Collision("could not serialize access")
            return write(events, rows, ends)

        with (
            patch.object(QmsAuditEvent, "_insert", insert),
            patch.object(odoo_service.time, "sleep", naps.append),
        ):
            yield naps
        self.assertEqual(left, [0])

    def log_error(self, how, text):
        """Log an error by one of the ways in."""
        if how == "xmlrpc":
            args = [[self.run_.id], text, "STEP_FAILURE"]
            return self.xmlrpc_object.execute_kw(
                self.env.cr.dbname,
                self.automation.id,
                self.key,
                "qms.sop.run",
                "log_error",
                args,
            )
        path, body = {
            "json2": ("/json/2/qms.sop.run/log_error", {"ids": self.run_.ids}),
            "rest": (f"/api/v1/sop-runs/{self.run_.id}/errors", {}),
        }[how]
        response = self.url_open(
            path,
            data=json.dumps(
                {**body, "error_message": text, "error_code": "STEP_FAILURE"}
            ),
            headers={
                "Authorization": f"Bearer {self.key}",
                "Content-Type": "application/json",
            },
        )
        self.assertLess(response.status_code, 300, response.text)
        return response.json()

    def logged(self):
        self.env.invalidate_all()
        return self.run_.error_ids.sorted("id").mapped("error_message")

    def held(self):
        """Return how many turns are still being taken."""
        self.env.cr.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            " AND pid = pg_backend_pid()"
        )
        return self.env.cr.fetchone()[0]


@tagged("post_install", "-at_install")
class TestContention(ContentionCase):
    def test_a_collision_is_run_again_at_once(self):
        for how in ("xmlrpc", "json2", "rest"):
            with self.subTest(how), self.collisions(1) as naps:
                contention._busy.clear()
                self.log_error(how, how)
                self.assertEqual(naps, [], "Odoo waited, and ran it again")
                self.assertTrue(contention._busy)
        self.assertEqual(self.logged(), ["xmlrpc", "json2", "rest"])
        self.assertFalse(self.held())

    def test_who_comes_to_a_busy_run_queues(self):
        with self.collisions(1):
            self.log_error("xmlrpc", "first")
        turns = []
        take = contention._turn

        def turn(cr, names):
            turns.append(names)
            return take(cr, names)

        with patch.object(contention, "_turn", turn):
            self.log_error("xmlrpc", "second")
            self.log_error("rest", "third")
        self.assertEqual(turns, [[self.name]] * 2)
        self.assertEqual(self.logged(), ["first", "second", "third"])
        self.assertFalse(self.held())

    def test_nobody_queues_at_a_run_that_is_not_busy(self):
        with patch.object(contention, "_turn", side_effect=AssertionError):
            self.log_error("xmlrpc", "first")
            self.log_error("rest", "second")
        self.assertEqual(self.logged(), ["first", "second"])

    def test_what_goes_on_colliding_is_left_to_odoo(self):
        with self.collisions(contention._TRIES + 1) as naps:
            self.log_error("xmlrpc", "at last")
        self.assertEqual(len(naps), 1)
        self.assertEqual(self.logged(), ["at last"])
        self.assertFalse(self.held())

    def test_a_refusal_gives_the_turn_back(self):
        with self.collisions(1):
            self.log_error("xmlrpc", "first")
        with self.assertRaisesRegex(Exception, "NO_SUCH_CODE"):
            self.xmlrpc_object.execute_kw(
                self.env.cr.dbname,
                self.automation.id,
                self.key,
                "qms.sop.run",
                "log_error",
                [[self.run_.id], "second", "NO_SUCH_CODE"],
            )
        self.assertFalse(self.held())
        self.assertEqual(self.logged(), ["first"])

    def test_a_form_is_read_once_more(self):
        with self.collisions(1):
            response = self.url_open(
                f"/api/v1/sop-runs/{self.run_.id}/evidence",
                files={"file": ("log.txt", b"pool exhausted\n", "text/plain")},
                headers={
                    "Authorization": f"Bearer {self.key}",
                    "Idempotency-Key": "a form",
                },
            )
        self.assertEqual(response.status_code, 201, response.text)
        self.env.invalidate_all()
        self.assertEqual(
            self.run_.evidence_ids.sha256,
            hashlib.sha256(b"pool exhausted\n").hexdigest(),
        )

    def web(self, route, method, *args):
        """Call a method of the run as the web client does."""
        response = self.url_open(
            f"/web/dataset/{route}/qms.sop.run/{method}",
            data=json.dumps(
                {
                    "params": {
                        "model": "qms.sop.run",
                        "method": method,
                        "args": [self.run_.ids, *args],
                        "kwargs": {},
                    }
                }
            ),
            headers={"Content-Type": "application/json"},
        ).json()
        self.env.invalidate_all()
        return response

    def test_the_web_client_does_not_wait_either(self):
        self.authenticate("qms_operator", "qms_operator")
        with self.collisions(1) as naps:
            self.web("call_kw", "write", {"summary": "Slow"})
            self.assertEqual(naps, [])
        with self.collisions(1) as naps:
            self.web("call_button", "hold", "Waiting")
            self.assertEqual(naps, [])
        self.assertEqual((self.run_.summary, self.run_.state), ("Slow", "on_hold"))
        with self.collisions(1) as naps:
            self.web("call_kw", "log_error", "first", "STEP_FAILURE")
            self.assertEqual(naps, [])
        self.assertEqual(self.logged(), ["first"])
        refused = self.web("call_kw", "log_error", "second", "NO_SUCH_CODE")
        self.assertIn("NO_SUCH_CODE", refused["error"]["data"]["message"])
        self.assertFalse(self.held())
        # What is read is left alone.
        with patch.object(ir_http_contention, "run_again_at_once") as again:
            self.web("call_kw", "web_read", {"summary": {}})
        self.assertFalse(again.called)

    def test_what_others_did_before_is_not_undone(self):
        # Whoever calls the method on the way has begun the transaction, and only he
        # can run it again.
        calls = []

        def flush(cursor):
            calls.append(cursor)

        with patch.object(type(self.env.cr), "flush", flush):
            self.run_.log_error("within something else", "STEP_FAILURE")
        self.assertEqual(calls, [])

    def test_only_the_method_that_was_called(self):
        spots = contention.thread_local
        with patch.object(spots, "rpc_model_method", "qms.sop.run.log_error"):
            self.assertTrue(contention.is_outermost("qms.sop.run", "log_error"))
            self.assertFalse(contention.is_outermost("qms.sop.run", "complete"))
            self.assertFalse(contention.is_outermost("qms.sop.run.step", "log_error"))
        self.assertFalse(contention.is_outermost("qms.sop.run", "log_error"))

    def test_busy_places_do_not_pile_up(self):
        with patch.object(contention, "_BUSY_SECONDS", -1):
            for number in range(contention._MOST_BUSY + 10):
                contention._note_busy(self.env.cr, [str(number)])
        self.assertLessEqual(len(contention._busy), contention._MOST_BUSY)
