from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..tools.fields import BlankFloat
from ..tools.values import to_rfc3339


class QmsDurationMixin(models.AbstractModel):
    """Something that starts, ends, and takes a time that may be unknown."""

    _name = "qms.duration.mixin"
    _description = "Start, end and duration"

    # Stored computed fields that need no computing where a new record is given them
    _known_when_new = frozenset({"duration"})

    start_time = fields.Datetime("Started", copy=False)
    end_time = fields.Datetime("Ended", copy=False)
    duration = BlankFloat(
        compute="_compute_duration",
        store=True,
        aggregator="avg",
        help="Minutes from start to end; blank until both are known.",
    )

    @api.depends("start_time", "end_time")
    def _compute_duration(self):
        for record in self:
            record.duration = (
                (record.end_time - record.start_time).total_seconds() / 60
                if record.start_time and record.end_time
                else False
            )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            vals.pop("duration", None)
            if not vals.get("end_time"):
                # Known to be unknown; it need not be computed.
                vals["duration"] = False
        return super().create(vals_list)

    @api.model
    def _create(self, data_list):
        # Odoo would compute them all the same, being read-only to clients.
        for data in data_list:
            given = self._known_when_new & data["stored"].keys()
            data["protected"].update(self._fields[name] for name in given)
        return super()._create(data_list)

    @api.constrains("start_time", "end_time")
    def _check_times(self):
        for record in self:
            if record.duration is not False and record.duration < 0:
                raise ValidationError(
                    self.env._(
                        "%(record)s cannot end before it started (%(start)s, %(end)s).",
                        record=record.display_name,
                        start=to_rfc3339(record.start_time),
                        end=to_rfc3339(record.end_time),
                    )
                )
