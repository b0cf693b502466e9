from contextlib import contextmanager
from datetime import datetime, timedelta

from odoo.fields import Command
from odoo.tests import freeze_time, new_test_user

from .common import GROUPS, QmsSopCommon

# A Tuesday, far enough in the future for the rules to be in force
TUESDAY = datetime(2030, 6, 4, 10)


class EscalationCommon(QmsSopCommon):
    """Every role has one holder, whose login is its code; all work from 9 to 17 UTC."""

    # Codes of the roles that have one; all of them when there are none
    held = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runs = cls.env["qms.sop.run"]
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
        cls.env.company.resource_calendar_id = cls.calendar
        roles = cls.env["qms.role"].search([])
        roles.user_ids = False
        roles.shift_ids.unlink()
        roles.override_ids.unlink()
        # Mails wait in the outbox; activities are a lot of work for Odoo.
        cls.templates = cls.env["qms.notification.template"].search(
            [("code", "in", ("escalation", "update_due", "sla_at_risk"))]
        )
        cls.templates.in_odoo = "none"
        cls.holders = {}
        domain = [("code", "in", cls.held)] if cls.held else []
        for role in cls.env["qms.role"].search(domain):
            cls.holders[role.code] = new_test_user(
                cls.env,
                login=role.code,
                email=f"{role.code}@example.com",
                tz="UTC",
                groups=GROUPS["operator"],
            )
            role.user_ids = cls.holders[role.code]
        # Whoever opens the runs of these tests is a program.
        cls.robot = cls.users["automation"]

    @contextmanager
    def at(self, moment):
        with freeze_time(moment) as clock:
            self.clock = clock
            yield clock

    def open_run(self, severity="critical", user=None, **values):
        return self.start_run(user or self.robot, severity=severity, **values).sudo()

    def look(self, moment=None):
        """Let the job come once."""
        if moment:
            self.clock.move_to(moment)
        self.env.flush_all()
        self.runs._escalate_batch()
        self.env.invalidate_all()

    def review(self):
        """Let the job mark the runs that a change of policies or roles is about."""
        while self.env["qms.escalation.review"]._mark_part():
            pass
        self.env.invalidate_all()

    def walk(self, run, minutes, begin=TUESDAY):
        """Let the job come whenever the run wants it to, for so long.

        :return: what was told since, see :meth:`told`
        """
        until = begin + timedelta(minutes=minutes)
        before = None
        while (moment := run.next_escalation_at) and moment <= until:
            self.assertNotEqual(moment, before, "the job would come again at once")
            before = moment
            self.look(max(moment, datetime.now()))
        return self.told(run, begin)

    def told(self, run, begin=TUESDAY, event="escalation"):
        """Return who was told when: ``{minutes: {login}}``."""
        told = {}
        for one in self.env["qms.notification"].search(
            [("model", "=", run._name), ("res_id", "=", run.id), ("event", "=", event)]
        ):
            minutes = (one.at - begin).total_seconds() / 60
            told.setdefault(minutes, set()).add(one.user_id.login or "")
        return told

    def policy(self, *rules, **values):
        """Return a policy in a matrix of its own."""
        values.setdefault("name", "Test policy")
        return self.env["qms.escalation.policy"].create(
            {
                "matrix_id": self.env["qms.escalation.matrix"]
                .create({"name": "Test matrix"})
                .id,
                "rule_ids": [Command.create(rule) for rule in rules],
                **values,
            }
        )

    @classmethod
    def only(cls, *matrices):
        """Archive all shipped matrices but these."""
        shipped = cls.env["qms.escalation.matrix"].with_context(active_test=False)
        keep = shipped.browse(cls.env.ref(f"qms_sop.{name}").id for name in matrices)
        (shipped.search([]) - keep).active = False
        keep.active = True
