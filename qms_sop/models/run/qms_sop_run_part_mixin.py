from odoo import api, models
from odoo.exceptions import UserError, ValidationError


class QmsSopRunPartMixin(models.AbstractModel):
    """A part of a run: it is sealed together with the run."""

    _name = "qms.sop.run.part.mixin"
    _description = "Part of an SOP run"

    @api.model_create_multi
    def create(self, vals_list):
        parts = super().create(vals_list)
        parts._check_run_open()
        parts.run_id._bump_version()
        return parts

    def write(self, vals):
        if "run_id" in vals and any(part.run_id.id != vals["run_id"] for part in self):
            raise UserError(self.env._("What belongs to a run stays with it."))
        self._check_run_open()
        result = super().write(vals)
        self.run_id._bump_version()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_history(self):
        raise UserError(
            self.env._(
                "%(model)s: records of a run are kept and cannot be deleted.",
                model=self._description,
            )
        )

    def _check_run_open(self):
        """Refuse changes to a finished run."""
        for run in self.run_id:
            if run.state in run._locked_states:
                raise UserError(
                    self.env._(
                        "%(run)s is %(state)s and can no longer be changed "
                        "(%(model)s).",
                        run=run.display_name,
                        state=run._state_label(run.state),
                        model=self._description,
                    )
                )

    @api.constrains("run_id", "step_id")
    def _check_step_of_run(self):
        for part in self:
            if part.step_id and not part._step_belongs():
                raise ValidationError(
                    self.env._(
                        "%(model)s: step %(step)s does not belong to %(run)s.",
                        model=self._description,
                        step=part.step_id.display_name,
                        run=part.run_id.display_name,
                    )
                )

    def _step_belongs(self):
        return self.step_id.run_id == self.run_id
