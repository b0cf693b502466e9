import base64
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from .common import QmsSopCommon

LOG = base64.b64encode(b"pool exhausted\n").decode()


@tagged("post_install", "-at_install")
class TestTimeline(QmsSopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_ = cls.start_run(cls)
        cls.events = cls.env["qms.audit.event"].with_user(cls.operator)

    def found(self, *domain):
        """Return the numbers of the events that a filter finds in the timeline."""
        domain = [*self.run_.action_view_trail()["domain"], *domain]
        return self.events.search(domain, order="sequence").mapped("sequence")

    def add(self, text, **values):
        return self.run_.add_timeline_entry(text, **values)["sequence"]

    # === The dialog ===

    def dialog(self, run=None, user=None):
        action = (run or self.run_).action_add_timeline_entry()
        dialogs = self.env[action["res_model"]].with_user(user or self.operator)
        return Form(dialogs.with_context(**action["context"]))

    def test_the_dialog(self):
        self.run_.add_evidence("log.txt", LOG)
        happened = fields.Datetime.now() - timedelta(hours=1)
        form = self.dialog()
        self.assertTrue(form.has_evidence)
        form.text = "The supplier was called."
        form.occurred_at = happened
        form.component = "Payment gateway"
        form.evidence_ids.add(self.run_.evidence_ids)
        form.pin = True
        form.save().action_add()
        entry = self.events.search(
            [*self.run_.action_view_trail()["domain"], ("kind", "=", "entry")]
        )
        self.assertEqual(entry.occurred_at, happened)
        self.assertTrue(entry.written_later)
        self.assertTrue(entry.pinned)
        self.assertEqual(entry.component, "Payment gateway")
        self.assertIn("log.txt", entry.told)
        self.assertEqual(entry.user_id, self.operator)

    def test_what_happens_now_was_not_written_later(self):
        form = self.dialog()
        form.text = "Looked at the graphs."
        form.save().action_add()
        entry = self.events.search([("kind", "=", "entry")], limit=1)
        self.assertFalse(entry.written_later)
        self.assertFalse(entry.pinned)
        self.assertFalse(entry.component)

    def test_the_dialog_refuses(self):
        form = self.dialog()
        form.text = "Tomorrow"
        form.occurred_at = fields.Datetime.now() + timedelta(days=1)
        with self.assertRaisesRegex(ValidationError, "in the future"):
            form.save().action_add()
        form = self.dialog()
        form.text = " "
        with self.assertRaisesRegex(ValidationError, "say what happened"):
            form.save().action_add()

    def test_a_finished_run_can_be_told_about(self):
        run = self.work(self.start_run())
        run.complete("Restarted.")
        form = self.dialog(run)
        form.text = "Customers were told."
        form.save().action_add()
        self.assertEqual(run._timeline()[-1]["detail"], "Customers were told.")

    def test_who_may(self):
        auditor = self.users["auditor"]
        with self.assertRaises(AccessError):
            self.env["qms.sop.run.entry"].with_user(auditor).create(
                {"run_id": self.run_.id, "text": "I was here"}
            )
        number = self.add("The supplier was called.")
        entry = self.events.search(
            [("root_id", "=", self.run_.id), ("sequence", "=", number)]
        )
        with self.assertRaises(AccessError):
            entry.with_user(auditor).action_pin()
        buttons = self.events.with_user(auditor).get_view(
            self.env.ref("qms_sop.qms_sop_run_timeline_view_list").id, "list"
        )["arch"]
        for name in ("action_add_entry", "action_pin", "action_unpin"):
            self.assertNotIn(name, buttons)

    # === Pins and filters ===

    def test_pins(self):
        first = self.add("First")
        second = self.add("Second")
        entries = self.events.search(
            [("root_id", "=", self.run_.id), ("kind", "=", "entry")], order="sequence"
        )
        entries.action_pin()
        self.assertEqual(self.found(("pinned", "=", True)), [first, second])
        entries[0].action_unpin()
        self.assertEqual(self.found(("pinned", "=", True)), [second])
        self.assertNotIn(second, self.found(("pinned", "=", False)))
        entries[0].action_pin()
        self.assertEqual(self.found(("pinned", "=", True)), [first, second])
        # Pinning what is pinned is no act.
        before = len(self.found())
        entries.action_pin()
        self.assertEqual(len(self.found()), before)
        created = self.events.search(
            [("root_id", "=", self.run_.id), ("kind", "=", "created")]
        )
        with self.assertRaises(UserError):
            created.action_pin()

    def test_pins_of_another_run(self):
        other = self.start_run()
        self.assertEqual(self.add("First"), other.add_timeline_entry("x")["sequence"])
        other.pin_timeline_entry(other._last_event().sequence)
        self.assertEqual(self.found(("pinned", "=", True)), [])

    def test_component(self):
        database = self.add("Slow", component="db-primary")
        gateway = self.add("Told them: db-primary", component="Gateway 100%")
        self.add("Nothing of the kind")
        for value, numbers in (
            ("PRIMARY", [database]),
            ("gate", [gateway]),
            ("100%", [gateway]),
            ("nowhere", []),
        ):
            self.assertEqual(self.found(("component", "ilike", value)), numbers)
        self.assertEqual(self.found(("component", "=", "db-primary")), [database])

    def test_it_is_in_the_order_of_time(self):
        action = self.run_.action_view_trail()
        self.assertEqual(action["context"]["default_run_id"], self.run_.id)
        arch = self.env.ref("qms_sop.qms_sop_run_timeline_view_list").arch
        self.assertIn('default_order="occurred_at, sequence"', arch)
        add = self.events.with_context(**action["context"]).action_add_entry()
        self.assertEqual(add["res_model"], "qms.sop.run.entry")

    # === What it tells of times ===

    def test_what_is_told_of_the_past_stands_there(self):
        """As in an import, or an example: the run is noted down after it happened."""
        now = fields.Datetime.now().replace(microsecond=0)
        began, worked, ended = (now - timedelta(hours=hours) for hours in (9, 8, 7))
        run = self.start_run()
        run.start_time = began
        step = run.step_ids[0]
        step.write({"state": "in_progress", "start_time": began})
        error = self.env["qms.sop.run.error"].browse(
            run.log_error("pool exhausted", step=1)["id"]
        )
        error.with_user(self.operator).occurred_at = worked
        step.write({"state": "completed", "end_time": ended})
        told = [(act["type"], act["at"]) for act in run._timeline()]
        self.assertEqual(
            told,
            [
                (kind, f"{at.isoformat()}Z")
                for kind, at in (
                    ("run.opened", began),
                    ("run.started", began),
                    ("step.started", began),
                    ("error.logged", worked),
                    ("step.completed", ended),
                )
            ],
        )

    def test_a_later_correction_of_the_start_happened_later(self):
        run = self.start_run()
        self.env["qms.audit.event"]._flush_pending()
        created = run._last_event()
        opened = created.occurred_at
        run.start_time = opened - timedelta(hours=9)
        created.invalidate_recordset()
        self.assertEqual(created.occurred_at, opened)
        self.assertEqual(run._last_event().kind, "changed")
        self.assertGreaterEqual(run._last_event().occurred_at, opened)

    def test_what_is_said_of_entries(self):
        number = self.add("The supplier was called.", component="Supplier")
        self.run_.pin_timeline_entry(number)
        acts = self.run_._timeline()
        self.assertEqual(acts[-1]["type"], "entry", "pinning is told with the entry")
        self.assertEqual(acts[-1]["component"], "Supplier")
        self.assertIs(acts[-1]["pinned"], True)
        self.assertIs(acts[0]["pinned"], False)
        self.assertTrue(acts[-1]["recorded_at"])

    def test_how_the_list_and_the_paper_tell_it(self):
        self.run_.summary = "/health answers 500"
        self.run_.source = "health_check.py"
        self.run_.step_ids[0].complete("It is the database.")
        happened = fields.Datetime.now() - timedelta(hours=1)
        number = self.add(
            "The supplier was called.\nNobody answered.",
            component="Supplier",
            occurred_at=f"{happened.isoformat(timespec='seconds')}Z",
        )
        self.run_.pin_timeline_entry(number)
        events = self.events.search(
            self.run_.action_view_trail()["domain"], order="sequence"
        )
        told = events.mapped(lambda event: (event.act, event.gist))
        self.assertEqual(
            told[0], ("Run opened", "health_check.py\n/health answers 500")
        )
        self.assertIn(("Started", ""), told)
        self.assertIn(("Completed", "It is the database."), told)
        self.assertIn(("Note", "The supplier was called.\nNobody answered."), told)
        report = self.env["report.qms_sop.report_sop_run"].with_user(self.operator)
        lines = report._timeline(self.run_)
        (line,) = (line for line in lines if line["pinned"])
        self.assertEqual(line["what"], "Note · Supplier")
        self.assertEqual(line["detail"], "The supplier was called.\nNobody answered.")
        self.assertIn("Written ", line["written"])
        self.assertFalse(any(one["written"] for one in lines if one is not line))

    def test_a_long_timeline_has_its_head_on_each_page(self):
        report = self.env["report.qms_sop.report_sop_run"]
        (short,) = report._page(self.run_)["timeline_pages"]
        self.assertEqual(len(short), 2)
        for number in range(60):
            self.run_.add_timeline_entry(f"{number}: " + "looked at it again " * 20)
        page = report._page(self.run_)
        self.assertEqual(sum(page["timeline_pages"], []), page["timeline"])
        self.assertTrue(all(page["timeline_pages"]))
        count = len(page["timeline_pages"])
        self.assertGreater(count, 3)
        html = str(
            self.env["ir.actions.report"]._render_qweb_html(
                "qms_sop.report_sop_run", self.run_.ids
            )[0]
        )
        self.assertEqual(html.count(">When<"), count)
        self.assertEqual(html.count("Timeline, continued"), count - 1)
