from datetime import date

from odoo.tests import BaseCase, tagged

from ..tools.periods import PERIODS, resolve


@tagged("post_install", "-at_install")
class TestPeriods(BaseCase):
    """The days that figures are about, and those that they are compared with."""

    def days(self, name, today, *own):
        return tuple(str(day) for day in resolve(name, date(*today), *own))

    def test_month_that_has_not_ended(self):
        self.assertEqual(
            self.days("this_month", (2026, 11, 21)),
            ("2026-11-01", "2026-11-21", "2026-10-01", "2026-10-21"),
        )

    def test_longer_month_than_the_one_before(self):
        self.assertEqual(
            self.days("this_month", (2026, 3, 31)),
            ("2026-03-01", "2026-03-31", "2026-02-01", "2026-02-28"),
        )

    def test_last_month_over_new_year(self):
        self.assertEqual(
            self.days("last_month", (2026, 1, 1)),
            ("2025-12-01", "2025-12-31", "2025-11-01", "2025-11-30"),
        )

    def test_days_are_inclusive(self):
        since, until, before_since, before_until = resolve(
            "last_90_days", date(2026, 11, 21)
        )
        self.assertEqual((until - since).days + 1, 90)
        self.assertEqual((before_until - before_since).days + 1, 90)
        self.assertEqual((since - before_until).days, 1)

    def test_twelve_months_are_whole_but_the_last(self):
        self.assertEqual(
            self.days("last_12_months", (2026, 11, 21)),
            ("2025-12-01", "2026-11-21", "2024-12-01", "2025-11-21"),
        )

    def test_leap_day(self):
        for name in PERIODS[:-1]:
            since, until, before_since, before_until = resolve(name, date(2028, 2, 29))
            self.assertLessEqual(since, until)
            self.assertLessEqual(before_since, before_until)
            self.assertLess(before_until, since)

    def test_own_days(self):
        self.assertEqual(
            self.days("custom", (2026, 11, 21), date(2026, 3, 1), date(2026, 3, 1)),
            ("2026-03-01", "2026-03-01", "2026-02-28", "2026-02-28"),
        )
