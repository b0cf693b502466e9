from odoo.exceptions import UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, HttpCase, tagged, users

from ..tools import paths, placeholders
from .common import QmsSopCommon

OFF = "Not on this path"


def found(command):
    return [name for _start, _end, name in placeholders.find(command)]


def shown(command, values, language="bash"):
    """Return a filled command as it is shown, and what is missing in it."""
    parts = placeholders.fill(command, values, language)
    return (
        "".join(part["text"] for part in parts),
        [part["name"] for part in parts if part.get("kind") in ("missing", "shell")],
    )


@tagged("post_install", "-at_install")
class TestQmsSopPlaceholders(QmsSopCommon):
    """What counts as a placeholder, and what may be filled in."""

    def test_exact_placeholders_only(self):
        for command, names in (
            ('a "$RUN_ID" b ${ERROR_CODE}', ["RUN_ID", "ERROR_CODE"]),
            ("$RUN_IDx ${RUN_ID:-3} ${#RUN_ID} $lower $1 $$ $?", []),
            ('--time "$((END_TIME - START_TIME))"', []),
            (r'echo \$RUN_ID "\$RUN_ID" $SEVERITY', ["SEVERITY"]),
            ("awk '{print $NF}' \"$RUN_ID\"", ["RUN_ID"]),
            (
                'x "$(awk \'{print $NF}\' "$RUN_ID")" $DO_APP_ID',
                ["RUN_ID", "DO_APP_ID"],
            ),
            ('# don\'t take $RUN_ID\n"$RUN_ID"', ["RUN_ID"]),
            ('--cause "doesn\'t close" "$RUN_ID"', ["RUN_ID"]),
            ("it's never closed $RUN_ID", []),
            ("a#b $RUN_ID", ["RUN_ID"]),
        ):
            with self.subTest(command=command):
                self.assertEqual(found(command), names)

    def test_here_documents(self):
        self.assertEqual(found("cat <<'EOF'\n$RUN_ID\nEOF\n$SEVERITY"), ["SEVERITY"])
        self.assertEqual(
            found("cat <<-EOF\nit's $RUN_ID \\$CATEGORY\n\tEOF\n$SEVERITY"),
            ["RUN_ID", "SEVERITY"],
        )
        self.assertEqual(found('jq . <<<"$RUN_ID"'), ["RUN_ID"])

    def test_variables_of_the_command_are_its_own(self):
        self.assertEqual(found("START_TIME=$(date +%s)\necho $START_TIME"), [])
        self.assertEqual(found("for POD in a b; do echo $POD; done"), [])
        self.assertEqual(found("while read -r LINE; do echo $LINE; done"), [])
        # … from there on, and not where another program gets the variable.
        self.assertEqual(found("export RUN_ID=$RUN_ID; echo $RUN_ID"), ["RUN_ID"])
        self.assertEqual(
            found("docker run -e RUN_ID=$RUN_ID x\necho $RUN_ID"), ["RUN_ID", "RUN_ID"]
        )

    def test_nothing_is_lost(self):
        command = "a \"$RUN_ID\" '$X' ${ERROR_CODE}\n$DO_APP_ID"
        parts = placeholders.fill(command, {"RUN_ID": "7"})
        self.assertEqual(
            "".join(part.get("written", part["text"]) for part in parts), command
        )
        self.assertEqual(
            shown(command, {"RUN_ID": "7"}),
            (
                "a \"7\" '$X' ${ERROR_CODE}\n$DO_APP_ID",
                ["ERROR_CODE", "DO_APP_ID"],
            ),
        )
        kinds = {part["name"]: part["kind"] for part in parts if "name" in part}
        self.assertEqual(
            kinds, {"RUN_ID": "value", "ERROR_CODE": "missing", "DO_APP_ID": "shell"}
        )

    def test_only_shells_have_placeholders(self):
        values = {"RUN_ID": "7"}
        for language in ("bash", "SH", "", False):
            self.assertEqual(shown("$RUN_ID", values, language)[0], "7")
        for language in ("sql", "python", "yaml"):
            self.assertEqual(shown("$RUN_ID", values, language), ("$RUN_ID", []))

    def test_no_value_means_anything_to_a_shell(self):
        hostile = (
            "$(reboot)",
            "`x`",
            "A;B",
            "A B",
            "A'B",
            'A"B',
            "A\nB",
            "-rf",
            "Ä",
            "*",
        )
        for name, (_what, alphabet) in placeholders.KNOWN.items():
            for value in hostile:
                with self.subTest(name=name, value=value):
                    self.assertFalse(alphabet.fullmatch(value))
                    self.assertEqual(
                        shown(f'"${name}"', {name: value}), (f'"${name}"', [name])
                    )

    def test_free_text_is_never_filled_in(self):
        text = "$(reboot)"
        run = self.start_run(summary=text, source=text)
        run._log_error(text, "STEP_FAILURE")
        self.assertLessEqual(set(run._placeholder_values()), set(placeholders.KNOWN))
        self.assertNotIn(text, run._placeholder_values().values())

    def test_filled_from_the_run(self):
        command = (
            'x "$RUN_ID" $RUN_NAME $SOP_CODE $SOP_VERSION $ERROR_CODE $SEVERITY '
            "$CATEGORY $START_TIME $END_TIME $INCIDENT_ID $DO_APP_ID"
        )
        sop = self.draft_sop("SOP-FILL-001", steps=("Only", "Optional"))
        sop.step_ids[0].command_ids = [
            Command.create({"name": "All", "command": command})
        ]
        self.approve(sop)
        run = self.start_run(sop=sop, error_code="DB_CONNECTION_LEAK", severity="low")
        run.start_time = "2026-01-05 08:00:00"
        step = run.step_ids[0]
        self.assertEqual(
            "".join(
                part["text"] for part in step.filled_commands[str(step.command_ids.id)]
            ),
            f'x "{run.id}" {run.name} SOP-FILL-001 1.0.0 DB_CONNECTION_LEAK low '
            "DATABASE 1767600000 $END_TIME $INCIDENT_ID $DO_APP_ID",
        )
        # What was approved stays as it was written.
        self.assertEqual(step.command_ids.command, command)
        run.error_code_id = self.env.ref("qms_error_code.error_code_disk_full")
        self.assertIn(
            "DISK_FULL",
            [
                part["text"]
                for part in step.filled_commands[str(step.command_ids.id)]
                if part.get("name") == "ERROR_CODE"
            ],
        )


