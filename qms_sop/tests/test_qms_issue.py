from datetime import datetime, timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, new_test_user, tagged

from ..models.issue.qms_issue import CRON
from ..models.issue.qms_issue_tracker import HOSTS
from ..models.run.qms_sop_run_recurrence import DAYS, PATTERN_ACTIVITY, TIMES
from .common import GROUPS, QmsSopCommon
from .github_fake import TOKEN, FakeGithub

NOW = datetime(2026, 3, 2, 8, 0)


class IssueCommon(QmsSopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.github = FakeGithub()
        cls.github.__enter__()
        cls.addClassCleanup(cls.github.__exit__)
        parameters = cls.env["ir.config_parameter"]
        parameters.set_param(HOSTS, "api.github.com, 127.0.0.1")
        # Whatever else is in the database is no pattern here.
        parameters.set_param(TIMES, "0")
        cls.env["qms.issue.tracker"].search([]).action_archive()
        cls.tracker = (
            cls.env["qms.issue.tracker"]
            .with_user(cls.manager)
            .create(
                {
                    "name": "Service",
                    "repository": cls.github.repository,
                    "api_url": cls.github.url,
                    "new_token": TOKEN,
                }
            )
        )

    def setUp(self):
        super().setUp()
        # What an earlier test made is not in its database any more.
        self.github.issues.clear()
        self.github.plan.clear()
        self.github.requests.clear()
        self.github.problems.clear()
        self.addCleanup(lambda: self.assertEqual(self.github.problems, []))

    def run_with_cause(self, **values):
        run = self.start_run(error_code="DB_DEADLOCK", **values)
        run.record_rca(
            "Two jobs lock the same rows in another order.",
            contributing_factors=["No retry", "Long transactions"],
            fix="Lock in the order of the ids",
        )
        return run

    def deliver(self):
        self.env.cr.flush()
        with self.enter_registry_test_mode():
            self.env.ref(CRON).method_direct_trigger()
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestIssue(IssueCommon):
    """An issue from a run, or from an action."""

    def test_made_with_run_cause_and_checklist(self):
        run = self.run_with_cause(summary="Imports hang since 08:00")
        asked = run.create_issue()
        self.assertEqual((asked["state"], asked["existing"]), ("queued", False))
        self.deliver()
        issue = self.env["qms.issue"].browse(asked["id"])
        self.assertRecordValues(
            issue,
            [
                {
                    "state": "made",
                    "number": 1,
                    "url": "https://github.com/example/service/issues/1",
                    "reference": "example/service#1",
                    "labels": "tech-debt, database, high-priority",
                    "error": False,
                }
            ],
        )
        (there,) = self.github.issues
        self.assertEqual(
            there["title"],
            "[POST-INCIDENT] DB_DEADLOCK: Two jobs lock the same rows in another "
            "order.",
        )
        for part in (
            f"**Context**: {run.name}, SOP-TEST-001 1.0.0",
            "Error code: `DB_DEADLOCK`",
            "Imports hang since 08:00",
            "**Root cause**: Two jobs lock the same rows in another order.",
            "- No retry\n- Long transactions",
            "**Action items**:\n- [ ] Lock in the order of the ids",
            f"[{run.name}]({run.get_base_url()}/odoo/qms-runs/{run.id})",
        ):
            self.assertIn(part, there["body"])
        self.assertEqual(
            [label["name"] for label in there["labels"]],
            ["tech-debt", "database", "high-priority"],
        )
        self.assertEqual(run.issue_text, "example/service#1")
        self.assertIn("example/service#1", run.message_ids[0].body)

    def test_one_issue_however_often_it_is_asked_for(self):
        run = self.run_with_cause()
        first = run.create_issue()
        self.deliver()
        again = run.create_issue(title="Something else")
        self.assertEqual(again["id"], first["id"])
        self.assertTrue(again["existing"])
        self.assertEqual(again["number"], 1)
        self.deliver()
        self.assertEqual(len(self.github.issues), 1)

    def test_the_same_key_gets_the_same_answer(self):
        run = self.run_with_cause()
        first = run.create_issue(idempotency_key="one")
        self.assertEqual(run.create_issue(idempotency_key="one"), first)

    def test_own_words(self):
        run = self.run_with_cause()
        run.create_issue(title="Audit all jobs", body="See @octocat.", labels=["audit"])
        self.deliver()
        (there,) = self.github.issues
        self.assertEqual(there["title"], "Audit all jobs")
        self.assertTrue(there["body"].startswith("See @octocat."))

    def test_words_of_the_run_call_nobody_and_hide_nothing(self):
        run = self.start_run(summary="@everyone look <!-- at this")
        draft = run.preview_issue()
        self.assertIn("@\u200beveryone look &lt;!-- at this", draft["body"])
        self.assertEqual(draft["title"], "[POST-INCIDENT] @everyone look <!-- at this")

    def test_actions_are_the_checklist(self):
        run = self.run_with_cause()
        action = self.env["qms.action"].create(
            {"name": "Audit all jobs", "source_type": "run", "run_id": run.id}
        )
        self.assertIn(
            f"- [ ] {action.reference}: Audit all jobs", run.preview_issue()["body"]
        )

    def test_from_an_action(self):
        run = self.run_with_cause()
        action = self.env["qms.action"].create(
            {
                "name": "Audit all jobs",
                "source_type": "rca",
                "rca_id": run.rca_ids.id,
                "user_id": self.operator.id,
            }
        )
        action.with_user(self.operator).create_issue()
        self.deliver()
        (there,) = self.github.issues
        self.assertEqual(there["title"], f"[{action.reference}] Audit all jobs")
        self.assertIn("- [ ] Audit all jobs", there["body"])
        self.assertIn("**Root cause**: Two jobs lock", there["body"])
        self.assertIn(f"[{run.name}]", there["body"])
        self.assertEqual(action.issue_text, "example/service#1")

    def test_also_about_a_finished_run(self):
        run = self.run_with_cause()
        self.work(run).complete("Locked in order.")
        run.with_user(self.operator).create_issue()
        self.deliver()
        self.assertEqual(run.issue_text, "example/service#1")
        self.assertIn("**Resolution**: Locked in order.", self.github.issues[0]["body"])

    def test_what_was_sent_is_in_the_trail_of_the_run(self):
        run = self.run_with_cause()
        run.create_issue()
        self.deliver()
        self.env.cr.flush()
        events = self.env["qms.audit.event"].search(
            [
                ("root_model", "=", "qms.sop.run"),
                ("root_id", "=", run.id),
                ("model", "=", "qms.issue"),
            ],
            order="id",
        )
        self.assertEqual(events.mapped("kind"), ["created", "state"])
        self.assertIn("Two jobs lock the same rows", events[0].content)
        self.assertIn("issues/1", events[1].content)
        self.assertNotIn(TOKEN, "".join(events.mapped("content")))
        types = [event["type"] for event in run._timeline()]
        self.assertIn("issue.asked", types)
        self.assertIn("issue.made", types)

    def test_goes_when_its_run_is_purged(self):
        kept, purged = self.run_with_cause(), self.run_with_cause()
        for run in (kept, purged):
            run.create_issue()
        purged.sudo()._remove()
        issues = self.env["qms.issue"].search([("res_model", "=", "qms.sop.run")])
        self.assertIn(kept.id, issues.mapped("res_id"))
        self.assertNotIn(purged.id, issues.mapped("res_id"))

    def test_refuses_what_github_would_refuse(self):
        run = self.run_with_cause()
        for values, told in (
            ({"title": "a\nb"}, "title: give one line"),
            ({"title": "x" * 257}, "title: give one line of up to 256"),
            ({"body": "x" * 65_400}, "body: give a text of up to 65336"),
            ({"labels": ["a,b"]}, "labels: “a,b” is not accepted"),
            ({"labels": ["x" * 51]}, "labels"),
            ({"tracker": "nobody/nothing"}, "There is: example/service"),
        ):
            with (
                self.subTest(values=values),
                self.assertRaisesRegex(ValidationError, told),
            ):
                run.create_issue(**values)

    def test_without_a_tracker(self):
        self.tracker.action_archive()
        with self.assertRaisesRegex(ValidationError, "There is no issue tracker yet"):
            self.start_run().create_issue()

    def test_labels_that_github_drops_are_told(self):
        self.github.may_push = False
        self.addCleanup(setattr, self.github, "may_push", True)
        run = self.run_with_cause()
        run.create_issue(labels=["audit"])
        self.deliver()
        issue = self.env["qms.issue"].search([("res_id", "=", run.id)])
        self.assertEqual(issue.state, "made")
        self.assertIn("GitHub left away: audit", issue.error)

    def test_dialog_shows_it_and_makes_it(self):
        run = self.run_with_cause().with_user(self.operator)
        context = run.action_create_issue()["context"]
        dialogs = self.env["qms.issue.create"].with_user(self.operator)
        with Form(dialogs.with_context(**context)) as form:
            self.assertEqual(form.tracker_id, self.tracker)
            self.assertIn("<strong>Root cause</strong>", form.preview)
            self.assertIn("<li>☐ Lock in the order of the ids</li>", form.preview)
            form.body = "Only **this**"
            self.assertIn("<strong>this</strong>", form.preview)
            form.labels = "one, two"
        action = form.record.action_create()
        self.deliver()
        issue = self.env["qms.issue"].browse(action["res_id"])
        self.assertEqual((issue.state, issue.labels), ("made", "one, two"))
        self.assertEqual(issue.user_id, self.operator)
        again = dialogs.with_context(**context).create({})
        self.assertEqual(again.existing_id, issue)


@tagged("post_install", "-at_install")
class TestIssueFailures(IssueCommon):
    """What becomes of it when GitHub does not do as it is asked."""

    def asked(self):
        run = self.run_with_cause()
        return self.env["qms.issue"].browse(run.create_issue()["id"])

    def test_tried_again_later(self):
        issue = self.asked()
        self.github.plan = [self.github.refusal(502, "Server Error")]
        with freeze_time(NOW + timedelta(days=400)):
            self.deliver()
            self.assertEqual(issue.state, "queued")
            self.assertIn("GitHub failed with 502", issue.error)
            self.deliver()
            # Not before its time.
            self.assertEqual(len(self.github.requests), 1)
            self.assertEqual(
                issue.next_try_at, NOW + timedelta(days=400) + timedelta(minutes=1)
            )
        with freeze_time(NOW + timedelta(days=400, minutes=1)):
            self.deliver()
        self.assertEqual((issue.state, issue.error), ("made", False))

    def test_answer_lost_makes_no_second_issue(self):
        issue = self.asked()
        self.github.plan = [self.github.lose_answer]
        with freeze_time(NOW + timedelta(days=400)):
            self.deliver()
        self.assertEqual(issue.state, "queued")
        self.assertEqual(len(self.github.issues), 1)
        with freeze_time(NOW + timedelta(days=400, minutes=2)):
            self.deliver()
        self.assertEqual((issue.state, issue.number), ("made", 1))
        self.assertEqual(len(self.github.issues), 1)

    def test_worker_that_died_makes_no_second_issue(self):
        issue = self.asked()
        with freeze_time(NOW + timedelta(days=400)):
            # It took the issue, made it, and was killed before it could say so.
            self.assertTrue(issue.sudo()._claim())
            issue.sudo()._send(False)
            self.deliver()
            self.assertEqual(issue.state, "sending")
        with freeze_time(NOW + timedelta(days=400, minutes=6)):
            self.deliver()
        self.assertEqual((issue.state, issue.number), ("made", 1))
        self.assertEqual(len(self.github.issues), 1)

    def test_taken_by_one_worker_only(self):
        issue = self.asked().sudo()
        self.assertTrue(issue._claim())
        self.assertFalse(issue._claim())

    def test_waits_as_long_as_github_asks(self):
        issue = self.asked()
        self.github.plan = [
            self.github.refusal(429, "Too many requests", Retry_After="600")
        ]
        with freeze_time(NOW + timedelta(days=400)):
            self.deliver()
            self.assertEqual(
                issue.next_try_at, NOW + timedelta(days=400) + timedelta(minutes=10)
            )
        self.assertEqual(issue.state, "queued")

    def test_given_up_at_once_when_it_is_in_vain(self):
        for status, told in (
            (401, "The token is wrong"),
            (403, "The token may not do that"),
            (404, "There is no repository example/service"),
            (410, "Issues are switched off"),
            (301, "renamed or moved"),
        ):
            with self.subTest(status=status):
                issue = self.asked()
                self.github.plan = [self.github.refusal(status, "No")]
                self.deliver()
                self.assertEqual(issue.state, "failed")
                self.assertIn(told, issue.error)
                self.assertNotIn(TOKEN, issue.error)

    def test_given_up_after_some_attempts(self):
        issue = self.asked()
        self.github.plan = [self.github.drop] * 20
        for hours in range(10):
            with freeze_time(NOW + timedelta(days=400, hours=5 * hours)):
                self.deliver()
        self.assertEqual(issue.state, "failed")
        self.assertEqual(issue.attempts, 6)

    def test_resent_by_hand(self):
        issue = self.asked()
        self.github.plan = [self.github.refusal(401, "Bad credentials")]
        self.deliver()
        self.assertEqual(issue.state, "failed")
        issue.with_user(self.operator).action_retry()
        self.deliver()
        self.assertEqual(issue.state, "made")
        with self.assertRaisesRegex(UserError, "made already"):
            issue.with_user(self.operator).action_retry()
        with self.assertRaises(AccessError):
            issue.with_user(self.users["auditor"]).action_retry()

    def test_host_that_is_not_allowed_any_more(self):
        issue = self.asked()
        self.env["ir.config_parameter"].set_param(HOSTS, "api.github.com")
        self.deliver()
        self.assertEqual(issue.state, "failed")
        self.assertIn("127.0.0.1 is not allowed", issue.error)
        self.assertEqual(self.github.requests, [])

    def test_one_failure_does_not_stop_the_others(self):
        issues = self.asked() | self.asked()
        self.github.plan = [self.github.refusal(404, "Not Found")]
        self.deliver()
        self.assertEqual(set(issues.mapped("state")), {"failed", "made"})


@tagged("post_install", "-at_install")
class TestIssueTracker(IssueCommon):
    """The token, and where it goes."""

    def test_token_is_never_shown_again(self):
        self.assertFalse(self.tracker.new_token)
        self.assertTrue(self.tracker.token_since)
        for role in GROUPS:
            own = self.tracker.with_user(self.users[role])
            with self.subTest(role=role):
                self.assertNotIn(TOKEN, str(own.read()))
                with self.assertRaises(AccessError):
                    own.read(["token"])
                with self.assertRaises(AccessError):
                    own.search([("token", "like", "github")])
                with self.assertRaises(AccessError):
                    own.export_data(["name", "new_token"])

    def test_token_is_not_in_the_trail(self):
        self.env.cr.flush()
        events = self.env["qms.audit.event"].search(
            [
                ("root_model", "=", "qms.issue.tracker"),
                ("root_id", "=", self.tracker.id),
            ]
        )
        self.assertTrue(events)
        self.assertNotIn(TOKEN, "".join(events.mapped("content")))
        self.assertIn("token_since", "".join(events.mapped("content")))

    def test_token_is_not_sent_elsewhere(self):
        for values in (
            {"repository": "mallory/trap"},
            {"api_url": "http://127.0.0.1:1"},
        ):
            with self.subTest(values=values):
                self.tracker.new_token = TOKEN
                self.tracker.write(values)
                self.assertFalse(self.tracker.sudo().token)
                self.assertFalse(self.tracker.token_since)

    def test_token_cannot_be_written_past_its_field(self):
        for values in ({"token": "x"}, {"token_since": NOW}):
            with (
                self.subTest(values=values),
                self.assertRaises(UserError),
            ):
                self.tracker.write(values)

    def test_only_allowed_hosts(self):
        for url, told in (
            ("https://evil.example", "evil.example is not allowed"),
            ("https://api.github.com.evil.example", "is not allowed"),
            ("http://api.github.com", "is not accepted"),
            ("https://user:pass@api.github.com", "is not accepted"),
            ("https://api.github.com?x=1", "is not accepted"),
            ("file:///etc/passwd", "is not accepted"),
            ("https://[::1", "is not accepted"),
            ("api.github.com", "is not accepted"),
        ):
            with (
                self.subTest(url=url),
                self.assertRaisesRegex(ValidationError, told),
            ):
                self.tracker.api_url = url
        self.tracker.api_url = "https://api.github.com"

    def test_repository_has_owner_and_name(self):
        for repository in ("service", "a/b/c", "a/..", "../x", "a b/c", "a/b?x"):
            with (
                self.subTest(repository=repository),
                self.assertRaisesRegex(ValidationError, "Give owner and name"),
            ):
                self.tracker.repository = repository

    def test_redirects_are_not_followed(self):
        with FakeGithub() as elsewhere:
            self.github.plan = [
                self.github.refusal(307, "Moved", Location=f"{elsewhere.url}/repos/x/y")
            ]
            told = self.tracker.action_test()["params"]
            self.assertEqual(told["type"], "danger")
            self.assertIn("renamed or moved", told["message"])
            self.assertEqual(elsewhere.requests, [])

    def test_connection_is_tested(self):
        self.assertEqual(self.tracker.action_test()["params"]["type"], "success")
        self.github.may_push = False
        self.addCleanup(setattr, self.github, "may_push", True)
        self.assertEqual(self.tracker.action_test()["params"]["type"], "warning")
        self.tracker.new_token = "wrong"
        told = self.tracker.action_test()["params"]
        self.assertEqual(told["type"], "danger")
        self.assertNotIn("wrong ", told["message"].replace("is wrong", ""))

    def test_only_managers_configure(self):
        for role in ("operator", "author", "auditor", "automation"):
            own = self.tracker.with_user(self.users[role])
            with self.subTest(role=role):
                self.assertTrue(own.name)
                with self.assertRaises(AccessError):
                    own.write({"new_token": "x"})
                with self.assertRaises(AccessError):
                    own.action_test()
                with self.assertRaises(AccessError):
                    own.create({"name": "Mine", "repository": "a/b"})

    def test_nobody_writes_issues(self):
        run = self.run_with_cause()
        issue = self.env["qms.issue"].browse(run.create_issue()["id"])
        for role in GROUPS:
            own = issue.with_user(self.users[role])
            with self.subTest(role=role):
                self.assertTrue(own.get_issue()["title"])
                with self.assertRaises(AccessError):
                    own.write({"url": "https://evil.example"})
                with self.assertRaises(AccessError):
                    own.unlink()
                with self.assertRaises(AccessError):
                    own.create({"title": "x"})

    def test_who_may_not_write_the_run_makes_no_issue(self):
        run = self.run_with_cause().with_user(self.users["auditor"])
        with self.assertRaises(AccessError):
            run.create_issue()

    def test_automation_makes_issues(self):
        run = self.run_with_cause().with_user(self.users["automation"])
        self.assertEqual(run.create_issue()["state"], "queued")

    def test_each_company_has_its_own(self):
        other = self.env["res.company"].create({"name": "Other"})
        stranger = new_test_user(
            self.env,
            login="stranger",
            groups=GROUPS["manager"],
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        with self.assertRaises(AccessError):
            self.tracker.with_user(stranger).read(["name"])


@tagged("post_install", "-at_install")
class TestRecurrence(IssueCommon):
    """The same trouble again and again proposes an issue."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["ir.config_parameter"].set_param(TIMES, "3")

    def opened(self, days, **values):
        with freeze_time(NOW + timedelta(days=days)):
            return self.start_run(**{"error_code": "DB_DEADLOCK", **values})

    def test_third_time_in_thirty_days(self):
        first, second = self.opened(0), self.opened(10)
        self.assertFalse(second.is_recurring)
        third = self.opened(30)
        self.assertTrue(third.is_recurring)
        self.assertEqual(
            third.recurrence_words, "DB_DEADLOCK came up 3 times in 30 days"
        )
        self.assertEqual(third.recurrence_ids, second | first)
        # Of the earlier ones, two are in the thirty days before this one.
        self.assertEqual(self.opened(39).recurrence_ids, third | second)
        self.assertFalse(self.opened(100).is_recurring)

    def test_what_came_later_does_not_change_what_was(self):
        first = self.opened(0)
        self.opened(1)
        self.opened(2)
        self.assertFalse(first.is_recurring)

    def test_other_codes_and_cancelled_runs_do_not_count(self):
        self.opened(0, error_code="DB_CONNECTION_LEAK")
        self.opened(1).cancel("Opened twice")
        self.opened(2)
        self.assertFalse(self.opened(3).is_recurring)

    def test_same_known_cause(self):
        cause = self.env["qms.error.cause"].search([], limit=1)
        runs = self.env["qms.sop.run"]
        for day, code in enumerate(("DB_DEADLOCK", "DB_CONNECTION_LEAK", None)):
            run = self.opened(day, error_code=code)
            run.record_rca("As always")
            run.rca_ids.cause_id = cause
            runs |= run
        self.assertTrue(runs[2].is_recurring)
        self.assertEqual(
            runs[2].recurrence_words, f"{cause.name} came up 3 times in 30 days"
        )

    def test_who_is_responsible_is_asked_when_the_run_ends(self):
        runs = [self.opened(day) for day in (0, 1, 2)]
        for run in runs:
            self.work(run).complete("Restarted.")
        kind = self.env.ref(PATTERN_ACTIVITY)
        asked = [
            run.activity_ids.filtered(lambda one: one.activity_type_id == kind)
            for run in runs
        ]
        self.assertEqual([len(found) for found in asked], [0, 0, 1])
        self.assertEqual(asked[2].user_id, self.operator)
        self.assertIn("DB_DEADLOCK came up 3 times", asked[2].summary)
        runs[2].create_issue()
        self.deliver()
        self.assertFalse(
            runs[2].activity_ids.filtered(lambda one: one.activity_type_id == kind)
        )
        # It is followed up, so nobody is asked again.
        fourth = self.opened(3)
        self.work(fourth).complete("Restarted.")
        self.assertNotIn(kind, fourth.activity_ids.activity_type_id)

    def test_settings(self):
        parameters = self.env["ir.config_parameter"]
        runs = [self.opened(day) for day in (0, 5)]
        parameters.set_param(TIMES, "2")
        runs[1].invalidate_recordset()
        self.assertTrue(runs[1].is_recurring)
        parameters.set_param(DAYS, "4")
        runs[1].invalidate_recordset()
        self.assertFalse(runs[1].is_recurring)
        parameters.set_param(DAYS, "30")
        parameters.set_param(TIMES, "0")
        runs[1].invalidate_recordset()
        self.assertFalse(runs[1].is_recurring)

    def test_settings_are_checked(self):
        settings = self.env["res.config.settings"]
        for values, told in (
            ({"qms_recurrence_times": 1}, "give 2 to 100, or 0 for never"),
            ({"qms_recurrence_days": 0}, "give 1 to 365"),
            ({"qms_issue_hosts": "https://api.github.com"}, "is not accepted"),
        ):
            with (
                self.subTest(values=values),
                self.assertRaisesRegex(ValidationError, told),
            ):
                settings.create(values)
        settings.create(
            {"qms_recurrence_times": 4, "qms_issue_hosts": "github.example.com:8443"}
        ).execute()
        self.assertEqual(self.env["qms.sop.run"]._recurrence_settings(), (4, 30))
        self.assertEqual(
            self.env["qms.issue.tracker"]._hosts(), ["github.example.com:8443"]
        )

    def test_issue_says_so_and_is_found_from_the_others(self):
        self.opened(0)
        second, third = self.opened(1), self.opened(2)
        draft = third.preview_issue()
        self.assertIn("[RECURRING] DB_DEADLOCK", draft["title"])
        self.assertIn(
            "**Seen before**: DB_DEADLOCK came up 3 times in 30 days", draft["body"]
        )
        self.assertIn(second.name, draft["body"])
        self.assertFalse(third.pattern_issue_id)
        third.create_issue()
        fourth = self.opened(3)
        self.assertEqual(fourth.pattern_issue_id.res_id, third.id)
