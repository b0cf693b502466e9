import logging
from datetime import datetime, timedelta
from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command, Domain
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.escalation import qms_escalation_review
from ..models.run import qms_sop_run_escalation as engine
from .common import QmsSopCommon
from .escalation_common import TUESDAY, EscalationCommon

CONFIGURATION = (
    "qms.escalation.matrix",
    "qms.escalation.policy",
    "qms.escalation.rule",
)


def minutes(count):
    return TUESDAY + timedelta(minutes=count)


@tagged("post_install", "-at_install")
class TestEscalation(EscalationCommon):
    """The engine and what policies can say."""

    held = ("technical_lead", "cto")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.only()
        cls.lead = cls.env.ref("qms_sop.role_technical_lead")
        cls.chief = cls.env.ref("qms_sop.role_cto")

    def rule(self, role=None, **values):
        role = role or self.lead
        return {"role_ids": [Command.set(role.ids)], "level": 1, **values}

    # === Conditions ===

    def test_repeats_until_it_stops(self):
        self.policy(self.rule(minutes=10, repeat_count=3, repeat_minutes=5))
        lead = {"technical_lead"}
        with self.at(TUESDAY):
            run = self.open_run()
            self.assertEqual(
                self.walk(run, 500), {10: lead, 15: lead, 20: lead, 25: lead}
            )

    def test_repetitions_stop_when_the_rule_says_so(self):
        self.policy(
            self.rule(minutes=10, repeat_count=9, repeat_minutes=10),
            self.rule(
                self.chief,
                minutes=10,
                repeat_count=3,
                repeat_minutes=10,
                stops_at="resolved",
            ),
        )
        with self.at(TUESDAY):
            run = self.open_run()
            self.walk(run, 20)
            self.clock.move_to(minutes(25))
            run.acknowledge()
            told = self.walk(run, 100)
            self.assertEqual(told[10], {"technical_lead", "cto"})
            self.assertEqual(told[20], {"technical_lead", "cto"})
            self.assertEqual(told[30], {"cto"})
            self.assertEqual(sorted(told), [10, 20, 30, 40])

    def test_each_condition(self):
        cases = {
            "not_acknowledged": ("acknowledge", "mitigate", "resolve"),
            "not_mitigated": ("mitigate", "resolve"),
            "not_resolved": ("resolve",),
        }
        for condition, ends in cases.items():
            policy = self.policy(self.rule(minutes=10, condition=condition))
            for act in ("acknowledge", "mitigate", "resolve"):
                with self.subTest(condition, act=act), self.at(TUESDAY):
                    run = self.open_run()
                    getattr(run, act)()
                    self.assertEqual(bool(self.walk(run, 60)), act not in ends)
            policy.active = False

    def test_marks_of_clocks(self):
        # High: an hour to respond and to mitigate, at risk after 45 minutes.
        self.policy(
            self.rule(condition="at_risk", clock="response"),
            self.rule(self.chief, condition="breached", clock="mitigation", minutes=5),
        )
        with self.at(TUESDAY):
            run = self.open_run("high")
            self.assertEqual(self.walk(run, 300), {45: {"technical_lead"}, 65: {"cto"}})
            self.clock.move_to(minutes(300))
            taken = self.open_run("high")
            self.clock.move_to(minutes(310))
            taken.acknowledge()
            self.assertEqual(self.walk(taken, 600, begin=minutes(300)), {65: {"cto"}})

    def test_people_are_told_once_by_a_rule_for_several_roles(self):
        self.chief.user_ids = self.lead.user_ids
        self.policy(
            {
                "role_ids": [Command.set((self.lead | self.chief).ids)],
                "user_ids": [Command.set(self.lead.user_ids.ids)],
            }
        )
        with self.at(TUESDAY):
            run = self.open_run()
            self.walk(run, 0)
            told = self.env["qms.notification"].search(
                [("res_id", "=", run.id), ("medium", "=", "mail")]
            )
            self.assertEqual(told.mapped("user_id.login"), ["technical_lead"])

    def test_whoever_is_meant_by_several_rules_at_once_hears_of_the_gravest(self):
        self.chief.user_ids = self.lead.user_ids
        self.policy(
            self.rule(minutes=5, level=1),
            self.rule(self.chief, minutes=10, level=2),
            self.rule(self.env.ref("qms_sop.role_ceo"), minutes=10, level=1),
        )
        with self.at(TUESDAY):
            run = self.open_run()
            self.look(minutes(30))
            told = self.env["qms.notification"].search(
                [("res_id", "=", run.id), ("medium", "=", "mail")]
            )
            self.assertEqual(told.mapped("user_id.login"), ["technical_lead"])
            self.assertIn("Level: 2", told.body)
            self.assertEqual(len(run.escalation_ids), 3)

    # === Which runs ===

    def test_policies_match(self):
        other = self.approved_sop("SOP-OTHER-001")
        company = self.env["res.company"].create({"name": "Elsewhere"})
        severity = self.env["qms.severity"]._resolve("high")
        database = self.env["qms.error.category"]._resolve("DATABASE")
        code = self.env["qms.error.code"]._resolve("DISK_FULL")
        for values, fitting, others in (
            ({}, {}, None),
            ({"severity_ids": severity.ids}, {"severity": "high"}, {"severity": "low"}),
            (
                {"category_ids": database.ids},
                {"error_code": "DB_DEADLOCK"},
                {"error_code": "DISK_FULL"},
            ),
            (
                {"error_code_ids": code.ids},
                {"error_code": "DISK_FULL"},
                {"error_code": "DB_DISK_FULL"},
            ),
            (
                {"words": "Full, over-loaded"},
                {"error_code": "DISK_FULL"},
                {"summary": "Fullness is relative"},
            ),
            (
                {"words": "Full, over-loaded"},
                {"summary": "The server is OVER-LOADED."},
                {"summary": "Nothing special"},
            ),
            # One of category, code and words is enough, …
            (
                {"category_ids": database.ids, "words": "slow"},
                {"summary": "So slow"},
                {"summary": "So quick"},
            ),
            # … severity and kind have both to fit.
            (
                {"category_ids": database.ids, "severity_ids": severity.ids},
                {"category": "DATABASE", "severity": "high"},
                {"category": "DATABASE", "severity": "low"},
            ),
            ({"sop_code": "SOP-OTHER-001"}, {"sop": other}, {}),
            ({"company_id": company.id}, None, {}),
        ):
            policy = self.policy(self.rule(), **values)
            for run_values, expected in ((fitting, True), (others, False)):
                if run_values is None:
                    continue
                run_values = {"severity": "critical", **run_values}
                with self.subTest(str(values), run=str(run_values)), self.at(TUESDAY):
                    run = self.open_run(**run_values)
                    self.assertEqual(bool(self.walk(run, 480)), expected)
            policy.active = False

    def test_first_policy_of_a_matrix_decides(self):
        first = self.policy(self.rule(), words="disk", sequence=1)
        first.copy(
            {
                "words": False,
                "sequence": 2,
                "rule_ids": [Command.create(self.rule(self.chief))],
            }
        ).rule_ids.filtered(lambda rule: rule.role_ids == self.lead).unlink()
        with self.at(TUESDAY):
            disk = self.open_run(summary="The disk is full")
            self.assertEqual(self.walk(disk, 0), {0: {"technical_lead"}})
            run = self.open_run()
            self.assertEqual(self.walk(run, 0), {0: {"cto"}})
            # What a run is about may turn out later.
            run.update_run(summary="A disk, after all")
            self.assertEqual(self.walk(run, 0), {0: {"cto", "technical_lead"}})

    def test_runs_without_severity_are_told_of_by_policies_for_all(self):
        self.policy(self.rule(minutes=5))
        with self.at(TUESDAY):
            run = self.open_run(None)
            self.assertEqual(self.walk(run, 10), {5: {"technical_lead"}})

    def test_drafts_begin_when_they_are_started(self):
        self.policy(self.rule(minutes=5))
        with self.at(TUESDAY):
            run = self.runs.create({"sop_id": self.sop.id})
            self.assertFalse(run.next_escalation_at)
            self.clock.move_to(minutes(30))
            run.action_start()
            self.assertEqual(self.walk(run, 60), {35: {"technical_lead"}})

    # === Hours ===

    def test_people_are_told_when_they_come_to_work(self):
        night = datetime(2030, 6, 4, 3)
        self.policy(self.rule(hours="own", minutes=0))
        self.env.company.resource_calendar_id = False
        late = self.calendar.copy({"name": "Late"})
        late.attendance_ids.write({"hour_from": 14, "hour_to": 22})
        self.lead.calendar_id = late
        with self.at(night):
            run = self.open_run()
            self.walk(run, 24 * 60, begin=night)
            self.assertEqual(self.told(run, night), {11 * 60: {"technical_lead"}})
            # Whoever is at work is told at once, the others when they come.
            self.clock.move_to(datetime(2030, 6, 5, 10))
            self.policy(
                self.rule(hours="own", user_ids=[Command.set(self.chief.user_ids.ids)])
            )
            self.chief.user_ids.resource_ids = [
                Command.create({"name": "Chief", "calendar_id": self.calendar.id})
            ]
            other = self.open_run()
            self.look()
            self.assertEqual(
                self.told(other, datetime(2030, 6, 5, 10)),
                {0: {"cto"}, 4 * 60: {"technical_lead"}},
            )

    def test_what_was_taken_on_meanwhile_is_not_told_in_the_morning(self):
        night = datetime(2030, 6, 4, 3)
        self.policy(self.rule(hours="own"))
        with self.at(night):
            run = self.open_run()
            self.look()
            run.acknowledge()
            self.assertFalse(self.walk(run, 24 * 60, begin=night))

    # === Who is there ===

    def test_nobody_to_tell_is_said_and_made_up_for(self):
        self.env["qms.role"].search([]).user_ids = False
        policy = self.policy(self.rule(minutes=5))
        self.assertIn(self.lead, policy.vacant_role_ids)
        with self.at(TUESDAY):
            run = self.open_run()
            self.walk(run, 10)
            self.assertFalse(run.escalation_ids)
            self.assertIn("Technical lead", run.escalation_problem)
            self.clock.move_to(minutes(40))
            self.lead.user_ids = self.operator
            self.review()
            self.assertEqual(self.walk(run, 60), {40: {self.operator.login}})
            self.assertFalse(run.escalation_problem)

    def test_channels_of_roles_are_told(self):
        parameters = self.env["ir.config_parameter"]
        parameters.set_param("qms_sop.notification_schemes", "json")
        parameters.set_param("qms_sop.notification_hosts", "127.0.0.1")
        support = self.env.ref("qms_sop.role_cloud_provider_support")
        support.user_ids = False
        support.fallback_id = False
        support.channel_ids = self.env["qms.notification.channel"].create(
            {"name": "Support desk", "new_url": "json://127.0.0.1:9/hook"}
        )
        self.policy(self.rule(support))
        with self.at(TUESDAY):
            run = self.open_run()
            self.look()
            self.assertEqual(run.escalation_ids.channel_ids, support.channel_ids)
            self.assertFalse(run.escalation_ids.user_ids)
            told = run.escalation_ids.notification_ids
            self.assertEqual(told.mapped("medium"), ["channel"])

    def test_responsible_person_hears_of_marks(self):
        with self.at(TUESDAY):
            run = self.open_run("high", user=self.operator)
            robot = self.open_run("high")
            self.walk(run, 60)
            person = {self.operator.login}
            self.assertEqual(self.told(run, event="sla_at_risk"), {45: person})
            self.assertEqual(self.told(run, event="sla_breached"), {60: person})
            self.assertEqual(len(run.escalation_ids), 4)
            self.assertFalse(robot.escalation_ids)

    # === Exactly once ===

    def test_what_was_missed_is_told_once(self):
        self.policy(
            self.rule(minutes=10, repeat_count=5, repeat_minutes=10),
            self.rule(self.chief, minutes=30),
        )
        with self.at(TUESDAY):
            run = self.open_run()
            self.look(minutes(45))
            self.look(minutes(45))
            self.assertEqual(self.told(run), {45: {"technical_lead", "cto"}})
            self.assertEqual(
                sorted(run.escalation_ids.mapped("repetition")),
                [0, 3],
            )
            self.assertEqual(
                self.walk(run, 70),
                {
                    45: {"technical_lead", "cto"},
                    50: {"technical_lead"},
                    60: {"technical_lead"},
                },
            )

    def test_looking_again_tells_nothing_twice(self):
        self.policy(self.rule(), self.rule(self.chief, minutes=30))
        with self.at(TUESDAY):
            run = self.open_run()
            for _again in range(3):
                run._escalate(datetime.now())
            self.assertEqual(len(run.escalation_ids), 1)
            self.assertEqual(self.told(run), {0: {"technical_lead"}})

    def test_the_database_refuses_a_second_telling(self):
        self.policy(self.rule())
        with self.at(TUESDAY):
            run = self.open_run()
            self.look()
            with (
                self.assertRaises(IntegrityError),
                self.env.cr.savepoint(),
                mute_logger("odoo.sql_db"),
            ):
                run.escalation_ids.copy()

    def test_rules_do_not_tell_of_what_was_before_them(self):
        with self.at(TUESDAY):
            run = self.open_run()
            self.clock.move_to(minutes(60))
            policy = self.policy(
                self.rule(minutes=30), self.rule(self.chief, minutes=90)
            )
            self.review()
            self.assertEqual(self.walk(run, 120), {90: {"cto"}})
            # Nor does one that was archived meanwhile.
            policy.active = False
            late = self.open_run()
            self.clock.move_to(minutes(200))
            policy.active = True
            self.review()
            self.assertFalse(self.walk(late, 300))
            # Detected after an hour, it would have been due after two and a half.

    def test_changed_policies_apply_to_open_runs(self):
        policy = self.policy(self.rule(minutes=30))
        with self.at(TUESDAY):
            run = self.open_run()
            self.clock.move_to(minutes(10))
            policy.rule_ids.minutes = 20
            self.review()
            self.assertEqual(self.walk(run, 60), {20: {"technical_lead"}})

    def test_review_goes_on_in_parts(self):
        self.policy(self.rule(minutes=30))
        with self.at(TUESDAY):
            runs = self.runs.union(*(self.open_run(None) for _number in range(5)))
            ended = self.open_run()
            ended.cancel("Not needed")
            self.env.flush_all()
            self.clock.move_to(minutes(1))
            self.review()
            self.env["qms.escalation.review"]._ask()
            with patch.object(qms_escalation_review, "PART", 2):
                self.review()
            self.env.invalidate_all()
            self.assertEqual(set(runs.mapped("next_escalation_at")), {minutes(1)})
            self.assertFalse(ended.next_escalation_at)
            self.look()
            self.review()
            self.assertEqual(set(runs.mapped("next_escalation_at")), {minutes(30)})

    # === The job ===

    def test_failing_run_does_not_keep_the_others_waiting(self):
        self.policy(self.rule())
        with self.at(TUESDAY):
            bad, good = self.open_run(), self.open_run()
            brief = type(self.runs)._escalation_briefs

            def failing(runs, now):
                if bad in runs:
                    raise ValueError("no timeline")
                return brief(runs, now)

            with (
                patch.object(type(self.runs), "_escalation_briefs", failing),
                self.assertLogs(engine._logger, logging.ERROR) as logs,
            ):
                self.look()
            self.assertIn(bad.name, logs.output[0])
            self.assertFalse(bad.escalation_ids)
            self.assertIn("no timeline", bad.escalation_problem)
            self.assertEqual(bad.next_escalation_at, minutes(5))
            self.assertEqual(self.told(good), {0: {"technical_lead"}})
            self.assertEqual(self.walk(bad, 10), {5: {"technical_lead"}})
            self.assertFalse(bad.escalation_problem)

    def test_job_works_in_batches_and_wakes_itself(self):
        self.policy(self.rule(), self.rule(self.chief, minutes=30))
        cron = self.env.ref("qms_sop.ir_cron_escalate")
        with self.at(TUESDAY):
            runs = self.runs.union(*(self.open_run(None) for _number in range(5)))
            self.env.flush_all()
            self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)]).unlink()
            with (
                patch.object(engine, "BATCH", 2),
                self.enter_registry_test_mode(),
            ):
                cron.method_direct_trigger()
            self.env.invalidate_all()
            self.assertEqual(len(runs.escalation_ids), 5)
            triggers = self.env["ir.cron.trigger"].search([("cron_id", "=", cron.id)])
            self.assertIn(minutes(30), triggers.mapped("call_at"))

    def test_one_trigger_is_enough(self):
        self.policy(self.rule(minutes=30))
        cron = self.env.ref("qms_sop.ir_cron_escalate")
        domain = [("cron_id", "=", cron.id), ("call_at", ">", TUESDAY)]
        with self.at(TUESDAY):
            for _number in range(3):
                self.open_run(None)
                self.env.cr.flush()
            triggers = self.env["ir.cron.trigger"].search(domain)
            self.assertEqual(triggers.mapped("call_at"), [minutes(30)])
            # One that is needed earlier is added.
            self.policy(self.rule(minutes=10))
            self.env.cr.flush()
            self.open_run(None)
            self.env.cr.flush()
            triggers = self.env["ir.cron.trigger"].search(domain)
            self.assertEqual(
                set(triggers.mapped("call_at")), {minutes(10), minutes(30)}
            )

    def test_a_burst_wakes_the_scheduler_once(self):
        cron = type(self.env["ir.cron"])
        self.policy(self.rule())
        with (
            self.at(TUESDAY),
            patch.object(engine, "_NOTIFIED", {}),
            patch.object(cron, "_notifydb") as notify,
        ):
            for _number in range(3):
                self.open_run()
                self.env.cr.flush()
                self.env.cr.postcommit.run()
            self.assertEqual(notify.call_count, 1)
            self.clock.move_to(TUESDAY + timedelta(seconds=2))
            self.open_run()
            self.env.cr.flush()
            self.env.cr.postcommit.run()
            self.assertEqual(notify.call_count, 2)

    def test_cost_follows_what_is_due(self):
        self.policy(self.rule())
        with self.at(TUESDAY):

            def cost(count):
                runs = self.runs.union(*(self.open_run() for _one in range(count)))
                self.env.cr.flush()
                self.env.invalidate_all()
                before = self.env.cr.sql_log_count
                runs._escalate(datetime.now())
                self.env.cr.flush()
                return self.env.cr.sql_log_count - before

            cost(1)
            one, four = cost(1), cost(4)
            # Activities and mails are made one by one, the rest together.
            self.assertLessEqual(four - one, 3 * 16)

    # === What is shown ===

    def test_screens_open_for_every_role(self):
        self.policy(self.rule(), self.rule(self.chief, minutes=30))
        with self.at(TUESDAY):
            run = self.open_run()
            self.look()
            policy = run.escalation_ids.policy_id
            for role in ("operator", "author", "manager", "auditor"):
                for record in (
                    run,
                    run.escalation_ids,
                    policy,
                    policy.matrix_id,
                    self.lead,
                ):
                    with self.subTest(role=role, model=record._name):
                        own = record.with_user(self.users[role])
                        views = own.get_views([(False, "list"), (False, "form")])
                        names = list(views["models"][record._name]["fields"])
                        self.assertTrue(own.read(names))
                        for fields in views["models"].values():
                            self.assertTrue(fields)

    def test_a_run_tells_who_is_next(self):
        self.policy(
            self.rule(minutes=10),
            self.rule(self.chief, minutes=30),
            self.rule(self.env.ref("qms_sop.role_ceo"), condition="breached"),
        )
        with self.at(TUESDAY):
            run = self.open_run(None, summary="<b>Oh</b>")
            self.look(minutes(15))
            outlook = run.with_user(self.operator)._escalation_outlook()
            self.assertEqual(
                [(moment, role) for moment, role, _people, _why in outlook],
                [(minutes(30), "Chief technology officer")],
            )
            self.assertIn("cto", run.with_user(self.operator).escalation_plan)
            run.hold("Waits")
            self.assertFalse(run.escalation_plan)

    # === What is told ===

    def test_messages_say_what_the_playbooks_ask_for(self):
        self.policy(self.rule(minutes=20, level=2))
        with self.at(TUESDAY):
            run = self.open_run(
                error_code="DB_DEADLOCK", summary="Orders hang since noon."
            )
            self.clock.move_to(minutes(5))
            run.step_ids[0].complete("Two sessions wait for each other.")
            self.clock.move_to(minutes(7))
            run.add_timeline_entry("The shop was told.")
            run.log_error("deadlock detected", error_code="DB_DEADLOCK")
            self.walk(run, 30)
            body = run.escalation_ids.notification_ids[:1].body
        for words in (
            "Technical lead",
            "not acknowledged after 20 min",
            "Level: 2",
            "Orders hang since noon.",
            "2030-06-04 10:05 1. Look: Completed. Two sessions wait",
            "2030-06-04 10:07 The shop was told.",
            "DB_DEADLOCK: deadlock detected",
            "Acknowledge the run",
            "Step 2 “Mend”",
            "Known remedy",
            "Impact: not known",
        ):
            with self.subTest(words):
                self.assertIn(words, body)

    def test_messages_say_what_is_missing(self):
        self.policy(self.rule())
        with self.at(TUESDAY):
            run = self.open_run(None)
            self.look()
            body = run.escalation_ids.notification_ids[:1].body
        for words in ("What happened: not known", "Impact: not known", "none"):
            self.assertIn(words, body)

    def test_escalations_are_in_the_trail(self):
        self.policy(self.rule(level=3))
        with self.at(TUESDAY):
            run = self.open_run()
            self.look()
            event = self.env["qms.audit.event"].search(
                run._trail_domain() & Domain("kind", "=", "escalated")
            )
            self.assertEqual(len(event), 1)
            self.assertEqual(event.record_name, "at once, if not acknowledged")
            self.assertIn("Technical lead", event.told)
            told = [act for act in run._timeline() if act["type"] == "run.escalated"]
            self.assertEqual(
                [act["detail"] for act in told],
                ["at once, if not acknowledged · Technical lead"],
            )
            # That the job looked is none.
            changes = self.env["qms.audit.event"].search(run._trail_domain())
            self.assertNotIn("next_escalation_at", "".join(changes.mapped("content")))


