from odoo import api, models
from odoo.fields import Domain

from ...tools.faults import at_field
from ...tools.values import to_rfc3339
from .qms_sop_run_clock import CLOCKS, METRICS, TIMES

# What a milestone is called in the API, and the method that tells it
_MILESTONES = {
    "acknowledged": "acknowledged_at",
    "mitigated": "mitigated_at",
    "resolved": "resolved_at",
}


class QmsSopRun(models.Model):
    """What /api/v1 tells of the clocks and times of runs."""

    _inherit = "qms.sop.run"

    def _to_dict(self, steps=False):
        return {**super()._to_dict(steps=steps), **self._times_to_dict()}

    def _times_to_dict(self):
        """Return the times of one run, what they amount to, and its clocks.

        :rtype: dict
        """
        clocks = self._clocks_to_dict()
        return {
            **{name: to_rfc3339(self[name]) for name in TIMES},
            "acknowledged_by_id": self.acknowledged_by_id.id or None,
            **{
                f"{name}_minutes": None if self[name] is False else self[name]
                for name in METRICS
            },
            "times_contradict": self.times_contradict,
            "sla": self._worst(clock["state"] for clock in clocks.values()),
            "next_deadline": to_rfc3339(self.next_deadline),
            "paused_minutes": self.paused_minutes,
            "clocks": clocks,
        }

    @api.model
    def _api_domain(self, query):
        domain = super()._api_domain(query)
        return domain & Domain("sla", "in", query.sla) if query.sla else domain

    @api.model
    def _api_update(self, run_id, values, if_match=None):
        times = {name: values[name] or False for name in TIMES if name in values}
        rest = {
            name: value
            for name, value in values.items()
            if name not in times and name != "reason"
        }
        answer = super()._api_update(run_id, rest, if_match)
        if not times:
            return answer
        run = self._api_find(run_id)
        run._correct_times(times, values.get("reason"))
        return run._to_dict(steps=True), run._api_etag()

    @api.model
    def _api_reach(self, run_id, values, if_match=None):
        """Tell that a run was acknowledged, mitigated or resolved.

        :param int run_id: database id
        :param dict values: what is given of ``schemas.sop_runs.Milestone``
        :param if_match: as for :meth:`_api_update`
        :return: the run with its steps, and its entity tag
        :rtype: tuple[dict, str]
        """
        run = self._api_find(run_id, if_match)
        with at_field("milestone"):
            run._reach(
                _MILESTONES[values["milestone"]],
                values.get("at"),
                values.get("reason"),
            )
        return run._to_dict(steps=True), run._api_etag()

    def _api_changes_with_time(self):
        """Tell whether one run will be told differently though nobody changes it."""
        return any(self._clock_waits(clock) for clock in CLOCKS)
