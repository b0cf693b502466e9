from odoo.fields import Command
from odoo.tests import TransactionCase, new_test_user

from ..models.document.qms_sop_document_signature import APPROVAL_SIGNATURE

GROUPS = {
    role: f"base.group_user,qms_error_code.group_qms_{role}"
    for role in ("operator", "author", "manager", "auditor", "automation")
}


class QmsSopCommon(TransactionCase):
    """One user per role, and an approved SOP of three steps.

    Steps 1 and 2 are mandatory, step 3 is optional.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.users = {
            role: new_test_user(cls.env, login=f"qms_{role}", groups=groups)
            for role, groups in GROUPS.items()
        }
        cls.author = cls.users["author"]
        cls.manager = cls.users["manager"]
        cls.operator = cls.users["operator"]
        # What is not about signatures is tested without them; see test_signature.py.
        cls.require_signed_approval(False)
        cls.sop = cls.approved_sop("SOP-TEST-001")

    @classmethod
    def require_signed_approval(cls, required):
        cls.env["ir.config_parameter"].set_param(APPROVAL_SIGNATURE, str(required))

    @classmethod
    def draft_sop(cls, code, steps=("Look", "Mend", "Tidy up"), **values):
        """Return a draft by the author; the last of its steps is optional."""
        return (
            cls.env["qms.sop.document"]
            .with_user(cls.author)
            .create(
                {
                    "code": code,
                    "name": "Test procedure",
                    "owner": "Test team",
                    "purpose": "To be tested.",
                    "step_ids": [
                        Command.create(
                            {
                                "name": name,
                                "sequence": position,
                                "mandatory": position < len(steps),
                            }
                        )
                        for position, name in enumerate(steps, 1)
                    ],
                    **values,
                }
            )
        )

    @classmethod
    def approve(cls, document):
        document.with_user(cls.author).action_submit()
        document.with_user(cls.manager).action_approve()
        return document

    @classmethod
    def approved_sop(cls, code, **values):
        return cls.approve(cls.draft_sop(code, **values))

    def start_run(self, user=None, sop=None, **values):
        """Return a run in progress with all its steps, as an operator has it."""
        runs = self.env["qms.sop.run"].with_user(user or self.operator)
        return runs.browse(runs.start_run((sop or self.sop).code, **values)["id"])

    def work(self, run):
        """Complete the mandatory steps of a run."""
        for step in run.step_ids.filtered("mandatory"):
            step.complete("Done.")
        return run
