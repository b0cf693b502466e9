from odoo import models

from ...tools.zones import local_time
from .qms_metric_action import ACTION_DONE


class QmsAction(models.Model):
    """Counts the actions that are done; what is open is counted when asked for."""

    _inherit = "qms.action"

    def _after_transition(self, source, target):
        result = super()._after_transition(source, target)
        if target == "done":
            self.env["qms.metric"]._record(
                [
                    {
                        "name": ACTION_DONE,
                        "company_id": action.company_id.id,
                        "labels": {
                            "kind": action.kind,
                            "on_time": "yes" if action._is_on_time() else "no",
                        },
                    }
                    for action in self
                ]
            )
        return result

    def _is_on_time(self):
        """Tell whether one action was done on the day it was due, or before.

        :rtype: bool
        """
        # sudo: working hours are no secret, and say in which zone the company is.
        zone = self.company_id.sudo().resource_calendar_id.tz
        return local_time(self.done_on, zone).date() <= self.due_date
