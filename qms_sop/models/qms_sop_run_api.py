from odoo import api, models
from odoo.exceptions import MissingError
from odoo.fields import Domain

# The columns that a run is made of in the API; one query reads them.
_COLUMNS = (
    "name",
    "state",
    "severity_id",
    "category_id",
    "error_code_id",
    "sop_id",
    "trigger",
    "source",
    "summary",
    "user_id",
    "start_time",
    "end_time",
    "duration",
    "resolution",
    "resolution_time",
    "state_reason",
)


class QmsSopRun(models.Model):
    """What /api/v1 does with runs: one method for each of its operations."""

    _inherit = "qms.sop.run"

    @api.model
    def _api_find(self, run_id):
        """Return the run with an id, as far as the user may see it.

        :param int run_id: database id
        :rtype: qms.sop.run record
        :raises MissingError: also when it is another company's
        """
        run = self.with_context(active_test=False).search_fetch(
            Domain("id", "=", run_id), _COLUMNS, limit=1
        )
        if not run:
            raise MissingError(
                self.env._("There is no SOP run with the id %(id)s.", id=run_id)
            )
        return run

    @api.model
    def _api_get(self, run_id, query):
        """Return one run.

        :param int run_id: database id
        :param query: see ``schemas.sop_runs.RunQuery``
        :rtype: dict
        """
        return _only(self._api_find(run_id)._to_dict(), query.fields)

    @api.model
    def _api_create(self, values):
        """Open a run.

        :param dict values: the arguments of :meth:`start_run`
        :return: the run, and whether it was open already
        :rtype: dict
        """
        run, existing = self._start(**values)
        return {**run._to_dict(steps=True), "existing": existing}


def _only(values, names):
    """Return what was asked for of a resource; its id always."""
    if not names:
        return values
    return {name: values[name] for name in values if name in names or name == "id"}
