import logging
import threading
import time
from datetime import timedelta
from unittest.mock import patch

from apprise.plugins.pagerduty import PAGERDUTY_API_LOOKUP
from apprise.plugins.slack import NotifySlack
from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from odoo.addons.base.models.ir_mail_server import IrMail_Server

from ..models.notification.qms_notification_worker import BACK_OFF, LEASE
from ..tools import notification_target
from .notification_common import NotificationCommon
from .notification_peers import HttpPeer, SmtpPeer, pagerduty, slack

SLACK_URL = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#incidents"


@tagged("post_install", "-at_install")
class TestNotificationDelivery(NotificationCommon):
    """Against real servers, whose answers decide."""

    def peer(self, answer=lambda body: 200):
        peer = HttpPeer(answer)
        self.addCleanup(peer.close)
        return peer

    def json_channel(self, peer, **values):
        return self.channel(f"json://127.0.0.1:{peer.port}/hook", **values)

    def slack_channel(self, peer):
        address = f"http://127.0.0.1:{peer.port}/services"
        self.patch(NotifySlack, "webhook_url", address)
        return self.channel(SLACK_URL, name="Slack")

    def pagerduty_channel(self, peer):
        self.enterContext(
            patch.dict(PAGERDUTY_API_LOOKUP, us=f"http://127.0.0.1:{peer.port}/v2")
        )
        return self.channel("pagerduty://integration-key@api-key", name="Pager")

    def deliver(self):
        """Send one batch as the worker does, without its commits."""
        batch = self.outbox._claim()
        batch._note(batch._send())
        self.env.invalidate_all()
        return batch

    # === What arrives ===

    def test_json(self):
        peer = self.peer()
        run = self.start_run(severity="high", summary="Slow")
        told = self.enqueue(run, channels=self.json_channel(peer))
        self.deliver()
        self.assertEqual((told.state, told.attempts), ("sent", 1))
        (body,) = peer.bodies
        self.assertEqual(body["title"], told.subject)
        self.assertEqual(body["message"], told.body)
        self.assertEqual(
            {name: body[name] for name in ("id", "event", "intent", "severity")},
            {
                "id": f"k@channel:{told.channel_id.id}",
                "event": "run_opened",
                "intent": "open",
                "severity": "high",
            },
        )
        self.assertEqual((body["thread"], body["url"]), (run.name, told.link))

    def test_slack(self):
        peer = self.peer(slack)
        run = self.start_run(summary="<!channel> & <https://evil.org|click>")
        told = self.enqueue(run, channels=self.slack_channel(peer))
        self.deliver()
        self.assertEqual((told.state, told.error), ("sent", False))
        self.assertEqual(
            peer.paths, ["/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"]
        )
        self.assertIn(run.name, str(peer.bodies))

    def test_pagerduty_life(self):
        peer = self.peer(pagerduty)
        channel = self.pagerduty_channel(peer)
        channel.template_ids = self.env["qms.notification.template"]._by_code(
            "run_opened"
        )
        run = self.start_run(severity="critical", summary="Down")
        self.deliver()
        run.acknowledge()
        self.deliver()
        self.work(run)
        run.mitigate()
        run.complete("Restarted.")
        self.deliver()
        self.assertEqual(set(self.told(run).mapped("state")), {"sent"})
        self.assertEqual(
            [(body["event_action"], body["dedup_key"]) for body in peer.bodies],
            [("trigger", run.name), ("acknowledge", run.name), ("resolve", run.name)],
        )
        payload = peer.bodies[0]["payload"]
        self.assertEqual(payload["severity"], "critical")
        self.assertEqual(payload["summary"], f"[P0] {run.name}: Test procedure")
        self.assertIn("Down", payload["custom_details"]["message"])
        self.assertEqual(peer.bodies[0]["links"][0]["href"], run._notification_url())

    def test_mail_channel(self):
        smtp = self.smtp()
        channel = self.channel(
            f"mailto://127.0.0.1:{smtp.port}/?from=qms@example.com&to=ops@example.com"
        )
        told = self.enqueue(self.start_run(summary="<b>Ünïcode</b>"), channels=channel)
        self.deliver()
        self.assertEqual((told.state, told.error), ("sent", False))
        (mail,) = smtp.mails
        self.assertEqual(mail["Subject"], told.subject)
        self.assertEqual(smtp.recipients, [["ops@example.com"]])
        self.assertFalse(mail.get_body(("html",)), "nothing to be taken for HTML")
        self.assertIn("<b>Ünïcode</b>", mail.get_body(("plain",)).get_content())
        self.assertIn(f".{told.id}@example.com", mail["Message-ID"])

    def smtp(self):
        smtp = SmtpPeer()
        smtp.start()
        self.addCleanup(smtp.stop)
        return smtp

    def test_mail_to_a_person(self):
        smtp = self.smtp()
        self.env["ir.mail_server"].search([]).active = False
        server = self.env["ir.mail_server"].create(
            {"name": "Test", "smtp_host": "127.0.0.1", "smtp_port": smtp.port}
        )
        self.patch(IrMail_Server, "_disable_send", classmethod(lambda cls: False))
        self.env.company.email = "qms@example.com"
        self.person.qms_mail = "all"
        run = self.start_run(summary="1 < 2")
        told = self.enqueue(run, users=self.person).filtered(
            lambda one: one.medium == "mail"
        )
        self.deliver()
        self.assertEqual((told.state, told.error), ("sent", False))
        (mail,) = smtp.mails
        self.assertEqual(smtp.recipients, [["ina@example.com"]])
        self.assertEqual(mail["Subject"], told.subject)
        self.assertIn("1 &lt; 2", mail.get_body(("html",)).get_content())
        self.assertIn(run._notification_url(), mail.get_body(("plain",)).get_content())
        self.assertIn(f"qms.notification.{told.id}.", mail["Message-ID"])
        server.smtp_port = 9
        again = self.enqueue(run, key="two", users=self.person).filtered(
            lambda one: one.medium == "mail"
        )
        self.deliver()
        self.assertEqual((again.state, again.attempts), ("pending", 1))
        self.assertTrue(again.error)

    # === What does not arrive ===

    def test_failures_are_tried_again_and_given_up(self):
        peer = self.peer(lambda body: 500)
        channel = self.json_channel(peer)
        told = self.enqueue(self.start_run(), channels=channel)
        began = fields.Datetime.now()
        moment = began
        for attempt, minutes in enumerate(BACK_OFF, 1):
            with freeze_time(moment):
                self.deliver()
            moment += timedelta(minutes=minutes)
            self.assertEqual(
                (told.state, told.attempts, told.at), ("pending", attempt, moment)
            )
            with freeze_time(moment - timedelta(seconds=1)):
                self.assertFalse(self.deliver())
        self.assertIn("error=500", told.error)
        with freeze_time(moment):
            self.deliver()
        self.assertEqual(told.state, "dead")
        self.assertEqual(len(peer.bodies), len(BACK_OFF) + 1)
        self.assertEqual(channel.dead_count, 1)
        peer.answer = lambda body: 200
        with freeze_time(moment):
            told.with_user(self.manager).action_resend()
            self.deliver()
        self.assertEqual((told.state, told.error), ("sent", False))
        self.assertEqual(channel.last_failed_at, moment)
        self.assertTrue(channel.last_sent_at)

    def test_one_that_hangs_does_not_hold_up_the_others(self):
        self.patch(notification_target, "READ_TIMEOUT", 0.5)
        never = threading.Event()
        self.addCleanup(never.set)
        hanging = self.peer(lambda body: never.wait(20) and 200 or 200)
        failing, working = self.peer(lambda body: 503), self.peer()
        run = self.start_run()
        channels = {
            name: self.json_channel(peer, name=name)
            for name, peer in (("h", hanging), ("f", failing), ("w", working))
        }
        told = {
            name: self.enqueue(run, channels=channel)
            for name, channel in channels.items()
        }
        later = self.enqueue(run, key="later", channels=channels["h"])
        began = time.monotonic()
        self.deliver()
        self.assertLess(time.monotonic() - began, 4)
        self.assertEqual(
            {name: one.state for name, one in told.items()},
            {"h": "pending", "f": "pending", "w": "sent"},
        )
        self.assertIn("error=503", told["f"].error)
        self.assertTrue(told["h"].error)
        # What was not tried costs no attempt.
        self.assertEqual((later.state, later.attempts), ("pending", 0))
        self.assertGreater(later.at, fields.Datetime.now())

    def test_one_that_answers_drop_by_drop(self):
        outcomes = []
        release = threading.Event()
        self.addCleanup(release.set)

        def slowly(parcel, policy):
            release.wait(20)
            return notification_target.Outcome(parcel.id, "")

        self.patch(notification_target, "send", slowly)
        parcels = [notification_target.Parcel(one, "", "", "") for one in (1, 2)]
        policy = notification_target.Policy(frozenset())
        outcomes = notification_target.send_all([parcels], policy, deadline=0.2)
        self.assertEqual(
            [(one.id, one.error) for one in outcomes],
            [(1, "no answer within 0.2 seconds")],
        )

    def test_no_redirect_is_followed(self):
        elsewhere = self.peer()
        target = f"http://127.0.0.1:{elsewhere.port}/"
        peer = self.peer(lambda body: (307, {"Location": target}))
        told = self.enqueue(self.start_run(), channels=self.json_channel(peer))
        self.deliver()
        self.assertEqual(told.state, "pending")
        self.assertEqual((len(peer.bodies), elsewhere.bodies), (1, []))

    def test_the_policy_is_looked_at_again_when_sending(self):
        peer = self.peer()
        told = self.enqueue(self.start_run(), channels=self.json_channel(peer))
        self.accept("json", "elsewhere.org")
        self.deliver()
        self.assertIn("the host 127.0.0.1", told.error)
        self.assertFalse(peer.bodies)

    def test_no_secret_in_errors_and_logs(self):
        peer = self.peer(lambda body: 500)
        channel = self.channel(
            f"json://user:hush-hush@127.0.0.1:{peer.port}/topsecret?+X-Token=hidden-one"
        )
        told = self.enqueue(self.start_run(), channels=channel)
        page = self.channel("pagerduty://hush-hush-key@topsecret-key", name="Pager")
        self.enterContext(patch.dict(PAGERDUTY_API_LOOKUP, us="http://127.0.0.1:9/"))
        paged = self.enqueue(self.start_run(), key="p", channels=page)
        with self.assertLogs(level="DEBUG") as logs:
            logging.getLogger("urllib3").debug("There may be no other line.")
            self.deliver()
        self.assertIn("hidden-one", str(peer.headers))
        for secret in ("hush-hush", "topsecret", "hidden-one"):
            self.assertNotIn(secret, told.error)
            self.assertNotIn(secret, paged.error)
            spoken = [
                line for line in logs.output if not line.startswith("DEBUG:odoo.sql_db")
            ]
            self.assertNotIn(secret, str(spoken))

    # === Order and claims ===

    def test_a_resolution_does_not_overtake(self):
        peer = self.peer(lambda body: 500)
        channel = self.pagerduty_channel(peer)
        run = self.start_run(severity="high")
        opened = self.enqueue(run, "escalation", channels=channel)
        self.deliver()
        run.acknowledge()
        followed = self.told(run) - opened
        self.assertEqual(followed.intent, "acknowledge")
        self.assertFalse(self.deliver(), "what it follows is still waiting")
        peer.answer = pagerduty
        opened.at = fields.Datetime.now()
        self.assertEqual(self.deliver(), opened)
        followed.at = fields.Datetime.now()
        self.assertEqual(self.deliver(), followed)
        self.assertEqual(
            [body["event_action"] for body in peer.bodies],
            ["trigger", "trigger", "acknowledge"],
        )

    def test_what_a_dead_worker_left_is_sent_once_more(self):
        peer = self.peer()
        told = self.enqueue(self.start_run(), channels=self.json_channel(peer))
        # It died after it sent, before it could note it.
        self.outbox._claim()._send()
        self.assertEqual(told.state, "sending")
        now = fields.Datetime.now()
        with freeze_time(now + timedelta(minutes=LEASE - 1)):
            self.assertFalse(self.deliver())
        with freeze_time(now + timedelta(minutes=LEASE, seconds=2)):
            self.outbox._give_up_lost()
            self.deliver()
        self.assertEqual((told.state, told.losses), ("sent", 1))
        self.assertEqual(len(peer.bodies), 2)
        self.assertEqual(peer.bodies[0], peer.bodies[1])

    def test_what_killed_two_workers_is_given_up(self):
        peer = self.peer()
        told = self.enqueue(self.start_run(), channels=self.json_channel(peer))
        now = fields.Datetime.now()
        for death in range(2):
            with freeze_time(now + timedelta(minutes=(LEASE + 1) * death)):
                self.outbox._give_up_lost()
                self.outbox._claim()._send()
        with freeze_time(now + timedelta(minutes=(LEASE + 1) * 2)):
            self.outbox._give_up_lost()
            self.assertFalse(self.outbox._claim())
        self.assertEqual(told.state, "dead")
        self.assertIn("It may have arrived", told.error)
        self.assertEqual(len(peer.bodies), 2)

    def test_a_late_worker_notes_nothing(self):
        told = self.enqueue(self.start_run(), channels=self.channel())
        batch = self.outbox._claim()
        mine = notification_target.Outcome(told.id, "late")
        self.env.cr.execute("UPDATE qms_notification SET claim = 'another'")
        batch._note([mine])
        self.assertEqual((told.state, told.error), ("sending", False))

    def test_what_is_being_sent_is_not_cancelled(self):
        told = self.enqueue(self.start_run(), channels=self.channel())
        self.outbox._claim()
        with self.assertRaises(UserError):
            told.with_user(self.manager).action_cancel()

    def test_the_job_empties_the_outbox(self):
        peer = self.peer()
        channel = self.json_channel(peer)
        run = self.start_run()
        for number in range(23):
            self.enqueue(run, key=f"n{number}", channels=channel)
        later = fields.Datetime.now() + timedelta(hours=1)
        inside = self.enqueue(run, key="in", users=self.person, at=later)
        inside.at = fields.Datetime.now()
        job = self.env.ref("qms_sop.ir_cron_send_notifications")
        with self.enter_registry_test_mode():
            job.method_direct_trigger()
        self.assertEqual(len(peer.bodies), 23)
        self.assertEqual(
            [body["id"].split("@")[0] for body in peer.bodies],
            [f"n{number}" for number in range(23)],
        )
        self.assertEqual(set(self.told(run).mapped("state")), {"sent"})
        self.assertTrue(run.activity_ids)

    def test_the_job_is_woken(self):
        job = self.env.ref("qms_sop.ir_cron_send_notifications")
        triggers = self.env["ir.cron.trigger"]
        triggers.search([("cron_id", "=", job.id)]).unlink()
        later = fields.Datetime.now().replace(microsecond=0) + timedelta(hours=1)
        for key in ("one", "two"):
            self.enqueue(self.start_run(), key=key, channels=self.channel(), at=later)
        self.assertFalse(triggers.search([("cron_id", "=", job.id)]))
        self.env.cr.flush()
        self.assertEqual(triggers.search([("cron_id", "=", job.id)]).call_at, later)

    def test_metrics(self):
        run = self.start_run()
        channel = self.channel()
        waiting = self.enqueue(run, channels=channel)
        later = fields.Datetime.now() + timedelta(hours=1)
        self.enqueue(run, key="later", channels=channel, at=later)
        self.enqueue(run, key="dead", channels=channel).state = "dead"
        with freeze_time(waiting.create_date + timedelta(seconds=90)):
            families = self.env["qms.metric"]._families(self.env.company)
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }
        self.assertEqual(samples["qms_notifications", "channel", "pending"], 2)
        self.assertEqual(samples["qms_notifications", "channel", "dead"], 1)
        self.assertEqual(samples["qms_notifications", "mail", "dead"], 0)
        self.assertAlmostEqual(samples["qms_notification_delay_seconds",], 90, delta=3)

    # === Test button ===

    def test_button(self):
        peer = self.peer()
        channel = self.json_channel(peer).with_user(self.manager)
        answer = channel.action_test()["params"]
        self.assertEqual(answer["type"], "success")
        self.assertEqual(peer.bodies[0]["title"], "Test of Channel")
        self.assertIn(self.manager.name, peer.bodies[0]["message"])
        self.assertEqual(self.told(channel).state, "sent")
        peer.answer = lambda body: 403
        answer = channel.action_test()["params"]
        self.assertEqual(answer["type"], "danger")
        self.assertIn("403", answer["message"])
        self.assertNotIn("/hook", answer["message"])
        self.assertEqual(self.told(channel).mapped("state"), ["sent", "cancelled"])
        peer.close()
        answer = channel.action_test()["params"]
        self.assertIn("Connection error", answer["message"])
        self.assertIn("127.0.0.1", answer["message"])
        self.assertEqual(channel.dead_count, 0)
