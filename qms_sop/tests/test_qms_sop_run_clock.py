import json
import random
from datetime import datetime, timedelta

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import freeze_time, tagged
from odoo.tools import SQL

from ..models.run.qms_sop_run_clock import AT_RISK_PERCENT, CLOCK_STATES, CLOCKS
from .common import QmsSopCommon

START = datetime(2026, 3, 3, 10)
MINUTE = timedelta(minutes=1)


def after(minutes):
    return START + minutes * MINUTE


class ClockCase(QmsSopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.severities = {
            severity.code: severity
            for severity in cls.env["qms.severity"].search([])
            if severity.code in ("critical", "high", "medium", "low")
        }

    def open_run(self, severity="high", at=START, **values):
        with freeze_time(at):
            run = self.start_run(severity=severity, **values)
        # As a commit does, which also writes the audit trail.
        self.env.cr.flush()
        return run

    def states(self, run, at):
        """Return the states of the three clocks at a moment, and check the search."""
        with freeze_time(at):
            run.invalidate_recordset()
            states = [run[f"{clock}_sla"] for clock in CLOCKS]
            for name in (*(f"{clock}_sla" for clock in CLOCKS), "sla"):
                for state, _label in CLOCK_STATES:
                    domain = [("id", "=", run.id), (name, "=", state)]
                    told = run[name] == state
                    self.assertEqual(
                        bool(run.search(domain)), told, (name, state, states)
                    )
                    self.assertEqual(
                        bool(run.filtered_domain(domain)), told, (name, state, states)
                    )
            return states

    def events(self, run):
        """Return what the trail of a run says, the last event first."""
        self.env.cr.flush()
        events = self.env["qms.audit.event"].sudo()
        found = events.search(run._trail_domain(), order="sequence desc")
        return [json.loads(event.content) for event in found]


@tagged("post_install", "-at_install")
class TestQmsSopRunClock(ClockCase):
    def test_deadlines_of_each_severity(self):
        week = 7 * 1440
        for code, targets in {
            "critical": (15, 15, 240),
            "high": (60, 60, 1440),
            "medium": (240, 240, week),
            "low": (week, None, None),
        }.items():
            with self.subTest(code):
                run = self.open_run(code)
                self.assertEqual(run.detected_at, START)
                for clock, minutes in zip(CLOCKS, targets, strict=True):
                    self.assertEqual(
                        run[f"{clock}_deadline"], minutes and after(minutes) or False
                    )
                    self.assertEqual(
                        run[f"{clock}_at_risk_at"],
                        minutes and after(minutes * 0.75) or False,
                    )
                self.assertEqual(run.next_deadline, after(targets[0]))

    def test_a_run_without_a_severity_has_no_clocks(self):
        run = self.open_run(None)
        self.assertEqual(self.states(run, after(99999)), ["not_applicable"] * 3)
        self.assertEqual(run.sla, "not_applicable")
        self.assertFalse(run.next_deadline)

    def test_states_follow_the_time(self):
        run = self.open_run("high")
        running, risk, breached = "running", "at_risk", "breached"
        for minutes, expected in (
            (0, [running, running, running]),
            (44.9, [running, running, running]),
            (45, [risk, risk, running]),
            (59.9, [risk, risk, running]),
            (60, [breached, breached, running]),
            (1080, [breached, breached, risk]),
            (1440, [breached, breached, breached]),
        ):
            self.assertEqual(self.states(run, after(minutes)), expected, minutes)

    def test_stopped_in_time_and_too_late(self):
        run = self.open_run("high")
        with freeze_time(after(30)):
            run.acknowledge()
        self.assertEqual(run.acknowledged_by_id, self.operator)
        self.assertEqual(
            self.states(run, after(59)), ["met", "at_risk", "running"], "acknowledged"
        )
        with freeze_time(after(61)):
            run.mitigate()
        self.assertEqual(self.states(run, after(61)), ["met", "breached", "running"])
        with freeze_time(after(100)):
            run.resolve()
            self.assertFalse(run.next_deadline)
        self.assertEqual(self.states(run, after(9999)), ["met", "breached", "met"])
        self.assertEqual(run.sla, "breached")
        self.assertEqual(
            (run.time_to_acknowledge, run.time_to_mitigate, run.time_to_resolve),
            (30, 61, 100),
        )
        self.assertIs(run.time_to_detect, False)

    def test_what_reaches_its_deadline_is_breached(self):
        run = self.open_run("high")
        with freeze_time(after(60)):
            run.acknowledge()
        self.assertEqual(self.states(run, after(61))[0], "breached")

    def test_the_next_deadline(self):
        run = self.open_run("critical")
        self.assertEqual(run.next_deadline, after(15))
        with freeze_time(after(5)):
            run.mitigate()
        self.assertEqual(run.acknowledged_at, after(5), "who mends it has taken it on")
        self.assertEqual(run.next_deadline, after(240))
        with freeze_time(after(6)):
            run.hold("Waiting")
        self.assertFalse(run.next_deadline)
        with freeze_time(after(10)):
            run.resume()
        self.assertEqual(run.next_deadline, after(244))

    def test_completing_resolves(self):
        run = self.open_run("high")
        with freeze_time(after(90)):
            self.work(run)
            run.complete("Done.")
        self.assertEqual(run.resolved_at, after(90))
        self.assertFalse(run.mitigated_at, "nobody told")
        self.assertIs(run.time_to_mitigate, False)
        # The first step was taken up after 90 minutes, and nobody had said anything.
        self.assertEqual(run.acknowledged_at, after(90))
        self.assertEqual(self.states(run, after(99)), ["breached", "breached", "met"])

    def test_what_was_resolved_before_it_was_completed(self):
        run = self.open_run("high")
        with freeze_time(after(50)):
            run.resolve()
        with freeze_time(after(2000)):
            self.work(run)
            run.complete("Done.")
        self.assertEqual(run.resolved_at, after(50))
        self.assertEqual(self.states(run, after(2001)), ["met", "met", "met"])

    def test_cancelled_and_failed(self):
        for minutes, expected in ((30, "not_applicable"), (60, "breached")):
            for end in ("cancel", "fail"):
                with self.subTest(f"{end} after {minutes}"):
                    run = self.open_run("high")
                    with freeze_time(after(minutes)):
                        getattr(run, end)("No need.")
                    self.assertEqual(
                        self.states(run, after(9999)),
                        [expected, expected, "not_applicable"],
                    )
                    self.assertFalse(run.resolved_at)

    def test_working_a_step_is_taking_it_on(self):
        run = self.open_run("high")
        with freeze_time(after(20)):
            run.update_step(1, "in_progress")
        self.assertEqual(run.acknowledged_at, after(20))
        self.assertEqual(run.acknowledged_by_id, self.operator)
        machine = self.open_run("high", user=self.users["automation"])
        with freeze_time(after(20)):
            machine.update_step(1, "in_progress")
        self.assertFalse(machine.acknowledged_at, "a program is nobody")

    def test_only_what_was_noticed_is_detected(self):
        run = self.open_run("high", trigger="scheduled")
        self.assertFalse(run.detected_at)
        self.assertEqual(run.response_deadline, after(60), "clocks run all the same")

    def test_plain_orm(self):
        with freeze_time(START):
            run = (
                self.env["qms.sop.run"]
                .with_user(self.operator)
                .create(
                    {
                        "sop_id": self.sop.id,
                        "severity_id": self.severities["high"].id,
                        "occurred_at": "2026-03-03 09:40:00",
                        "detected_at": "2026-03-03 09:50:00",
                    }
                )
            )
        self.assertEqual(run.response_deadline, after(50), "a draft has been noticed")
        self.assertEqual(run.time_to_detect, 10)
        with freeze_time(after(5)):
            run.write({"detected_at": "2026-03-03 09:55:00"})
            run.action_start()
        self.assertEqual(run.response_deadline, after(55))
        self.assertEqual(run.time_to_detect, 15)

    def test_dating_the_start_back_takes_the_detection_along(self):
        run = self.open_run("high")
        run.start_time = after(-30)
        self.assertEqual(run.detected_at, after(-30))
        self.assertEqual(run.response_deadline, after(30))

    def test_an_error_code_brings_its_clocks(self):
        code = self.env["qms.error.code"]._resolve("DB_CONNECTION_LEAK")
        run = self.open_run(None)
        with freeze_time(after(1)):
            run.update_run(error_code="DB_CONNECTION_LEAK")
        targets = self.env["qms.severity"]._clock_targets(code.severity_id.id)
        self.assertEqual(run.response_deadline, after(targets[0]))

    # === Severity and hold in the middle ===

    def test_another_severity(self):
        run = self.open_run("medium")
        with freeze_time(after(30)):
            run.update_run(severity="critical")
        self.assertEqual(run.response_deadline, after(15))
        self.assertEqual(self.states(run, after(30))[0], "breached")
        (event, *_rest) = self.events(run)
        self.assertEqual(
            event["changes"]["response_deadline"],
            ["2026-03-03T14:00:00Z", "2026-03-03T10:15:00Z"],
        )
        self.assertIn("severity_id", event["changes"], "one event tells both")
        with freeze_time(after(31)):
            run.update_run(severity="low")
        self.assertEqual(
            self.states(run, after(32)), ["running", "not_applicable", "not_applicable"]
        )

    def test_what_was_met_stays_met(self):
        run = self.open_run("medium")
        with freeze_time(after(100)):
            run.acknowledge()
            run.update_run(severity="critical")
        self.assertEqual(run.response_deadline, after(240))
        self.assertEqual(run.mitigation_deadline, after(15))
        self.assertEqual(self.states(run, after(101))[:2], ["met", "breached"])

    def test_on_hold(self):
        run = self.open_run("high")
        with freeze_time(after(50)):
            run.hold("Waiting for the vendor")
        self.assertEqual(self.states(run, after(500)), ["paused"] * 3)
        with freeze_time(after(500)):
            self.assertEqual(run._next_clock_moments(), {run.id: []})
            run.resume()
        self.assertEqual(run.response_deadline, after(510))
        self.assertEqual(run.response_at_risk_at, after(45), "it was at risk already")
        self.assertEqual(run.paused_minutes, 450)
        self.assertEqual(self.states(run, after(509))[0], "at_risk")
        self.assertEqual(self.states(run, after(510))[0], "breached")

    def test_a_hold_after_the_deadline_excuses_nothing(self):
        run = self.open_run("high")
        with freeze_time(after(70)):
            run.hold("Waiting")
        self.assertEqual(
            self.states(run, after(100)), ["breached", "breached", "paused"]
        )
        with freeze_time(after(100)):
            run.invalidate_recordset()
            clock = run.clocks["response"]
        self.assertEqual((clock["ticks"], clock["remaining_minutes"]), (False, -10))
        with freeze_time(after(100)):
            run.resume()
        self.assertEqual(run.response_deadline, after(60))
        self.assertEqual(run.resolution_deadline, after(1470))

    def test_hold_and_severity_in_the_middle(self):
        run = self.open_run("high")
        for begin, end in ((10, 20), (30, 60)):
            with freeze_time(after(begin)):
                run.hold("Waiting")
            if begin == 30:
                with freeze_time(after(40)):
                    run.update_run(severity="critical")
                # 20 minutes had counted when the second hold began.
                self.assertEqual(self.states(run, after(50))[0], "breached")
                self.assertEqual(run.response_deadline, after(25))
            with freeze_time(after(end)):
                run.resume()
        self.assertEqual(run.paused_minutes, 40)
        self.assertEqual(run.response_deadline, after(25))
        self.assertEqual(run.resolution_deadline, after(280))
        with freeze_time(after(61)):
            run.update_run(severity="high")
        self.assertEqual(run.response_deadline, after(100))

    def test_ending_on_hold_ends_the_hold(self):
        run = self.open_run("high")
        with freeze_time(after(10)):
            run.hold("Waiting")
        with freeze_time(after(100)):
            run.fail("Nobody answered")
        self.assertEqual(run.paused_minutes, 90)
        self.assertFalse(run.held_since)
        self.assertEqual(self.states(run, after(101)), ["not_applicable"] * 3)

    def test_each_transition_is_one_event(self):
        run = self.open_run("high")
        for minutes, act in (
            (10, lambda: run.hold("Waiting")),
            (20, run.resume),
            (30, lambda: run.fail("No")),
        ):
            before = len(self.events(run))
            with freeze_time(after(minutes)):
                act()
            self.assertEqual(len(self.events(run)), before + 1)
        self.assertEqual(self.events(run)[1]["kind"], "state")
        self.assertEqual(
            self.events(run)[1]["changes"]["response_deadline"],
            ["2026-03-03T11:00:00Z", "2026-03-03T11:10:00Z"],
            "resuming moved the deadline, and says so",
        )

    def test_the_search_agrees_with_what_is_shown(self):
        chance = random.Random(20260303)
        runs = self.env["qms.sop.run"].create(
            [{"sop_id": self.sop.id} for _ in range(60)]
        )
        self.env.flush_all()

        def moment(likely=0.5):
            return after(chance.randint(0, 9)) if chance.random() < likely else None

        for run in runs:
            values = {
                name: moment()
                for name in ("acknowledged_at", "mitigated_at", "resolved_at")
            }
            values |= {f"{clock}_deadline": moment(0.9) for clock in CLOCKS}
            values |= {f"{clock}_at_risk_at": moment(1) for clock in CLOCKS}
            state = chance.choice(
                ["in_progress", "on_hold", "completed", "failed", "cancelled"]
            )
            values["state"] = state
            values["held_since"] = moment(0.9) if state == "on_hold" else None
            ended = state not in ("in_progress", "on_hold")
            values["end_time"] = moment(0.9) if ended else None
            # Past every check, so that there are cases nobody thinks of.
            assignments = SQL(", ").join(
                SQL("%s = %s", SQL.identifier(name), value)
                for name, value in values.items()
            )
            self.env.cr.execute(
                SQL("UPDATE qms_sop_run SET %s WHERE id = %s", assignments, run.id)
            )
        self.env.invalidate_all()
        met = set()
        with freeze_time(after(5)):
            for name in (*(f"{clock}_sla" for clock in CLOCKS), "sla"):
                for state, _label in CLOCK_STATES:
                    shown = runs.filtered(lambda run, n=name, s=state: run[n] == s)
                    found = runs.search([("id", "in", runs.ids), (name, "=", state)])
                    self.assertEqual(set(found.ids), set(shown.ids), (name, state))
                    if shown:
                        met.add(state)
        self.assertEqual(met, {state for state, _label in CLOCK_STATES})

    # === Moments ===

    def test_next_moments(self):
        run = self.open_run("critical")
        self.assertEqual(
            run._next_clock_moments()[run.id],
            [
                (after(11.25), "response", "at_risk"),
                (after(11.25), "mitigation", "at_risk"),
                (after(15), "response", "breached"),
                (after(15), "mitigation", "breached"),
                (after(180), "resolution", "at_risk"),
                (after(240), "resolution", "breached"),
            ],
        )
        with freeze_time(after(1)):
            run.mitigate()
        self.assertEqual(
            run._next_clock_moments()[run.id],
            [
                (after(180), "resolution", "at_risk"),
                (after(240), "resolution", "breached"),
            ],
        )

    def test_the_hook_hears_of_every_change(self):
        heard = []
        self.patch(
            type(self.env["qms.sop.run"]),
            "_clocks_changed",
            lambda runs: heard.append(runs.ids),
        )
        run = self.open_run("high")
        self.assertEqual(heard.pop(), [run.id])
        for act in (
            run.acknowledge,
            lambda: run.update_run(severity="critical"),
            lambda: run.hold("Waiting"),
            run.resume,
            run.mitigate,
            lambda: run.correct_times("Wrong", mitigated_at=""),
            run.resolve,
        ):
            heard.clear()
            with freeze_time(after(5)):
                act()
            self.assertIn([run.id], heard, act)
        heard.clear()
        with freeze_time(after(6)):
            run.update_run(resolution="Nothing of the kind")
        self.assertFalse(heard)

    def test_the_percentage_is_a_setting(self):
        self.env["ir.config_parameter"].set_param(AT_RISK_PERCENT, "50")
        self.assertEqual(self.open_run("high").response_at_risk_at, after(30))
        self.env["ir.config_parameter"].set_param(AT_RISK_PERCENT, "nonsense")
        self.assertEqual(self.open_run("high").response_at_risk_at, after(45))

    # === Telling times ===

    def test_dating_back_needs_a_reason(self):
        run = self.open_run("high")
        with freeze_time(after(50)):
            with self.assertRaisesRegex(ValidationError, "Argument reason"):
                run.acknowledge(at="2026-03-03T10:20:00Z")
            with self.assertRaisesRegex(ValidationError, "Argument reason"):
                run.acknowledge(at="2026-03-03T10:20:00Z", reason="  ")
            run.acknowledge(at="2026-03-03T11:20:00+01:00", reason="Was on the phone")
        self.assertEqual(run.acknowledged_at, after(20))
        (event, *_rest) = self.events(run)
        self.assertEqual(event["reason"], "Was on the phone")
        self.assertTrue(event["occurred_at"].startswith("2026-03-03T10:20:00"))

    def test_a_reason_is_told_each_time(self):
        run = self.open_run("high")
        for at in ("2026-03-03T10:01:00Z", "2026-03-03T10:02:00Z"):
            with freeze_time(after(50)):
                run.correct_times("Clock was wrong", occurred_at="", detected_at=at)
            self.assertEqual(self.events(run)[0]["reason"], "Clock was wrong")

    def test_nobody_slips_a_reason_in(self):
        run = self.open_run("high").with_context(qms_times_reason="Forged")
        with freeze_time(after(1)):
            run.acknowledge()
        self.assertNotIn("reason", self.events(run)[0])

    def test_impossible_orders(self):
        run = self.open_run("high")
        with freeze_time(after(30)):
            run.acknowledge()
            for times, field in (
                ({"detected_at": "2026-03-03T10:31:00Z"}, "acknowledged_at"),
                ({"occurred_at": "2026-03-03T10:01:00Z"}, "detected_at"),
                ({"acknowledged_at": "2026-03-03T09:59:00Z"}, "acknowledged_at"),
                (
                    {
                        "mitigated_at": "2026-03-03T10:20:00Z",
                        "resolved_at": "2026-03-03T10:15:00Z",
                    },
                    "resolved_at",
                ),
                ({"mitigated_at": "2026-03-03T10:32:00Z"}, "future"),
            ):
                with self.subTest(times):
                    with self.assertRaisesRegex(ValidationError, field):
                        run.correct_times("Test", **times)
            run.correct_times(
                "Seen in the log",
                occurred_at="2026-03-03T09:00:00Z",
                detected_at="2026-03-03T09:30:00Z",
                mitigated_at="2026-03-03T10:10:00Z",
            )
        self.assertEqual(run.response_deadline, after(30), "counted from its detection")
        self.assertEqual(run.time_to_detect, 30)
        self.assertEqual(run.time_to_mitigate, 40)

    def test_bad_times(self):
        run = self.open_run("high")
        with self.assertRaisesRegex(ValidationError, "Argument at: 'noon'"):
            run.acknowledge(at="noon")
        with self.assertRaisesRegex(ValidationError, "Argument occurred_at"):
            run.correct_times("Test", occurred_at="yesterday")
        with self.assertRaisesRegex(ValidationError, "Nothing to change"):
            run.correct_times("Test")

    def test_telling_it_twice(self):
        run = self.open_run("high")
        with freeze_time(after(1)):
            first = run.acknowledge(idempotency_key="ack")
        with freeze_time(after(2)):
            self.assertEqual(run.acknowledge(idempotency_key="ack"), first)
            with self.assertRaisesRegex(UserError, "10:01:00Z"):
                run.acknowledge()

    def test_a_time_is_taken_back(self):
        run = self.open_run("high")
        with freeze_time(after(10)):
            run.mitigate()
            run.correct_times("It came back", mitigated_at="", acknowledged_at="")
        self.assertFalse(run.acknowledged_by_id)
        self.assertIs(run.time_to_mitigate, False)
        self.assertEqual(self.states(run, after(59)), ["at_risk", "at_risk", "running"])

    def test_an_ended_run_is_sealed(self):
        run = self.open_run("high")
        with freeze_time(after(10)):
            run.cancel("No")
            for act in (run.acknowledge, run.mitigate, run.resolve):
                with self.assertRaises(UserError):
                    act()
            with self.assertRaises(UserError):
                run.correct_times("Late", occurred_at="2026-03-03T09:00:00Z")

    def test_times_are_not_written_directly(self):
        run = self.open_run("high")
        for name in (
            "acknowledged_at",
            "mitigated_at",
            "resolved_at",
            "response_deadline",
            "next_deadline",
            "held_since",
            "occurred_at",
            "detected_at",
        ):
            with self.subTest(name), self.assertRaisesRegex(UserError, name):
                run.write({name: after(-10)})
        with self.assertRaisesRegex(UserError, "response_deadline"):
            run.create({"sop_id": self.sop.id, "response_deadline": START})

    def test_who_may(self):
        run = self.open_run("high")
        for act in ("acknowledge", "mitigate", "resolve"):
            with self.assertRaises(AccessError):
                getattr(run.with_user(self.users["auditor"]), act)()
        with self.assertRaises(AccessError):
            run.with_user(self.users["auditor"]).correct_times("No", occurred_at="")
        with freeze_time(after(1)):
            run.with_user(self.users["automation"]).acknowledge()

    def test_many_at_once(self):
        runs = self.open_run("high") | self.open_run("low")
        with freeze_time(after(1)):
            runs.action_acknowledge()
        self.assertEqual(runs.mapped("acknowledged_at"), [after(1)] * 2)
        more = runs | self.open_run("high")
        with freeze_time(after(2)):
            more.action_acknowledge()
            self.assertEqual(more[-1].acknowledged_at, after(2))
            self.assertEqual(runs.mapped("acknowledged_at"), [after(1)] * 2)
            with self.assertRaisesRegex(UserError, "already"):
                more.action_acknowledge()

    def test_the_timeline_tells_them_by_name(self):
        run = self.open_run("high")
        with freeze_time(after(30)):
            run.mitigate(at="2026-03-03T10:20:00Z", reason="Was mending it")
        self.env.cr.flush()
        with freeze_time(after(40)):
            run.correct_times("Said the log", mitigated_at="2026-03-03T10:25:00Z")
        self.env.cr.flush()
        told = [
            (event["type"], event["at"], event["detail"])
            for event in run._timeline()[2:]
        ]
        self.assertEqual(
            told[:2],
            [
                ("run.acknowledged", "2026-03-03T10:20:00Z", "Was mending it"),
                ("run.mitigated", "2026-03-03T10:20:00Z", "Was mending it"),
            ],
        )
        self.assertEqual(told[2][0], "run.changed", "a correction reaches nothing")

    def test_on_paper(self):
        run = self.open_run("high")
        with freeze_time(after(30)):
            run.acknowledge()
            report = self.env["report.qms_sop.report_sop_run"].with_user(self.operator)
            facts = dict(fact for row in report._facts(run) for fact in row)
        self.assertIn("2026-03-03", facts["Acknowledged"])
        self.assertIn(self.operator.name, facts["Acknowledged"])
        self.assertTrue(facts["Response"].startswith("Met, due 2026-03-03"))
        self.assertTrue(facts["Mitigation"].startswith("Running, due"))
        self.assertEqual(facts["Mitigated"], "")

    # === Metrics ===

    def test_contradictions_are_flagged(self):
        run = self.open_run("high", at=after(-60))
        with freeze_time(START):
            run.correct_times("Known", occurred_at="2026-03-03T08:59:00Z")
        with freeze_time(after(10)):
            self.work(run)
            run.complete("Done.", resolution_time=3 * 3600)
        self.assertTrue(run.times_contradict)
        self.assertIn("resolution_time", run.times_contradiction)
        self.assertFalse(run.resolved_at, "nothing is derived from a contradiction")
        self.assertIs(run.time_to_resolve, False)

    def test_old_times_that_contradict_are_blank(self):
        run = self.open_run("high")
        self.env.flush_all()
        # As they may come from another system, past every check.
        self.env.cr.execute(
            "UPDATE qms_sop_run SET acknowledged_at = detected_at - interval '1 hour',"
            " mitigated_at = detected_at + interval '1 hour' WHERE id = %s",
            [run.id],
        )
        run.invalidate_recordset()
        run.sudo()._compute_metrics()
        self.assertIs(run.time_to_acknowledge, False)
        self.assertEqual(run.time_to_mitigate, 60)
        self.assertTrue(run.times_contradict)
        self.assertIn("acknowledged_at", run.times_contradiction)

    # === Upgrade ===

    def test_runs_of_a_time_without_clocks_get_them(self):
        runs = self.open_run("high") | self.open_run("high", trigger="scheduled")
        ended = self.open_run("high")
        ended.cancel("No")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE qms_sop_run SET detected_at = NULL, response_deadline = NULL,"
            " mitigation_deadline = NULL, resolution_deadline = NULL,"
            " next_deadline = NULL WHERE id IN %s",
            [(runs | ended)._ids],
        )
        self.env.invalidate_all()
        self.env["qms.sop.run"]._clock_older_runs()
        self.assertEqual(runs.mapped("response_deadline"), [after(60)] * 2)
        self.assertEqual(runs.mapped("next_deadline"), [after(60)] * 2)
        self.assertEqual(runs.mapped("detected_at"), [START, False])
        self.assertFalse(ended.response_deadline, "what has ended stays as it was")

    # === Queries ===

    def test_queries(self):
        runs = self.env["qms.sop.run"].with_user(self.operator)
        for _ in range(2):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            runs.start_run("SOP-TEST-001", severity="critical")
            self.env.cr.flush()
        # As without clocks, and one to wake whoever escalates at the deadline.
        self.assertLessEqual(self.env.cr.sql_log_count - before, 7)

    def test_lists_do_not_pay_per_run(self):
        def count(limit):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            runs = self.env["qms.sop.run"].with_user(self.operator)
            runs.web_search_read(
                [("sla", "in", ["running", "at_risk", "breached", "paused"])],
                {"name": {}, "sla": {}, "clocks": {}, "next_deadline": {}},
                limit=limit,
            )
            return self.env.cr.sql_log_count - before

        for severity in ("critical", "high", "low") * 4:
            self.start_run(severity=severity)
        count(2)
        self.assertEqual(count(11), count(2))


