from odoo.tests import tagged

from ..tools.access import can_open
from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestAccess(QmsSopCommon):
    """Who asks has two companies selected; whoever is asked about is in one of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.here = cls.env.company
        cls.there = cls.env["res.company"].create({"name": "There"})
        cls.manager.company_ids += cls.there
        both = (cls.here | cls.there).ids
        cls.env = cls.env(
            user=cls.manager, context={**cls.env.context, "allowed_company_ids": both}
        )

    def action(self, company):
        actions = self.env["qms.action"].with_company(company)
        return actions.create({"name": "Mend it", "user_id": self.manager.id})

    def test_who_is_in_one_company_opens_what_is_there(self):
        self.assertTrue(can_open(self.action(self.here), self.operator))
        self.assertFalse(can_open(self.action(self.there), self.operator))

    def test_such_a_person_can_own_an_action(self):
        action = self.action(self.here)
        action.user_id = self.operator
        self.assertEqual(action.user_id, self.operator)
