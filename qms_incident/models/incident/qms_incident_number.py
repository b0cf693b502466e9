from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.tools import SQL


class QmsIncidentNumber(models.Model):
    """The numbers of incidents that are given out, one row each.

    A single counter that every creator updates would make all but one of them start
    over under ``REPEATABLE READ``. Here they queue for a lock, which a transaction
    holds to its end, and add a row: a rollback takes it back, so no number is missing,
    and the unique index sees also what was committed after the transaction began.
    """

    _name = "qms.incident.number"
    _description = "Number of an incident"
    _log_access = False

    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, ondelete="cascade"
    )
    day = fields.Date(required=True, readonly=True)
    number = fields.Integer(required=True, readonly=True)

    _number_uniq = models.UniqueIndex(
        "(company_id, day, number)", "A number is given out once."
    )

    @api.model
    def _take(self, company_id, day, count):
        """Take the next numbers of a day.

        :param int company_id: id of a ``res.company``
        :param datetime.date day: in the time zone of the company
        :param int count: how many
        :return: numbers from 1 up
        :rtype: list[int]
        """
        execute = self.env.execute_query
        lock = f"qms.incident.number:{company_id}:{day}"
        execute(SQL("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", lock))
        [(last,)] = execute(
            SQL(
                """SELECT coalesce(max(number), 0) FROM qms_incident_number
                    WHERE company_id = %s AND day = %s""",
                company_id,
                day,
            )
        )
        numbers = []
        while len(numbers) < count:
            last += 1
            try:
                with self.env.cr.savepoint(flush=False):
                    self.env.cr.execute(
                        SQL(
                            """INSERT INTO qms_incident_number
                                           (company_id, day, number)
                                    VALUES (%s, %s, %s)""",
                            company_id,
                            day,
                            last,
                        ),
                        log_exceptions=False,
                    )
            except UniqueViolation:
                # Given out by a transaction that ended after this one had begun.
                continue
            numbers.append(last)
        return numbers