class QmsSopTreeCommon(QmsSopCommon):
    """Steps whose answer decides how the run goes on.

    1 Up? ── no → 2 Restart ── → 4 Report
          └─ yes → 3 Slow? ── no → end
                           └─ yes → 4 Report
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tree = cls.draft_tree("SOP-TREE-001")
        cls.approve(cls.tree)

    @classmethod
    def draft_tree(cls, code):
        sop = cls.draft_sop(code, steps=("Up?", "Restart", "Slow?", "Report", "Tidy"))
        up, restart, slow, report, tidy = sop.step_ids
        tidy.unlink()
        report.mandatory = True
        database = cls.env.ref("qms_error_code.category_database")
        for step, name, values in (
            (up, "No", {}),
            (up, "Yes", {"next_step_id": slow.id}),
            (restart, "Running", {"next_step_id": report.id}),
            (slow, "Quick", {"ends": True}),
            (slow, "Slow", {"category_id": database.id}),
        ):
            step.choice_ids = [Command.create({"name": name, **values})]
        up.command_ids = [
            Command.create(
                {"name": "Ask", "command": 'ask --run $RUN_NAME "$ERROR_CODE"'}
            )
        ]
        return sop


@tagged("post_install", "-at_install")
class TestQmsSopPaths(QmsSopTreeCommon):
    """How a run follows the choices."""

    def states(self, run):
        return "".join(
            "x" if step.off_path else step.state[0]
            for step in run.step_ids.sorted("sequence")
        )

    def test_graph(self):
        graph = self.tree._graph()
        self.assertEqual(
            [paths.targets(graph, position) for position in range(4)],
            [(1, 2), (3,), (4, 3), (4,)],
        )
        self.assertEqual(
            [paths.needs_choice(graph, position) for position in range(4)],
            [True, True, True, False],
        )
        steps = self.tree.step_ids
        self.assertEqual(paths.on_path(graph), set(steps.ids))

    def test_yes_leads_past_the_restart(self):
        run = self.start_run(sop=self.tree)
        run.step_ids[0].complete("200", "yes")
        self.assertEqual(self.states(run), "cxpp")
        self.assertRecordValues(
            run.step_ids[1],
            [{"state": "skipped", "skip_reason": OFF, "mandatory": True}],
        )
        self.assertEqual(run.current_step_id, run.step_ids[2])
        run.step_ids[2].complete("2 s", "Slow")
        self.assertEqual(self.states(run), "cxcp")
        self.assertEqual(run.category_id.code, "DATABASE")
        run.step_ids[3].complete("Told them")
        run.complete("Restarted")
        self.assertEqual(run.state, "completed")

    def test_no_marks_what_can_no_longer_be_met(self):
        run = self.start_run(sop=self.tree)
        run.step_ids[0].complete(None, "No")
        self.assertEqual(self.states(run), "cpxp")

    def test_an_answer_can_end_the_procedure(self):
        run = self.start_run(sop=self.tree)
        run.step_ids[0].complete(None, "Yes")
        run.step_ids[2].complete(None, "Quick")
        self.assertEqual(self.states(run), "cxcx")
        self.assertEqual(run.progress, 100)
        self.assertFalse(run.current_step_id)
        run.complete("Nothing to do")
        self.assertEqual(run.state, "completed")

    def test_change_of_mind(self):
        run = self.start_run(sop=self.tree)
        up, restart, slow, report = run.step_ids
        up.complete(None, "No")
        restart.complete("Restarted", "Running")
        up.retry()
        self.assertEqual(self.states(run), "icpp")
        self.assertFalse(up.choice_id)
        self.assertRecordValues(
            slow,
            [{"state": "pending", "skip_reason": False, "end_time": False}],
        )
        up.complete(None, "Yes")
        # What was done was done.
        self.assertEqual(self.states(run), "ccpp")
        slow.complete(None, "Quick")
        self.assertEqual(self.states(run), "cccx")
        self.assertEqual(report.skip_reason, OFF)

    def test_steps_begun_on_another_path_are_left(self):
        run = self.start_run(sop=self.tree)
        run.step_ids[1].start()
        run.step_ids[0].complete(None, "Yes")
        self.assertEqual(self.states(run), "cxpp")

    def test_a_failed_step_stays_in_the_way(self):
        run = self.start_run(sop=self.tree)
        run.step_ids[1].fail("It does not start")
        run.step_ids[0].complete(None, "Yes")
        run.step_ids[2].complete(None, "Quick")
        with self.assertRaisesRegex(UserError, "Restart is Failed"):
            run.complete("Done")

    def test_a_hand_skipped_step_stays_skipped(self):
        run = self.start_run(sop=self.tree)
        run.step_ids[3].skip("They know")
        run.step_ids[0].complete(None, "Yes")
        run.step_ids[2].complete(None, "Quick")
        run.step_ids[2].retry()
        self.assertRecordValues(
            run.step_ids[3],
            [{"state": "skipped", "skip_reason": "They know", "off_path": False}],
        )

    def test_other_completed_steps_stay_completed(self):
        run = self.start_run()
        run.step_ids[0].complete("Seen")
        with self.assertRaisesRegex(UserError, "Completed is final"):
            run.step_ids[0].retry()

    @users("qms_automation")
    def test_a_choice_is_needed_where_the_path_depends_on_it(self):
        runs = self.env["qms.sop.run"]
        run = runs.browse(runs.start_run("SOP-TREE-001")["id"])
        run.step_ids[0].start()
        for call in (
            lambda: run.update_step(1, "completed"),
            lambda: run.step_ids[0].complete("200"),
            lambda: run.step_ids[0].write({"state": "completed"}),
        ):
            with self.assertRaisesRegex(UserError, "Up.*choice.*'No', 'Yes'"):
                call()
        with self.assertRaisesRegex(ValidationError, "'Maybe'.*'No', 'Yes'"):
            run.update_step(1, "completed", choice="Maybe")
        with self.assertRaisesRegex(ValidationError, "only a step that is completed"):
            run.update_step(1, "failed", error_message="x", choice="No")
        answer = run.update_step(1, "completed", result="200", choice="YES")
        self.assertEqual(
            [(step["state"], step["choice"]) for step in answer["steps"][:3]],
            [("completed", "Yes"), ("skipped", False), ("pending", False)],
        )
        self.assertEqual(answer["steps"][1]["skip_reason"], OFF)
        answer = run.update_step(1, "in_progress")
        self.assertEqual(answer["steps"][1]["state"], "pending")

    def test_written_with_the_state(self):
        run = self.start_run(sop=self.tree)
        up = run.step_ids[0]
        yes = self.tree.step_ids[0].choice_ids[1]
        up.start()
        up.write({"state": "completed", "choice_id": yes.id})
        self.assertEqual(self.states(run), "cxpp")
        with self.assertRaisesRegex(UserError, "its choice is made while"):
            up.write({"choice_id": self.tree.step_ids[0].choice_ids[0].id})
        with self.assertRaisesRegex(UserError, "off_path cannot be given"):
            run.step_ids[3].write({"off_path": True})
        with self.assertRaisesRegex(ValidationError, "does not belong to step"):
            run.step_ids[2].start()
            run.step_ids[2].write({"state": "completed", "choice_id": yes.id})

    def test_run_steps_made_one_by_one(self):
        """As in the ORM example, where a run has only the steps it came to."""
        run = self.env["qms.sop.run"].create(
            {"sop_id": self.tree.id, "state": "in_progress"}
        )
        for step, choice in ((0, 1), (2, 0)):
            sop_step = self.tree.step_ids[step]
            run_step = self.env["qms.sop.run.step"].create(
                {"run_id": run.id, "step_id": sop_step.id, "state": "in_progress"}
            )
            run_step.write(
                {"state": "completed", "choice_id": sop_step.choice_ids[choice].id}
            )
        run.write({"state": "completed"})
        self.assertEqual(self.states(run), "cxcx")

    def test_choices_that_only_set_the_category(self):
        """The triage questions: every answer leads to the next step."""
        triage = self.env["qms.sop.document"]._effective("SOP-TRIAGE-001")
        self.assertEqual(
            triage.step_ids[0].choice_ids.category_id.mapped("code"),
            ["DEPLOYMENT", "DATABASE", "APPLICATION", "INFRASTRUCTURE", "UNKNOWN"],
        )
        run = self.start_run(sop=triage)
        self.assertFalse(run.step_ids[0].needs_choice)
        every = run.step_ids[1].command_ids
        run.step_ids[0].complete("Pool exhausted", "The database fails or stalls")
        self.assertEqual(run.category_id.code, "DATABASE")
        self.assertLess(run.step_ids[1].command_ids, every)
        self.assertFalse(any(run.step_ids.mapped("off_path")))
        other = self.start_run(sop=triage)
        other.step_ids[0].complete("Nobody knows")
        self.assertEqual(other.step_ids[0].state, "completed")

    def test_choices_lead_forward(self):
        sop = self.draft_tree("SOP-BACK-001")
        up, restart, slow, report = sop.step_ids
        for step, target in ((slow, up), (slow, slow)):
            with (
                self.assertRaisesRegex(ValidationError, "leads back to step"),
                self.cr.savepoint(),
            ):
                step.choice_ids = [
                    Command.create({"name": "Again", "next_step_id": target.id})
                ]
        with (
            self.assertRaisesRegex(ValidationError, "both end the procedure and"),
            self.cr.savepoint(),
        ):
            slow.choice_ids[1].write({"ends": True, "next_step_id": report.id})
        with (
            self.assertRaisesRegex(ValidationError, "belongs to another SOP"),
            self.cr.savepoint(),
        ):
            up.choice_ids[0].next_step_id = self.tree.step_ids[3]
        # Moving the steps is seen when the draft is submitted.
        slow.sequence = 0
        with self.assertRaisesRegex(ValidationError, "leads back to step"):
            sop.action_submit()

    def test_every_step_can_be_reached(self):
        sop = self.draft_tree("SOP-LOST-001")
        sop.step_ids[0].choice_ids[0].unlink()
        with self.assertRaisesRegex(UserError, "no way leads to step 2. Restart"):
            sop.action_submit()

    def test_picture(self):
        self.assertTrue(self.tree.has_flow)
        self.assertFalse(self.sop.has_flow)
        self.assertEqual(
            [
                [(choice["name"], choice["target"]) for choice in node["choices"]]
                for node in self.tree.flow
            ],
            [
                [("No", 2), ("Yes", 3)],
                [("Running", 4)],
                [("Quick", 5), ("Slow", 4)],
                [],
            ],
        )
        run = self.start_run(sop=self.tree)
        run.step_ids[0].complete(None, "Yes")
        self.assertEqual(
            [(node["state"], node["off_path"]) for node in run.flow],
            [
                ("completed", False),
                ("skipped", True),
                ("pending", False),
                ("pending", False),
            ],
        )
        self.assertEqual(
            [choice["taken"] for choice in run.flow[0]["choices"]], [False, True]
        )

    def test_picture_of_a_draft_that_is_not_saved(self):
        with Form(self.env["qms.sop.document"].with_user(self.author)) as form:
            form.code, form.name = "SOP-NEW-001", "New"
            self.assertFalse(form.flow)
            with form.step_ids.new() as step:
                step.name = "First"
            self.assertEqual([node["name"] for node in form.flow], ["First"])
        self.assertFalse(form.record.has_flow)

    def test_steps_without_choices_cost_nothing_more(self):
        def complete(sop, choice):
            run = self.start_run(sop=sop)
            run.step_ids[0].start()
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            run.step_ids[0].complete("Seen", choice)
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        complete(self.sop, None)
        complete(self.tree, "No")
        self.assertLessEqual(complete(self.tree, "No"), complete(self.sop, None) + 8)


@tagged("post_install", "-at_install")
class TestSopHealth001(QmsSopCommon):
    """The flowchart of the health check, as the add-on ships it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.health = cls.env["qms.sop.document"]._effective("SOP-HEALTH-001")

    def walk(self, *answers):
        """Answer the questions that come up; return the names of the steps met."""
        run = self.start_run(sop=self.health)
        met = []
        answers = iter(answers)
        while step := run.current_step_id:
            met.append(step.name)
            step.complete("Seen", next(answers) if step.needs_choice else None)
        self.assertFalse(list(answers))
        run.complete("Found")
        return met, run.category_id.code

    def test_in_force(self):
        self.assertEqual(self.health.state, "approved")
        self.assertTrue(self.health.has_flow)
        for step in self.health.step_ids:
            self.assertTrue(step.command_ids, step.name)
            self.assertTrue(step.expected_result, step.name)

    def test_a_new_revision_has_the_same_flow(self):
        draft = self.health.with_user(self.author).copy()
        self.assertEqual(draft.flow, self.health.flow)
        self.assertLessEqual(draft.step_ids.choice_ids.next_step_id, draft.step_ids)
        self.assertTrue(draft.step_ids.choice_ids.next_step_id)

    def test_every_way(self):
        first, last = "Is the System Responding?", "Hand Over"
        noted = "Findings are noted"
        for answers, way, category in (
            (
                ("No", "Healthy", "Containers stop or cannot start"),
                ["Check the Load Balancer", "Check the Services", last],
                "INFRASTRUCTURE",
            ),
            (
                ("No", "Healthy", "It began with a deployment"),
                ["Check the Load Balancer", "Check the Services", last],
                "DEPLOYMENT",
            ),
            (
                ("No", "Unhealthy", noted),
                ["Check the Load Balancer", "Check Provider and DNS", last],
                "INFRASTRUCTURE",
            ),
            (
                ("Yes", "1000 ms or more", noted),
                ["Check the Response Times", "Check the Database Performance", last],
                "DATABASE",
            ),
            (
                ("Yes", "Below 1000 ms", "5 % or more", noted),
                [
                    "Check the Response Times",
                    "Check the Error Rate",
                    "Check the Application Log",
                    last,
                ],
                "APPLICATION",
            ),
            (
                ("Yes", "Below 1000 ms", "Below 5 %", "The figures are off"),
                [
                    "Check the Response Times",
                    "Check the Error Rate",
                    "Check the Business Figures",
                    last,
                ],
                "UNKNOWN",
            ),
            (
                (
                    "Yes",
                    "Below 1000 ms",
                    "Below 5 %",
                    "The figures are normal: false alarm",
                ),
                [
                    "Check the Response Times",
                    "Check the Error Rate",
                    "Check the Business Figures",
                ],
                False,
            ),
        ):
            with self.subTest(answers=answers):
                self.assertEqual(self.walk(*answers), ([first, *way], category))

    def test_hand_over_is_filled_in(self):
        run = self.start_run(sop=self.health, severity="high", category="database")
        step = run.step_ids[-1]
        text = "".join(
            part["text"] for part in step.filled_commands[str(step.command_ids.id)]
        )
        self.assertEqual(
            text,
            "python scripts/create_sop_run.py \\\n"
            '  --sop-code "SOP-TRIAGE-001" \\\n'
            '  --severity "high" \\\n'
            '  --category "DATABASE" \\\n'
            f'  --summary "Continues {run.name} (SOP-HEALTH-001)"',
        )


@tagged("post_install", "-at_install")
class TestQmsSopPathsInBrowser(QmsSopTreeCommon, HttpCase):
    def test_choosing_a_branch(self):
        run = self.start_run(sop=self.tree)
        self.start_tour(
            f"/odoo/qms-runs/{run.id}", "qms_sop_path_tour", login="qms_operator"
        )
        self.assertEqual(
            [(step.state, step.off_path) for step in run.step_ids],
            [
                ("completed", False),
                ("skipped", True),
                ("in_progress", False),
                ("pending", False),
            ],
        )
        self.assertEqual(run.step_ids[0].choice_id.name, "Yes")

    def test_components(self):
        self.browser_js(
            "/web/tests?headless&loglevel=2&preset=desktop&timeout=15000"
            "&filter=@qms_sop",
            "",
            "",
            login="admin",
            timeout=300,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=lambda message: "[HOOT]" not in message,
        )
