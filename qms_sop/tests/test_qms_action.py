from datetime import date, datetime

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, freeze_time, new_test_user, tagged

from .common import GROUPS
from .test_signature import SignatureCase

TODAY = "2026-03-02 10:00:00"
LATER = "2026-04-20 10:00:00"


class ActionCase(SignatureCase):
    """An owner, somebody else who checks, and a run to raise actions from."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.require_signed_approval(False)
        cls.actions = cls.env["qms.action"].with_user(cls.operator)

    def raised(self, title="Add a migration check", **values):
        answer = self.actions.create_action(title, **values)
        return self.actions.browse(answer["id"])

    def done(self, **values):
        """Return an action that was done on 2 March 2026."""
        with freeze_time(TODAY):
            action = self.raised(**values)
            action.complete("The check runs in CI.")
        return action

    def effective(self, **values):
        """Return an action that was found effective on 20 April 2026."""
        action = self.done(**values)
        with freeze_time(LATER):
            action.with_user(self.manager).verify("No failure since.", "qms_manager")
        return action


@tagged("post_install", "-at_install")
class TestAction(ActionCase):
    # === Raising ===

    @freeze_time(TODAY)
    def test_what_goes_without_saying(self):
        action = self.raised()
        self.assertEqual(action.reference, f"QMS/{action.number}")
        self.assertRecordValues(
            action,
            [
                {
                    "state": "open",
                    "kind": "corrective",
                    "priority": "1",
                    "horizon": "short",
                    "due_date": date(2026, 3, 30),
                    "user_id": self.operator.id,
                    "source_type": "other",
                    "company_id": self.env.company.id,
                    "check_date": False,
                    "done_on": False,
                    "days_to_done": False,
                    "overdue": False,
                    "beyond_horizon": False,
                }
            ],
        )

    @freeze_time(TODAY)
    def test_horizon_and_due_date_follow_from_each_other(self):
        for values, horizon, due in (
            ({"horizon": "immediate"}, "immediate", date(2026, 3, 9)),
            ({"horizon": "Long"}, "long", date(2026, 6, 2)),
            ({"due_date": "2026-03-09"}, "immediate", date(2026, 3, 9)),
            ({"due_date": "2026-03-10"}, "short", date(2026, 3, 10)),
            ({"due_date": "2026-03-31"}, "long", date(2026, 3, 31)),
            ({"due_date": "2027-03-31"}, "long", date(2027, 3, 31)),
        ):
            with self.subTest(values):
                action = self.raised(**values)
                self.assertEqual((action.horizon, action.due_date), (horizon, due))
        self.assertTrue(action.beyond_horizon)

    def test_numbers_are_counted_for_each_source(self):
        first, second = self.start_run(), self.start_run()
        rca = self.env["qms.rca"].browse(first.record_rca("No limit.")["id"])
        raised = [
            self.raised(**source).reference
            for source in (
                {"run_id": first.id},
                {"run_id": second.id},
                {"run_id": first.id},
                {"rca_id": rca.id},
                {"sop_code": self.sop.code},
            )
        ]
        self.assertEqual(
            raised,
            [
                f"{first.name}/AI-001",
                f"{second.name}/AI-001",
                f"{first.name}/AI-002",
                f"{rca.name}/AI-001",
                f"{self.sop.code}/AI-001",
            ],
        )
        audit = self.raised(source_type="audit", source_note="ISO 9001, finding 3")
        self.assertRegex(audit.reference, r"^AUDIT/AI-\d{3,}$")

    def test_many_at_once_are_numbered_in_order(self):
        run = self.start_run()
        actions = self.actions.create(
            [{"name": f"No. {n}", "run_id": run.id} for n in range(1, 4)]
        )
        self.assertEqual(actions.mapped("number"), ["AI-001", "AI-002", "AI-003"])

    def test_a_refused_action_leaves_no_gap(self):
        run = self.start_run()
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            self.raised(" ", run_id=run.id)
        self.assertEqual(self.raised(run_id=run.id).number, "AI-001")

    def test_an_analysis_gives_run_code_and_cause(self):
        run = self.start_run(error_code="DB_CONNECTION_LEAK")
        rca = self.env["qms.rca"].browse(run.record_rca("No limit.")["id"])
        rca.cause_id = self.env["qms.error.cause"].search([], limit=1)
        with Form(
            self.actions.with_context(**rca.action_raise_action()["context"])
        ) as form:
            form.name = "Limit the pool"
        for action in self.raised(rca_id=rca.id), form.record:
            self.assertRecordValues(
                action,
                [
                    {
                        "source_type": "rca",
                        "run_id": run.id,
                        "error_code_id": run.error_code_id.id,
                        "cause_id": rca.cause_id.id,
                    }
                ],
            )

    def test_queries_do_not_grow_with_the_actions(self):
        run = self.start_run()
        counts = []
        # The first time, what is kept between requests is not there yet.
        for number in (2, 2, 12):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.actions.create(
                [{"name": str(n), "run_id": run.id} for n in range(number)]
            )
            self.env.flush_all()
            counts.append(self.env.cr.sql_log_count - before)
        self.assertEqual(counts[1], counts[2])
        self.assertLessEqual(counts[2], 20)

    def test_also_from_a_run_that_has_ended(self):
        run = self.work(self.start_run())
        run.complete("Ok.")
        version = run.lock_version
        self.assertEqual(self.raised(run_id=run.id).run_id, run)
        self.assertEqual((run.state, run.lock_version), ("completed", version))

    def test_a_robot_owns_nothing(self):
        robot = self.users["automation"]
        answer = self.env["qms.action"].with_user(robot).create_action("Look")
        self.assertIs(answer["owner"], False)

    def test_an_owner_can_open_it(self):
        outsider = new_test_user(self.env, login="outsider", groups="base.group_user")
        with self.assertRaisesRegex(ValidationError, "outsider .*cannot open"):
            self.raised(owner=outsider.login)

    def test_refusals(self):
        run = self.start_run()
        for values, message in (
            ({"title": "  "}, "what is to be done"),
            ({"kind": "reactive"}, "Accepted: corrective, preventive, improvement"),
            ({"type": "magic"}, "Accepted: code, configuration"),
            ({"priority": "urgent"}, "Accepted: low, medium, high, critical, p3"),
            ({"horizon": "soon"}, "Accepted: immediate, short, long"),
            ({"due_date": "tomorrow"}, "'tomorrow' is no date"),
            ({"due_date": "0001-01-01"}, "the years 2000 to 2199"),
            ({"due_date": "9999-12-31"}, "the years 2000 to 2199"),
            ({"owner": "nobody"}, "no user with the login 'nobody'"),
            ({"error_code": "NO_SUCH_CODE"}, "NO_SUCH_CODE"),
            ({"run_id": 999_999_999}, "Run: there is none with the id 999999999"),
            ({"run_id": run.id, "sop_code": "SOP-TEST-001"}, "one source"),
            ({"source_type": "rca"}, "does not fit"),
            ({"source_type": "audit", "run_id": run.id}, "does not fit"),
            ({"source_type": "rumour"}, "Accepted: run, rca"),
            ({"sop_code": "SOP-NONE"}, "SOP-NONE"),
            ({"title": 3}, "Argument title"),
            ({"check_days": "3"}, "Argument check_days"),
        ):
            with (
                self.subTest(values),
                self.assertRaisesRegex(ValidationError, message),
                self.env.cr.savepoint(),
            ):
                self.raised(**{"title": "x", **values})

    def test_priorities_of_the_runbooks(self):
        for word, key in (("P0", "3"), ("p1", "2"), ("HIGH", "2"), ("P3", "0")):
            self.assertEqual(self.raised(priority=word).priority, key)

    def test_a_retried_call_raises_one(self):
        answers = [
            self.actions.create_action("Once", idempotency_key="k") for _ in range(2)
        ]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(self.actions.search_count([("name", "=", "Once")]), 1)

    # === Its life ===

    @freeze_time(TODAY)
    def test_the_whole_life(self):
        action = self.raised(check_days=14, checker="qms_manager")
        action.start()
        answer = action.complete("The check runs in CI.")
        self.assertEqual(answer["state"], "done")
        self.assertRecordValues(
            action,
            [
                {
                    "done_on": datetime(2026, 3, 2, 10),
                    "done_by_id": self.operator.id,
                    "check_date": date(2026, 3, 16),
                    "next_date": date(2026, 3, 16),
                    "days_to_done": 0,
                }
            ],
        )
        with freeze_time("2026-03-16 09:00:00"):
            answer = action.with_user(self.manager).verify("None since.", "qms_manager")
        self.assertEqual((answer["state"], answer["valid"]), ("verified", True))
        self.assertRecordValues(
            action,
            [
                {
                    "state": "verified",
                    "verified_by_id": self.manager.id,
                    "verified_on": datetime(2026, 3, 16, 9),
                    "effectiveness": "None since.",
                    "next_date": False,
                }
            ],
        )

    def test_transitions(self):
        """Every transition that the table has not is refused, by whatever channel."""
        states = self.actions._fields["state"].get_values(self.env)
        for number, source in enumerate(states):
            for target in states:
                if target in self.actions._transitions.get(source, ()):
                    continue
                action = self.raised(f"No. {number}")
                action._write_system({"state": source})
                if source == target and source not in ("cancelled",):
                    action.write({"state": target})
                    continue
                with (
                    self.subTest(source=source, target=target),
                    self.assertRaises(UserError),
                ):
                    action.write({"state": target, "state_reason": "x"})

    def test_a_new_one_is_open(self):
        for state in ("in_progress", "done", "verified", "reopened", "cancelled"):
            with self.subTest(state), self.assertRaisesRegex(UserError, "can start as"):
                self.actions.create({"name": "x", "state": state})

    def test_done_needs_what_was_done(self):
        action = self.raised()
        action.start()
        with self.assertRaisesRegex(UserError, "say what was done"):
            action.write({"state": "done"})
        with self.assertRaisesRegex(UserError, "What was done"):
            action.complete("  ")
        self.assertEqual(action.state, "in_progress")

    def test_cancelling_needs_a_reason_and_is_final(self):
        action = self.raised()
        with self.assertRaisesRegex(UserError, "say why"):
            action.write({"state": "cancelled"})
        action.cancel("Another team does it.")
        with self.assertRaisesRegex(UserError, "is final"):
            action.write({"state": "reopened", "state_reason": "x"})
        with self.assertRaisesRegex(UserError, "can no longer be changed"):
            action.write({"name": "Another"})

    def test_what_is_done_is_locked(self):
        action = self.done()
        for values in (
            {"name": "x"},
            {"result": "x"},
            {"user_id": self.manager.id},
            {"due_date": "2030-01-01"},
            {"state_reason": "x"},
        ):
            with (
                self.subTest(values),
                self.assertRaisesRegex(UserError, "can no longer be changed"),
            ):
                action.write(values)
        action.write({"check_date": "2026-05-01", "check_user_id": self.manager.id})
        effective = self.effective()
        with self.assertRaisesRegex(UserError, "can no longer be changed"):
            effective.write({"effectiveness": "Better still."})

    def test_it_stays_with_its_source(self):
        action = self.raised(run_id=self.start_run().id)
        for values in (
            {"run_id": self.start_run().id},
            {"source_type": "other"},
            {"document_id": self.sop.id},
        ):
            with self.subTest(values), self.assertRaisesRegex(UserError, "its source"):
                action.write(values)

    def test_nobody_forges_who_and_when(self):
        action = self.raised()
        for values in (
            {"reference": "QMS/AI-999"},
            {"raised_on": "2020-01-01"},
            {"done_on": "2020-01-01"},
            {"done_by_id": self.manager.id},
            {"verified_on": "2020-01-01"},
            {"verified_by_id": self.manager.id},
            {"reopened_count": 0},
        ):
            with self.subTest(values), self.assertRaisesRegex(UserError, "the system"):
                action.write(values)
            with self.subTest(values), self.assertRaisesRegex(UserError, "the system"):
                self.actions.create({"name": "x", **values})

    def test_nothing_is_deleted(self):
        action = self.raised()
        with self.assertRaises(AccessError):
            action.unlink()
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            action.sudo().unlink()

    # === Effectiveness ===

    def test_not_by_whoever_owns_or_did_it(self):
        action = self.done(owner="qms_author")
        with freeze_time(LATER):
            for user in (self.operator, self.author):
                with (
                    self.subTest(user.login),
                    self.assertRaisesRegex(UserError, "is the work of"),
                ):
                    action.with_user(user).verify("Fine.", user.login)
        self.assertFalse(action.signature_ids)

    def test_the_checker_is_not_the_owner(self):
        with self.assertRaisesRegex(ValidationError, "somebody else checks"):
            self.raised(checker="qms_operator")

    def test_not_before_its_day(self):
        action = self.done().with_user(self.manager)
        with freeze_time("2026-03-31 10:00:00"):
            with self.assertRaisesRegex(UserError, "from 2026-04-01 on"):
                action.verify("Fine.", "qms_manager")
            action.write({"check_date": "2026-03-31"})
            action.verify("Fine.", "qms_manager")
        self.assertEqual(action.state, "verified")

    def test_the_check_is_not_before_the_work(self):
        action = self.done()
        with self.assertRaisesRegex(ValidationError, "before the action was done"):
            action.write({"check_date": "2026-03-01"})

    def test_what_is_done_has_a_check_and_nothing_else_has(self):
        action = self.raised()
        for call in (
            lambda: action.update_action(check_date="2026-05-01"),
            lambda: self.actions.create({"name": "x", "check_date": "2026-05-01"}),
            lambda: self.done().write({"check_date": False}),
        ):
            with (
                self.assertRaisesRegex(ValidationError, "day on which it is checked"),
                self.env.cr.savepoint(),
            ):
                call()

    def test_not_without_saying_what_shows_it(self):
        action = self.done().with_user(self.manager)
        with freeze_time(LATER):
            with self.assertRaisesRegex(UserError, "what shows that it worked"):
                action.sign("verified", "qms_manager")
            with self.assertRaisesRegex(ValidationError, "what shows that it worked"):
                action.verify(" ", "qms_manager")

    def test_not_without_a_signature(self):
        action = self.done().with_user(self.manager)
        with freeze_time(LATER):
            action.write({"effectiveness": "Fine."})
            with self.assertRaisesRegex(UserError, "is signed with the password"):
                action.write({"state": "verified"})
            with self.assertRaisesRegex(UserError, "is signed with the password"):
                action.sudo().write({"state": "verified"})
            self.refused(action.verify, "Fine.", "wrong")
        self.assertEqual(action.state, "done")

    def test_the_signature_is_bound_to_what_was_found(self):
        action = self.effective()
        signature = action.signature_ids
        self.assertEqual(
            (signature.meaning, signature.record_name, signature.validity),
            ("verified", action.display_name, "valid"),
        )
        self.tamper(action, "effectiveness", "It is perfect.")
        self.assertEqual(signature.validity, "changed")

    def test_the_signature_of_another_time_does_not_count(self):
        action = self.effective()
        action.reopen("It failed again.")
        action.write({"name": "Add two checks"})
        # It is still the signature on what was signed then
        self.assertEqual(action.signature_ids.validity, "valid")
        with freeze_time(LATER):
            action.complete("The check runs in CI.")
        with freeze_time("2026-06-20 10:00:00"):
            manager = action.with_user(self.manager)
            manager.write({"effectiveness": "No failure since."})
            with self.assertRaisesRegex(UserError, "is signed with the password"):
                manager.write({"state": "verified"})

    # === Reopening ===

    def test_reopening_needs_a_reason(self):
        action = self.done()
        with self.assertRaisesRegex(UserError, "say why"):
            action.write({"state": "reopened"})

    def test_reopened_nothing_is_left_of_how_it_ended(self):
        action = self.effective(horizon="immediate")
        with freeze_time("2026-05-04 10:00:00"):
            answer = action.reopen("It failed again.")
        self.assertEqual(
            {
                name: answer[name]
                for name in ("state", "done_at", "verified_at", "result", "check_date")
            },
            {
                "state": "reopened",
                "done_at": False,
                "verified_at": False,
                "result": False,
                "check_date": False,
            },
        )
        self.assertRecordValues(
            action,
            [
                {
                    "reopened_count": 1,
                    "days_to_done": False,
                    "due_date": date(2026, 5, 11),
                    "next_date": date(2026, 5, 11),
                }
            ],
        )
        with self.assertRaisesRegex(UserError, "say what was done"):
            action.write({"state": "in_progress"})
            action.write({"state": "done"})

    def test_a_due_date_that_can_be_kept_stays(self):
        action = self.done(horizon="long")
        with freeze_time("2026-03-10 10:00:00"):
            action.reopen("It failed again.")
            self.assertEqual(action.due_date, date(2026, 6, 2))
            action.complete("Really now.")
            self.assertEqual(
                action.reopen("No.", due_date="2026-03-12")["due_date"], "2026-03-12"
            )

    # === Deadlines ===

    @freeze_time(TODAY)
    def test_overdue(self):
        late = self.raised(due_date="2026-03-01")
        today = self.raised(due_date="2026-03-02")
        self.assertEqual((late.overdue, late.days_left), (True, -1))
        self.assertEqual((today.overdue, today.days_left), (False, 0))
        for value, expected in ((True, late), (False, today)):
            found = self.actions.search([("overdue", "=", value)])
            self.assertEqual(found & (late | today), expected)
        late.cancel("No.")
        self.assertFalse(late.overdue)

    def test_overdue_checks(self):
        action = self.done()
        with freeze_time(LATER):
            self.assertIn(action, self.actions.search([("overdue", "=", True)]))
            action.invalidate_recordset(["overdue"])
            self.assertTrue(action.overdue)

    def test_a_clock_that_was_put_back_makes_no_figure(self):
        action = self.done()
        self.assertEqual((action.days_to_done, action.times_contradict), (0, False))
        action._write_system({"raised_on": "2026-03-05 00:00:00"})
        self.assertEqual((action.days_to_done, action.times_contradict), (False, True))

    # === The trail ===

    def test_every_act_is_in_the_trail(self):
        action = self.effective()
        action.reopen("It failed again.")
        events = self.env["qms.audit.event"].search(
            action._trail_domain(), order="sequence"
        )
        self.assertEqual(
            events.mapped("kind"),
            ["created", "state", "state", "signed", "state", "state"],
        )
        self.assertEqual(set(events.mapped("root_name")), {action.reference})
        last = events[-1]
        self.assertEqual(last.reason, "It failed again.")
        self.assertEqual(last.changes["state"], ["verified", "reopened"])
        self.assertEqual(last.changes["done_on"][1], None)

    # === Forms ===

    def test_a_form_follows_the_horizon(self):
        with freeze_time(TODAY), Form(self.actions) as form:
            form.name = "Rotate the logs"
            form.horizon = "immediate"
            self.assertEqual(form.due_date, date(2026, 3, 9))
        self.assertEqual(form.record.due_date, date(2026, 3, 9))


@tagged("post_install", "-at_install")
class TestActionSecurity(ActionCase):
    def test_who_may_what(self):
        for role, allowed in (
            ("operator", {"read", "write", "create"}),
            ("author", {"read", "write", "create"}),
            ("manager", {"read", "write", "create"}),
            ("automation", {"read", "write", "create"}),
            ("auditor", {"read"}),
        ):
            model = self.env["qms.action"].with_user(self.users[role])
            with self.subTest(role):
                self.assertEqual(
                    {
                        operation
                        for operation in ("read", "write", "create", "unlink")
                        if model.has_access(operation)
                    },
                    allowed,
                )

    def test_an_auditor_changes_nothing(self):
        action = self.raised()
        auditor = action.with_user(self.users["auditor"])
        self.assertEqual(auditor.get_action()["reference"], action.reference)
        for name, call in {
            "create": lambda: auditor.create_action("x"),
            "update": lambda: auditor.update_action(title="x"),
            "start": auditor.start,
            "complete": lambda: auditor.complete("x"),
            "cancel": lambda: auditor.cancel("x"),
        }.items():
            with self.subTest(name), self.assertRaises(AccessError):
                call()
        done = self.done()
        with freeze_time(LATER), self.assertRaises(AccessError):
            done.with_user(self.users["auditor"]).verify("Fine.", "qms_auditor")

    def test_an_auditor_may_own_or_check_nothing_outside(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="qms_action_outsider",
            groups=GROUPS["manager"],
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        action = self.raised(run_id=self.start_run().id)
        theirs = self.env["qms.action"].with_user(outsider)
        self.assertFalse(theirs.search([("id", "=", action.id)]))
        with self.assertRaises(AccessError):
            action.with_user(outsider).get_action()
        with self.assertRaisesRegex(ValidationError, "Run: there is none"):
            theirs.create_action("x", run_id=action.run_id.id)
        with self.assertRaisesRegex(ValidationError, "cannot open"):
            action.write({"user_id": outsider.id})

    def test_the_company_is_that_of_the_source(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.operator.company_ids |= company
        run = self.start_run()
        there = self.actions.with_context(
            allowed_company_ids=[company.id, self.env.company.id]
        )
        answer = there.create_action("x", run_id=run.id)
        self.assertEqual(there.browse(answer["id"]).company_id, run.company_id)
        with self.assertRaisesRegex(UserError, "the system writes it"):
            there.browse(answer["id"]).write({"company_id": company.id})

    def test_the_numbering_is_nobodys(self):
        for role in self.users:
            model = self.env["qms.action.counter"].with_user(self.users[role])
            with self.subTest(role):
                self.assertFalse(model.has_access("read"))
                self.assertFalse(model.has_access("write"))
