from odoo.tests import TransactionCase, tagged

from ..tools.durations import format_minutes


@tagged("post_install", "-at_install")
class TestDurations(TransactionCase):
    def test_largest_whole_units(self):
        for minutes, text in (
            (0, ""),
            (1, "1 min"),
            (15, "15 min"),
            (60, "1 h"),
            (90, "1 h 30 min"),
            (240, "4 h"),
            (1440, "1 day"),
            (3 * 1440, "3 days"),
            (10080, "1 week"),
            (20160 + 1440 + 61, "2 weeks 1 day"),
        ):
            self.assertEqual(format_minutes(self.env, minutes), text)
