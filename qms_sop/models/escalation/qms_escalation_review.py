from odoo import api, fields, models
from odoo.tools import SQL

# Runs that are marked in one transaction
PART = 200
_ASKED = "qms_sop.escalation_review"


class QmsEscalationReview(models.Model):
    """That open runs have to be looked at anew, as policies or roles were changed.

    Whoever changes something only adds a row, and waits for nobody; the job takes the
    rows one by one, part by part.
    """

    _name = "qms.escalation.review"
    _description = "Review of open runs after a change of policies"
    _log_access = False
    _order = "id"

    only_problems = fields.Boolean(
        readonly=True, help="Only runs of which somebody could not be told."
    )
    last_run = fields.Integer(readonly=True, help="Runs up to this one are marked.")

    @api.model
    def _ask(self, only_problems=False):
        """Have open runs looked at anew; once a transaction.

        :param bool only_problems: only runs of which somebody could not be told
        """
        callbacks = self.env.cr.precommit
        asked = callbacks.data.setdefault(_ASKED, set())
        if not asked:
            callbacks.add(lambda: callbacks.data.pop(_ASKED, None))
        if only_problems not in asked:
            asked.add(only_problems)
            # sudo: it is no act of the user's.
            self.sudo().create({"only_problems": only_problems})
        self.env["qms.sop.run"]._wake_escalations(fields.Datetime.now())

    @api.model
    def _mark_part(self):
        """Mark some runs as due, for the oldest row, unless another worker does so.

        :return: whether there was anything to do
        :rtype: bool
        """
        self.flush_model()
        # Two rows can be about the same runs: one worker marks at a time.
        rows = self.env.execute_query(
            SQL(
                "SELECT id, only_problems, last_run FROM %s"
                " WHERE pg_try_advisory_xact_lock(hashtext(%s))"
                " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
                SQL.identifier(self._table),
                self._name,
            )
        )
        if not rows:
            return False
        ((row_id, only_problems, last_run),) = rows
        self.env["qms.sop.run"].flush_model(["state", "next_escalation_at"])
        marked = self.env.execute_query(
            SQL(
                """UPDATE qms_sop_run SET next_escalation_at = %s
                    WHERE id IN (SELECT id FROM qms_sop_run
                                  WHERE id > %s AND state = 'in_progress' %s
                               ORDER BY id LIMIT %s)
                RETURNING id""",
                fields.Datetime.now(),
                last_run or 0,
                SQL("AND escalation_problem IS NOT NULL") if only_problems else SQL(),
                PART,
            )
        )
        row = self.browse(row_id)
        if len(marked) < PART:
            row.unlink()
        else:
            row.last_run = max(run_id for (run_id,) in marked)
        return True
