from datetime import datetime, timedelta

from freezegun import freeze_time

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Datetime
from odoo.tests import Form, tagged

from ..models.res_config_settings import AUTOMATIC
from .common import DEADLOCK, QmsIncidentCommon


@tagged("post_install", "-at_install")
class TestQmsIncident(QmsIncidentCommon):
    # === Numbers ===

    def test_numbers_count_up_per_day_of_the_company(self):
        company = self.env.company
        company.resource_calendar_id.tz = "Pacific/Auckland"
        # 11:30 UTC on 26 December is half past midnight on the 27th over there.
        late = self.open(detected_at="2024-12-26T11:30:00Z")
        first = self.open(detected_at="2024-12-26T10:30:00Z")
        second = self.open(detected_at="2024-12-26T10:30:00Z")
        self.assertEqual(late.name, "INC-20241227-001")
        self.assertEqual(first.name, "INC-20241226-001")
        self.assertEqual(second.name, "INC-20241226-002")

    def test_numbers_are_per_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.operator.company_ids += other
        at = {"detected_at": "2025-01-02T12:00:00Z"}
        here = self.open(**at)
        there = (
            self.env["qms.incident"]
            .with_user(self.operator)
            .with_company(other)
            .create({"title": "x", "detected_at": "2025-01-02 12:00:00"})
        )
        self.assertEqual(here.name, "INC-20250102-001")
        self.assertEqual(there.name, "INC-20250102-001")
        self.assertEqual(there.company_id, other)

    def test_what_is_rolled_back_leaves_no_gap(self):
        at = {"detected_at": "2025-01-02T12:00:00Z"}
        self.open(**at)
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            self.open(occurred_at="2999-01-01T00:00:00Z", **at)
        self.assertEqual(self.open(**at).name, "INC-20250102-002")

    def test_a_batch_gets_numbers_in_its_order(self):
        at = datetime(2025, 1, 2, 12)
        made = self.env["qms.incident"].create(
            [{"title": str(number), "detected_at": at} for number in range(3)]
        )
        self.assertEqual(
            made.mapped("name"), [f"INC-20250102-00{number}" for number in (1, 2, 3)]
        )

    def test_the_thousandth_of_a_day_goes_on(self):
        self.env.cr.execute(
            "INSERT INTO qms_incident_number (company_id, day, number)"
            " VALUES (%s, '2025-01-02', 999)",
            [self.env.company.id],
        )
        incident = self.open(detected_at="2025-01-02T12:00:00Z")
        self.assertEqual(incident.name, "INC-20250102-1000")

    def test_number_is_the_systems(self):
        incidents = self.env["qms.incident"].with_user(self.operator)
        with self.refused(UserError, "name cannot be given"):
            incidents.create({"title": "x", "name": "INC-20250102-007"})
        incident = self.open()
        for name in ("name", "day", "closed_at", "reopen_count", "first_error"):
            with self.subTest(name), self.assertRaises(UserError):
                incident.write({name: incident[name]})

    # === Opening ===

    def test_open_by_hand(self):
        incident = self.open(
            title="Schedules cannot be generated",
            severity="P1",
            error_code="DB_CONNECTION_TIMEOUT",
            systems="Backend API, PostgreSQL, backend api",
            detection_method="monitoring",
            detected_by="Prometheus",
            occurred_at="2024-12-26T14:30:15Z",
            detected_at="2024-12-26T15:32:00+01:00",
        )
        self.assertEqual(incident.state, "detected")
        self.assertEqual(incident.severity, "high")
        self.assertEqual(incident.category_id.code, "DATABASE")
        self.assertEqual(incident.user_id, self.operator)
        self.assertEqual(
            sorted(incident.system_ids.mapped("name")), ["Backend API", "PostgreSQL"]
        )
        self.assertEqual(incident.detected_at, datetime(2024, 12, 26, 14, 32))
        self.assertAlmostEqual(incident.time_to_detect, 1.75)
        self.assertIs(incident.time_to_resolve, False)
        answer = incident.get_incident()
        self.assertEqual(answer["durations_minutes"]["detect"], 1.75)
        self.assertIs(answer["durations_minutes"]["resolve"], False)
        self.assertIs(answer["users_affected"], False)

    def test_open_by_the_form(self):
        for role in ("operator", "manager"):
            form = Form(self.env["qms.incident"].with_user(self.users[role]))
            form.title = "Logins fail"
            form.severity_id = self.env["qms.severity"]._resolve("medium")
            incident = form.save()
            self.assertRegex(incident.name, r"^INC-\d{8}-\d{3}$")
        with self.assertRaises(AccessError):
            Form(self.env["qms.incident"].with_user(self.users["auditor"])).save()

    def test_what_is_wrong_is_named(self):
        known = self.env["qms.incident"].search_count([])
        for values, said in (
            ({"title": "  "}, "title"),
            ({"severity": "awful"}, "awful"),
            ({"detection_method": "psychic"}, "monitoring, health_check, user"),
            ({"detected_at": "yesterday"}, "detected_at.*RFC 3339"),
            ({"detected_at": "2999-01-01T00:00:00Z"}, "detected_at.*future"),
            ({"parent": "INC-19990101-001"}, "INC-19990101-001"),
            ({"parent": "seven"}, "'seven'.*INC-20260301-001"),
            ({"systems": ["x" * 101]}, "systems"),
        ):
            with self.subTest(values), self.refused(ValidationError, said):
                self.open(**values)
        self.assertEqual(self.env["qms.incident"].search_count([]), known)

    def test_same_key_opens_once(self):
        first = self.open(idempotency_key="k-1")
        self.assertEqual(self.open(idempotency_key="k-1"), first)

    # === From runs and alerts ===

    def test_open_from_a_run(self):
        run = self.start_run(
            error_code="DB_DEADLOCK", severity="P0", summary="Orders hang\nsince 8"
        )
        run.log_error(DEADLOCK, error_code="DB_DEADLOCK")
        run.log_error("Second")
        answer = run.open_incident(idempotency_key="k")
        self.assertFalse(answer["existing"])
        incident = run.incident_id
        self.assertEqual(incident.title, "Orders hang")
        self.assertEqual(incident.description, "Orders hang\nsince 8")
        self.assertEqual(incident.severity, "critical")
        self.assertEqual(incident.error_code_id.name, "DB_DEADLOCK")
        self.assertEqual(incident.detected_at, run.start_time)
        self.assertEqual(incident.first_error, f"DB_DEADLOCK: {DEADLOCK}")
        self.assertEqual(answer["runs"], [{"id": run.id, "name": run.name}])
        again = run.open_incident()
        self.assertTrue(again["existing"])
        self.assertEqual(again["id"], incident.id)
        self.assertEqual(run.action_open_incident()["res_id"], incident.id)

    def test_the_first_error_comes_later(self):
        run = self.start_run()
        run.open_incident("It hangs")
        self.assertFalse(run.incident_id.first_error)
        run.log_error("first thing", error_code="DB_DEADLOCK")
        run.log_error("second thing")
        self.assertEqual(run.incident_id.first_error, "DB_DEADLOCK: first thing")

    def test_finished_runs_can_be_linked_until_it_is_closed(self):
        run = self.work(self.start_run())
        run.complete("Mended")
        incident = self.open()
        incident.link_run(run.name.lower())
        self.assertEqual(incident.run_ids, run)
        self.assertEqual(incident.run_count, 1)
        other = self.open()
        with self.refused(UserError, "belongs to INC-.* already"):
            other.link_run(run.id)
        incident.move("false_positive", reason="A drill")
        with self.refused(UserError, "False positive: its runs"):
            run.incident_id = other
        with self.refused(ValidationError, "RUN-999999"):
            other.link_run("RUN-999999")

    def test_severities_of_the_setting_open_by_themselves(self):
        self.assertFalse(self.start_run(severity="critical").incident_id)
        settings = self.env["res.config.settings"].create({})
        critical = self.env["qms.severity"]._resolve("critical")
        settings.qms_incident_severity_ids = critical
        settings.set_values()
        parameter = self.env["ir.config_parameter"].get_param(AUTOMATIC)
        self.assertEqual(parameter, "critical")
        fresh = self.env["res.config.settings"].create({})
        self.assertEqual(fresh.qms_incident_severity_ids, critical)
        run = self.start_run(severity="P0", summary="Down")
        self.assertEqual(run.incident_id.title, "Down")
        lesser = self.start_run(severity="P1")
        self.assertFalse(lesser.incident_id)
        lesser.update_run(severity="critical")
        self.assertTrue(lesser.incident_id)
        self.assertEqual(lesser.incident_id.severity, "critical")

    def test_open_from_an_alert(self):
        source = self.env["qms.alert.source"].search([], limit=1)
        run = self.start_run(severity="high")
        started = Datetime.now() - timedelta(minutes=9)
        alert = self.env["qms.alert"].create(
            {
                "name": "HighErrorRate",
                "source_id": source.id,
                "company_id": self.env.company.id,
                "fingerprint": "f1",
                "status": "firing",
                "state": "processed",
                "starts_at": started,
                "start_known": True,
                "run_id": run.id,
            }
        )
        action = alert.with_user(self.operator).action_open_incident()
        incident = self.env["qms.incident"].browse(action["res_id"])
        self.assertEqual(alert.incident_id, incident)
        self.assertEqual(incident.detection_method, "monitoring")
        self.assertEqual(incident.detected_by, source.name)
        self.assertEqual(incident.occurred_at, started)
        self.assertAlmostEqual(incident.time_to_detect, 9, delta=0.1)
        self.env["ir.config_parameter"].set_param(AUTOMATIC, "critical")
        by_itself = self.start_run(severity="critical")
        self.assertFalse(by_itself.incident_id.detection_method)
        alert._record({"run_id": by_itself.id})
        self.assertEqual(by_itself.incident_id.detection_method, "monitoring")
        self.assertEqual(by_itself.incident_id.occurred_at, started)
        alone = alert.copy(
            {
                "run_id": False,
                "fingerprint": "f2",
                "status": "firing",
                "state": "received",
                "starts_at": started,
            }
        )
        # Without a run as well; who is told of it needs no SOP.
        alone = alone.with_user(self.operator)
        self.assertEqual(
            (alone.open_incident()["existing"], alone.run_id.id), (False,) * 2
        )
        found = alone.open_incident(title="Something else")
        self.assertTrue(found["existing"])
        self.assertEqual(found["title"], "HighErrorRate")
        self.assertEqual(found["detection_method"], "monitoring")
        own = alone.incident_id
        self.assertEqual(own.alert_count, 1)
        self.assertEqual(
            self.env["qms.alert"].search(own.action_view_alerts()["domain"]), alone
        )
        nobodys = self.env["qms.alert"].search([("incident_id", "=", False)])
        self.assertFalse(nobodys & (alert | alone))
        with self.assertRaises(AccessError):
            alone.with_user(self.users["auditor"])._open_incident({})
        with self.assertRaisesRegex(ValidationError, "no alert 2147483647"):
            alone.browse(2147483647).open_incident()

    # === States ===

    def test_the_whole_way(self):
        incident = self.open(detected_at="2024-12-26T14:32:00Z")
        incident.move("triaged", at="2024-12-26T14:33:30Z")
        incident.move("mitigated", at="2024-12-26T14:43:00Z")
        incident.move("resolved", at="2024-12-26T14:45:30Z")
        self.assertAlmostEqual(incident.time_to_acknowledge, 1.5)
        self.assertAlmostEqual(incident.time_to_mitigate, 11)
        self.assertAlmostEqual(incident.time_to_resolve, 13.5)
        incident.move("reviewed")
        self.assertTrue(incident.reviewed_at)

    def test_transitions_that_are_not(self):
        incident = self.open()
        for state in ("mitigated", "resolved", "reviewed", "closed"):
            with self.subTest(state):
                with self.refused(UserError, "can go to: Triaged, Dupl"):
                    incident.move(state)
                with self.refused(UserError, "can go to: Triaged, Dupl"):
                    incident.write({"state": state})
        with self.refused(ValidationError, "'done' is not a state"):
            incident.move("done")
        with self.assertRaises(UserError):
            incident.move("detected")
        with self.assertRaises(UserError):
            incident.create({"title": "x", "state": "closed"})

    def test_triage_needs_a_severity(self):
        incident = self.open(severity=None)
        with self.refused(UserError, "severity is missing"):
            incident.move("triaged")
        incident.update_incident({"severity": "low"})
        incident.move("triaged")
        self.assertEqual(incident.state, "triaged")

    def test_times_of_a_transition(self):
        incident = self.open(detected_at="2024-12-26T14:32:00Z")
        with self.refused(ValidationError, "at: 2024-12-26T14:31:59Z is bef"):
            incident.move("triaged", at="2024-12-26T14:31:59Z")
        with self.refused(ValidationError, "future"):
            incident.move("triaged", at="2999-01-01T00:00:00Z")
        with self.refused(ValidationError, "only triaged, mitigated and"):
            incident.move("false_positive", reason="x", at="2024-12-26T14:35:00Z")

    def test_contradictory_times_are_flagged_and_blank(self):
        incident = self.open(
            detected_at="2024-12-26T14:32:00Z", occurred_at="2024-12-26T14:40:00Z"
        )
        self.assertTrue(incident.times_conflict)
        self.assertIs(incident.time_to_detect, False)
        incident.update_incident({"occurred_at": "2024-12-26T14:30:00Z"})
        self.assertFalse(incident.times_conflict)
        self.assertEqual(incident.time_to_detect, 2)

    def test_reopening_blanks_what_is_no_longer_true(self):
        incident = self.open()
        for state in ("triaged", "mitigated", "resolved"):
            incident.move(state)
        triaged = incident.triaged_at
        with self.refused(UserError, "say why"):
            incident.move("triaged")
        incident.move("triaged", reason="It is back")
        self.assertEqual(incident.triaged_at, triaged)
        self.assertFalse(incident.mitigated_at or incident.resolved_at)
        self.assertIs(incident.time_to_resolve, False)
        self.assertEqual(incident.reopen_count, 1)
        self.assertEqual(incident.state_reason, "It is back")

    def test_duplicate_and_false_positive(self):
        first, second = self.open(), self.open()
        with self.refused(UserError, "duplicate_of"):
            second.move("duplicate")
        with self.refused(ValidationError, "cannot be a duplicate of"):
            second.move("duplicate", duplicate_of=second.name)
        second.move("duplicate", duplicate_of=first.name.lower())
        self.assertEqual(second.duplicate_of_id, first)
        self.assertTrue(second.closed_at)
        self.assertEqual((first | second).mapped("duplicate_count"), [1, 0])
        listed = first.action_view_duplicates()["domain"]
        self.assertEqual(self.env["qms.incident"].search(listed), second)
        with self.refused(ValidationError, "none itself"):
            self.open().move("duplicate", duplicate_of=second.id)
        with self.refused(UserError, "say why"):
            first.move("false_positive")
        first.move("false_positive", reason="A drill")
        with self.refused(UserError, "no longer be changed"):
            first.update_incident({"title": "Else"})
        with self.refused(UserError, "no longer be changed"):
            first.move("triaged", reason="x")

    def test_parents(self):
        whole = self.open()
        part = self.open(parent=whole.name)
        self.assertEqual(whole.child_ids, part)
        self.assertEqual((whole | part).mapped("child_count"), [1, 0])
        listed = whole.action_view_parts()["domain"]
        self.assertEqual(self.env["qms.incident"].search(listed), part)
        with self.refused(ValidationError, "part of itself"):
            whole.update_incident({"parent": part.id})

    # === Impact ===

    def test_impact_is_blank_until_assessed(self):
        incident = self.open()
        codes = [code for code, _text in incident._impact_missing()]
        self.assertEqual(
            codes,
            [
                f"impact.{name}"
                for name in (
                    "users",
                    "operations",
                    "workaround",
                    "data_integrity",
                    "compliance",
                )
            ],
        )
        incident.update_incident(
            {
                "users_affected": 0,
                "operations_affected": "None",
                "workaround_available": "yes",
                "data_integrity": "intact",
                "compliance": "at_risk",
                "cost_estimate": 500,
            }
        )
        self.assertEqual(incident.users_affected, 0)
        self.assertIsNot(incident.users_affected, False)
        codes = [code for code, _text in incident._impact_missing()]
        self.assertEqual(
            codes,
            ["impact.workaround", "impact.data_integrity", "impact.compliance"],
        )
        answer = incident.update_incident(
            {
                "workaround": "By phone",
                "data_checks": "No orphans",
                "compliance_checks": "Hours below 80",
                "users_affected": False,
            }
        )
        self.assertIs(answer["users_affected"], False)
        codes = [code for code, _text in incident._impact_missing()]
        self.assertEqual(codes, ["impact.users"])

    def test_the_form_says_what_is_not_assessed(self):
        with Form(self.open()) as form:
            self.assertIn("how many users, operations, workaround", form.impact_open)
            form.users_affected = 0
            form.workaround_available = "no"
            self.assertTrue(form.impact_open.startswith("operations, data"))
            form.operations_affected = "Logging in"
            form.data_integrity = "intact"
            form.compliance = "maintained"
            self.assertEqual(form.impact_open, "data, and how it was checked")
            form.data_checks = "No orphans"
            self.assertFalse(form.impact_open)

    def test_impact_refuses_nonsense(self):
        incident = self.open()
        before = incident.get_incident()
        for values, said in (
            ({"users_affected": -1}, "users_affected"),
            ({"users_affected": "many"}, "no number"),
            ({"users_affected": True}, "no number"),
            ({"data_integrity": "fine"}, "intact, inconsistent, corrupted"),
            ({"colour": "red"}, "colour cannot be set. Accepted"),
            ({}, "nothing cannot be set"),
        ):
            with self.subTest(values), self.refused(ValidationError, said):
                incident.update_incident(values)
        self.assertEqual(incident.get_incident(), before)

    # === Trail ===

    def test_every_transition_is_one_event(self):
        incident = self.open()
        with freeze_time(Datetime.now() + timedelta(seconds=5)):
            incident.move("triaged")
            incident.move("resolved")
            incident.move("triaged", reason="It is back")
        events = self.env["qms.audit.event"].search(
            [("root_model", "=", "qms.incident"), ("root_id", "=", incident.id)],
            order="sequence",
        )
        self.assertEqual(events.mapped("kind"), ["created", "state", "state", "state"])
        self.assertEqual(events[-1].reason, "It is back")
        self.assertEqual(events[0].root_name, incident.name)

    # === Roles ===

    def test_who_may_what(self):
        incident = self.open()
        seen = incident.with_user(self.users["auditor"])
        self.assertEqual(seen.get_incident()["id"], incident.id)
        for act in (
            lambda: seen.move("triaged"),
            lambda: seen.update_incident({"title": "x"}),
            lambda: self.open(user=self.users["auditor"]),
            lambda: seen.unlink(),
        ):
            with self.assertRaises(AccessError):
                act()
        self.assertEqual(self.open(user=self.users["automation"]).state, "detected")
        for role in ("operator", "automation", "author", "manager"):
            with self.subTest(role), self.assertRaises(AccessError):
                incident.with_user(self.users[role]).unlink()
        nobody = self.env["res.users"].create(
            {
                "name": "Plain",
                "login": "plain",
                "group_ids": [(6, 0, [self.env.ref("base.group_user").id])],
            }
        )
        with self.assertRaises(AccessError):
            incident.with_user(nobody).get_incident()
        number = self.env["qms.incident.number"].search([], limit=1)
        for role, user in self.users.items():
            with self.subTest(role), self.assertRaises(AccessError):
                number.with_user(user).write({"number": 7})

    def test_other_companies_do_not_see_it(self):
        incident = self.open()
        other = self.env["res.company"].create({"name": "Other"})
        stranger = self.env["res.users"].create(
            {
                "name": "Stranger",
                "login": "stranger",
                "company_id": other.id,
                "company_ids": [(6, 0, other.ids)],
                "group_ids": [
                    (6, 0, [self.env.ref("qms_error_code.group_qms_operator").id])
                ],
            }
        )
        incidents = self.env["qms.incident"].with_user(stranger)
        self.assertFalse(incidents.search([("id", "=", incident.id)]))
        with self.assertRaises(ValidationError):
            incidents.find_incident(incident.name)
        with self.assertRaises(AccessError):
            incidents.browse(incident.id).get_incident()

    def test_runs_of_another_company_are_refused(self):
        other = self.env["res.company"].create({"name": "Other"})
        run = self.start_run()
        incident = self.env["qms.incident"].create(
            {"title": "x", "company_id": other.id}
        )
        with self.assertRaises(UserError):
            run.sudo().incident_id = incident

    def test_a_run_that_is_opened_costs_nothing_more(self):
        # Pinned without incidents in qms_sop; the setting is read from the cache.
        self.env["qms.incident"]._automatic_severities()
        run = self.start_run(severity="critical")
        with self.assertQueryCount(0):
            run._open_incidents_by_severity()
