from odoo import api, fields, models
from odoo.tools import SQL

# A job that is this late is not waiting for its turn: nobody runs jobs at all, or
# the one before it does not end (seconds).
LATE_LIMIT = 900
# Odoo itself gives up on a job after five failures in a row.
FAILURE_LIMIT = 3


class IrCron(models.Model):
    """How the scheduled jobs of the QMS add-ons are doing."""

    _inherit = "ir.cron"

    @api.model
    def _qms_jobs(self):
        """Return the scheduled jobs of our add-ons that are switched on.

        :return: dicts with ``name``, ``late_seconds`` (0 when it is not yet due)
            and ``failures`` (in a row, up to now)
        :rtype: list[dict]
        """
        # Names and times only, which are no secret; jobs are the administrator's.
        self.sudo().flush_model(["active", "nextcall", "failure_count"])
        now = fields.Datetime.now()
        return [
            {
                "name": name.removeprefix("ir_cron_"),
                "late_seconds": max(0, int((now - nextcall).total_seconds())),
                "failures": failures or 0,
            }
            for name, nextcall, failures in self.env.execute_query(
                SQL(
                    r"""SELECT data.name, cron.nextcall, cron.failure_count
                          FROM ir_model_data data
                          JOIN ir_cron cron ON cron.id = data.res_id
                         WHERE data.model = 'ir.cron'
                           AND data.module LIKE 'qms\_%%' AND cron.active
                      ORDER BY data.module, data.name"""
                )
            )
        ]

    @api.model
    def _qms_queue_health(self):
        """Tell whether the scheduled jobs of our add-ons run.

        :return: ``status`` (``pass`` or ``fail``), and, for a user with a role,
            ``jobs`` as in :meth:`_qms_jobs` with a ``status`` each
        :rtype: dict
        """
        jobs = [
            {
                **job,
                "status": (
                    "fail"
                    if job["late_seconds"] > LATE_LIMIT
                    or job["failures"] >= FAILURE_LIMIT
                    else "pass"
                ),
            }
            for job in self._qms_jobs()
        ]
        failing = any(job["status"] == "fail" for job in jobs)
        health = {"status": "fail" if failing else "pass"}
        if self.env["qms.sop.run"].has_access("read"):
            health["jobs"] = jobs
        return health
