from datetime import datetime, timedelta

from odoo.fields import Command
from odoo.tests import tagged

from .escalation_common import TUESDAY, EscalationCommon

# The tables of the runbooks: by severity, after so many minutes, who.
BY_SEVERITY = {
    "critical": {
        0: {"incident_commander"},
        15: {"technical_lead", "security_lead"},
        30: {"engineering_manager"},
        60: {"vp_engineering"},
        120: {"cto"},
    },
    "high": {
        0: {"technical_lead"},
        15: {"incident_commander"},
        30: {"engineering_manager"},
        60: {"vp_engineering"},
        120: {"cto"},
    },
    "medium": {
        0: {"technical_lead"},
        15: {"technical_lead"},
        30: {"incident_commander"},
        60: {"engineering_manager"},
        120: {"vp_engineering"},
    },
    "low": {
        0: {"assigned_engineer"},
        15: {"team_lead"},
        30: {"engineering_manager"},
        60: {"vp_engineering"},
        120: {"cto"},
    },
}
# Kind of trouble: what a run of it is like; first contact, second level and when.
BY_KIND_AND_TIME = {
    "crash": (
        {"error_code": "SERVICE_START_FAILURE"},
        {0: {"on_call_engineer"}, 15: {"team_lead"}},
    ),
    "crash in words": (
        {"summary": "The shop crashed after the deployment."},
        {0: {"on_call_engineer"}, 15: {"team_lead"}},
    ),
    "database": (
        {"error_code": "DB_DEADLOCK"},
        {0: {"on_call_engineer"}, 30: {"database_administrator"}},
    ),
    "security": ({"error_code": "SECURITY_BREACH"}, {0: {"security_team", "ciso"}}),
    "performance": (
        {"error_code": "HIGH_CPU_USAGE"},
        {0: {"on_call_engineer"}, 60: {"devops_team"}},
    ),
    "something else": ({"error_code": "CERTIFICATE_EXPIRED"}, {}),
}
# Levels 1, 2 and 3; the table has no times.
BY_KIND_AND_LEVEL = {
    "DATABASE": ("on_call_engineer", "database_administrator", "cto"),
    "INFRASTRUCTURE": ("devops_lead", "cloud_provider_support", "cto"),
    "APPLICATION": ("backend_lead", "engineering_manager", "cto"),
}
SECURITY_LEVELS = ("security_lead", "ciso", "ceo")
# Minutes until the first target and until the resolution
TARGETS = {"critical": (15, 240), "high": (60, 1440)}
TWO_HOURS = 125


