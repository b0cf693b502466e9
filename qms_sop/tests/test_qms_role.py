from datetime import datetime

from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common import QmsSopCommon

MODELS = ("qms.role", "qms.role.shift", "qms.role.override")


@tagged("post_install", "-at_install")
class TestRole(QmsSopCommon):
    """Who plays a role, at which hour. Monday is 2030-06-03."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.day, cls.night, cls.deputy = (
            new_test_user(cls.env, login=login, groups="base.group_user", tz="UTC")
            for login in ("day", "night", "deputy")
        )
        cls.calendar = cls.env["resource.calendar"].create(
            {
                "name": "Nine to five",
                "tz": "UTC",
                "attendance_ids": [
                    Command.clear(),
                    *(
                        Command.create(
                            {
                                "name": "Day",
                                "dayofweek": str(day),
                                "hour_from": 9,
                                "hour_to": 17,
                                "day_period": "full_day",
                            }
                        )
                        for day in range(5)
                    ),
                ],
            }
        )
        cls.role = cls.env["qms.role"].create(
            {
                "name": "Test role",
                "code": "test_role",
                "tz": "Europe/Berlin",
                "calendar_id": cls.calendar.id,
                "user_ids": [Command.set(cls.deputy.ids)],
            }
        )

    def shift(self, user, weekday, hour_from, hour_to):
        return self.env["qms.role.shift"].create(
            {
                "role_id": self.role.id,
                "user_id": user.id,
                "weekday": str(weekday),
                "hour_from": hour_from,
                "hour_to": hour_to,
            }
        )

    def who(self, *when, immediately=True):
        return self.role._holders(datetime(*when), immediately=immediately)

    def test_rota_is_read_on_the_clock_of_the_role(self):
        self.shift(self.day, 0, 8, 20)
        # Berlin is two hours ahead of UTC in summer.
        self.assertEqual(self.who(2030, 6, 3, 5, 59), self.deputy)
        self.assertEqual(self.who(2030, 6, 3, 6, 0), self.day)
        self.assertEqual(self.who(2030, 6, 3, 17, 59), self.day)
        self.assertEqual(self.who(2030, 6, 3, 18, 0), self.deputy)
        self.assertEqual(self.who(2030, 6, 4, 12, 0), self.deputy)

    def test_shift_goes_on_past_midnight(self):
        self.shift(self.night, 6, 20, 8)
        self.assertEqual(self.who(2030, 6, 2, 18, 0), self.night)
        self.assertEqual(self.who(2030, 6, 3, 5, 59), self.night)
        self.assertEqual(self.who(2030, 6, 3, 6, 0), self.deputy)

    def test_shift_keeps_its_hours_when_the_clock_changes(self):
        # Berlin: summer time ends on Sunday 2030-10-27, 03:00 -> 02:00.
        self.shift(self.night, 5, 22, 6)
        self.shift(self.day, 6, 6, 22)
        self.assertEqual(self.who(2030, 10, 26, 20, 0), self.night)
        self.assertEqual(self.who(2030, 10, 27, 4, 59), self.night)
        self.assertEqual(self.who(2030, 10, 27, 5, 0), self.day)
        # It begins on Sunday 2030-03-31, 02:00 -> 03:00.
        self.assertEqual(self.who(2030, 3, 31, 3, 59), self.night)
        self.assertEqual(self.who(2030, 3, 31, 4, 0), self.day)

    def test_hour_that_the_clock_leaves_out(self):
        self.shift(self.night, 6, 2.5, 6)
        self.assertEqual(self.who(2030, 3, 31, 0, 59), self.deputy)
        self.assertEqual(self.who(2030, 3, 31, 1, 30), self.night)

    def test_override_wins_over_the_rota(self):
        self.shift(self.day, 0, 0, 24)
        self.env["qms.role.override"].create(
            {
                "role_id": self.role.id,
                "user_id": self.night.id,
                "date_from": datetime(2030, 6, 3, 12),
                "date_to": datetime(2030, 6, 3, 13),
                "reason": "Doctor",
            }
        )
        self.assertEqual(self.who(2030, 6, 3, 11, 59), self.day)
        self.assertEqual(self.who(2030, 6, 3, 12, 0), self.night)
        self.assertEqual(self.who(2030, 6, 3, 13, 0), self.day)

    def test_who_has_left_is_not_told(self):
        self.shift(self.day, 0, 0, 24)
        self.day.active = False
        self.assertEqual(self.who(2030, 6, 3, 12, 0), self.deputy)

    def test_holders_are_told_in_their_own_hours(self):
        self.assertEqual(self.who(2030, 6, 3, 20, 0), self.deputy)
        self.assertFalse(self.who(2030, 6, 3, 20, 0, immediately=False))
        self.assertEqual(self.who(2030, 6, 3, 16, 59, immediately=False), self.deputy)
        # The same hours of the clock, nine hours later.
        self.deputy.tz = "America/Los_Angeles"
        self.assertEqual(self.who(2030, 6, 3, 20, 0, immediately=False), self.deputy)
        self.assertFalse(self.who(2030, 6, 3, 9, 0, immediately=False))

    def test_own_working_hours_win_over_those_of_the_role(self):
        late = self.calendar.copy({"name": "Late"})
        late.attendance_ids.write({"hour_from": 14, "hour_to": 22})
        self.env["resource.resource"].create(
            {
                "name": "Deputy",
                "user_id": self.deputy.id,
                "calendar_id": late.id,
                "tz": "UTC",
            }
        )
        self.assertFalse(self.who(2030, 6, 3, 12, 0, immediately=False))
        self.assertEqual(self.who(2030, 6, 3, 20, 0, immediately=False), self.deputy)

    def test_whoever_is_on_the_rota_is_at_work(self):
        self.shift(self.night, 0, 0, 24)
        self.assertEqual(self.who(2030, 6, 3, 20, 0, immediately=False), self.night)

    def test_next_at_work(self):
        friday_evening = datetime(2030, 6, 7, 18)
        self.assertEqual(
            self.role._next_at_work(friday_evening), datetime(2030, 6, 10, 9)
        )
        at_work = datetime(2030, 6, 7, 12)
        self.assertEqual(self.role._next_at_work(at_work), at_work)
        # A holiday on Monday.
        self.env["resource.calendar.leaves"].create(
            {
                "name": "Whit Monday",
                "calendar_id": self.calendar.id,
                "date_from": datetime(2030, 6, 10),
                "date_to": datetime(2030, 6, 10, 23, 59, 59),
            }
        )
        self.assertEqual(
            self.role._next_at_work(friday_evening), datetime(2030, 6, 11, 9)
        )
        # Somebody is on the rota on Saturday.
        self.shift(self.day, 5, 10, 12)
        self.assertEqual(
            self.role._next_at_work(friday_evening), datetime(2030, 6, 8, 8)
        )
        self.role.user_ids = False
        self.role.shift_ids.unlink()
        self.assertIsNone(self.role._next_at_work(friday_evening))

    def test_another_role_stands_in_while_nobody_holds_this_one(self):
        other = self.env["qms.role"].create(
            {
                "name": "Other",
                "code": "other",
                "tz": "UTC",
                "user_ids": [Command.set(self.night.ids)],
            }
        )
        self.role.fallback_id = other
        self.assertEqual(self.who(2030, 6, 3, 12, 0), self.deputy)
        # Out of hours the holder is waited for.
        self.assertFalse(self.who(2030, 6, 3, 20, 0, immediately=False))
        self.role.user_ids = False
        self.assertEqual(self.who(2030, 6, 3, 12, 0), self.night)
        self.assertFalse(self.role.vacant)
        other.user_ids = False
        self.assertFalse(self.who(2030, 6, 3, 12, 0))
        self.assertTrue(self.role.vacant)
        self.assertIn(self.role, self.role.search([("vacant", "=", True)]))

    def test_a_role_does_not_stand_in_for_itself(self):
        other = self.role.copy({"name": "Other", "code": "other"})
        self.role.fallback_id = other
        with self.assertRaisesRegex(ValidationError, "stand in for itself"):
            other.fallback_id = self.role

    def test_duties_have_no_gap(self):
        self.shift(self.day, 0, 8, 20)
        duties = self.role._duties(datetime(2030, 6, 3), datetime(2030, 6, 4))
        self.assertEqual(
            [(start.hour, users.login) for start, _end, users in duties],
            [(0, "deputy"), (6, "day"), (18, "deputy")],
        )
        self.assertEqual(duties[-1][1], datetime(2030, 6, 4))

    def test_shipped_roles_need_two_names(self):
        roles = self.env["qms.role"].search([])
        roles.user_ids = False
        engineer = self.env.ref("qms_sop.role_on_call_engineer")
        chief = self.env.ref("qms_sop.role_cto")
        engineer.user_ids, chief.user_ids = self.day, self.night
        now = datetime(2030, 6, 3, 12)
        shipped = self.env["ir.model.data"].search(
            [("module", "=", "qms_sop"), ("model", "=", "qms.role")]
        )
        shipped = roles.browse(shipped.mapped("res_id"))
        self.assertGreaterEqual(len(shipped), 18)
        self.assertEqual(
            [role.code for role in shipped if not role._holders(now, True)], []
        )

    def test_codes_and_hours_are_checked(self):
        for call in (
            lambda: self.role.copy({"code": "Test Role"}),
            lambda: self.role.copy({"code": "test_role"}),
            lambda: self.shift(self.day, 0, 24, 25),
            lambda: self.shift(self.day, 0, -1, 8),
        ):
            with (
                self.assertRaises(IntegrityError),
                self.env.cr.savepoint(),
                mute_logger("odoo.sql_db"),
            ):
                call()

    def test_changes_are_in_the_trail(self):
        events = self.env["qms.audit.event"]
        self.role.user_ids = [Command.link(self.day.id)]
        self.shift(self.day, 0, 8, 20)
        self.env["qms.role.override"].create(
            {
                "role_id": self.role.id,
                "user_id": self.night.id,
                "date_from": datetime(2030, 6, 3, 12),
                "date_to": datetime(2030, 6, 3, 13),
                "reason": "Doctor",
            }
        )
        found = events.search(self.role._trail_domain())
        self.assertEqual(
            set(found.mapped("model")),
            {"qms.role", "qms.role.shift", "qms.role.override"},
        )
        self.assertIn("Doctor", found.mapped("reason"))

    def test_who_may_change_roles(self):
        for role in ("operator", "author", "manager", "auditor", "automation"):
            for model in MODELS:
                records = self.env[model].with_user(self.users[role])
                with self.subTest(role=role, model=model):
                    self.assertTrue(records.has_access("read"))
                    for operation in ("create", "write", "unlink"):
                        self.assertEqual(
                            records.has_access(operation), role == "manager"
                        )
        with self.assertRaises(AccessError):
            self.role.with_user(self.operator).user_ids = self.operator

    def test_roles_of_another_company_are_not_seen(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.role.company_id = company
        self.shift(self.day, 0, 0, 24)
        for model in ("qms.role", "qms.role.shift"):
            found = self.env[model].with_user(self.manager).search([])
            self.assertFalse(
                found.filtered(
                    lambda record: (
                        (record if record._name == "qms.role" else record.role_id)
                        == self.role
                    )
                )
            )
