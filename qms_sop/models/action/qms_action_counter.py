from collections import Counter

from odoo import api, fields, models
from odoo.tools import SQL

from ...tools.contention import collect


class QmsActionCounter(models.Model):
    """How many actions each source has; only the numbering itself gets here."""

    _name = "qms.action.counter"
    _description = "Numbering of actions"
    _log_access = False
    _rec_name = "source"

    source = fields.Char(required=True)
    last = fields.Integer(required=True)

    _source_uniq = models.Constraint(
        "UNIQUE(source)", "The actions of a source are numbered once."
    )

    @api.model
    def _next(self, sources):
        """Return the next number of each source, without gaps.

        Two transactions that number actions of the same source collide, and the second
        one is run again; one that is refused gives its numbers back.

        :param list[str] sources: what the actions come from, one for each action
        :return: a number for each of them, from 1
        :rtype: list[int]
        """
        counts = Counter(sources)
        collect(self.env, [f"{self._name},{source}" for source in counts])
        rows = self.env.execute_query(
            SQL(
                """INSERT INTO qms_action_counter AS counter (source, last)
                        SELECT * FROM unnest(%s, %s) ORDER BY 1
                   ON CONFLICT (source)
                     DO UPDATE SET last = counter.last + EXCLUDED.last
                     RETURNING source, last""",
                list(counts),
                list(counts.values()),
            )
        )
        following = {source: last - counts[source] for source, last in rows}
        numbers = []
        for source in sources:
            following[source] += 1
            numbers.append(following[source])
        return numbers