@tagged("post_install", "-at_install")
class TestMatrices(EscalationCommon):
    """Who is told, when and by what, as the tables of the runbooks have it."""

    # === Severity and time ===

    def test_by_severity(self):
        self.only("escalation_by_severity")
        for severity, expected in BY_SEVERITY.items():
            with self.subTest(severity), self.at(TUESDAY):
                run = self.open_run(severity)
                self.assertEqual(self.walk(run, TWO_HOURS), expected)
                self.assertEqual(
                    run.escalation_level,
                    len({tuple(sorted(who)) for who in expected.values()}),
                )

    def test_by_what(self):
        self.only("escalation_by_severity")
        self.templates.in_odoo = "activity"
        self.env["ir.config_parameter"].set_param(
            "qms_sop.notification_schemes", "json"
        )
        self.env["ir.config_parameter"].set_param(
            "qms_sop.notification_hosts", "127.0.0.1"
        )
        event = self.env["qms.notification.template"]._by_code("escalation")
        grave = self.env["qms.severity"].search([("code", "in", ("critical", "high"))])
        # As the runbooks route alerts: the pager for P0 and P1, the chat for all.
        channels = self.env["qms.notification.channel"].create(
            [
                {
                    "name": name,
                    "new_url": "json://127.0.0.1:9/hook",
                    "template_ids": [Command.set(event.ids)],
                    "severity_ids": [Command.set(severities)],
                }
                for name, severities in (("pager", grave.ids), ("chat", []))
            ]
        )
        for severity in BY_SEVERITY:
            with self.subTest(severity), self.at(TUESDAY):
                run = self.open_run(severity)
                self.walk(run, 0)
                told = self.env["qms.notification"].search(
                    [("res_id", "=", run.id), ("event", "=", "escalation")]
                )
                self.assertEqual(
                    set(told.filtered("user_id").mapped("medium")),
                    {"activity", "mail"},
                )
                names = {"chat"} | ({"pager"} if severity in TARGETS else set())
                self.assertEqual(set(told.channel_id.mapped("name")), names)
                self.assertEqual(
                    set(run.escalation_ids.channel_ids.mapped("name")), names
                )
        self.assertEqual(len(channels), 2)

    def test_stakeholders_of_critical_runs_are_due_an_update_each_half_hour(self):
        self.only("escalation_by_severity")
        with self.at(TUESDAY):
            run = self.open_run("critical")
            self.walk(run, TWO_HOURS)
            self.assertEqual(
                self.told(run, event="update_due"),
                {minutes: {"communications_lead"} for minutes in (30, 60, 90, 120)},
            )
            run.acknowledge()
            run.resolve()
            self.walk(run, 300)
            self.assertEqual(len(self.told(run, event="update_due")), 4)

    def test_stops_at_mitigation_or_acknowledgement(self):
        self.only("escalation_by_severity")
        for severity, reached, stopped in (
            ("critical", "acknowledge", False),
            ("critical", "mitigate", True),
            ("high", "acknowledge", False),
            ("high", "mitigate", True),
            ("medium", "acknowledge", True),
            ("low", "acknowledge", True),
        ):
            with self.subTest(severity=severity, reached=reached), self.at(TUESDAY):
                run = self.open_run(severity)
                self.walk(run, 20)
                self.clock.move_to(TUESDAY + timedelta(minutes=20))
                getattr(run, reached)()
                expected = {
                    minutes: who
                    for minutes, who in BY_SEVERITY[severity].items()
                    if minutes < 20 or not stopped
                }
                self.assertEqual(self.walk(run, TWO_HOURS), expected)

    def test_ended_runs_are_not_escalated(self):
        self.only("escalation_by_severity")
        with self.at(TUESDAY):
            run = self.open_run("critical")
            self.walk(run, 0)
            run.cancel("False alarm")
            self.assertFalse(run.next_escalation_at)
            self.assertEqual(self.walk(run, 500), {0: {"incident_commander"}})

    def test_the_responsible_person_is_the_assigned_engineer(self):
        self.only("escalation_by_severity")
        with self.at(TUESDAY):
            run = self.open_run("low", user=self.operator)
            self.assertEqual(self.walk(run, 0), {0: {self.operator.login}})

    # === Working hours ===

    def test_medium_and_low_runs_wait_for_monday(self):
        self.only("escalation_by_severity")
        friday, monday = datetime(2030, 6, 7, 16, 50), datetime(2030, 6, 10, 9)
        for severity in ("medium", "low"):
            with self.subTest(severity), self.at(friday):
                run = self.open_run(severity)
                self.walk(run, 5 * 24 * 60, begin=friday)
                told = self.told(run, begin=monday)
                # Ten minutes have counted on Friday.
                first = min(told)
                self.assertEqual(monday + timedelta(minutes=first), friday)
                self.assertEqual(
                    {minutes: who for minutes, who in told.items() if minutes >= 0},
                    {
                        minutes - 10: who
                        for minutes, who in BY_SEVERITY[severity].items()
                        if minutes
                    },
                )

    def test_critical_and_high_runs_do_not_wait(self):
        self.only("escalation_by_severity")
        saturday = datetime(2030, 6, 8, 3)
        for severity in ("critical", "high"):
            with self.subTest(severity), self.at(saturday):
                run = self.open_run(severity)
                self.assertEqual(
                    self.walk(run, TWO_HOURS, begin=saturday), BY_SEVERITY[severity]
                )

    def test_a_holiday_does_not_count(self):
        self.only("escalation_by_severity")
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Holiday",
                "calendar_id": self.calendar.id,
                "date_from": datetime(2030, 6, 5),
                "date_to": datetime(2030, 6, 5, 23, 59, 59),
            }
        )
        evening = datetime(2030, 6, 4, 16, 50)
        with self.at(evening):
            run = self.open_run("medium")
            self.walk(run, 3 * 24 * 60, begin=evening)
            self.assertEqual(
                sorted(self.told(run, begin=datetime(2030, 6, 6, 9)))[1:],
                [5, 20, 50, 110],
            )

    def test_hours_are_those_of_the_clock_when_it_changes(self):
        self.only("escalation_by_severity")
        self.calendar.tz = "Europe/Berlin"
        for holder in self.holders.values():
            holder.tz = "Europe/Berlin"
        # Summer time begins on Sunday 2030-03-31: nine o'clock is 07:00 UTC from then.
        evening = datetime(2030, 3, 29, 15, 50)
        with self.at(evening):
            run = self.open_run("medium")
            self.walk(run, 5 * 24 * 60, begin=evening)
            self.assertEqual(
                sorted(self.told(run, begin=datetime(2030, 4, 1, 7)))[1:],
                [5, 20, 50, 110],
            )

    # === Holds and changes ===

    def test_time_on_hold_does_not_count(self):
        self.only("escalation_by_severity")
        with self.at(TUESDAY):
            run = self.open_run("critical")
            self.walk(run, 20)
            self.clock.move_to(TUESDAY + timedelta(minutes=20))
            run.hold("Waits for the provider")
            self.assertFalse(run.next_escalation_at)
            self.clock.move_to(TUESDAY + timedelta(minutes=50))
            run.resume()
            self.assertEqual(
                self.walk(run, 160),
                {
                    minutes + (30 if minutes > 20 else 0): who
                    for minutes, who in BY_SEVERITY["critical"].items()
                },
            )

    def test_whoever_ought_to_know_by_now_is_told_when_the_severity_is_raised(self):
        self.only("escalation_by_severity")
        with self.at(TUESDAY):
            run = self.open_run("low")
            self.walk(run, 20)
            self.clock.move_to(TUESDAY + timedelta(minutes=40))
            run.update_run(severity="critical")
            self.assertEqual(
                self.walk(run, TWO_HOURS),
                {
                    0: {"assigned_engineer"},
                    15: {"team_lead"},
                    40: {
                        "incident_commander",
                        "technical_lead",
                        "security_lead",
                        "engineering_manager",
                    },
                    60: {"vp_engineering"},
                    120: {"cto"},
                },
            )

    def test_lowered_severity_goes_on_by_its_own_rules(self):
        self.only("escalation_by_severity")
        with self.at(TUESDAY):
            run = self.open_run("critical")
            self.walk(run, 40)
            self.clock.move_to(TUESDAY + timedelta(minutes=40))
            run.update_run(severity="medium")
            told = self.walk(run, TWO_HOURS)
            self.assertEqual(told[60], {"engineering_manager"})
            self.assertEqual(told[120], {"vp_engineering"})
            self.assertNotIn("cto", set().union(*told.values()))

    # === Kinds of trouble ===

    def test_by_kind_and_time(self):
        self.only("escalation_by_kind_and_time")
        for kind, (values, expected) in BY_KIND_AND_TIME.items():
            for severity in ("critical", "high"):
                with self.subTest(kind, severity=severity), self.at(TUESDAY):
                    run = self.open_run(severity, **values)
                    self.assertEqual(self.walk(run, TWO_HOURS), expected)

    def test_security_is_told_at_any_hour(self):
        self.only("escalation_by_kind_and_time")
        night = datetime(2030, 6, 8, 3)
        for severity in BY_SEVERITY:
            with self.subTest(severity), self.at(night):
                run = self.open_run(severity, summary="A breach of the customer data")
                self.assertEqual(
                    self.walk(run, TWO_HOURS, begin=night),
                    {0: {"security_team", "ciso"}},
                )

    def test_by_kind_and_level(self):
        self.only("escalation_by_kind_and_level")
        cases = [
            ({"category": category}, levels)
            for category, levels in BY_KIND_AND_LEVEL.items()
        ]
        cases.append(({"error_code": "SECURITY_BREACH"}, SECURITY_LEVELS))
        for values, (first, second, third) in cases:
            for severity, (target, resolution) in TARGETS.items():
                with self.subTest(severity=severity, **values), self.at(TUESDAY):
                    run = self.open_run(severity, **values)
                    self.assertEqual(
                        self.walk(run, resolution),
                        {0: {first}, target: {second}, resolution: {third}},
                    )

    def test_levels_of_a_run_that_is_taken_on_in_time(self):
        self.only("escalation_by_kind_and_level")
        with self.at(TUESDAY):
            run = self.open_run("high", category="DATABASE")
            self.walk(run, 0)
            self.clock.move_to(TUESDAY + timedelta(minutes=10))
            run.acknowledge()
            # Taken on, but users still suffer after an hour.
            self.assertEqual(
                self.walk(run, 600),
                {0: {"on_call_engineer"}, 60: {"database_administrator"}},
            )
            run.mitigate()
            self.assertEqual(self.walk(run, 1440)[1440], {"cto"})

    def test_two_matrices_stand_side_by_side(self):
        self.only("escalation_by_severity", "escalation_by_kind_and_time")
        with self.at(TUESDAY):
            run = self.open_run("critical", error_code="DB_DEADLOCK")
            told = self.walk(run, TWO_HOURS)
            self.assertEqual(told[0], {"incident_commander", "on_call_engineer"})
            self.assertEqual(
                told[30], {"engineering_manager", "database_administrator"}
            )