@tagged("post_install", "-at_install")
class TestEscalationRights(QmsSopCommon):
    def test_who_may_change_policies(self):
        for role in ("operator", "author", "manager", "auditor", "automation"):
            for model in CONFIGURATION:
                records = self.env[model].with_user(self.users[role])
                with self.subTest(role=role, model=model):
                    self.assertTrue(records.search([]))
                    for operation in ("create", "write", "unlink"):
                        self.assertEqual(
                            records.has_access(operation), role == "manager"
                        )
            events = self.env["qms.escalation.event"].with_user(self.users[role])
            self.assertTrue(events.has_access("read"))
            for operation in ("create", "write", "unlink"):
                self.assertFalse(events.has_access(operation))

    def test_nobody_writes_when_a_run_is_looked_at(self):
        run = self.start_run(severity="high")
        for name in ("next_escalation_at", "escalation_level", "escalation_problem"):
            for user in (self.operator, self.manager, self.users["automation"]):
                with self.subTest(name, user=user.login), self.assertRaises(UserError):
                    run.with_user(user).write({name: False})
        with self.assertRaises(AccessError):
            self.env["qms.escalation.rule"].with_user(self.operator).search(
                [], limit=1
            ).minutes = 1

    def test_policies_of_another_company_are_not_seen(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        matrix = self.env["qms.escalation.matrix"].create({"name": "Theirs"})
        policy = self.env["qms.escalation.policy"].create(
            {
                "name": "Theirs",
                "matrix_id": matrix.id,
                "company_id": company.id,
                "rule_ids": [Command.create({"user_ids": [self.operator.id]})],
            }
        )
        policies = self.env["qms.escalation.policy"].with_user(self.manager)
        self.assertNotIn(policy, policies.search([]))
        rules = self.env["qms.escalation.rule"].with_user(self.manager)
        self.assertNotIn(policy.rule_ids, rules.search([]))

    def test_rules_are_checked(self):
        matrix = self.env["qms.escalation.matrix"].create({"name": "Test"})
        policies = self.env["qms.escalation.policy"].with_user(self.manager)
        policy = policies.create({"name": "Test", "matrix_id": matrix.id})
        rules = self.env["qms.escalation.rule"].with_user(self.manager)
        person = {"policy_id": policy.id, "user_ids": [self.operator.id]}
        with self.assertRaisesRegex(ValidationError, "tells nobody"):
            rules.create({"policy_id": policy.id})
        for values in (
            {"minutes": -1},
            {"repeat_count": 101},
            {"repeat_count": 1, "repeat_minutes": 0},
            {"condition": "breached", "clock": False},
        ):
            with (
                self.subTest(values),
                self.assertRaises(IntegrityError),
                self.env.cr.savepoint(),
                mute_logger("odoo.sql_db"),
            ):
                rules.create({**person, **values})
        with self.assertRaisesRegex(ValidationError, "SOP-NONE"):
            policy.sop_code = "SOP-NONE"

    def test_policies_are_in_the_trail(self):
        policy = self.env.ref("qms_sop.escalation_policy_high")
        rule = policy.rule_ids[0]
        rule.with_user(self.manager).minutes = 3
        event = self.env["qms.audit.event"].search(
            policy._trail_domain() & Domain("model", "=", "qms.escalation.rule"),
            limit=1,
        )
        self.assertIn("minutes", event.content)
        self.assertEqual(event.user_id, self.manager)
