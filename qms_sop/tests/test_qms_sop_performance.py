from odoo.tests import tagged, warmup

from .common import QmsSopCommon


@tagged("post_install", "-at_install")
class TestQmsSopPerformance(QmsSopCommon):
    """Query counts of the hot operations (DESIGN.md, "Numbers to stay under")."""

    @warmup
    def test_placeholder(self):
        self.assertTrue(self.sop)
