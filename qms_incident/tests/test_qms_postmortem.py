from freezegun import freeze_time

from odoo.exceptions import ValidationError
from odoo.fields import Datetime
from odoo.tests import new_test_user, tagged

from odoo.addons.base.models import res_users
from odoo.addons.qms_sop.tests.common import GROUPS

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
