from odoo import api, fields, models
from odoo.exceptions import MissingError
from odoo.fields import Domain

from ..tools.faults import StaleVersionError
from .qms_state_mixin import BOOKKEEPING

_NEW = "qms_sop.new_resources"


class QmsApiMixin(models.AbstractModel):
    """What /api/v1 serves one by one, and changes only for who has read the latest.

    For models that also inherit ``qms.state.mixin``, before it. Their parts call
    :meth:`_bump_version` when they change.
    """

    _name = "qms.api.mixin"
    _description = "Resource of the REST API"

    # What is read at once with a record that is asked for; ``None``: all its columns
    _api_columns = None

    lock_version = fields.Integer(
        "Version",
        default=1,
        readonly=True,
        copy=False,
        aggregator=None,
        help="Counts the changes of the record and of all that belongs to it.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        callbacks = self.env.cr.precommit
        if _NEW not in callbacks.data:
            # What a transaction adds to its own new record is part of version 1.
            callbacks.data[_NEW] = set()
            callbacks.add(lambda: callbacks.data.pop(_NEW, None))
        callbacks.data[_NEW].update(
            (self._name, record_id) for record_id in records.ids
        )
        return records

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

        Two transactions that do so at once collide, and one of them is run again: no
        change is lost, and none is counted twice.
        """
        new = self.env.cr.precommit.data.get(_NEW, ())
        field = self._fields["lock_version"]
        for record in self:
            if (self._name, record.id) not in new:
                field.write(record, record.lock_version + 1)

    @api.model
    def _api_find(self, record_id):
        """Return the record with an id, as far as the user may see it.

        :param int record_id: database id
        :return: one record of this model
        :raises MissingError: also when it is another company's
        """
        record = self.with_context(active_test=False).search_fetch(
            Domain("id", "=", record_id), self._api_columns, limit=1
        )
        if not record:
            raise MissingError(
                self.env._(
                    "There is no %(model)s with the id %(id)s.",
                    model=self._description,
                    id=record_id,
                )
            )
        return record.with_env(self.env)

    def _api_etag(self):
        """Return what changes with every change of one record and its parts.

        :return: the entity tag, without quotes
        :rtype: str
        """
        self.ensure_one()
        return f"{self.id}-{self.lock_version}"

    def _api_check_version(self, tags):
        """Refuse to change what was changed since the client read it.

        No lock is needed: of two changes at once, the second does not get through,
        is run again, and then finds the version of the first.

        :param tags: entity tags, one of which has to be the record's; ``None``: none
            was sent
        :raises StaleVersionError: when none of them is
        """
        if tags is None or "*" in tags or self._api_etag() in tags:
            return
        raise StaleVersionError(
            self.env._(
                "%(record)s was changed meanwhile: its ETag is now %(etag)s. Read it "
                "again, then decide again.",
                record=self.display_name,
                etag=f'"{self._api_etag()}"',
            )
        )
