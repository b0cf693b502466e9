from datetime import datetime, time, timedelta

from odoo.tests import BaseCase, tagged

from ..tools.working_time import counted, due, open_times


def at(day, hour=0, minute=0):
    """A moment in March 2026; the 2nd is a Monday."""
    return datetime(2026, 3, 1, hour, minute) + timedelta(days=day - 1)


def office(monday):
    """Monday to Friday, 9 to 17, closed on the 11th."""
    return tuple(
        (datetime.combine(day, time(9)), datetime.combine(day, time(17)))
        for day in (monday + timedelta(days=number) for number in range(5))
        if day.day != 11
    )


@tagged("post_install", "-at_install")
class TestWorkingTime(BaseCase):
    def test_around_the_clock(self):
        self.assertEqual(due(at(6, 16), 120), at(6, 18))
        self.assertEqual(counted(at(6, 16), at(7, 16)), 1440)

    def test_over_a_weekend(self):
        # The 6th is a Friday.
        self.assertEqual(due(at(6, 16), 60, office), at(6, 17))
        self.assertEqual(due(at(6, 16), 61, office), at(9, 9, 1))
        self.assertEqual(due(at(7, 3), 60, office), at(9, 10), "on a Saturday")
        self.assertEqual(counted(at(6, 16), at(9, 10), office), 120)

    def test_over_a_holiday(self):
        self.assertEqual(due(at(10, 16), 120, office), at(12, 10))
        self.assertEqual(counted(at(10, 16), at(12, 10), office), 120)

    def test_over_many_weeks(self):
        # 39 working days of eight hours, one of them a holiday
        self.assertEqual(due(at(2, 9), 39 * 480, office), datetime(2026, 4, 24, 17))

    def test_holds_do_not_count(self):
        holds = [(at(6, 16, 30), at(9, 9, 30)), (at(9, 10), at(9, 11))]
        self.assertEqual(due(at(6, 16), 30, None, holds), at(6, 16, 30))
        self.assertEqual(due(at(6, 16), 31, None, holds), at(9, 9, 31))
        self.assertEqual(due(at(6, 16), 90, None, holds), at(9, 11, 30))
        self.assertEqual(due(at(6, 16), 90, office, holds), at(9, 11, 30))
        self.assertEqual(due(at(9, 10, 30), 10, None, holds), at(9, 11, 10))
        self.assertEqual(counted(at(6, 16), at(9, 11, 30), office, holds), 90)

    def test_backwards(self):
        self.assertEqual(counted(at(9, 10), at(6, 16), office), -120)

    def test_never_open(self):
        self.assertIsNone(due(at(2), 1, lambda monday: ()))
        self.assertEqual(counted(at(2), at(30), lambda monday: ()), 0)

    def test_a_long_closure(self):
        def next_year(monday):
            return office(monday) if monday.year > 2026 else ()

        self.assertEqual(due(at(2), 60, next_year), datetime(2027, 1, 4, 10))

    def test_weeks_of_another_zone(self):
        # Sunday 22:00 to Monday 06:00 in UTC is Monday in Auckland.
        def auckland(monday):
            begin = datetime.combine(monday, time()) - timedelta(hours=2)
            return ((begin, begin + timedelta(hours=8)),)

        self.assertEqual(due(at(8, 21), 60, auckland), at(8, 23))

    def test_open_times(self):
        self.assertEqual(
            open_times(at(6, 16), at(30), office, 2),
            [(at(6, 16), at(6, 17)), (at(9, 9), at(9, 17))],
        )
