from datetime import date, datetime, time

from odoo.tests import BaseCase, tagged

from ..tools.recurrence import Recurrence, to_utc

NINE = time(9)


@tagged("post_install", "-at_install")
class TestRecurrence(BaseCase):
    """When something recurs; each expected date was read off a calendar."""

    def dates(self, limit=5, after=None, **rule):
        rule.setdefault("start", date(2026, 1, 1))
        rule.setdefault("at", NINE)
        moments = Recurrence(**rule).moments(after=after, limit=limit)
        return [moment.strftime("%Y-%m-%d %H:%M %z") for moment in moments]

    def days(self, **rule):
        return [text[:10] for text in self.dates(**rule)]

    def test_every_third_day(self):
        self.assertEqual(
            self.days(freq="daily", interval=3, limit=3),
            ["2026-01-01", "2026-01-04", "2026-01-07"],
        )

    def test_weekdays(self):
        self.assertEqual(
            self.days(freq="weekly", weekdays=(0, 4), limit=4),
            ["2026-01-02", "2026-01-05", "2026-01-09", "2026-01-12"],
        )

    def test_every_other_week_counts_from_the_start(self):
        self.assertEqual(
            self.days(freq="weekly", interval=2, weekdays=(0,), limit=3),
            # 1 January 2026 is a Thursday: its week is the first.
            ["2026-01-12", "2026-01-26", "2026-02-09"],
        )
        later = self.days(
            freq="weekly",
            interval=2,
            weekdays=(0,),
            limit=1,
            after=datetime(2026, 2, 1),
        )
        self.assertEqual(later, ["2026-02-09"])

    def test_last_day_of_shorter_months(self):
        self.assertEqual(
            self.days(freq="monthly", month_day=31, limit=4),
            ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"],
        )
        self.assertEqual(
            self.days(freq="monthly", month_day=29, limit=3),
            ["2026-01-29", "2026-02-28", "2026-03-29"],
        )
        self.assertEqual(
            self.days(freq="yearly", month=2, month_day=29, limit=3),
            ["2026-02-28", "2027-02-28", "2028-02-29"],
        )

    def test_nth_weekday(self):
        self.assertEqual(
            self.days(freq="monthly", month_weekday=(1, 0), limit=3),
            ["2026-01-05", "2026-02-02", "2026-03-02"],
        )
        self.assertEqual(
            self.days(freq="monthly", month_weekday=(-1, 4), limit=3),
            ["2026-01-30", "2026-02-27", "2026-03-27"],
        )
        self.assertEqual(
            self.days(freq="yearly", month=11, month_weekday=(4, 3), limit=2),
            ["2026-11-26", "2027-11-25"],
        )

    def test_quarterly(self):
        self.assertEqual(
            self.days(freq="monthly", interval=3, month_day=15, limit=3),
            ["2026-01-15", "2026-04-15", "2026-07-15"],
        )

    def test_ends_with_its_last_day(self):
        self.assertEqual(
            self.days(freq="daily", until=date(2026, 1, 2)),
            ["2026-01-01", "2026-01-02"],
        )

    def test_ends_after_so_many_times(self):
        rule = {"freq": "daily", "count": 3}
        self.assertEqual(len(self.days(**rule)), 3)
        # … counted from the start, not from where one looks.
        after = datetime(2026, 1, 2, 12)
        self.assertEqual(self.days(after=after, **rule), ["2026-01-03"])

    def test_same_time_in_summer_and_winter(self):
        rule = {"freq": "weekly", "weekdays": (6,), "zone": "Europe/Berlin"}
        self.assertEqual(
            self.dates(start=date(2026, 3, 22), limit=2, **rule),
            ["2026-03-22 09:00 +0100", "2026-03-29 09:00 +0200"],
        )
        self.assertEqual(
            self.dates(start=date(2026, 10, 18), limit=2, **rule),
            ["2026-10-18 09:00 +0200", "2026-10-25 09:00 +0100"],
        )

    def test_time_that_the_clock_leaps_over(self):
        rule = {"freq": "daily", "at": time(2, 30), "zone": "Europe/Berlin"}
        self.assertEqual(
            self.dates(start=date(2026, 3, 28), limit=3, **rule),
            [
                "2026-03-28 02:30 +0100",
                "2026-03-29 03:30 +0200",
                "2026-03-30 02:30 +0200",
            ],
        )

    def test_time_that_comes_twice_counts_once(self):
        rule = Recurrence(
            freq="daily",
            start=date(2026, 10, 24),
            at=time(2, 30),
            zone="Europe/Berlin",
        )
        found = list(rule.moments(limit=3))
        self.assertEqual(
            [moment.strftime("%d %H:%M %z") for moment in found],
            ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"],
        )
        # Between the two 02:30 the next one is that of tomorrow.
        between = datetime(2026, 10, 25, 1)
        self.assertEqual(
            [to_utc(moment) for moment in rule.moments(after=between, limit=1)],
            [datetime(2026, 10, 26, 1, 30)],
        )

    def test_looks_strictly_after_and_up_to(self):
        rule = Recurrence(freq="daily", start=date(2026, 1, 1), at=NINE)
        moments = rule.moments(
            after=datetime(2026, 1, 1, 9), before=datetime(2026, 1, 3, 9)
        )
        self.assertEqual([moment.day for moment in moments], [2, 3])

    def test_far_from_greenwich(self):
        # 09:00 in Kiritimati (UTC+14) is 19:00 of the day before in UTC.
        rule = Recurrence(
            freq="daily",
            start=date(2026, 1, 10),
            at=NINE,
            zone="Pacific/Kiritimati",
        )
        after = datetime(2026, 1, 12, 18, 59)
        self.assertEqual(
            [to_utc(moment) for moment in rule.moments(after=after, limit=1)],
            [datetime(2026, 1, 12, 19)],
        )

    def test_as_rfc_5545_has_it(self):
        rule = Recurrence(
            freq="weekly", start=date(2026, 1, 1), at=NINE, weekdays=(0, 2), interval=2
        )
        self.assertEqual(str(rule), "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE")
