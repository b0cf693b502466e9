from odoo import api, fields, models
from odoo.exceptions import MissingError
from odoo.fields import Domain

from ..tools.faults import StaleVersionError, at_field
from ..tools.paging import page
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

    # === Reading ===

    @api.model
    def _api_get(self, record_id, query):
        """Return one record as the API tells of it, and its entity tag.

        :param int record_id: database id
        :param query: has ``fields``
        :rtype: tuple[dict, str]
        """
        record = self._api_find(record_id)
        return record._api_items(query)[0], record._api_etag()

    @api.model
    def _api_list(self, query):
        """Return one page of the records that are not archived.

        :param query: has ``limit``, ``cursor``, ``sort``, ``fields``, and what
            ``_api_domain(query)`` of the model filters by
        :return: ``items`` and ``next_cursor``
        :rtype: dict
        """
        filters = query.model_dump(
            mode="json", exclude={"limit", "cursor", "fields", "include"}
        )
        records, cursor = page(
            self,
            self._api_domain(query),
            query,
            sort=query.sort,
            filters=filters,
            columns=self._api_columns,
        )
        return {"items": records._api_listed(query), "next_cursor": cursor}

    @api.model
    def _api_named(self, query, models):
        """Return the domain of filters that name records by their codes.

        :param query: has the filters, each a list of codes
        :param dict models: ``{filter: model}``; the field is named after the filter
        :rtype: Domain
        """
        domain = Domain.TRUE
        for name, model in models.items():
            if values := getattr(query, name):
                with at_field(name):
                    ids = [self.env[model]._resolve(value).id for value in values]
                domain &= Domain(f"{name}_id", "in", ids)
        return domain

    def _api_listed(self, query):
        """Return these records as a list tells of them: as each is told of by itself.

        :rtype: list[dict]
        """
        return self._api_items(query)

    def _api_items(self, query):
        """Return these records with what a query asks for.

        :rtype: list[dict]
        """
        return self._api_dicts(query.fields)

    def _api_dicts(self, names=None):
        """Return these records in plain values.

        :param names: the only fields that are wanted; ``id`` always is
        :rtype: list[dict]
        """
        return [only(record._to_dict(), names) for record in self]

    # === Changing ===

    @api.model
    def _api_find(self, record_id, if_match=None):
        """Return the record with an id, as far as the user may see it.

        :param int record_id: database id
        :param if_match: see :meth:`_api_check_version`
        :return: one record of this model
        :raises MissingError: also when it is another company's
        :raises StaleVersionError: when it was changed meanwhile
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
        record._api_check_version(if_match)
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


def only(values, names=None):
    """Return the plain values of a record that are wanted.

    :param dict values: all there are
    :param names: the only ones that are wanted; ``id`` always is
    :rtype: dict
    """
    if not names:
        return values
    kept = {"id", *names}
    return {name: value for name, value in values.items() if name in kept}
