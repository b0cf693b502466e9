from contextlib import contextmanager

from odoo.addons.qms_sop.tests.common import QmsSopCommon

DEADLOCK = "ERROR: deadlock detected"


class QmsIncidentCommon(QmsSopCommon):
    """What the tests of incidents stand on: users, an SOP, and words for incidents."""

    def open(self, user=None, **values):
        """Return an incident as an operator has it."""
        incidents = self.env["qms.incident"].with_user(user or self.operator)
        values = {"title": "Logins fail", "severity": "high", **values}
        return incidents.browse(incidents.open_incident(**values)["id"])

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
