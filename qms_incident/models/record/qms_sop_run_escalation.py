from odoo import models


class QmsSopRun(models.Model):
    """Who is called in because of a run hears what its incident does to users."""

    _inherit = "qms.sop.run"

    def _escalation_impact(self):
        # sudo: what whoever is called in has to know, whoever works the run
        impact = self.incident_id.sudo()._impact_words() if self.incident_id else None
        return impact or super()._escalation_impact()


class QmsIncident(models.Model):
    _inherit = "qms.incident"

    def _impact_words(self):
        """Return which incident it is, and what is known of its impact.

        :return: a text, or ``None`` as long as nothing was assessed
        :rtype: str | None
        """
        lines = self._impact_lines()
        return "\n".join([self.display_name, *lines]) if lines else None

    def _impact_lines(self):
        """Return what is known of the impact of one incident.

        :rtype: list[str]
        """
        self.ensure_one()
        users = self.users_affected is not False and str(self.users_affected)
        systems = ", ".join(self.system_ids.mapped("name"))
        workaround = self.workaround
        if self.workaround_available == "no":
            workaround = self.env._("none")
        found = [
            (
                self.env._("Users affected"),
                ": ".join(filter(None, (users, self.groups_affected))),
            ),
            (self.env._("Systems"), systems),
            (self.env._("Operations affected"), self.operations_affected),
            (self.env._("Workaround"), workaround),
        ]
        for name in ("data_integrity", "compliance"):
            field = self._fields[name]
            labels = dict(field._description_selection(self.env))
            found.append((field._description_string(self.env), labels.get(self[name])))
        return [f"{label}: {text}" for label, text in found if text]
