from odoo import api, fields, models
from odoo.fields import Command, Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.models.bundle.qms_audit_bundle import Chosen

_REPORT = "qms_incident.report_postmortem"
# Fields by which records of other add-ons belong to incidents and post-mortems
LINKS = {
    "qms.sop.run": ("incident_id",),
    "qms.action": ("incident_id", "postmortem_id"),
}


class QmsAuditBundle(models.TransientModel):
    """Incidents, with everything that proves them, are taken away with their runs."""

    _inherit = "qms.audit.bundle"

    incident_ids = fields.Many2many("qms.incident", string="Incidents")
    incident_count = fields.Integer(
        "Incidents found", compute="_compute_incident_count"
    )

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        if self.env.context.get("active_model") == "qms.incident":
            ids = self.env.context.get("active_ids") or []
            values["incident_ids"] = [Command.set(ids)]
        return values

    @api.depends("incident_ids", "run_ids", "date_from", "date_to")
    def _compute_incident_count(self):
        for bundle in self:
            bundle.incident_count = bundle._search_count()["qms.incident"]

    @api.depends("incident_ids")
    def _compute_run_count(self):
        return super()._compute_run_count()

    @api.model
    def _choices(self):
        return {
            **super()._choices(),
            "qms.incident": Chosen("incident_ids", "detected_at", "detected_at"),
        }

    def _search_count(self):
        # With those that come along
        domains = self._domains()
        runs, incidents = (
            domains.get(model, Domain.FALSE)
            for model in ("qms.sop.run", "qms.incident")
        )
        runs, incidents = (
            runs | Domain("incident_id", "any", incidents),
            incidents | Domain("run_ids", "any", runs),
        )
        return {
            "qms.sop.run": self._every("qms.sop.run").search_count(runs),
            "qms.incident": self._every("qms.incident").search_count(incidents),
        }

    # === RPC ===

    @api.model
    @checked
    def export_bundle(
        self,
        run_ids: list[int] | None = None,
        since: str | None = None,
        until: str | None = None,
        reports: bool = False,
        incident_ids: list[int] | None = None,
    ) -> dict:
        """Return an auditor bundle of runs and incidents, archived ones included.

        With an incident come its runs, actions and post-mortem, with a run the incident
        that it belongs to. Of what was purged it has the trail and the tombstone.

        :param run_ids: ids of runs
        :param since: instead of ids, the runs that were started and the incidents that
            were detected at or after this time, RFC 3339 in UTC
        :param until: those before this time
        :param reports: with each run as PDF; then no two bundles are the same
        :param incident_ids: ids of incidents
        :return: ``filename``, ``content`` (base64), ``sha256`` (of the file),
            ``manifest_sha256``, ``size``, ``runs``, ``incidents``, ``purged`` (numbers)
        :raises AccessError: for anybody but auditors and managers
        :raises UserError: when it is too large for an answer
        """
        ids = {"qms.sop.run": run_ids, "qms.incident": incident_ids}
        return self._export(ids, since, until, reports)

    # === Writing it ===

    @api.model
    def _together(self, chosen):
        incidents = chosen.get("qms.incident", self._every("qms.incident"))
        runs = chosen["qms.sop.run"] | incidents.run_ids
        # In the order of the ids, whichever way they were found
        found = super()._together({**chosen, "qms.sop.run": runs})
        incidents |= runs.incident_id
        found["qms.incident"] = incidents
        found["qms.postmortem"] = incidents.postmortem_ids
        found["qms.action"] |= incidents.with_context(active_test=False).action_ids
        return found

    @api.model
    def _adders(self):
        return {
            **super()._adders(),
            "qms.incident": self._add_incidents,
            "qms.postmortem": self._add_postmortems,
        }

    @api.model
    def _add_record(self, bundle, record, stem, said):
        links = {name: record[name].id or None for name in LINKS.get(record._name, ())}
        return super()._add_record(bundle, record, stem, {**said, **links})

    @api.model
    def _add_incidents(self, bundle, incidents, counts):
        """Add incidents, with their roles, updates, timeline and signatures."""
        for incident in incidents:
            self._add_record(bundle, incident, incident.name, incident._bundled())

    @api.model
    def _add_postmortems(self, bundle, postmortems, counts):
        """Add post-mortems with all that belongs to them, and to be read."""
        for postmortem in postmortems:
            stem = postmortem.incident_id.name
            name = self._add_record(bundle, postmortem, stem, postmortem._bundled())
            bundle.add(f"{name.removesuffix('.json')}.md", postmortem._markdown())

    @api.model
    def _add_reports(self, bundle, roots):
        result = super()._add_reports(bundle, roots)
        for postmortem in self.env["qms.postmortem"].browse(roots["qms.postmortem"]):
            self._add_report(bundle, _REPORT, postmortem)
        return result
