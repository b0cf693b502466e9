from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user, tagged

from odoo.addons.base.models import res_users
from odoo.addons.qms_sop.tests.common import GROUPS

from ..tools.postmortem_sections import FULL as SECTIONS
from .common import QmsIncidentCommon
from .test_postmortem_text import FULL, QUICK, REVIEW


@tagged("post_install", "-at_install")
class TestQmsPostmortemImport(QmsIncidentCommon):
    @classmethod
    def setUpClass(cls):
        cls.classPatch(res_users, "MIN_ROUNDS", 1)
        super().setUpClass()
        cls.backend = new_test_user(
            cls.env,
            login="pm_backend",
            groups=GROUPS["operator"],
            name="Backend Lead",
        )

    def setUp(self):
        super().setUp()
        self.incident = self.open(
            title="Sign-in fails",
            severity="critical",
            detected_at="2024-01-15T14:35:00Z",
            occurred_at="2024-01-15T14:33:00Z",
        )
        self.postmortems = self.env["qms.postmortem"].with_user(self.operator)

    def taken_over(self, content=FULL, incident=None, **values):
        """Return what an import answers, and the post-mortem."""
        told = self.postmortems.import_markdown(
            content, incident or self.incident.id, **values
        )
        return told, self.postmortems.browse(told["id"])

    # === Writing ===

    def test_file_of_an_incident(self):
        self.incident.move("triaged", at="2024-01-15T14:37:00Z")
        self.incident.move("resolved", at="2024-01-15T15:22:00Z")
        self.incident.update_incident(
            {"systems": ["Sign-in"], "detected_by": "Grafana"}
        )
        told = self.incident.create_postmortem(
            title="Sign-in was down", root_cause="The pool", went_well="The alert"
        )
        file = self.postmortems.browse(told["id"]).export_markdown()
        self.assertEqual(file["name"], "2024-01-15-sign-in-was-down.md")
        content = file["content"]
        for line in (
            "# Postmortem: Sign-in was down",
            f"**Incident:** {self.incident.name}  ",
            "**Date:** 2024-01-15  ",
            f"**Author:** {self.operator.name}  ",
            "**Severity:** P0 - Critical  ",
            "**Duration:** 47 minutes (14:35 - 15:22 UTC)  ",
            "**Affected Systems:** Sign-in  ",
            "**Reported By:** Grafana  ",
            "**Status:** Draft",
            "| 2024-01-15 14:33:00 | It began | - | - |",
        ):
            self.assertIn(f"\n{line}\n", f"\n{content}")
        for key, heading in SECTIONS:
            if key not in ("whys", "verification"):
                self.assertRegex(content, rf"(?m)^##+ {heading}$")

    def test_name_of_the_file(self):
        self.incident.update_incident({"error_code": "DB_CONNECTION_TIMEOUT"})
        told = self.incident.create_postmortem(title="Sign-in was down")
        postmortem = self.postmortems.browse(told["id"])
        name = postmortem.export_markdown()["name"]
        self.assertEqual(name, "2024-01-15-db-connection-timeout.md")
        name = postmortem.export_markdown("../Own Name")["name"]
        self.assertEqual(name, "2024-01-15-own-name.md")
        # The day is that of the company, as in the incident's number.
        self.env.company.partner_id.tz = "Asia/Kathmandu"
        late = self.open(title="Late", detected_at="2024-01-15T20:00:00Z")
        told = late.create_postmortem()
        name = self.postmortems.browse(told["id"]).export_markdown()["name"]
        self.assertEqual(name, f"{late.day}-late.md")
        self.assertIn(late.day.strftime("%Y%m%d"), late.name)

    # === Taking over ===

    def test_template_of_the_response_runbook(self):
        told, postmortem = self.taken_over()
        self.assertFalse(told["existing"])
        self.assertEqual((told["entries_added"], told["actions_added"]), (2, 2))
        self.assertEqual(postmortem.title, "Sign-in was down")
        self.assertEqual(postmortem.summary, "Nobody could sign in.")
        self.assertIn("1. Three times the load", postmortem.root_cause)
        self.assertEqual(postmortem.lucky, "- It was in office hours")
        entries = [
            (act["at"], act["detail"])
            for act in self.incident._timeline()
            if act["type"] == "entry"
        ]
        self.assertEqual(
            entries,
            [
                ("2024-01-15T14:35:00Z", "Alert: errors on the sign-in page"),
                ("2024-01-15T15:22:00Z", "Back to normal"),
            ],
        )
        pool, alert = postmortem._document_actions().sorted("id")
        self.assertEqual((pool.name, pool.priority), ("Larger pool", "3"))
        self.assertEqual(pool.due_date.isoformat(), "2024-01-16")
        self.assertFalse(pool.user_id)
        self.assertEqual(pool.description, "Owner: DevOps Lead")
        self.assertEqual((alert.user_id, alert.priority), (self.backend, "2"))
        self.assertFalse(alert.description)
        # Nobody of that name works here; it is said, and kept.
        self.assertIn("- **Author:** John Doe", postmortem.follow_up)
        self.assertTrue([one for one in told["remarks"] if "John Doe" in one])
        self.assertTrue([one for one in told["remarks"] if "UTC" in one])

    def test_again_changes_nothing(self):
        _told, postmortem = self.taken_over()
        version = postmortem.lock_version
        before = postmortem._markdown()
        told, _same = self.taken_over()
        self.assertTrue(told["existing"])
        self.assertEqual((told["entries_added"], told["actions_added"]), (0, 0))
        self.assertEqual(postmortem.lock_version, version)
        told, _same = self.taken_over(before)
        self.assertEqual((told["entries_added"], told["actions_added"]), (0, 0))
        self.assertEqual(told["remarks"], [])
        self.assertEqual(postmortem._markdown(), before)

    def test_our_own_file_of_a_whole_record(self):
        self.incident.add_timeline_entry(
            "a | `b`", occurred_at="2024-01-15T14:40:00Z", evidence="graph"
        )
        self.incident.create_action("Watch <it>", priority="P1")
        told = self.incident.create_postmortem(
            root_cause="x",
            whys=[{"question": "Why?", "answer": "Load", "evidence": "graph"}],
            contributing_factors=["One", "Two"],
            verification="Seen",
        )
        postmortem = self.postmortems.browse(told["id"])
        before = postmortem._markdown()
        version = postmortem.lock_version
        told, _same = self.taken_over(before)
        self.assertEqual((told["entries_added"], told["actions_added"]), (0, 0))
        self.assertEqual(told["remarks"], [])
        self.assertEqual(postmortem._markdown(), before)
        self.assertEqual(postmortem.lock_version, version)
        self.assertFalse(postmortem.timeline)

    def test_example_of_the_review_workflow(self):
        content = REVIEW.replace("INC-20251226-001", self.incident.name)
        told = self.postmortems.import_markdown(content)
        postmortem = self.postmortems.browse(told["id"])
        self.assertEqual(postmortem.incident_id, self.incident)
        self.assertEqual(
            [(why.question, why.answer) for why in postmortem.why_ids][1],
            ("Why was it exhausted?", "Because queries were slow"),
        )
        self.assertEqual(
            postmortem.root_cause, "No step verifies that migrations\nare applied."
        )
        self.assertEqual(postmortem.factors, "**Monitoring**: none of the pool")
        self.assertIn("#### Weather\n\nSunny", postmortem.follow_up)
        self.assertIn("- **Severity:** HIGH", postmortem.follow_up)
        self.assertEqual(self.incident.severity, "critical")
        # Its day is that of the file.
        entry = next(act for act in self.incident._timeline() if act["type"] == "entry")
        self.assertEqual(entry["at"], "2025-12-26T14:30:15Z")
        self.assertEqual(entry["evidence"], "logs/backend.log:1234")

    def test_quick_report(self):
        minor = self.open(title="Slow", severity="low")
        told, postmortem = self.taken_over(QUICK, minor.id)
        self.assertEqual(postmortem.kind, "quick")
        self.assertEqual(postmortem.resolution, "Index added")
        self.assertIn("2025-12-26 14:30", postmortem.preventive_measures)
        self.assertTrue([one for one in told["remarks"] if "Time" in one])
        self.assertIn("**Fix:** Index added", postmortem._markdown())
        # What is critical needs the full form.
        _told, postmortem = self.taken_over(QUICK)
        self.assertEqual(postmortem.kind, "full")

    def test_states_and_words_of_actions(self):
        _told, postmortem = self.taken_over(
            "# Postmortem\n\n## Summary\nx\n\n## Action Items\n\n"
            "| ID | Action | Type | Priority | Owner | Due Date | Status | Team |\n"
            "|---|---|---|---|---|---|---|---|\n"
            "| AI-001 | Done one | Automation | HIGH | pm_backend | 2025-12-30 "
            "| ✓ Complete | Core |\n"
            "| AI-007 | Odd one | Magic | P9 | | soon | Lost | |\n"
            "| AI-003 | Old one | | | | | Cancelled | |\n"
            "\nSee the board.\n"
        )
        done, odd, old = postmortem.action_ids.sorted("id")
        self.assertEqual((done.state, done.user_id), ("done", self.backend))
        self.assertEqual((done.action_type, done.priority), ("automation", "2"))
        self.assertEqual(done.description, "Team: Core")
        self.assertEqual(odd.state, "open")
        for kept in ("Type: Magic", "Priority: P9", "Due Date: soon", "ID: AI-007"):
            self.assertIn(kept, odd.description)
        self.assertIn("Status: Lost", odd.description)
        self.assertEqual(old.state, "cancelled")
        self.assertIn("See the board.", postmortem.follow_up)

    def test_texts_that_are_there_are_replaced_and_the_others_stay(self):
        self.incident.create_postmortem(summary="Old", knowledge="Mine")
        preview = self.postmortems.preview_markdown(FULL, self.incident.id)
        changes = {one["key"]: one["change"] for one in preview["sections"]}
        order = [key for key, _heading in SECTIONS if key in changes]
        self.assertEqual(list(changes), order)
        self.assertEqual(changes["summary"], "replaced")
        self.assertEqual(changes["lucky"], "new")
        _told, postmortem = self.taken_over(values={"summary": "Given", "fix": "This"})
        self.assertEqual(postmortem.summary, "Given")
        self.assertEqual(postmortem.resolution, "This")
        self.assertEqual(postmortem.knowledge, "Mine")

    # === Preview ===

    def test_preview_changes_nothing(self):
        preview = self.postmortems.preview_markdown(FULL, self.incident.name)
        self.assertFalse(preview["postmortem"])
        self.assertEqual(preview["title"], "Sign-in was down")
        self.assertEqual(
            [(one["title"], one["owner"]) for one in preview["actions"]],
            [("Larger pool", False), ("Alert on the pool", "pm_backend")],
        )
        self.assertEqual(len(preview["entries"]), 2)
        self.assertFalse(preview["entries"][0]["known"])
        self.assertIn("“John Doe”", " ".join(preview["remarks"]))
        self.assertFalse(self.incident.postmortem_ids)
        self.assertFalse(self.incident._all_actions())

    def test_same_key_takes_over_once(self):
        first, _one = self.taken_over(idempotency_key="abc")
        again, _one = self.taken_over(idempotency_key="abc")
        self.assertEqual(first, again)

    # === What is refused ===

    def test_what_cannot_be_read_is_said(self):
        for content, said in (
            ("", "empty"),
            ("x" * 300_000, "262144 are accepted"),
            ("Hello\n", "none of its headings|Root Cause"),
            ("# Postmortem\n\n## Weather\nSunny", "none of its headings"),
        ):
            with self.refused(ValidationError, said):
                self.taken_over(content)
        with self.refused(ValidationError, "names no incident"):
            self.postmortems.import_markdown("## Summary\nx")
        with self.refused(ValidationError, "no incident 'INC-19990101-001'"):
            self.postmortems.import_markdown(
                "**Incident:** INC-19990101-001\n\n## Summary\nx"
            )
        with self.refused(ValidationError, "colour"):
            self.taken_over(values={"colour": "red"})

    def test_the_future_is_no_entry(self):
        told, postmortem = self.taken_over(
            "## Timeline\n\n| Time (UTC) | Event |\n|---|---|\n"
            "| 2999-01-01 10:00 | Never |\n| soon | Lunch |\n"
        )
        self.assertEqual(told["entries_added"], 0)
        said = " ".join(told["remarks"])
        self.assertIn("in the future", said)
        self.assertIn("“soon”", said)
        self.assertIn("Never", postmortem.timeline)

    def test_timeline_as_a_list(self):
        content = "## Timeline\n\n- **14:40** – Restarted\n* 14:50 UTC: Back\n"
        told, postmortem = self.taken_over(content)
        self.assertEqual(told["entries_added"], 2)
        entries = [
            (act["at"], act["detail"])
            for act in self.incident._timeline()
            if act["type"] == "entry"
        ]
        self.assertEqual(
            entries,
            [
                ("2024-01-15T14:40:00Z", "Restarted"),
                ("2024-01-15T14:50:00Z", "Back"),
            ],
        )
        self.assertIn("- **14:40** – Restarted", postmortem.timeline)

    def test_times_of_another_day_or_zone(self):
        content = FULL.replace("2024-01-15", "2024-01-14")
        content = content.replace("All times UTC", "Asia/Kathmandu")
        _told, postmortem = self.taken_over(content)
        self.assertIn(
            "| Time (UTC) | Event |\n|------|-------|\n"
            "| 2024-01-14 08:50:00 | Alert: errors",
            postmortem.timeline,
        )
        told, _same = self.taken_over(postmortem._markdown())
        self.assertEqual(told["entries_added"], 0)
        self.assertEqual(told["remarks"], [])

    def test_not_over_what_is_reviewed(self):
        _told, postmortem = self.taken_over()
        postmortem.move("in_review")
        with self.refused(UserError, "In review"):
            self.taken_over(FULL.replace("Nobody", "Hardly anybody"))
        # What it says already is no change.
        told, _same = self.taken_over()
        self.assertEqual(told["state"], "in_review")

    def test_auditors_and_strangers(self):
        auditor = self.users["auditor"]
        with self.refused(AccessError, ""):
            self.postmortems.with_user(auditor).import_markdown(FULL, self.incident.id)
        other = self.env["res.company"].create({"name": "Other"})
        hidden = self.env["qms.incident"].create({"title": "x", "company_id": other.id})
        with self.refused(ValidationError, "no incident"):
            self.taken_over(incident=hidden.id)

    def test_hostile_text_stays_text(self):
        told, postmortem = self.taken_over(
            "# Postmortem: <img src=x onerror=alert(1)>\n\n## Summary\n"
            "<script>alert(1)</script> [x](javascript:alert(1))\n"
        )
        self.assertEqual(postmortem.title, "<img src=x onerror=alert(1)>")
        self.assertIn("# Postmortem: \\<img", postmortem._markdown())
        self.assertIn("<script>", told["summary"])
