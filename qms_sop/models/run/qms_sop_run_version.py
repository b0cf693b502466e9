from odoo import api, fields, models

from ..qms_state_mixin import BOOKKEEPING

_NEW_RUNS = "qms_sop.new_runs"


class QmsSopRun(models.Model):
    """A counter of changes, by which a client knows that it has read the latest."""

    _inherit = "qms.sop.run"

    lock_version = fields.Integer(
        "Version",
        default=1,
        readonly=True,
        copy=False,
        help="Counts the changes of the run and of all that belongs to it.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        runs = super().create(vals_list)
        callbacks = self.env.cr.precommit
        if _NEW_RUNS not in callbacks.data:
            # What a transaction adds to its own new run is part of version 1.
            callbacks.data[_NEW_RUNS] = set()
            callbacks.add(lambda: callbacks.data.pop(_NEW_RUNS, None))
        callbacks.data[_NEW_RUNS].update(runs.ids)
        return runs

    def write(self, vals):
        result = super().write(vals)
        if not all(name.startswith(BOOKKEEPING) for name in vals):
            self._bump_version()
        return result

    def _write_system(self, vals):
        result = super()._write_system(vals)
        self._bump_version()
        return result

    def _bump_version(self):
        """Count a change; it is written with whatever else changes in the row.

        Two transactions that do so at once collide, and Odoo runs one of them again:
        no change is lost, and none is counted twice.
        """
        new = self.env.cr.precommit.data.get(_NEW_RUNS, ())
        field = self._fields["lock_version"]
        for run in self:
            if run.id not in new:
                field.write(run, run.lock_version + 1)
