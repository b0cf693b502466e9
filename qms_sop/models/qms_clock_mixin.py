from odoo import api, models


class QmsClockMixin(models.AbstractModel):
    """A record with values that follow from what is written to it.

    They are worked out from the final values, below every check and every value that
    the model adds, and are written together with them: no further query, and one
    event in the trail. Among the parents of a model it comes after all others but
    ``qms.audit.mixin``.
    """

    _name = "qms.clock.mixin"
    _description = "Record with clocks"

    # Fields from which others follow
    _clock_inputs = frozenset()

    def _clock_values(self, vals):
        """Return the values that follow from others.

        To be extended by whoever keeps something that follows from the clocks, such
        as the next moment at which somebody has to be told: reading what ``super()``
        returns costs nothing, writing it later costs an update for each new record.

        :param dict vals: what is about to be written; for a new record (``self`` is
            empty) all that is known of it
        :return: further values to write
        :rtype: dict
        """
        return {}

    def _clocks_changed(self):
        """Do what follows when clocks began, stopped or were moved.

        Called after each such change, in the same transaction, with all records of
        one ``create()`` or with those of one ``write()`` whose values changed. To be
        extended; by itself it does nothing.
        """

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(
            [{**vals, **self._clock_values(vals)} for vals in vals_list]
        )
        records._clocks_changed()
        return records

    def write(self, vals):
        inputs = sorted(self._clock_inputs & vals.keys())
        if not inputs:
            return super().write(vals)
        before = {record.id: [record[name] for name in inputs] for record in self}
        groups = []
        for record in self:
            values = record._clock_values(vals)
            for other, ids in groups:
                if other == values:
                    ids.append(record.id)
                    break
            else:
                groups.append((values, [record.id]))
        for values, ids in groups:
            super(QmsClockMixin, self.browse(ids)).write({**vals, **values})
        moved = {record_id for values, ids in groups if values for record_id in ids}
        changed = self.filtered(
            lambda record: (
                record.id in moved
                or before[record.id] != [record[name] for name in inputs]
            )
        )
        if changed:
            changed._clocks_changed()
        return True
