from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.models.run import qms_sop_run
from odoo.addons.qms_sop.tools.idempotency import idempotent

from .incident.qms_incident import HURTING_STATES

# Key of the context: id of the incident that a run is started because of
INCIDENT = "qms_incident_id"
_MAX_TITLE = 120


class QmsSopRun(models.Model):
    """Runs that were made because of an incident."""

    _inherit = "qms.sop.run"

    # Which incident a run belongs to may turn out when it is long finished.
    _unlocked_fields = qms_sop_run.QmsSopRun._unlocked_fields | {"incident_id"}

    incident_id = fields.Many2one(
        "qms.incident",
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
        tracking=True,
    )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        runs = super().create(vals_list)
        runs._open_incidents_by_severity()
        return runs

    def write(self, vals):
        if "incident_id" in vals:
            self._check_incident_change(vals["incident_id"])
        result = super().write(vals)
        if vals.get("incident_id"):
            self.incident_id._take_first_error()
        if vals.get("severity_id") or vals.get("error_code_id"):
            self._open_incidents_by_severity()
        return result

    def _check_incident_change(self, incident_id):
        """Refuse to change which runs a closed incident has."""
        incidents = self.incident_id | self.env["qms.incident"].browse(incident_id)
        for incident in incidents:
            if incident._is_final() and any(
                run.incident_id.id != incident_id for run in self
            ):
                raise UserError(
                    self.env._(
                        "%(incident)s is %(state)s: its runs can no longer be changed.",
                        incident=incident.display_name,
                        state=incident._state_label(incident.state),
                    )
                )

    def _open_incidents_by_severity(self):
        """Open an incident for each run of a severity that the setting names.

        A run of an outage that has an incident already joins that one.
        """
        severities = self.env["qms.incident"]._automatic_severities()
        if not severities:
            return
        for run in self:
            if (
                run.severity_id.id in severities
                and not run.incident_id
                and run.state in qms_sop_run.OPEN_STATES
            ):
                incident = run._incident_of_outage()
                if incident:
                    run._join_incident(incident)
                else:
                    run._open_incident({})

    def _incident_of_outage(self):
        """Return the incident from which users still suffer, and this run is of.

        That is the one that the run is started for (in the context, see
        :data:`INCIDENT`), or that an earlier run of the same outage belongs to.

        :rtype: qms.incident record, or an empty one
        """
        self.ensure_one()
        incidents = self.env["qms.incident"]
        hurting = Domain("state", "in", HURTING_STATES) & Domain(
            "company_id", "=", self.company_id.id
        )
        found = incidents.search(
            hurting & Domain("id", "=", self.env.context.get(INCIDENT) or 0)
        )
        if not found and self.dedup_key:
            found = incidents.search(
                hurting & Domain("run_ids.dedup_key", "=", self.dedup_key),
                order="id desc",
                limit=1,
            )
        return found

    # === Buttons ===

    def action_open_incident(self):
        """Open the incident of the run; open a new one where there is none."""
        self.ensure_one()
        return (self.incident_id or self._open_incident({}))._open_form()

    # === RPC ===

    @checked
    @idempotent
    def open_incident(
        self,
        title: str | None = None,
        severity: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Open an incident for one run, or return the one it belongs to.

        :param title: what happens, in a line; taken from the run when missing
        :param severity: code, alias or name; that of the run when missing
        :return: the incident as ``qms.incident.get_incident()`` gives it, and
            ``existing``: whether the run had it already
        """
        self._only_one()
        incident = self.incident_id
        found = bool(incident)
        if not found:
            incident = self._open_incident({"title": title, "severity": severity})
        return {**incident._to_rpc(), "existing": found}

    def _open_incident(self, values):
        """Open the incident of one run.

        :param dict values: see ``qms.incident._open``; what is missing comes from the
            run and its alert
        :rtype: qms.incident record
        """
        self.ensure_one()
        given = {name: value for name, value in values.items() if value}
        alert = self.env["qms.alert"]._first_of(self)
        found = {
            "title": self._incident_title(),
            "severity": self.severity_id,
            "category": self.category_id,
            "error_code": self.error_code_id,
            "description": self.summary,
            "detected_at": self.start_time,
            "detected_by": self.source,
            **alert._detection(),
        }
        for name in ("occurred_at", "detected_at"):
            # What people said about the run is the better knowledge.
            found[name] = self[name] or found.get(name)
        found = {name: value for name, value in found.items() if value}
        incidents = self.env["qms.incident"].with_company(self.company_id)
        incident = incidents._open({**found, **given})
        self._join_incident(incident)
        return incident.with_env(self.env)

    def _incident_title(self):
        """Return what happens, in a line, as far as the run says it."""
        first = self.error_ids.sorted(lambda error: (error.occurred_at, error.id))[:1]
        code = self.error_code_id or first.error_code_id
        for text in (self.summary, first.error_message, code.title, code.name):
            if text and text.strip():
                return text.strip().splitlines()[0][:_MAX_TITLE]
        return f"{self.name} {self.sop_id.name}"[:_MAX_TITLE]

    def _join_incident(self, incident):
        """Say that one run belongs to an incident.

        :raises UserError: when it belongs to another one already
        """
        self.ensure_one()
        if self.incident_id and self.incident_id != incident:
            raise UserError(
                self.env._(
                    "%(run)s belongs to %(incident)s already.",
                    run=self.display_name,
                    incident=self.incident_id.display_name,
                )
            )
        self.write({"incident_id": incident.id})
        incident._bump_version()

    @api.model
    def _by_reference(self, reference):
        """Return the run that an id or a name names.

        :param reference: database id, or ``RUN-…`` in any case
        :raises ValidationError: when there is none that the user may see
        """
        every = self.with_context(active_test=False)
        text = str(reference).strip().upper()
        if text.startswith("RUN-"):
            found = every.search(Domain("name", "=", text), limit=1)
        elif text.isascii() and text.isdecimal() and 0 < int(text) < 2**31:
            found = every.search(Domain("id", "=", int(text)))
        else:
            found = every.browse()
        if not found:
            raise ValidationError(
                self.env._(
                    "There is no run %s. Accepted: an id, or a name such as "
                    "RUN-000012.",
                    repr(reference),
                )
            )
        return found.with_env(self.env)

    @api.model
    def _forget_incidents(self):
        """Take the runs out of their incidents, when those are uninstalled.

        Straight in the database: this is no act on the runs, whose trails stay as
        they are.
        """
        self.env.cr.execute(
            SQL("UPDATE qms_sop_run SET incident_id = NULL WHERE incident_id > 0")
        )
        self.invalidate_model(["incident_id"], flush=False)
