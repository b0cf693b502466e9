from datetime import date, datetime

from odoo import api, models
from odoo.tools import SQL

from ...tools.audit_chain import Finding
from ...tools.verify_bundle import FIELDS, INITIAL, Told, same

# Records that are compared at once
_BATCH = 200


class QmsAuditCheck(models.Model):
    _inherit = "qms.audit.check"

    @api.model
    def _compared(self):
        """Return the records that are compared with their trails.

        :return: by the model of the trails, the models of what is told there, and by
            which column those belong to it; of each :data:`FIELDS` has the fields
        :rtype: dict[str, dict[str, str]]
        """
        return {
            "qms.action": {"qms.action": "id"},
            "qms.sop.document": {"qms.sop.document": "id"},
            "qms.sop.run": {
                "qms.sop.run": "id",
                "qms.sop.run.step": "run_id",
                "qms.sop.run.error": "run_id",
                "qms.sop.run.evidence": "run_id",
                "qms.sop.run.amendment": "run_id",
                "qms.rca": "run_id",
            },
        }

    def _compare_records(self, report):
        """Return what compares the records with their trails.

        A record that was changed past the ORM has no event of it, so its trail is
        sound, and tells something else.

        :param report: called with each finding
        :rtype: Records
        """
        return Records(self.env, report, self._compared())


class Records:
    """Compares records with what their trails tell, while these are verified.

    :param odoo.api.Environment env: of the verification
    :param report: called with each finding
    :param dict roots: see :meth:`QmsAuditCheck._compared`
    """

    def __init__(self, env, report, roots):
        self._env, self._report, self._roots = env, report, roots
        self._told, self._spoilt = Told(), set()
        self._batch, self._model = {}, None

    def begin(self, model):
        """Begin with the trails of a model."""
        self._model = model
        self._told = Told()

    def listen(self, sequence, content):
        """Note what an event says; see :class:`Told`."""
        if self._model in self._roots:
            self._told.listen(sequence, content)

    def report(self, finding):
        """Report a finding about a trail, which is nothing to compare with then."""
        self._spoilt.add(finding.root_id)
        self._report(finding)

    def add(self, root_id):
        """Have a record compared, whose trail was read to its end."""
        told, self._told = self._told, Told()
        place = self._model, root_id
        # What is older than the trail is not told from its beginning.
        if root_id not in self._spoilt and place in told and place in told.made:
            self._batch[root_id] = told
        self._spoilt.discard(root_id)
        if len(self._batch) >= _BATCH:
            self.finish()

    def finish(self):
        """Compare what is left."""
        batch, self._batch = self._batch, {}
        if not batch:
            return
        for model, column in self._roots[self._model].items():
            # Some are those of an add-on that may not be there.
            names = [name for name in FIELDS[model] if name in self._env[model]._fields]
            rows = self._env.execute_query(
                SQL(
                    "SELECT %s, id, %s FROM %s WHERE %s IN %s ORDER BY 1, 2",
                    SQL.identifier(column),
                    SQL(", ").join(map(SQL.identifier, names)),
                    SQL.identifier(self._env[model]._table),
                    SQL.identifier(column),
                    tuple(batch),
                )
            )
            for root_id, record_id, *values in rows:
                told = batch[root_id].pop((model, record_id), None)
                if told is None or (model, record_id) not in batch[root_id].made:
                    self._tell(
                        "untracked",
                        root_id,
                        0,
                        model,
                        record_id,
                        "no event tells of it",
                    )
                    continue
                self._compare(root_id, model, record_id, told, names, values)
        self._compare_signatures(batch)
        self._compare_contents(batch)
        for root_id, told in batch.items():
            for model, record_id in told:
                detail = "it was deleted past the trail"
                self._tell("vanished", root_id, 0, model, record_id, detail)

    def _compare_signatures(self, batch):
        """Compare signatures, which belong to a run, or to a part of it."""
        model = "qms.signature"
        places = {
            record_id: root_id
            for root_id, told in batch.items()
            for other, record_id in told
            if other == model
        }
        if not places:
            return
        names = list(FIELDS[model])
        rows = self._env.execute_query(
            SQL(
                "SELECT id, %s FROM qms_signature WHERE id IN %s ORDER BY 1",
                SQL(", ").join(map(SQL.identifier, names)),
                tuple(places),
            )
        )
        for record_id, *values in rows:
            root_id = places[record_id]
            told = batch[root_id].pop((model, record_id))
            self._compare(root_id, model, record_id, told, names, values)

    def _compare_contents(self, batch):
        """Find what does not follow from the rest of a record."""
        records = self._env[self._model].sudo().browse(batch).exists()
        for record, detail in records._audit_contradictions():
            self._tell("differs", record.id, 0, self._model, record.id, detail)

    def _compare(self, root_id, model, record_id, told, names, values):
        initial = INITIAL.get(model, {})
        for name, value in zip(names, values, strict=True):
            sequence, expected = told.get(name, (0, initial.get(name)))
            if not same(expected, _as_told(value)):
                detail = f"its {name} is not what the trail tells"
                self._tell("differs", root_id, sequence, model, record_id, detail)

    def _tell(self, kind, root_id, sequence, model, record_id, detail):
        where = "" if model == self._model else f"{model},{record_id}: "
        self._report(Finding(kind, self._model, root_id, sequence, f"{where}{detail}"))


def _as_told(value):
    """Return a value of the database as the trail tells it."""
    if isinstance(value, datetime):
        return f"{value.isoformat()}Z"
    return value.isoformat() if isinstance(value, date) else value
