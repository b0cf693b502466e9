from datetime import timedelta

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common import GROUPS
from .notification_common import NotificationCommon

SECRET_URL = "json://me:hush-hush@127.0.0.1:8/secret-path?+X-Token=topsecret"
PARTS = ("hush-hush", "secret-path", "topsecret")


@tagged("post_install", "-at_install")
class TestNotificationOutbox(NotificationCommon):
    def test_everybody_is_told_once(self):
        run = self.start_run(severity="high", summary="Pool exhausted")
        channel = self.channel()
        first = self.enqueue(run, channels=channel, users=self.person)
        self.assertEqual(
            sorted(first.mapped("medium")), ["activity", "channel", "mail"]
        )
        self.assertFalse(self.enqueue(run, channels=channel, users=self.person))
        other = self.channel(name="Other")
        self.assertEqual(self.enqueue(run, channels=channel + other).channel_id, other)
        self.assertEqual(len(self.enqueue(run, key="other", channels=channel)), 1)

    def test_what_is_told(self):
        run = self.start_run(
            severity="critical",
            error_code="DB_CONNECTION_LEAK",
            summary="Pool exhausted {{url}}",
        )
        told = self.enqueue(run, channels=self.channel())
        self.assertEqual(told.subject, f"[P0] {run.name}: Test procedure")
        for text in (
            "Severity: P0 Critical",
            "What was observed: Pool exhausted {{url}}",
            "Error: DB_CONNECTION_LEAK",
            "Procedure: SOP-TEST-001 1.0.0, Test procedure",
            f"/odoo/qms-runs/{run.id}",
        ):
            self.assertIn(text, told.body)
        # Nobody said who asked, so that line is not there.
        self.assertNotIn("Asked for by", told.body)
        self.assertEqual(
            (told.severity, told.thread, told.company_id, told.state, told.attempts),
            ("critical", run.name, run.company_id, "pending", 0),
        )

    def test_what_is_missing_is_said_to_be_missing(self):
        run = self.start_run()
        body = self.enqueue(run, "escalation", channels=self.channel()).body
        for text in (
            "What happened: not known",
            "Impact: not known",
            "Recommended next: not known",
            "Steps taken so far (0 of 3 steps):\nnone",
            "Timeline:\nnothing recorded",
        ):
            self.assertIn(text, body)

    def test_further_values(self):
        told = self.enqueue(
            self.start_run(),
            "escalation",
            channels=self.channel(),
            values={"impact": "All logins", "next_action": "Roll back", "level": 2},
        )
        self.assertIn("Impact: All logins", told.body)
        self.assertIn("Level: 2", told.body)

    def test_language_of_each(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        template = self.env["qms.notification.template"]._by_code("run_opened")
        template.with_context(lang="fr_FR").subject = "Ouvert : {{name}}"
        run = self.start_run()
        self.person.lang = "fr_FR"
        told = self.enqueue(run, channels=self.channel(lang="en_US"), users=self.person)
        subjects = {one.medium: one.subject for one in told}
        self.assertEqual(subjects["activity"], f"Ouvert : {run.name}")
        self.assertTrue(subjects["channel"].endswith(": Test procedure"))

    def test_unknown_events_are_refused_and_archived_ones_silent(self):
        run = self.start_run()
        with self.assertRaisesRegex(ValidationError, "'nonsense' is unknown.*run_open"):
            self.enqueue(run, "nonsense", users=self.person)
        self.env["qms.notification.template"]._by_code("run_opened").active = False
        self.assertFalse(self.enqueue(run, users=self.person))

    def test_archived_channels_and_users_are_told_nothing(self):
        run = self.start_run()
        channel = self.channel(active=False)
        self.person.active = False
        self.assertFalse(self.enqueue(run, channels=channel, users=self.person))

    def test_records_without_anything_to_say(self):
        company = self.env.company
        told = self.enqueue(company, "audit_anchor", channels=self.channel())
        self.assertEqual(told.subject, "Anchor not known of the audit trail")
        self.assertEqual(told.record_name, company.name)

    # === Inside Odoo ===

    def test_activity(self):
        run = self.start_run(severity="low")
        told = self.enqueue(run, users=self.person)
        self.assertEqual((told.medium, told.state), ("activity", "sent"))
        activity = run.activity_ids
        self.assertEqual(activity.user_id, self.person)
        self.assertEqual(activity.summary, told.subject)
        # Odoo's own mail about it would come on top.
        self.assertFalse(self.env["mail.mail"].search([("res_id", "=", run.id)]))

    def test_inbox(self):
        self.person.notification_type = "inbox"
        run = self.start_run()
        told = self.enqueue(run, "run_update", users=self.person)
        self.assertEqual((told.medium, told.state), ("inbox", "sent"))
        message = self.env["mail.message"].search(
            [("notified_partner_ids", "=", self.person.partner_id.id)]
        )
        self.assertEqual(message.subject, told.subject)
        self.assertEqual(message.model, "qms.sop.run")

    def test_text_from_outside_is_no_html(self):
        self.person.notification_type = "inbox"
        run = self.start_run(summary="<img src=x onerror=alert(1)>")
        self.enqueue(run, users=self.person)
        self.assertIn("&lt;img", run.activity_ids.note)
        self.assertNotIn("<img", run.activity_ids.note)

    def test_later(self):
        run = self.start_run()
        later = fields.Datetime.now() + timedelta(hours=1)
        told = self.enqueue(run, users=self.person, at=later)
        self.assertEqual((told.state, told.at), ("pending", later))
        self.assertFalse(run.activity_ids)
        self.assertFalse(self.outbox._lock_inside())
        told.at = fields.Datetime.now()
        self.outbox._lock_inside()._tell_inside()
        self.assertEqual(told.state, "sent")
        self.assertTrue(run.activity_ids)

    def test_who_may_not_read_the_record_is_not_told_of_it(self):
        stranger = new_test_user(
            self.env, login="qms_stranger", groups="base.group_user"
        )
        run = self.start_run()
        told = self.enqueue(run, users=stranger)
        self.assertEqual(told.state, "dead")
        self.assertIn("may not read", told.error)
        self.assertFalse(run.activity_ids)

    def test_mail_as_preferred(self):
        def media(severity, mail):
            self.person.qms_mail = mail
            run = self.start_run(severity=severity)
            told = self.enqueue(run, key=run.name, users=self.person)
            return set(told.mapped("medium"))

        for severity, mail, mailed in (
            ("low", "none", False),
            ("low", "important", False),
            ("low", "all", True),
            ("critical", "none", False),
            ("critical", "important", True),
        ):
            with self.subTest(severity=severity, mail=mail):
                expected = {"activity", "mail"} if mailed else {"activity"}
                self.assertEqual(media(severity, mail), expected)

    def test_better_by_mail_than_not_at_all(self):
        self.person.qms_mail = "none"
        told = self.enqueue(self.env.company, "audit_anchor", users=self.person)
        self.assertEqual(told.medium, "mail")

    def test_activities_are_settled(self):
        run = self.start_run()
        self.enqueue(run, "run_assigned", key="one", users=self.person)
        self.enqueue(run, "sla_at_risk", key="two", users=self.person)
        self.outbox._settle(run, "run_assigned")
        self.assertEqual(len(run.activity_ids), 1)
        self.outbox._settle(run)
        self.assertFalse(run.activity_ids)

    def test_the_record_is_gone(self):
        told = self.enqueue(self.start_run(), users=self.person)
        for model in ("qms.sop.run", "qms.no.such.model"):
            told.write({"model": model, "res_id": 0, "state": "pending"})
            told._tell_inside()
            with self.subTest(model):
                self.assertEqual(
                    (told.state, told.error), ("dead", "The record is gone.")
                )
                with self.assertRaisesRegex(UserError, "is gone"):
                    told.action_view_record()

    # === Documents ===

    def test_reviews_that_fall_due(self):
        # Nobody wants to know yet.
        self.sop._tell_reviews()
        self.channel(events=("document_review_due",))
        self.sop._tell_reviews()
        told = self.told(self.sop)
        self.assertFalse(told, "not due for a year")
        with freeze_time(self.sop.review_date - timedelta(days=3)):
            for _again in range(2):
                self.sop._tell_reviews()
        told = self.told(self.sop)
        self.assertEqual(
            told.subject, f"Review of SOP-TEST-001 due on {self.sop.review_date}"
        )
        self.assertIn("Owner: Test team", told.body)

    # === Runs ===

    def test_life_of_a_run(self):
        channel = self.channel(
            events=(
                "run_opened",
                "run_acknowledged",
                "run_mitigated",
                "run_resolved",
                "run_ended",
            )
        )
        run = self.start_run(severity="high")
        run.acknowledge()
        run.mitigate()
        self.work(run)
        run.complete("Restarted.")
        told = self.told(run)
        self.assertEqual(
            told.mapped("event"),
            ["run_opened", "run_acknowledged", "run_mitigated", "run_ended"],
        )
        self.assertEqual(told.channel_id, channel)
        self.assertIn("Resolution: Restarted.", told[-1].body)

    def test_a_draft_is_told_when_it_begins(self):
        self.channel(events=("run_opened",))
        run = self.env["qms.sop.run"].create({"sop_id": self.sop.id})
        self.assertFalse(self.told(run))
        run.state = "in_progress"
        self.assertEqual(self.told(run).event, "run_opened")

    def test_channels_choose_by_severity_and_company(self):
        grave = self.env["qms.severity"]._resolve("critical")
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        events = ("run_opened",)
        wanted = self.channel(events=events, severity_ids=[Command.link(grave.id)])
        everywhere = self.channel(events=events, company_id=False)
        self.channel(events=("run_ended",))
        theirs = self.channel(events=events)
        theirs.sudo().company_id = elsewhere
        self.assertEqual(
            self.told(self.start_run(severity="low")).channel_id, everywhere
        )
        self.assertEqual(
            self.told(self.start_run(severity="P0")).channel_id, wanted + everywhere
        )
        self.assertEqual(self.told(self.start_run()).channel_id, everywhere)

    def test_the_person_responsible_is_told(self):
        run = self.start_run()
        self.assertFalse(self.told(run), "who opens a run knows")
        run.user_id = self.person
        self.assertEqual(run.activity_ids.user_id, self.person)
        run.user_id = self.author
        self.assertEqual(run.activity_ids.user_id, self.author)
        run.with_user(self.author).acknowledge()
        self.assertFalse(run.activity_ids)

    def test_end_settles_what_people_were_to_do(self):
        run = self.start_run()
        self.enqueue(run, users=self.person)
        run.cancel("Not needed.")
        self.assertFalse(run.activity_ids)

    def test_pagerduty_follows(self):
        page = self.channel("pagerduty://integration-key@api-key", name="Pager")
        run = self.start_run(severity="critical")
        run.acknowledge()
        self.assertFalse(self.told(run), "nothing was opened there")
        self.enqueue(run, "escalation", channels=page)
        self.work(run)
        run.mitigate()
        run.complete("Restarted.")
        self.assertEqual(
            [(one.event, one.intent) for one in self.told(run)],
            [("escalation", "open"), ("run_ended", "resolve")],
        )

    def test_no_query_when_nobody_listens(self):
        self.channel(events=("run_ended",))
        run = self.start_run()
        self.outbox._listeners("run_opened", run)
        with self.assertQueryCount(0):
            self.outbox._publish("run_opened", run, key="x")


@tagged("post_install", "-at_install")
class TestNotificationChannel(NotificationCommon):
    def test_the_address_is_never_told_again(self):
        channel = self.channel(SECRET_URL)
        self.assertEqual(channel.target, "json://127.0.0.1:8/…")
        self.assertFalse(channel.new_url)
        self.assertNotIn("address", channel.fields_get())
        seen = str(channel.read()) + str(channel.message_ids.mapped("body"))
        trail = self.env["qms.audit.event"]
        trail._flush_pending()
        events = trail.search([("root_model", "=", channel._name)])
        self.assertTrue(events)
        seen += str(events.read())
        for part in PARTS:
            self.assertNotIn(part, seen)
        for user in (self.manager, self.env.ref("base.user_admin")):
            own = channel.with_user(user)
            for call in (
                lambda own=own: own.read(["address"]),
                lambda own=own: own.search([("address", "like", "hush")]),
                lambda own=own: own.write({"address": "json://127.0.0.1/x"}),
                lambda own=own: own.export_data(["address"]),
                lambda own=own: own.export_data(["new_url"]),
                lambda own=own: own.copy(),
            ):
                with self.assertRaises(UserError):
                    call()
        self.assertEqual(channel.sudo().address, SECRET_URL)

    def test_it_is_replaced(self):
        channel = self.channel(SECRET_URL)
        channel.new_url = "json://127.0.0.1/other"
        self.assertEqual(channel.target, "json://127.0.0.1/…")
        channel.name = "Renamed"
        self.assertEqual(channel.sudo().address, "json://127.0.0.1/other")

    def test_what_follows_from_the_address_is_not_given(self):
        with self.assertRaisesRegex(UserError, "follows from the address"):
            self.channel().target = "slack://…"
        with self.assertRaisesRegex(ValidationError, "give the Apprise URL"):
            self.channel(url=False)

    def test_what_is_refused(self):
        self.accept(
            "json, mailto, slack, workflows", "127.0.0.1, *.example.com, a.b:25"
        )
        for url, problem in (
            ("", "give the Apprise URL"),
            ("just text", "without a scheme is not accepted"),
            ("discord://1/2", "discord is not accepted; accepted are: json, mailto"),
            ("file:///etc/passwd", "file is not accepted"),
            ("json://elsewhere.org/hush-hush", "host elsewhere.org is not accepted"),
            ("json://example.com/", "host example.com is not accepted"),
            ("json://example.com.evil.org/", "is not accepted"),
            ("json://a.b:26/", "host a.b:26 is not accepted"),
            ("json://127.0.0.1@evil.org/", "host evil.org is not accepted"),
            ("json://127.0.0.1/?verify=no", "argument verify is not accepted"),
            ("json://127.0.0.1/?redirect=yes", "argument redirect is not accepted"),
            ("slack://a/b/c/?template=/etc/passwd", "argument template is not"),
            (
                "mailto://127.0.0.1/?smtp=evil.org&to=a@x.org&from=b@x.org",
                "host evil.org is not",
            ),
            ("slack://hush-hush", "something is missing in it"),
        ):
            with self.subTest(url), self.assertRaisesRegex(ValidationError, problem):
                self.channel(url)
            with self.subTest(url), mute_logger("odoo.sql_db"):
                try:
                    self.channel(url)
                except ValidationError as error:
                    self.assertNotIn("hush-hush", str(error))
        for url in (
            "json://127.0.0.1:8080/",
            "json://hooks.example.com/a",
            "json://a.b:25/",
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#incidents",
        ):
            with self.subTest(url):
                self.assertTrue(self.channel(url))

    def test_nothing_secret_in_the_log(self):
        self.accept("pagerduty, slack", "none")
        with self.assertNoLogs(level="DEBUG"), self.assertRaises(ValidationError):
            self.channel("slack://hush-hush/secret-path/topsecret")

    def test_a_channel_that_was_used_is_archived_not_deleted(self):
        channel = self.channel()
        self.enqueue(self.start_run(), channels=channel)
        with self.assertRaisesRegex(UserError, "Archive it instead"):
            channel.unlink()
        channel.active = False
        self.channel().unlink()

    def test_changes_are_in_the_trail(self):
        channel = self.channel(events=("run_opened",))
        template = self.env["qms.notification.template"]._by_code("run_opened")
        trail = self.env["qms.audit.event"]
        trail._flush_pending()
        channel.with_user(self.manager).new_url = "json://127.0.0.1:99/elsewhere"
        template.with_user(self.manager).active = False
        trail._flush_pending()
        for record, text in ((channel, "json://127.0.0.1:99/…"), (template, "active")):
            event = trail.search(record._trail_domain(), order="id desc", limit=1)
            with self.subTest(record._name):
                self.assertEqual(event.user_id, self.manager)
                self.assertIn(text, str(event.read()))

    def test_settings(self):
        settings = self.env["res.config.settings"]
        own = settings.create({})
        self.assertEqual(own.qms_notification_hosts, "127.0.0.1")
        for field, value, problem in (
            ("qms_notification_schemes", "slack, gopher", "gopher is unknown"),
            ("qms_notification_hosts", "a.org https://x", "https://x is not accepted"),
        ):
            with self.subTest(field), self.assertRaisesRegex(ValidationError, problem):
                settings.create({field: value})
        settings.create(
            {"qms_notification_schemes": "Slack", "qms_notification_hosts": ""}
        ).set_values()
        policy = self.env["qms.notification.channel"]._policy()
        self.assertEqual(policy.schemes, {"slack"})
        self.assertEqual(policy.hosts, ("none",))


@tagged("post_install", "-at_install")
class TestNotificationTemplate(NotificationCommon):
    def test_every_text_can_be_filled_in(self):
        templates = self.env["qms.notification.template"].search([])
        self.assertGreaterEqual(len(templates), 20)
        templates._check_texts()
        for template in templates:
            with self.subTest(template.code):
                self.assertTrue(template.preview_subject)
                self.assertNotIn("{{", template.preview_body)

    def test_unknown_values_are_refused(self):
        template = self.env["qms.notification.template"]._by_code("run_opened")
        for text, problem in (
            ("{{sevrity}}", "there is no value sevrity. Accepted: .*severity"),
            ("{{object.env}}", "is no placeholder"),
            ("{{ 1 + 1 }}", "is no placeholder"),
        ):
            with self.subTest(text), self.assertRaisesRegex(ValidationError, problem):
                template.with_user(self.manager).body = text

    def test_preview(self):
        run = self.start_run(severity="high", summary="Slow queries")
        template = self.env["qms.notification.template"]._by_code("run_opened")
        self.assertIn("Slow queries", template.preview_body)
        self.assertIn(run.name, template.preview_subject)
        escalation = template._by_code("escalation")
        self.assertIn("Impact: ‹impact›", escalation.preview_body)


@tagged("post_install", "-at_install")
class TestNotificationSecurity(NotificationCommon):
    MODELS = (
        "qms.notification",
        "qms.notification.channel",
        "qms.notification.template",
    )

    def test_who_does_what(self):
        configuration = set(self.MODELS[1:])
        for role, reads, writes in (
            ("operator", set(self.MODELS), set()),
            ("author", set(self.MODELS), set()),
            ("manager", set(self.MODELS), configuration),
            ("auditor", set(self.MODELS), set()),
            ("automation", set(), set()),
        ):
            env = self.env(user=self.users[role])
            with self.subTest(role):
                for operation, models in (("read", reads), ("write", writes)):
                    self.assertEqual(
                        {
                            name
                            for name in self.MODELS
                            if env[name].has_access(operation)
                        },
                        models,
                        operation,
                    )

    def test_nobody_forges_or_drops_a_notification(self):
        told = self.enqueue(self.start_run(), channels=self.channel())
        for user in self.users.values():
            own = told.with_user(user)
            for call in (
                lambda own=own: own.create({"key": "x"}),
                lambda own=own: own.write({"state": "sent"}),
                lambda own=own: own.unlink(),
            ):
                with self.subTest(user.login), self.assertRaises(AccessError):
                    call()

    def test_who_resends_and_cancels(self):
        told = self.enqueue(self.start_run(), channels=self.channel())
        told.sudo().state = "dead"
        for role in ("operator", "author", "auditor", "automation"):
            own = told.with_user(self.users[role])
            for call in (own.action_resend, own.action_cancel):
                with self.subTest(role), self.assertRaises(AccessError):
                    call()
            with self.subTest(role), self.assertRaises(AccessError):
                told.channel_id.with_user(self.users[role]).action_test()
        told.with_user(self.manager).action_resend()
        self.assertEqual(told.state, "pending")
        told.with_user(self.manager).action_cancel()
        self.assertEqual(told.state, "cancelled")
        told.sudo().state = "sent"
        for call in (told.action_resend, told.action_cancel):
            with self.assertRaises(UserError):
                call()

    def test_what_is_told_in_person_is_not_for_other_operators(self):
        told = self.enqueue(self.start_run(), users=self.person)
        self.assertTrue(told.with_user(self.person).has_access("read"))
        for role, reads in (("operator", False), ("manager", True), ("auditor", True)):
            with self.subTest(role):
                own = told.with_user(self.users[role])
                self.assertEqual(own.has_access("read"), reads)

    def test_other_companies(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="qms_outsider",
            groups=GROUPS["manager"],
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )
        channel = self.channel()
        told = self.enqueue(self.start_run(), channels=channel)
        for record in (channel, told):
            self.assertFalse(record.with_user(outsider).has_access("read"))

    def test_preferences_are_ones_own(self):
        own = self.person.with_user(self.person)
        own.write({"qms_mail": "all", "qms_digest": "daily"})
        self.assertEqual(own.read(["qms_mail", "qms_digest"])[0]["qms_digest"], "daily")
        with self.assertRaises(AccessError):
            self.operator.with_user(self.person).write({"qms_mail": "none"})
