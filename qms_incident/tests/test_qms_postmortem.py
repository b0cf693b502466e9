from datetime import timedelta

from freezegun import freeze_time
from lxml import etree

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command, Datetime
from odoo.tests import Form, new_test_user, tagged
from odoo.tools.safe_eval import safe_eval

from odoo.addons.base.models import res_users
from odoo.addons.qms_sop.tests.common import GROUPS

from ..tools.faults import NotReadyError
from .common import QmsIncidentCommon

FULL = {
    "summary": "Logins failed.",
    "root_cause": "The pool was too small.",
    "impact": "120 users",
    "resolution": "A larger pool",
    "detection": "An alert after two minutes",
    "went_well": "The alert",
    "preventive_measures": "An alert on the pool",
}
WHYS = [{"question": f"Why {number}?", "answer": "Because"} for number in range(5)]


@tagged("post_install", "-at_install")
class TestQmsPostmortem(QmsIncidentCommon):
    @classmethod
    def setUpClass(cls):
        # How long a password is hashed is not what is tested.
        cls.classPatch(res_users, "MIN_ROUNDS", 1)
        super().setUpClass()
        cls.colleague = new_test_user(
            cls.env, login="pm_colleague", groups=GROUPS["operator"], name="Kim Lee"
        )

    def setUp(self):
        super().setUp()
        # Attempts to sign are written by cursors of their own.
        self.registry_enter_test_mode()

    def resolved(self, **values):
        """Return an incident that is resolved."""
        incident = self.open(**values)
        for state in ("triaged", "resolved"):
            incident.move(state)
        return incident

    def begun(self, incident=None, user=None, **values):
        """Return a post-mortem as an operator has begun it."""
        incident = (incident or self.resolved()).with_user(user or self.operator)
        told = incident.create_postmortem(**values)
        return (
            self.env["qms.postmortem"].with_user(incident.env.user).browse(told["id"])
        )

    def in_review(self, incident=None, **values):
        """Return a post-mortem that the colleague has to review."""
        said = {**FULL, "participants": [self.colleague.login], **values}
        postmortem = self.begun(incident)
        postmortem.update_postmortem(said)
        postmortem.move("in_review")
        return postmortem

    def published(self, incident=None):
        postmortem = self.in_review(incident)
        postmortem.with_user(self.colleague).review()
        postmortem.publish(self.operator.login)
        return postmortem

    # === Beginning ===

    def test_it_starts_with_what_is_known(self):
        run = self.start_run()
        incident = self.open(
            description="Every login answered 500.",
            systems=["Backend API", "PostgreSQL"],
            detection_method="monitoring",
            detected_by="Prometheus",
            occurred_at="2026-03-01T14:30:00Z",
            detected_at="2026-03-01T14:32:00Z",
        )
        incident.link_run(run.id)
        run.record_rca(
            "A migration was not applied",
            contributing_factors=["No alert on the pool", "No index"],
            whys=WHYS,
            fix="Migration applied",
            verification="Pool below 50 %",
            confirm=True,
        )
        run.record_rca("Only a guess")
        self.work(run).complete("Mended")
        incident.update_incident(
            {
                "users_affected": 0,
                "groups_affected": "nobody",
                "data_integrity": "intact",
                "data_checks": "No orphans",
                "prevention": "Deployment checks migrations",
                "team_told": "Weekly review",
                "detection_faster": "yes",
                "detection_note": "alert on the pool",
            }
        )
        postmortem = self.begun(incident, root_cause="What I say")
        self.assertEqual(postmortem.name, f"Post-mortem {incident.name}")
        self.assertEqual(postmortem.title, "Logins fail")
        self.assertEqual(postmortem.author_id, self.operator)
        self.assertEqual(
            postmortem.summary,
            "Every login answered 500.\n\nAffected systems: Backend API, PostgreSQL.",
        )
        self.assertEqual(postmortem.root_cause, "What I say")
        self.assertEqual(postmortem.factors, "No alert on the pool\nNo index")
        self.assertEqual(postmortem.resolution, "Migration applied\n\nMended")
        self.assertEqual(postmortem.verification, "Pool below 50 %")
        self.assertEqual(
            postmortem.impact,
            "- **Users affected:** 0 – nobody\n- **Data:** Intact – No orphans",
        )
        self.assertEqual(
            postmortem.detection,
            "- **How detected:** Monitoring: Prometheus\n"
            "- **Time to detect:** 2 minutes\n"
            "- **Could it have been sooner?** Yes – alert on the pool",
        )
        self.assertEqual(postmortem.preventive_measures, "Deployment checks migrations")
        self.assertEqual(postmortem.follow_up, "- **Team told:** Weekly review")
        for name in ("went_well", "went_wrong", "lucky", "knowledge"):
            self.assertFalse(postmortem[name], name)
        sections = {key: text for key, _heading, text in postmortem._sections()}
        self.assertIn("| 2026-03-01 14:30:00 | It began |", sections["timeline"])
        self.assertIn("5. **Why 4?** Because", sections["whys"])
        self.assertIsNone(sections["lucky"])
        self.assertFalse(postmortem.timeline)

    def test_beginning_again_goes_on_with_the_draft(self):
        incident = self.resolved()
        first = incident.create_postmortem(fix="Restarted")
        again = incident.create_postmortem(fix="Restarted twice", lucky="It was day")
        self.assertEqual((first["existing"], again["existing"]), (False, True))
        self.assertEqual(again["id"], first["id"])
        self.assertEqual(
            (again["resolution"], again["lucky"]), ("Restarted twice", "It was day")
        )
        found = self.env["qms.postmortem"].with_user(self.operator)
        third = found.create_for(
            incident.name.lower(), {"knowledge": "Pools are small"}
        )
        self.assertEqual((third["id"], third["existing"]), (first["id"], True))
        with self.refused(ValidationError, "There is no incident"):
            found.create_for("INC-19990101-001")
        with self.refused(ValidationError, "cannot be set. Accepted: author, "):
            found.create_for(incident.id, {"state": "published"})

    def test_the_same_call_again_changes_nothing(self):
        incident = self.resolved()
        said = {"fix": "Restarted", "idempotency_key": "k1"}
        first = incident.create_postmortem(**said)
        incident.postmortem_id.write({"resolution": "Rewritten"})
        self.assertEqual(incident.create_postmortem(**said), first)
        self.assertEqual(incident.postmortem_id.resolution, "Rewritten")

    def test_what_cannot_have_one(self):
        incident = self.resolved()
        postmortem = self.begun(incident)
        with self.refused(Exception, "qms_postmortem_incident_uniq"):
            postmortem.create({"incident_id": incident.id})
        noise = self.open()
        noise.move("false_positive", reason="A test")
        with self.refused(ValidationError, "is a false positive; there is nothing"):
            noise.create_postmortem()
        with self.refused(ValidationError, "needs the full form"):
            self.resolved(severity="critical").create_postmortem(kind="quick")
        self.assertEqual(
            self.resolved(severity="low").create_postmortem(kind="quick")["kind"],
            "quick",
        )

    def test_wrong_values_are_named(self):
        postmortem = self.begun()
        before = postmortem.get_postmortem()
        for values, said in (
            ({"kind": "long"}, "kind: 'long' is unknown. Accepted: full, quick"),
            ({"title": " "}, "title: it"),
            ({"whys": [{"question": "Why?"}]}, "number 1 needs a question and an"),
            ({"author": "nobody"}, "no user with the login 'nobody'"),
            ({"participants": ["qms_auditor"]}, "cannot review it"),
            ({"meeting_at": "soon"}, "meeting_at"),
            ({"summary": 5}, "summary: 5 is no text"),
            ({"lucky": "x" * 100_001}, "up to 100000"),
            ({}, "nothing cannot be set"),
        ):
            with self.subTest(values), self.refused(ValidationError, said):
                postmortem.update_postmortem(values)
        self.assertEqual(postmortem.get_postmortem(), before)

    def test_who_had_a_part_reviews_it(self):
        incident = self.resolved()
        incident.assign_role("technical_lead", self.colleague.login)
        incident.assign_role("incident_commander", self.manager.login)
        postmortem = self.begun(incident)
        self.assertEqual(
            {one.user_id: one.role for one in postmortem.participant_ids},
            {
                self.colleague: self.env.ref("qms_sop.role_technical_lead").name,
                self.manager: self.env.ref("qms_sop.role_incident_commander").name,
            },
        )

    # === When it is due ===

    def test_due_dates_follow_the_severity(self):
        incident = self.open(detected_at="2026-03-01T14:00:00Z")
        incident.move("triaged", at="2026-03-01T14:05:00Z")
        self.assertFalse(incident.postmortem_due)
        incident.move("resolved", at="2026-03-01T15:00:00Z")
        self.assertEqual(
            incident.postmortem_schedule_due,
            Datetime.to_datetime("2026-03-02 15:00:00"),
        )
        self.assertEqual(
            incident.postmortem_due, Datetime.to_datetime("2026-03-06 15:00:00")
        )
        postmortem = self.begun(incident)
        self.assertEqual(postmortem.due_at, incident.postmortem_due)
        incident.write({"severity_id": self.env.ref("qms_error_code.severity_low").id})
        self.assertFalse(incident.postmortem_due or postmortem.due_at)

    def test_on_time_is_blank_until_it_is_known(self):
        with freeze_time("2026-03-01 15:00:00"):
            incident = self.resolved()
            postmortem = self.begun(incident)
        self.assertFalse(postmortem.scheduled_on_time or postmortem.published_on_time)
        with freeze_time("2026-03-02 15:00:01"):
            postmortem.update_postmortem({"meeting_at": "2026-03-04T10:00:00Z"})
        self.assertEqual(postmortem.scheduled_on_time, "no")
        with freeze_time("2026-03-03 15:00:00"):
            postmortem.update_postmortem({"meeting_at": "2026-03-05T10:00:00Z"})
        self.assertEqual(
            postmortem.scheduled_at, Datetime.to_datetime("2026-03-02 15:00:01")
        )
        postmortem.update_postmortem({"meeting_at": False})
        self.assertFalse(postmortem.scheduled_at or postmortem.scheduled_on_time)
        minor = self.begun(self.resolved(severity="low"), meeting_at="2026-03-05")
        self.assertTrue(minor.scheduled_at)
        self.assertFalse(minor.scheduled_on_time)

    # === Review ===

    def test_what_is_not_written_is_not_reviewed(self):
        postmortem = self.begun()
        with self.refused(NotReadyError, "is not ready. Missing:") as caught:
            postmortem.move("in_review")
        missing = ["summary", "root_cause", "impact", "resolution", "detection"]
        missing += ["lessons", "preventive_measures"]
        self.assertEqual(
            [error["field"] for error in caught.exception.qms_errors], missing
        )
        self.assertEqual(
            [one["code"] for one in postmortem.what_is_missing()],
            [*missing, "reviewers"],
        )
        self.assertEqual(postmortem.progress, 0)
        postmortem.update_postmortem(FULL)
        self.assertEqual((postmortem.written_count, postmortem.section_count), (7, 12))
        postmortem.move("in_review")

    def test_an_action_is_a_measure(self):
        incident = self.resolved()
        postmortem = self.begun(incident)
        postmortem.update_postmortem({**FULL, "preventive_measures": False})
        self.assertIn("preventive_measures", self.codes(postmortem))
        incident.create_action("Alert on the pool")
        self.assertNotIn("preventive_measures", self.codes(postmortem))

    def codes(self, postmortem):
        return [one["code"] for one in postmortem.what_is_missing()]

    def test_it_is_not_changed_while_it_is_reviewed(self):
        postmortem = self.in_review(whys=WHYS)
        before = postmortem.get_postmortem()
        for values in ({"summary": "x"}, {"whys": []}, {"contributing_factors": ["x"]}):
            with self.subTest(values), self.refused(UserError, "can no longer be"):
                postmortem.update_postmortem(values)
        why = postmortem.why_ids[0]
        for change in (
            lambda: why.write({"answer": "x"}),
            lambda: why.unlink(),
            lambda: why.create(
                {"postmortem_id": postmortem.id, "question": "x", "answer": "y"}
            ),
            lambda: postmortem.participant_ids.unlink(),
        ):
            with self.refused(UserError, "is in review: its .* can no longer be"):
                change()
        self.assertEqual(postmortem.get_postmortem(), before)
        postmortem.update_postmortem({"meeting_at": "2030-01-01T10:00:00Z"})
        with self.refused(UserError, "say why it goes back to draft"):
            postmortem.move("draft")
        postmortem.move("draft", reason="A new finding")
        postmortem.update_postmortem({"summary": "x"})

    def test_each_reviews_for_himself(self):
        postmortem = self.in_review()
        theirs = postmortem.with_user(self.colleague)
        self.assertFalse(postmortem.to_review)
        self.assertTrue(theirs.to_review)
        with self.refused(UserError, "reviewed by its participants, its author left"):
            postmortem.review()
        with self.refused(UserError, "reviewed by its participants"):
            postmortem.with_user(self.manager).review()
        with self.refused(UserError, "A review is given by the person"):
            postmortem.participant_ids.write({"verdict": "reviewed"})
        with self.refused(UserError, "A review is given by the person"):
            postmortem.write(
                {
                    "participant_ids": [
                        Command.create(
                            {"user_id": self.manager.id, "verdict": "reviewed"}
                        )
                    ]
                }
            )
        with self.refused(ValidationError, "say what is to be changed"):
            theirs.request_changes(" ")
        theirs.review("Well said")
        one = postmortem.participant_ids
        self.assertEqual((one.verdict, one.comment), ("reviewed", "Well said"))
        self.assertFalse(theirs.to_review or self.codes(postmortem))
        postmortem.move("draft", reason="A new finding")
        with self.refused(UserError, "is draft; it is reviewed once"):
            theirs.review()
        postmortem.move("in_review")
        # A review of an earlier text is none of this one.
        self.assertFalse(one.verdict or one.reviewed_at or one.comment)

    def test_people_are_asked_and_told(self):
        def asked(user):
            return postmortem.activity_ids.filtered(lambda one: one.user_id == user)

        postmortem = self.in_review()
        self.assertIn("Your review is asked for", asked(self.colleague).summary)
        self.assertEqual(asked(self.colleague).date_deadline, postmortem.due_at.date())
        postmortem.with_user(self.colleague).request_changes("The time is wrong")
        self.assertFalse(asked(self.colleague))
        self.assertIn("asks for changes", asked(self.operator).summary)
        self.assertIn("The time is wrong", asked(self.operator).note)
        self.assertIn("reviews", self.codes(postmortem))
        postmortem.move("draft", reason="To correct the time")
        postmortem.move("in_review")
        postmortem.with_user(self.colleague).review()
        self.assertIn("Reviewed by all", asked(self.operator).summary)
        postmortem.update_postmortem(
            {"participants": [self.colleague.login, self.manager.login]}
        )
        self.assertTrue(asked(self.manager))
        postmortem.with_user(self.manager).review()
        postmortem.publish(self.operator.login)
        self.assertFalse(postmortem.activity_ids)

    # === Publishing ===

    def test_it_is_published_by_a_signature_and_sealed(self):
        postmortem = self.in_review(whys=WHYS)
        with self.refused(NotReadyError, "Not reviewed yet by: Kim Lee"):
            postmortem.publish(self.operator.login)
        postmortem.with_user(self.colleague).review()
        with self.refused(UserError, "published by a signature"):
            postmortem.write({"state": "published"})
        with self.refused(UserError, "published by a signature"):
            postmortem.move("published")
        with self.refused(UserError, "(?i)password"):
            postmortem.publish("wrong")
        self.assertFalse(postmortem.timeline)
        told = postmortem.publish(self.operator.login, reason="Read by all")
        self.assertEqual((told["state"], told["meaning"]), ("published", "published"))
        self.assertTrue(told["valid"])
        self.assertIn("| Detected: Logins fail |", postmortem.timeline)
        self.assertEqual(postmortem.published_by_id, self.operator)
        self.assertEqual(postmortem.published_on_time, "yes")
        self.assertFalse(postmortem.review_waiver or self.codes(postmortem))
        for values in (
            {"summary": "x"},
            {"meeting_at": "2030-01-01 10:00:00"},
            {"participant_ids": [Command.clear()]},
            {"why_ids": [Command.clear()]},
            {"published_at": "2020-01-01 00:00:00"},
        ):
            with self.subTest(values), self.refused(UserError, ""):
                postmortem.write(values)
        with self.refused(UserError, "can no longer be changed"):
            postmortem.move("draft", reason="x")
        with self.refused(UserError, "has a history: it cannot be deleted"):
            postmortem.sudo().unlink()
        said = postmortem.get_postmortem()
        self.assertEqual(said["signature"]["signer"], self.operator.name)
        # Past the ORM, the signature does not hold any more.
        self.env.cr.execute(
            "UPDATE qms_postmortem SET summary = 'x' WHERE id = %s", [postmortem.id]
        )
        self.env.invalidate_all()
        self.assertFalse(postmortem.get_postmortem()["signature"]["valid"])

    def test_later_actions_leave_the_signature_valid(self):
        incident = self.resolved()
        postmortem = self.published(incident)
        incident.create_action("Alert on the pool")
        actions = self.env["qms.action"].with_user(self.operator)
        raised = actions.create({"name": "Index", "postmortem_id": postmortem.id})
        self.assertEqual(raised.reference, f"{incident.name}/AI-002")
        self.assertEqual(
            (raised.source_type, raised.incident_id), ("postmortem", incident)
        )
        incident.add_timeline_entry("Somebody remembers")
        incident.move("triaged", reason="Again")
        postmortem.invalidate_recordset()
        told = postmortem.get_postmortem()
        self.assertTrue(told["signature"]["valid"])
        self.assertEqual(len(told["actions"]), 2)
        self.assertTrue(told["due_at"])
        self.assertNotIn("Somebody remembers", told["timeline"])

    def test_managers_can_do_without_reviews(self):
        postmortem = self.in_review()
        with self.refused(NotReadyError, "Not reviewed yet by"):
            postmortem.publish(self.operator.login, reason="No time")
        theirs = postmortem.with_user(self.manager)
        with self.refused(NotReadyError, "Not reviewed yet by"):
            theirs.publish(self.manager.login)
        theirs.publish(self.manager.login, reason="Kim has left")
        self.assertEqual(postmortem.review_waiver, "Kim has left")
        self.assertEqual(postmortem.state, "published")

    def test_a_manager_waives_reviews_only(self):
        incident = self.open()
        incident.move("triaged")
        postmortem = self.in_review(incident).with_user(self.manager)
        with self.refused(NotReadyError, "it has to be resolved first"):
            postmortem.publish(self.manager.login, reason="Kim has left")
        self.assertEqual(postmortem.state, "in_review")
        self.assertFalse(postmortem.signature_ids)

    def test_the_quick_form_needs_nobody_else(self):
        incident = self.resolved(severity="low")
        postmortem = self.begun(incident, kind="quick", summary="A typo", fix="Mended")
        self.assertEqual(self.codes(postmortem), ["root_cause", "preventive_measures"])
        postmortem.update_postmortem({"root_cause": "x", "preventive_measures": "y"})
        self.assertEqual(
            [heading for _key, heading, _text in postmortem._sections()],
            ["Issue", "Time", "Root Cause", "Fix", "Prevention"],
        )
        postmortem.move("in_review")
        postmortem.publish(self.operator.login)
        self.assertEqual(postmortem.state, "published")
        self.assertFalse(postmortem.published_on_time)

    def test_what_is_published_is_amended_beside_it(self):
        postmortem = self.in_review()
        with self.refused(UserError, "change it, instead of amending it"):
            postmortem.amend("Typo", "It was 121 users.")
        postmortem.with_user(self.colleague).review()
        postmortem.publish(self.operator.login)
        with self.refused(ValidationError, "Argument text: it is empty"):
            postmortem.amend("Typo", " ")
        note = postmortem.amend("Counted again", "It was 121 users.")
        self.assertEqual(postmortem.get_postmortem()["amendments"], [note])
        self.assertIn("<p>It was 121 users.</p>", postmortem.document_html)
        self.assertTrue(postmortem.get_postmortem()["signature"]["valid"])
        for change in (
            lambda: postmortem.amendment_ids.sudo().write({"text": "x"}),
            lambda: postmortem.amendment_ids.sudo().unlink(),
            lambda: postmortem.amendment_ids.sudo().create({"text": "x"}),
        ):
            with self.refused(UserError, "An amendment is made by amend"):
                change()

    # === Closing an incident ===

    def test_grave_incidents_need_a_published_one(self):
        def missing():
            found = incident.what_is_missing()
            return next((one for one in found if one["code"] == "postmortem"), {})

        incident = self.resolved()
        self.assertIn("needs one", missing()["text"])
        postmortem = self.in_review(incident)
        self.assertIn("not published yet (In review)", missing()["text"])
        postmortem.with_user(self.colleague).review()
        postmortem.publish(self.operator.login)
        self.assertFalse(missing())
        other = self.resolved()
        other.update_incident({"postmortem_link": "https://example.com/pm/1"})
        self.assertNotIn("postmortem", [one["code"] for one in other.what_is_missing()])

    def test_the_severity_says_whether_one_is_needed(self):
        incident = self.resolved()
        low = self.env.ref("qms_error_code.severity_low")
        for severity, days, needed in (
            (incident.severity_id, 0, False),
            (low, 7, True),
        ):
            severity.sudo().postmortem_days = days
            incident.update_incident({"severity": severity.code})
            found = [one["code"] for one in incident.what_is_missing()]
            self.assertEqual("postmortem" in found, needed, severity.code)

    def test_its_whys_stand_in_where_no_run_was_analysed(self):
        def codes():
            found = {one["code"] for one in incident.what_is_missing()}
            return found & {"root_cause", "root_cause.whys", "fix"}

        incident = self.resolved()
        self.assertEqual(codes(), {"root_cause", "fix"})
        postmortem = self.begun(incident, root_cause="x", whys=WHYS[:4])
        self.assertEqual(codes(), {"root_cause.whys", "fix"})
        postmortem.update_postmortem(
            {"whys": WHYS, "fix": "A larger pool", "verification": "Half full"}
        )
        self.assertEqual(codes(), set())

    # === Reminders ===

    def remind(self):
        cron = self.env.ref("qms_incident.ir_cron_remind_of_postmortems")
        cron.method_direct_trigger()

    def test_reminders_before_on_and_after(self):
        def remind(now):
            with freeze_time(now):
                self.remind()
                incident.invalidate_recordset()
            return [
                (one.user_id, one.summary.split(" by ")[0])
                for one in incident.activity_ids.sorted("id")
            ]

        with freeze_time("2026-03-01 15:00:00"):
            incident = self.resolved()
            arrange = [(self.operator, "Arrange the post-mortem")]
            publish = [(self.operator, "Publish the post-mortem")]
        self.assertEqual(remind("2026-03-01 15:30:00"), arrange)
        first = incident.activity_ids
        self.assertEqual(remind("2026-03-01 16:30:00"), arrange)
        self.assertEqual(incident.activity_ids, first)
        self.assertEqual(remind("2026-03-02 15:00:00"), arrange)
        self.assertNotEqual(incident.activity_ids, first)
        with freeze_time("2026-03-02 16:00:00"):
            postmortem = self.begun(
                incident, user=self.colleague, meeting_at="2026-03-04T10:00:00Z"
            )
        incident.invalidate_recordset()
        self.assertFalse(incident.activity_ids)
        self.assertEqual(remind("2026-03-05 14:59:00"), [])
        publish = [(self.colleague, "Publish the post-mortem")]
        self.assertEqual(remind("2026-03-05 15:00:00"), publish)
        self.assertEqual(remind("2026-03-06 15:00:00"), publish)
        late = remind("2026-03-09 15:00:00")
        self.assertEqual(late[0], publish[0])
        self.assertIn((self.manager, "Post-mortem late"), late)
        postmortem.update_postmortem({**FULL, "participants": [self.operator.login]})
        postmortem.move("in_review")
        asked = postmortem.activity_ids
        self.assertEqual(asked.user_id, self.operator)
        remind("2026-03-10 15:00:00")
        postmortem.invalidate_recordset()
        self.assertEqual(postmortem.activity_ids.user_id, self.operator)
        self.assertNotEqual(postmortem.activity_ids, asked)
        postmortem.with_user(self.operator).review()
        postmortem.with_user(self.colleague).publish(self.colleague.login)
        incident.invalidate_recordset()
        self.assertFalse(incident.activity_ids)
        self.assertEqual(remind("2026-03-12 15:00:00"), [])
        self.assertEqual(postmortem.published_on_time, "no")

    def test_what_nobody_waits_for_is_not_reminded_of(self):
        incidents = self.env["qms.incident"]
        waited, minor, linked, reopened = (
            self.resolved(severity=severity)
            for severity in ("critical", "low", "high", "high")
        )
        self.open()
        linked.update_incident({"postmortem_link": "https://example.com/pm/1"})
        reopened.move("triaged", reason="Again")
        awaited = incidents.search(incidents._postmortem_awaited())
        self.assertIn(waited, awaited)
        self.assertFalse((minor | linked | reopened) & awaited)
        self.remind()
        waited.invalidate_recordset()
        self.assertTrue(waited.activity_ids)
        waited.update_incident({"postmortem_link": "https://example.com/pm/2"})
        self.assertFalse(waited.activity_ids)

    # === Wording ===

    def test_wording_hints_hinder_nothing(self):
        postmortem = self.begun(
            self.resolved(title="Human error in the pool"),
            participants=[self.colleague.login],
        )
        postmortem.update_postmortem(
            {
                **FULL,
                "went_wrong": "- Kim forgot the index. All else was fine.",
                "lucky": "It could have happened at night.",
            }
        )
        title, wrong = postmortem.wording_hints()
        self.assertEqual((title["section"], title["phrase"]), ("title", "Human error"))
        self.assertEqual(
            (wrong["heading"], wrong["phrase"], wrong["sentence"]),
            ("What Went Wrong", "Kim forgot", "Kim forgot the index."),
        )
        self.assertTrue(wrong["why"] and wrong["better"])
        self.assertIn("“Kim forgot the index.”", postmortem.wording_html)
        postmortem.move("in_review")

    # === Who may do what ===

    def test_auditors_read_and_write_nothing(self):
        postmortem = self.in_review()
        theirs = postmortem.with_user(self.users["auditor"])
        self.assertEqual(theirs.get_postmortem()["title"], "Logins fail")
        self.assertEqual(theirs.wording_hints(), [])
        for change in (
            lambda: theirs.update_postmortem({"meeting_at": False}),
            lambda: theirs.move("draft", reason="x"),
            lambda: theirs.review(),
            lambda: theirs.publish("qms_auditor"),
            lambda: theirs.amend("x", "y"),
            lambda: theirs.incident_id.create_postmortem(lucky="x"),
            lambda: theirs.participant_ids.write({"role": "x"}),
        ):
            with self.refused(AccessError, ""):
                change()

    def test_outsiders_see_nothing(self):
        postmortem = self.in_review()
        for group in ("base.group_portal", "base.group_public", "base.group_user"):
            outsider = new_test_user(self.env, login=f"pm_{group}", groups=group)
            for records in (postmortem, postmortem.participant_ids):
                with self.subTest(group), self.refused(AccessError, ""):
                    records.with_user(outsider).read(["id"])
            with self.subTest(group), self.refused(AccessError, ""):
                postmortem.with_user(outsider).get_postmortem()

    def test_robots_write_and_people_answer_for_it(self):
        robot = self.users["automation"]
        postmortem = self.begun(self.resolved(), user=robot, fix="Restarted")
        self.assertEqual(postmortem.author_id, self.operator)

    def test_nothing_crosses_companies(self):
        other = self.env["res.company"].create({"name": "Other"})
        postmortem = self.in_review(whys=WHYS)
        stranger = new_test_user(
            self.env,
            login="pm_stranger",
            groups=GROUPS["manager"],
            company_id=other.id,
            company_ids=[Command.set(other.ids)],
        )
        for records in (postmortem, postmortem.why_ids, postmortem.participant_ids):
            with self.subTest(records._name), self.refused(AccessError, ""):
                records.with_user(stranger).read(["id", "display_name"])
        with self.refused(ValidationError, "cannot review it"):
            postmortem.write(
                {"participant_ids": [Command.create({"user_id": stranger.id})]}
            )

    def test_the_trail_tells_it(self):
        postmortem = self.in_review()
        postmortem.with_user(self.colleague).review("Well said")
        postmortem.publish(self.operator.login)
        events = self.env["qms.audit.event"].search(postmortem._trail_domain())
        self.assertEqual(events.mapped("kind").count("state"), 2)
        said = "".join(events.mapped("content"))
        for words in ("Well said", "The pool was too small."):
            self.assertIn(words, said)

    # === Screens ===

    def test_buttons_do_what_they_say(self):
        postmortem = self.begun(participants=[self.colleague.login])
        postmortem.update_postmortem(FULL)
        postmortem.action_submit()
        self.decide(postmortem, self.colleague, "changes", reason="The time is wrong")
        self.assertEqual(postmortem.participant_ids.verdict, "changes")
        self.decide(postmortem, self.operator, "draft", reason="To correct the time")
        self.assertEqual(postmortem.state_reason, "To correct the time")
        postmortem.action_submit()
        with self.refused(NotReadyError, "Not reviewed yet by"):
            postmortem.action_publish()
        postmortem.with_user(self.colleague).action_review()
        dialog = self.env["qms.signature.dialog"].browse(
            postmortem.action_publish()["res_id"]
        )
        shown = dialog.content_hash
        dialog.with_user(self.operator).with_context(
            password=self.operator.login
        ).action_sign()
        self.assertEqual(postmortem.state, "published")
        # What people were shown is what they have signed.
        self.assertEqual(postmortem.signature_ids.content_hash, shown)
        self.decide(
            postmortem, self.colleague, "amend", text="121 users", reason="Counted"
        )
        self.assertEqual(postmortem.amendment_ids.text, "121 users")

    def decide(self, postmortem, user, decision, **values):
        decisions = self.env["qms.postmortem.decision"].with_user(user)
        decisions.create(
            {"postmortem_id": postmortem.id, "decision": decision, **values}
        ).action_confirm()

    def test_a_manager_is_shown_whose_review_is_missing(self):
        postmortem = self.in_review().with_user(self.manager)
        dialog = self.env["qms.signature.dialog"].browse(
            postmortem.action_publish()["res_id"]
        )
        self.assertIn("Kim Lee", dialog.missing_reviews)
        signing = dialog.with_user(self.manager).with_context(
            password=self.manager.login
        )
        with self.refused(NotReadyError, "you can publish it all the same: say why"):
            signing.action_sign()
        shown = dialog.content_hash
        dialog.comment = "Kim has left"
        signing.action_sign()
        self.assertEqual(postmortem.review_waiver, "Kim has left")
        self.assertEqual(postmortem.signature_ids.content_hash, shown)

    def test_the_form_opens_from_the_incident(self):
        incident = self.resolved()
        action = incident.action_open_postmortem()
        self.assertEqual(incident.action_open_postmortem(), action)
        postmortem = incident.postmortem_id
        self.assertEqual(action["res_id"], postmortem.id)
        with Form(postmortem) as form:
            form.went_wrong = "The admin forgot the index."
            self.assertIn("memory is no safeguard", form.wording_html)
            with form.why_ids.new() as why:
                why.question, why.answer = "Why?", "Because"
            with form.participant_ids.new() as one:
                one.user_id = self.colleague
        self.assertIn("<h2>Lessons Learned</h2>", postmortem.document_html)
        self.assertIn("Not written.", postmortem.document_html)
        self.assertIn("<strong>Why?</strong> Because", postmortem.document_html)
        self.assertFalse(postmortem.whys_html)
        raised = postmortem.action_raise_action()
        actions = self.env["qms.action"].with_user(self.operator)
        with Form(actions.with_context(**raised["context"])) as form:
            form.name = "An index"
        self.assertEqual(postmortem.document_action_ids.name, "An index")

    def test_searches(self):
        def found(user, domain):
            return self.env["qms.postmortem"].with_user(user).search(domain)

        postmortem = self.in_review()
        postmortems = self.env["qms.postmortem"]
        self.assertNotIn(postmortem, found(self.operator, [("overdue", "=", True)]))
        self.assertIn(postmortem, found(self.operator, [("overdue", "=", False)]))
        with freeze_time(postmortem.due_at + timedelta(seconds=1)):
            self.assertIn(postmortem, found(self.operator, [("overdue", "=", True)]))
            postmortem.invalidate_recordset()
            self.assertTrue(postmortem.overdue)
        view = self.env.ref("qms_incident.qms_postmortem_view_search")
        arch = etree.fromstring(postmortems.get_view(view.id, "search")["arch"])
        for node in arch.iter("filter"):
            if domain := node.get("domain"):
                postmortems.search(safe_eval(domain, {"uid": self.env.uid}))
        mine = arch.xpath("//filter[@name='mine_to_review']/@domain")[0]
        for user, waits in ((self.colleague, True), (self.operator, False)):
            domain = safe_eval(mine, {"uid": user.id})
            self.assertEqual(postmortem in found(user, domain), waits)
