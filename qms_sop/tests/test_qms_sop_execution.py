import hashlib

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import tagged

from .common import QmsSopCommon


def command(name, text, **values):
    return Command.create({"name": name, "command": text, **values})


@tagged("post_install", "-at_install")
class TestExecutionPlan(QmsSopCommon):
    """What a program is told that carries out a run."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        database = cls.env["qms.error.category"]._resolve("DATABASE")
        application = cls.env["qms.error.category"]._resolve("APPLICATION")
        draft = cls.draft_sop("SOP-PLAN-001", steps=("Ask", "Mend", "Tell"))
        ask, mend, tell = draft.step_ids
        ask.choice_ids = [
            Command.create({"name": "Yes"}),
            Command.create({"name": "No", "next_step_id": tell.id}),
        ]
        mend.write(
            {
                "objective": "It works again",
                "instructions": "Do **it**.",
                "expected_result": "- It works",
                "verification": "Look at it.",
                "expected_duration": 7,
                "command_ids": [
                    command("Is it up?", "echo up", purpose="verification"),
                    command("Mend", 'echo "$RUN_ID" $HOST', sequence=20),
                    command("Vacuum", "vacuum", category_id=database.id),
                    command("Clear", "clear", category_id=application.id),
                    command("Read", "SELECT '$RUN_ID'", language="sql", sequence=30),
                ],
            }
        )
        mend.command_ids.filtered(
            lambda command: command.name == "Is it up?"
        ).expected_output = "up"
        cls.plan_sop = cls.approve(draft)

    def step(self, run, number=2):
        return run.execution_plan()["steps"][number - 1]

    def test_step_as_approved(self):
        run = self.start_run(sop=self.plan_sop)
        plan = run.execution_plan()
        self.assertEqual(plan["blocked"], "")
        self.assertEqual(plan["run"]["id"], run.id)
        self.assertNotIn("steps", plan["run"])
        self.assertEqual(
            plan["sop"],
            {
                "code": "SOP-PLAN-001",
                "version": "1.0.0",
                "title": "Test procedure",
                "state": "approved",
                "content_hash": self.plan_sop.content_hash,
            },
        )
        self.assertEqual([step["number"] for step in plan["steps"]], [1, 2, 3])
        ask, mend, tell = plan["steps"]
        self.assertEqual((ask["choices"], ask["needs_choice"]), (["Yes", "No"], True))
        self.assertEqual((mend["choices"], mend["needs_choice"]), ([], False))
        self.assertEqual(
            {
                name: mend[name]
                for name in (
                    *("name", "objective", "instructions", "expected_result"),
                    *("verification", "expected_duration", "mandatory", "state"),
                )
            },
            {
                "name": "Mend",
                "objective": "It works again",
                "instructions": "Do **it**.",
                "expected_result": "- It works",
                "verification": "Look at it.",
                "expected_duration": 7,
                "mandatory": True,
                "state": "pending",
            },
        )
        self.assertFalse(tell["mandatory"])

    def test_commands_are_told_as_written(self):
        run = self.start_run(sop=self.plan_sop, category="DATABASE")
        commands = self.step(run)["commands"]
        self.assertEqual(
            [(c["name"], c["purpose"], c["expected_output"]) for c in commands],
            [
                ("Vacuum", "action", ""),
                ("Mend", "action", ""),
                ("Read", "action", ""),
                ("Is it up?", "verification", "up"),
            ],
        )
        mend, read = commands[1:3]
        self.assertEqual(mend["command"], 'echo "$RUN_ID" $HOST')
        self.assertEqual(
            mend["sha256"], hashlib.sha256(b'echo "$RUN_ID" $HOST').hexdigest()
        )
        self.assertEqual(
            "".join(part["text"] for part in mend["parts"]), f'echo "{run.id}" $HOST'
        )
        self.assertEqual(
            [part["kind"] for part in mend["parts"] if "kind" in part],
            ["value", "shell"],
        )
        self.assertEqual(read["parts"], [{"text": "SELECT '$RUN_ID'"}])
        self.assertEqual(commands[0]["category"], "DATABASE")

    def test_without_a_category_all_are_told_with_theirs(self):
        commands = self.step(self.start_run(sop=self.plan_sop))["commands"]
        self.assertEqual(
            {c["name"]: c["category"] for c in commands if c["category"]},
            {"Vacuum": "DATABASE", "Clear": "APPLICATION"},
        )

    def test_progress(self):
        run = self.start_run(sop=self.plan_sop)
        run.update_step(step=1, state="completed", choice="No", result="Seen.")
        ask, mend, _tell = run.execution_plan()["steps"]
        self.assertEqual(
            (ask["state"], ask["choice"], ask["result"]), ("completed", "No", "Seen.")
        )
        self.assertTrue(mend["off_path"])
        self.assertEqual(
            (mend["state"], mend["skip_reason"]), ("skipped", "Not on this path")
        )

    def test_values_and_texts(self):
        run = self.start_run(
            sop=self.plan_sop, severity="P1", summary="--help\nsecond line"
        )
        plan = run.execution_plan()
        self.assertEqual(plan["values"]["RUN_ID"], str(run.id))
        self.assertEqual(plan["values"]["SEVERITY"], "high")
        self.assertIs(plan["values"]["ERROR_CODE"], False)
        # grep must not take the message of an attacker for an option
        self.assertEqual(plan["texts"], {"ERROR_MESSAGE": "help"})
        run.log_error("Traceback (most recent call last):\n  File …\nKeyError: 'x'")
        self.assertEqual(
            run.execution_plan()["texts"], {"ERROR_MESSAGE": "KeyError: 'x'"}
        )

    def test_blocked(self):
        run = self.start_run(sop=self.plan_sop)
        self.assertIn(
            "may read",
            run.with_user(self.users["auditor"]).execution_plan()["blocked"],
        )
        for role in ("automation", "manager"):
            self.assertEqual(
                run.with_user(self.users[role]).execution_plan()["blocked"], ""
            )
        run.hold("Waiting")
        self.assertIn("on hold", run.execution_plan()["blocked"].lower())
        run.resume()
        newer = self.plan_sop.with_user(self.author)._new_revision("patch")
        self.approve(newer)
        self.assertIn("superseded", run.execution_plan()["blocked"].lower())
        run.cancel("Not needed")
        self.assertIn("cancelled", run.execution_plan()["blocked"].lower())

    def test_nobody_without_a_role_reads_it(self):
        run = self.start_run(sop=self.plan_sop)
        stranger = self.env.ref("base.public_user")
        with self.assertRaises(AccessError):
            run.with_user(stranger).execution_plan()

    def test_a_run_of_a_plain_create_has_the_steps_it_has(self):
        run = self.env["qms.sop.run"].with_user(self.operator)
        run = run.create({"sop_id": self.plan_sop.id, "state": "in_progress"})
        self.assertEqual(run.execution_plan()["steps"], [])

    def test_preview_opens_no_run(self):
        runs = self.env["qms.sop.run"].with_user(self.operator)
        before = runs.search_count([])
        plan = runs.preview_execution("SOP-PLAN-001", error_code="DB_DEADLOCK")
        self.assertEqual(runs.search_count([]), before)
        self.assertEqual((plan["run"], plan["category"]), ({}, "DATABASE"))
        self.assertEqual(plan["values"]["ERROR_CODE"], "DB_DEADLOCK")
        self.assertIs(plan["values"]["RUN_ID"], False)
        self.assertEqual([step["id"] for step in plan["steps"]], [False] * 3)
        self.assertEqual(
            [c["name"] for c in plan["steps"][1]["commands"]],
            ["Vacuum", "Mend", "Read", "Is it up?"],
        )
        with self.assertRaisesRegex(ValidationError, "no SOP with the code"):
            runs.preview_execution("SOP-NONE-001")

    def test_evidence_plan(self):
        run = self.start_run(sop=self.plan_sop, category="DATABASE")
        plan = run.evidence_plan()
        self.assertEqual(plan["category"], "DATABASE")
        sources = (
            self.env["qms.error.category"]._resolve("DATABASE").evidence_source_ids
        )
        self.assertEqual([s["id"] for s in plan["sources"]], sources.ids)
        first = plan["sources"][0]
        self.assertEqual(first["command"], sources[0].command)
        self.assertEqual(
            first["sha256"], hashlib.sha256(sources[0].command.encode()).hexdigest()
        )
        self.assertEqual(
            run.evidence_plan("infrastructure")["category"], "INFRASTRUCTURE"
        )
        with self.assertRaisesRegex(ValidationError, "Accepted: DEPLOYMENT, DATABASE"):
            self.start_run(sop=self.plan_sop).evidence_plan()

    def test_queries(self):
        def count(sop):
            run = self.start_run(sop=sop, category="DATABASE")
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.env.cr.sql_log_count
                run.execution_plan()
            return self.env.cr.sql_log_count - before

        few, many = (
            count(self.plan_sop),
            count(self.approved_sop("SOP-PLAN-002", steps=tuple("ABCDEFGHIJ"))),
        )
        # run; SOP; its steps, commands, choices; run steps; errors; evidence; rules
        self.assertLessEqual(few, 12)
        self.assertLessEqual(many, few)


class TestExpectedOutput(QmsSopCommon):
    """What the output of a command must contain is approved content."""

    def draft_with_command(self, code):
        draft = self.draft_sop(code, steps=("Look",))
        draft.step_ids.command_ids = [
            Command.create({"name": "Ask", "command": "echo up"})
        ]
        return draft, draft.step_ids.command_ids

    def test_it_counts_in_the_fingerprint(self):
        draft, command = self.draft_with_command("SOP-EXPECT-001")
        before = draft._content_hash()
        command.expected_output = "up"
        self.assertNotEqual(draft._content_hash(), before)
        command.expected_output = ""
        self.assertEqual(draft._content_hash(), before)
        self.assertNotIn("expected_output", command._content())

    def test_approved_it_stays(self):
        draft, command = self.draft_with_command("SOP-EXPECT-002")
        command.expected_output = "up"
        self.approve(draft)
        with self.assertRaisesRegex(UserError, "can no longer be changed"):
            command.with_user(self.author).expected_output = "down"

    def test_a_comparison_tells_it(self):
        draft, command = self.draft_with_command("SOP-EXPECT-003")
        command.expected_output = "up"
        self.approve(draft)
        copy = draft.with_user(self.author)._new_revision("patch")
        copy.step_ids.command_ids.expected_output = "up and running"
        (block,) = [
            block
            for block in copy._compare(draft)
            if any(
                row["status"] == "changed" and row["old_title"] for row in block["rows"]
            )
        ]
        (field,) = block["rows"][0]["fields"]
        self.assertIn((True, " and running"), field["new"])
