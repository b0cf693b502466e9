from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from .common import GROUPS, QmsSopCommon

RECORDS = (
    "qms.sop.document",
    "qms.sop.step",
    "qms.sop.step.command",
    "qms.sop.step.choice",
    "qms.sop.trigger",
    "qms.sop.prerequisite",
    "qms.sop.run",
    "qms.sop.run.step",
    "qms.sop.run.error",
    "qms.sop.run.evidence",
    "qms.rca",
    "qms.rca.why",
    "qms.rca.factor",
)
SOP_RECORDS = RECORDS[:6]


@tagged("post_install", "-at_install")
class TestQmsSopSecurity(QmsSopCommon):
    def can(self, role, model, operation):
        return self.env[model].with_user(self.users[role]).has_access(operation)

    def test_auditor_reads_everything_and_writes_nothing(self):
        for model in RECORDS:
            with self.subTest(model):
                self.assertTrue(self.can("auditor", model, "read"))
                for operation in ("create", "write", "unlink"):
                    self.assertFalse(self.can("auditor", model, operation))

    def test_operator_and_automation_do_not_touch_sops(self):
        for role in ("operator", "automation"):
            for model in SOP_RECORDS:
                with self.subTest(role=role, model=model):
                    self.assertTrue(self.can(role, model, "read"))
                    for operation in ("create", "write", "unlink"):
                        self.assertFalse(self.can(role, model, operation))

    def test_nobody_but_managers_deletes_run_records(self):
        for role in ("operator", "author", "automation"):
            for model in RECORDS[6:11]:
                with self.subTest(role=role, model=model):
                    self.assertFalse(self.can(role, model, "unlink"))

    def test_operator_cannot_edit_a_sop(self):
        draft = self.draft_sop("SOP-OP-001")
        for user in (self.operator, self.users["automation"]):
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                draft.with_user(user).write({"purpose": "Mine."})
            with self.subTest(user=user.login), self.assertRaises(AccessError):
                draft.step_ids.with_user(user).write({"name": "Mine."})

    def test_auditor_cannot_write_through_methods(self):
        run = self.start_run()
        auditor = run.with_user(self.users["auditor"])
        self.assertEqual(auditor.get_run()["id"], run.id)
        for name, call in {
            "start": lambda: auditor.start_run("SOP-TEST-001"),
            "update": lambda: auditor.update_run(summary="Mine."),
            "cancel": lambda: auditor.cancel("Mine."),
            "step": lambda: auditor.update_step(1, "in_progress"),
            "error": lambda: auditor.log_error("Mine."),
            "evidence": lambda: auditor.add_evidence("a", "eA=="),
            "rca": lambda: auditor.record_rca("Mine."),
        }.items():
            with self.subTest(name), self.assertRaises(AccessError):
                call()

    def test_auditor_gets_no_status_link(self):
        run = self.start_run()
        self.assertIs(
            run.with_user(self.users["auditor"]).get_run()["status_url"], False
        )

    def test_who_and_when_are_not_for_clients_to_say(self):
        run = self.start_run()
        rca = self.env["qms.rca"].create({"run_id": run.id, "root_cause": "x"})
        draft = self.draft_sop("SOP-FORGE-001")
        for record, values in (
            (draft, {"approved_by_id": self.manager.id}),
            (self.sop, {"approved_on": "2020-01-01"}),
            (run, {"status_token": "st_guessable"}),
            (run, {"name": "RUN-1"}),
            (run.step_ids[0], {"user_id": self.manager.id}),
            (rca, {"confirmed_by_id": self.manager.id}),
        ):
            with (
                self.subTest(values),
                self.assertRaisesRegex(UserError, "the system writes it"),
            ):
                record.with_user(self.manager).write(values)
        with self.assertRaisesRegex(UserError, "the system writes it"):
            self.draft_sop("SOP-FORGE-002", approved_by_id=self.manager.id)
        with self.assertRaisesRegex(UserError, "can no longer be changed"):
            self.sop.with_user(self.author).active = False

    def test_other_employees_see_nothing(self):
        stranger = new_test_user(self.env, login="qms_nobody", groups="base.group_user")
        for model in RECORDS:
            with self.subTest(model), self.assertRaises(AccessError):
                self.env[model].with_user(stranger).search([])

    def test_idempotency_table_is_for_nobody(self):
        for user in self.users.values():
            with self.subTest(user.login), self.assertRaises(AccessError):
                self.env["qms.idempotency.key"].with_user(user).search([])

    def test_other_companies(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="qms_outsider",
            groups=GROUPS["manager"],
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        run = self.work(self.start_run())
        run.add_evidence("a.txt", "eA==")
        run.log_error("x")
        run.record_rca("y")
        own = self.draft_sop("SOP-OWN-001", company_id=self.env.company.id)
        for records in (
            run,
            run.step_ids,
            run.error_ids,
            run.evidence_ids,
            run.rca_ids,
            own,
            own.step_ids,
        ):
            foreign = records.with_user(outsider)
            with self.subTest(records._name):
                self.assertFalse(foreign.search([("id", "in", records.ids)]))
                with self.assertRaises(AccessError):
                    foreign.read(["display_name"])
        with self.assertRaises(AccessError):
            run.with_user(outsider).complete()
        # A shared SOP is for every company, and the run belongs to the user's.
        theirs = self.start_run(user=outsider)
        self.assertEqual(theirs.company_id, company)

    def test_a_company_prefers_its_own_revision(self):
        own = self.approved_sop("SOP-TEST-001", company_id=self.env.company.id)
        found = self.env["qms.sop.document"].search(
            [("code", "=", "SOP-TEST-001")], limit=1
        )
        self.assertEqual(found, own)
        self.assertEqual(self.start_run().sop_id, own)
        self.assertEqual(self.sop.state, "approved", "the shared one stays")

    def test_private_methods_are_not_for_clients(self):
        from odoo.service.model import call_kw

        for name in ("_log_error", "_approve_from_data", "_by_status_token"):
            model = (
                "qms.sop.document" if name == "_approve_from_data" else "qms.sop.run"
            )
            with self.subTest(name), self.assertRaises(AccessError):
                call_kw(self.env[model], name, [[]], {})

    def test_deleting_drafts_only(self):
        draft = self.draft_sop("SOP-BIN-001")
        draft.unlink()
        self.assertFalse(draft.exists())
        with self.assertRaisesRegex(UserError, "cannot be deleted"):
            self.sop.with_user(self.manager).unlink()
