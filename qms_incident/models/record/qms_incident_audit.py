from odoo import models
from odoo.tools import float_compare

from odoo.addons.qms_sop.models.bundle.qms_audit_bundle import signatures_of
from odoo.addons.qms_sop.tools.values import to_rfc3339

# What follows from the times of an incident; not told in the trail
_DERIVED = (
    "time_to_detect",
    "time_to_acknowledge",
    "time_to_mitigate",
    "time_to_resolve",
    "times_conflict",
)
# Records that an incident refers to, which its trail tells by their ids
_REFERRED = (
    "severity_id",
    "category_id",
    "error_code_id",
    "duplicate_of_id",
    "parent_id",
)
# A thousandth of a second; the database keeps minutes as a number with a fraction.
_PRECISION = 5


class QmsIncident(models.Model):
    """An incident as an auditor takes it away, and as the verification looks at it."""

    _inherit = "qms.incident"

    def _audit_contradictions(self):
        """Find durations that are not those between the times of an incident.

        They are what the metrics are made of.
        """
        return super()._audit_contradictions() + contradicting(
            self, _DERIVED, type(self)._compute_durations, "times"
        )

    def _bundled(self):
        """Return all that is known of one incident, for the auditor.

        :return: plain values, by the names that the verifier of bundles knows
        :rtype: dict
        """
        return {
            **self._to_dict(),
            **{name: self[name].id or None for name in _REFERRED},
            "company": self.company_id.name,
            "active": self.active,
            "public_withdrawn": self.public_withdrawn,
            "actions": self._all_actions().sorted("id").mapped("reference"),
            "override_missing": self.override_missing or None,
            "assignments": [
                {
                    "id": one.id,
                    **one._to_dict(),
                    "role_id": one.role_id.id,
                }
                for one in self.assignment_ids.sorted("id")
            ],
            "updates": [one._to_dict() for one in self.update_ids.sorted("id")],
            "began_at": to_rfc3339(self.occurred_at),
            "timeline": self._timeline(),
            "signatures": signatures_of(self.env["qms.signature"]._of(self)),
        }


def contradicting(records, names, compute, basis):
    """Return the records whose stored fields are not what they are worked out to be.

    :param records: of one model
    :param names: of the fields
    :param compute: the method that works them out
    :param str basis: what they follow from, for the message
    :return: a record, and what is wrong with it
    :rtype: list[tuple]
    """
    found = []
    for record in records:
        # Worked out on a copy that is never written
        fresh = record.new(origin=record)
        compute(fresh)
        for name in names:
            if not _same(record[name], fresh[name]):
                text = f"its {name} does not follow from its {basis}"
                found.append((record, text))
    return found


def _same(one, other):
    """Tell whether two values are the same; a blank duration is not 0 minutes."""
    if isinstance(one, float) and isinstance(other, float):
        return not float_compare(one, other, precision_digits=_PRECISION)
    return one == other and (one is False) == (other is False)
