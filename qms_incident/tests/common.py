from contextlib import contextmanager
from datetime import timedelta

from odoo.addons.qms_sop.tests.common import QmsSopCommon

DEADLOCK = "ERROR: deadlock detected"


class QmsIncidentCommon(QmsSopCommon):
    """What the tests of incidents stand on: users, an SOP, and words for incidents."""

    def open(self, user=None, **values):
        """Return an incident as an operator has it."""
        incidents = self.env["qms.incident"].with_user(user or self.operator)
        values = {"title": "Logins fail", "severity": "high", **values}
        return incidents.browse(incidents.open_incident(**values)["id"])

    @classmethod
    def resolved_after(cls, minutes, detected, **values):
        """Return an incident that was resolved so many minutes after its detection.

        :param datetime detected: naive, in UTC
        """
        incidents = cls.env["qms.incident"].with_user(cls.operator)
        incident = incidents.create(
            {
                "title": "Logins fail",
                "severity_id": cls.env.ref("qms_error_code.severity_high").id,
                "detected_at": detected,
                **values,
            }
        )
        incident.write({"state": "triaged", "triaged_at": detected})
        moment = detected + timedelta(minutes=minutes)
        incident.write({"state": "resolved", "resolved_at": moment})
        return incident

    @contextmanager
    def refused(self, exception, said):
        """Check that a block is refused in these words, and undo what it did.

        :param type exception: what is raised
        :param str said: pattern of the message
        """
        with (
            self.assertRaisesRegex(exception, said) as caught,
            self.env.cr.savepoint(),
        ):
            yield caught
