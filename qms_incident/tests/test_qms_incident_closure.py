from datetime import timedelta

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command, Date, Datetime
from odoo.tests import new_test_user, tagged

from odoo.addons.base.models import res_users
from odoo.addons.qms_sop.tests.common import GROUPS

from .common import QmsIncidentCommon

EVERYTHING = [
    "timeline.evidence",
    "impact.users",
    "impact.operations",
    "impact.workaround",
    "impact.data_integrity",
    "impact.compliance",
    "root_cause",
    "fix",
    "prevention",
    "documentation",
    "team_told",
    "actions",
    "postmortem",
]
TEXTS = {
    "users_affected": 0,
    "operations_affected": "Generating schedules",
    "workaround_available": "no",
    "data_integrity": "intact",
    "data_checks": "No orphans",
    "compliance": "maintained",
    "prevention": "Deployment checks migrations",
    "documentation": "Checklist updated",
    "team_told": "Weekly review",
    "postmortem_link": "https://example.com/pm/1",
}
WHYS = [{"question": f"Why {number}?", "answer": "Because"} for number in range(5)]


@tagged("post_install", "-at_install")
class TestQmsIncidentClosure(QmsIncidentCommon):
    @classmethod
    def setUpClass(cls):
        # How long a password is hashed is not what is tested.
        cls.classPatch(res_users, "MIN_ROUNDS", 1)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        # Attempts to sign are written by cursors of their own.
        self.registry_enter_test_mode()

    def reviewed(self, **values):
        """Return an incident that has been reviewed, with nothing filled in."""
        incident = self.open(**values)
        for state in ("triaged", "resolved", "reviewed"):
            incident.move(state)
        return incident

    def codes(self, incident):
        return [one["code"] for one in incident.what_is_missing()]

    def complete(self, incident):
        """Fill in all that is missing."""
        run = self.start_run()
        incident.link_run(run.id)
        run.add_evidence("a.log", "eA==")
        run.record_rca(
            "No check of migrations",
            whys=WHYS,
            fix="Migration applied",
            verification="Pool below 50 %",
            confirm=True,
        )
        self.work(run).complete("Mended")
        incident.update_incident(TEXTS)
        incident.create_action("Check migrations in CI", priority="high")

    # === The list ===

    def test_everything_is_missing_at_first(self):
        incident = self.reviewed()
        self.assertEqual(self.codes(incident), EVERYTHING)
        self.assertEqual(incident.missing_count, len(EVERYTHING))
        with self.refused(UserError, r"cannot be closed yet") as caught:
            incident.move("closed")
        self.assertEqual(
            [error["field"] for error in caught.exception.qms_errors], EVERYTHING
        )
        for code in EVERYTHING:
            self.assertIn(f"[{code}]", str(caught.exception))
        with self.refused(UserError, "cannot be closed yet"):
            incident.write({"state": "closed"})

    def test_lesser_ones_need_less(self):
        incident = self.reviewed(severity="low")
        self.assertEqual(
            self.codes(incident),
            [code for code in EVERYTHING if code not in ("actions", "postmortem")],
        )

    def test_each_reason_goes_when_it_is_met(self):
        incident = self.reviewed()
        incident.add_timeline_entry("First error", evidence="backend.log:1234")
        self.assertNotIn("timeline.evidence", self.codes(incident))
        run = self.start_run()
        incident.link_run(run.id)
        self.assertIn("runs", self.codes(incident))
        rca = run.record_rca("Cause", whys=WHYS[:4])
        self.assertIn("root_cause", self.codes(incident))
        self.env["qms.rca"].browse(rca["id"]).action_confirm()
        self.assertIn("root_cause.whys", self.codes(incident))
        run.record_rca("Cause", whys=WHYS, fix="f", verification="v", confirm=True)
        self.assertFalse(
            {"root_cause", "root_cause.whys", "fix"} & set(self.codes(incident))
        )
        action = incident.create_action("Alert on the pool")
        self.assertNotIn("actions", self.codes(incident))
        self.env["qms.action"].browse(action["id"]).user_id = False
        self.assertIn("actions.owner", self.codes(incident))
        for name in ("prevention", "documentation", "team_told", "postmortem_link"):
            code = name.removesuffix("_link")
            incident.update_incident({name: "  "})
            self.assertIn(code, self.codes(incident))
            incident.update_incident({name: "said"})
            self.assertNotIn(code, self.codes(incident))

    def test_a_complete_one_closes_and_is_sealed(self):
        incident = self.reviewed()
        self.complete(incident)
        self.assertEqual(self.codes(incident), [])
        self.assertEqual(incident.move("closed")["state"], "closed")
        self.assertTrue(incident.closed_at)
        for act in (
            lambda: incident.update_incident({"prevention": "Else"}),
            lambda: incident.add_timeline_entry("Later"),
            lambda: incident.assign_role("technical_lead", "qms_operator"),
        ):
            with self.refused(UserError, "no longer be changed"):
                act()

    # === The override ===

    def test_override_is_signed_by_a_manager_with_a_reason(self):
        incident = self.reviewed()
        manager = incident.with_user(self.manager)
        self.assertTrue(manager.can_override)
        self.assertFalse(incident.can_override)
        with self.refused(UserError, "only QMS managers"):
            incident.close_anyway("Why not", "qms_operator")
        with self.refused(ValidationError, "say why"):
            manager.close_anyway("  ", "qms_manager")
        with self.refused(UserError, "."):
            manager.close_anyway("Why not", "wrong")
        self.assertEqual(incident.state, "reviewed")
        self.assertFalse(incident.override_reason)
        answer = manager.close_anyway("A drill, nothing to learn", "qms_manager")
        self.assertEqual(answer["state"], "closed")
        self.assertEqual(answer["missing"], EVERYTHING)
        self.assertTrue(answer["valid"])
        self.assertEqual(incident.override_reason, "A drill, nothing to learn")
        # In words, not in codes.
        self.assertIn("in the timeline, users affected", incident.override_told)
        self.assertNotRegex(incident.override_told, r"[._]")
        signature = incident.signature_ids
        self.assertEqual(signature.meaning, "closed")
        self.assertEqual(signature.comment, "A drill, nothing to learn")
        signature.invalidate_recordset()
        self.assertTrue(signature.valid)

    def test_the_dialog_overrides(self):
        incident = self.reviewed().with_user(self.manager)
        dialog = (
            self.env["qms.signature.dialog"]
            .with_user(self.manager)
            .browse(incident.action_close_anyway()["res_id"])
        )
        dialog.comment = "Known and accepted"
        dialog.with_context(password="qms_manager").action_sign()
        self.assertEqual(incident.state, "closed")

    def test_override_needs_something_missing_and_the_right_state(self):
        incident = self.reviewed()
        self.complete(incident)
        with self.refused(UserError, "nothing is missing"):
            incident.with_user(self.manager).close_anyway("x", "qms_manager")
        detected = self.open()
        with self.refused(UserError, "cannot go from Detected to Closed"):
            detected.with_user(self.manager).close_anyway("x", "qms_manager")
        self.assertEqual([incident.state, detected.state], ["reviewed", "detected"])
        self.assertFalse((incident | detected).signature_ids)

    def test_who_forges_an_override_is_refused(self):
        incident = self.reviewed().with_user(self.manager)
        with self.refused(UserError, "override_missing"):
            incident.write({"override_missing": " ".join(EVERYTHING)})
        with self.refused(UserError, "cannot be closed yet"):
            incident.write({"state": "closed"})
        self.assertEqual(incident.state, "reviewed")
        self.assertFalse(incident.override_missing)

    # === Roles ===

    def test_critical_has_a_commander_from_the_first_moment(self):
        role = self.env["qms.role"]._by_code("incident_commander")
        holder = new_test_user(self.env, "on_duty", groups=GROUPS["operator"])
        role.write({"user_ids": [Command.set(holder.ids)], "shift_ids": [(5,)]})
        lesser = self.open(severity="high")
        self.assertFalse(lesser.commander_id)
        incident = self.open(user=self.users["automation"], severity="P0")
        self.assertEqual(incident.commander_id, holder)
        self.assertEqual(
            [(one["role"], one["user"]) for one in incident.get_incident()["roles"]],
            [("incident_commander", holder.name)],
        )
        lesser.update_incident({"severity": "critical"})
        self.assertEqual(lesser.commander_id, holder)

    def test_nobody_on_duty_makes_whoever_opens_it_commander(self):
        role = self.env["qms.role"]._by_code("incident_commander")
        role.write({"user_ids": [(5,)], "shift_ids": [(5,)], "fallback_id": False})
        self.assertEqual(self.open(severity="P0").commander_id, self.operator)
        robot = self.open(user=self.users["automation"], severity="P0")
        self.assertTrue(robot.commander_id)
        self.assertNotEqual(robot.commander_id, self.users["automation"])

    def test_handover_is_recorded_without_a_gap(self):
        incident = self.open(severity="critical")
        incident.assign_role("incident_commander", "qms_operator")
        incident.assign_role("incident_commander", "qms_manager", "Pool is at 100 %")
        self.assertEqual(incident.commander_id, self.manager)
        old, new = incident.assignment_ids.sorted("id")[-2:]
        self.assertEqual(old.until, new.since)
        self.assertEqual(old.note, "Pool is at 100 %")
        with self.refused(UserError, "commander at any time"):
            incident.release_role("incident_commander")
        incident.assign_role("technical_lead", "qms_author")
        # What one transaction does with one record is one event; people need two.
        self.env["qms.audit.event"]._flush_pending()
        incident.release_role("technical_lead", "Root cause found")
        with self.refused(UserError, "nobody is Technical lead"):
            incident.release_role("technical_lead")
        types = [act["type"] for act in incident.get_timeline()]
        self.assertIn("role.assigned", types)
        self.assertIn("role.released", types)

    def test_roles_that_cannot_be(self):
        incident = self.open()
        with self.refused(ValidationError, "'boss' is unknown. Accepted: .*technical"):
            incident.assign_role("boss", "qms_operator")
        with self.refused(ValidationError, "no user with the login 'ghost'"):
            incident.assign_role("technical_lead", "ghost")
        with self.refused(UserError, "only people who work incidents"):
            incident.assign_role("technical_lead", "qms_auditor")
        with self.refused(AccessError, "."):
            incident.with_user(self.users["auditor"]).assign_role(
                "technical_lead", "qms_operator"
            )
        assignments = self.env["qms.incident.assignment"]
        for role in ("operator", "manager", "automation"):
            with self.subTest(role), self.refused(AccessError, "."):
                assignments.with_user(self.users[role]).create(
                    {
                        "incident_id": incident.id,
                        "role_id": self.env["qms.role"]._by_code("cto").id,
                        "user_id": self.operator.id,
                        "since": Datetime.now(),
                    }
                )

    # === Timeline ===

    def test_timeline_merges_the_incident_and_its_runs(self):
        run = self.start_run(summary="Orders hang")
        run.log_error("deadlock detected", error_code="DB_DEADLOCK")
        run.open_incident()
        incident = run.incident_id
        began = Datetime.now() - timedelta(hours=1)
        incident.occurred_at = began
        incident.add_timeline_entry(
            "Pool at 100 %",
            occurred_at=f"{began + timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}Z",
            component="PostgreSQL",
            evidence="pg_stat_activity",
        )
        timeline = incident.get_timeline()
        types = [act["type"] for act in timeline]
        self.assertEqual(types[:2], ["incident.began", "entry"])
        self.assertLess(
            {"incident.detected", "run.started", "error.logged"}, set(types)
        )
        self.assertEqual(
            [act["at"] for act in timeline], sorted(act["at"] for act in timeline)
        )
        self.assertEqual(len({act["id"] for act in timeline}), len(timeline))
        entry = timeline[1]
        self.assertEqual(entry["component"], "PostgreSQL")
        self.assertEqual(entry["evidence"], "pg_stat_activity")
        self.assertGreater(entry["recorded_at"], entry["at"])
        self.assertIn("pg_stat_activity", incident.timeline_html)

    def test_entries_are_checked(self):
        incident = self.open()
        with self.refused(ValidationError, "say what happened"):
            incident.add_timeline_entry("  ")
        with self.refused(ValidationError, "future"):
            incident.add_timeline_entry("x", occurred_at="2999-01-01T00:00:00Z")
        with self.refused(AccessError, "."):
            incident.with_user(self.users["auditor"]).add_timeline_entry("x")
        incident.add_timeline_entry("<b>bold</b>")
        self.assertIn("&lt;b&gt;bold", incident.timeline_html)

    def test_import_is_harmless_twice(self):
        incident = self.open(detected_at="2025-12-26T14:32:00Z")
        text = "| Time (UTC) | Event |\n|---|---|\n| 14:30:15 | a |\n| 14:31 | b |"
        preview = incident.preview_timeline(text)
        self.assertEqual(len(preview["entries"]), 2)
        self.assertFalse(preview["entries"][0]["known"])
        self.assertEqual(incident.import_timeline(text)["added"], 2)
        answer = incident.import_timeline(text + "\n| 14:33 | c |\n| never | d |")
        self.assertEqual((answer["added"], answer["known"]), (1, 2))
        self.assertEqual(answer["problems"][0]["line"], 6)
        entries = [a for a in incident.get_timeline() if a["type"] == "entry"]
        self.assertEqual(
            [(act["at"], act["detail"]) for act in entries],
            [
                ("2025-12-26T14:30:15Z", "a"),
                ("2025-12-26T14:31:00Z", "b"),
                ("2025-12-26T14:33:00Z", "c"),
            ],
        )

    def test_import_refuses_what_it_cannot_read(self):
        incident = self.open()
        for arguments, said in (
            (("nothing here",), "no line with a time"),
            (("",), "it is empty"),
            (("10:00 a", "soon"), "day: 'soon' is no date"),
            (("10:00 a", None, "Mars"), "timezone: 'Mars'"),
            (("2999-01-01 10:00 a",), "future"),
            (("2025-01-01 10:00 a\n" * 501,), "501 entries"),
        ):
            with self.subTest(said), self.refused(ValidationError, said):
                incident.import_timeline(*arguments)

    def test_export(self):
        incident = self.open(detected_at="2025-12-26T14:32:00Z")
        incident.import_timeline("14:30 =SUM(A1) | b")
        table = incident.export_timeline()
        self.assertEqual(table["name"], f"{incident.name}-timeline.md")
        self.assertIn("| 2025-12-26 14:30:00 | =SUM(A1) \\| b |", table["content"])
        self.assertIn(
            "| 2025-12-26 14:32:00 | Detected: Logins fail |", table["content"]
        )
        sheet = incident.export_timeline("csv")["content"]
        self.assertIn("'=SUM(A1)", sheet)
        with self.refused(ValidationError, "markdown, csv"):
            incident.export_timeline("pdf")

    # === Actions ===

    def test_actions_come_from_the_incident(self):
        incident = self.open(error_code="DB_DEADLOCK")
        answer = incident.create_action(
            "Alert on the pool", owner="qms_operator", due_date="2099-01-01"
        )
        action = self.env["qms.action"].browse(answer["id"])
        self.assertEqual(action.reference, f"{incident.name}/AI-001")
        self.assertEqual(action.source_type, "incident")
        self.assertEqual(action.error_code_id, incident.error_code_id)
        self.assertEqual(action.due_date, Date.to_date("2099-01-01"))
        self.assertEqual(incident.action_count, 1)