@tagged("post_install", "-at_install")
class TestWorkingCalendar(ClockCase):
    """Monday to Friday, 9 to 17 in Brussels; closed on Wednesday 11 March 2026."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.calendar = cls.env["resource.calendar"].create(
            {
                "name": "Office",
                "tz": "Europe/Brussels",
                "attendance_ids": [
                    (5, 0, 0),
                    *(
                        (
                            0,
                            0,
                            {
                                "name": "Open",
                                "dayofweek": str(day),
                                "hour_from": begin,
                                "hour_to": end,
                                "day_period": period,
                            },
                        )
                        for day in range(5)
                        for begin, end, period in (
                            (9, 12, "morning"),
                            (12, 17, "afternoon"),
                        )
                    ),
                ],
            }
        )
        cls.holiday = cls.env["resource.calendar.leaves"].create(
            {
                "name": "Holiday",
                "calendar_id": cls.calendar.id,
                "company_id": cls.env.company.id,
                "date_from": datetime(2026, 3, 10, 23),
                "date_to": datetime(2026, 3, 11, 23),
            }
        )
        cls.severities["medium"].calendar_id = cls.calendar

    def deadline(self, at):
        return self.open_run("medium", at=at).response_deadline

    def test_a_weekend(self):
        # Friday 15:00 in Brussels: two hours left, then Monday to 11:00.
        self.assertEqual(
            self.deadline(datetime(2026, 3, 6, 14)), datetime(2026, 3, 9, 10)
        )
        # Opened on Saturday
        self.assertEqual(
            self.deadline(datetime(2026, 3, 7, 2)), datetime(2026, 3, 9, 12)
        )

    def test_a_holiday(self):
        self.assertEqual(
            self.deadline(datetime(2026, 3, 10, 15)), datetime(2026, 3, 12, 11)
        )

    def test_the_clocks_go_forward(self):
        # On Sunday 29 March: Friday 16:00 CET, one hour; Monday to 12:00 CEST.
        self.assertEqual(
            self.deadline(datetime(2026, 3, 27, 15)), datetime(2026, 3, 30, 10)
        )

    def test_the_clocks_go_back(self):
        # On Sunday 25 October: Friday 16:00 CEST, one hour; Monday to 12:00 CET.
        self.assertEqual(
            self.deadline(datetime(2026, 10, 23, 14)), datetime(2026, 10, 26, 11)
        )

    def test_around_the_clock_a_changed_hour_is_an_hour(self):
        self.severities["high"].calendar_id = False
        run = self.open_run("high", at=datetime(2026, 3, 29, 0, 30))
        self.assertEqual(run.response_deadline, datetime(2026, 3, 29, 1, 30))

    def test_at_risk_counts_opening_times_too(self):
        run = self.open_run("medium", at=datetime(2026, 3, 6, 14))
        # Three of four hours
        self.assertEqual(run.response_at_risk_at, datetime(2026, 3, 9, 9))
        self.assertEqual(self.states(run, datetime(2026, 3, 8))[0], "running")
        self.assertEqual(self.states(run, datetime(2026, 3, 9, 9))[0], "at_risk")

    def test_a_hold_over_a_weekend(self):
        run = self.open_run("medium", at=datetime(2026, 3, 6, 14))
        with freeze_time(datetime(2026, 3, 6, 15)):
            run.hold("Waiting")
        with freeze_time(datetime(2026, 3, 9, 9)):
            run.resume()
        # One hour had counted; three more, from Monday 10:00 in Brussels.
        self.assertEqual(run.response_deadline, datetime(2026, 3, 9, 12))

    def test_from_office_hours_to_around_the_clock(self):
        run = self.open_run("medium", at=datetime(2026, 3, 6, 14))
        with freeze_time(datetime(2026, 3, 6, 14, 10)):
            run.hold("Waiting")
        with freeze_time(datetime(2026, 3, 6, 14, 40)):
            run.resume()
            run.update_run(severity="high")
        self.assertEqual(run.response_deadline, datetime(2026, 3, 6, 15, 30))
        with freeze_time(datetime(2026, 3, 6, 14, 50)):
            run.update_run(severity="medium")
        self.assertEqual(run.response_deadline, datetime(2026, 3, 9, 10, 30))

    def test_remaining_time_is_working_time(self):
        run = self.open_run("medium", at=datetime(2026, 3, 6, 14))
        with freeze_time(datetime(2026, 3, 7)):
            run.invalidate_recordset()
            clock = run.clocks["response"]
        self.assertEqual(clock["remaining_minutes"], 120)
        self.assertEqual(
            clock["open"][0], ["2026-03-09T08:00:00Z", "2026-03-09T16:00:00Z"]
        )
        with freeze_time(datetime(2026, 3, 9, 11)):
            run.invalidate_recordset()
            self.assertEqual(run.clocks["response"]["remaining_minutes"], -60)

    def test_a_new_holiday_counts_for_the_next_run(self):
        friday = datetime(2026, 3, 13, 15)
        self.assertEqual(self.deadline(friday), datetime(2026, 3, 16, 11))
        self.holiday.copy(
            {
                "date_from": datetime(2026, 3, 15, 23),
                "date_to": datetime(2026, 3, 16, 23),
            }
        )
        self.assertEqual(self.deadline(friday), datetime(2026, 3, 17, 11))
        self.calendar.attendance_ids.filtered(
            lambda line: line.dayofweek == "1" and line.hour_from == 9
        ).unlink()
        self.assertEqual(self.deadline(friday), datetime(2026, 3, 17, 14))

    def test_holidays_of_another_company_do_not_count(self):
        other = self.env["res.company"].create({"name": "Other"})
        leave = self.holiday.with_company(other).copy(
            {
                "date_from": datetime(2026, 3, 15, 23),
                "date_to": datetime(2026, 3, 16, 23),
            }
        )
        leave.calendar_id = False
        self.assertEqual(leave.company_id, other)
        self.assertEqual(
            self.deadline(datetime(2026, 3, 13, 15)), datetime(2026, 3, 16, 11)
        )

    def test_opening_times_cost_no_query_for_each_run(self):
        def count(number):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            with freeze_time(datetime(2026, 3, 6, 14)):
                self.env["qms.sop.run"].with_user(self.operator).create(
                    [
                        {
                            "sop_id": self.sop.id,
                            "severity_id": self.severities["medium"].id,
                            "state": "in_progress",
                        }
                        for _ in range(number)
                    ]
                )
                self.env.cr.flush()
            return self.env.cr.sql_log_count - before

        count(1)
        self.assertEqual(count(5), count(1))
