from datetime import datetime

from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.values import without_none


class QmsIncidentReport(models.Model):
    """The figures of a period as people and programs ask for them."""

    _inherit = "qms.incident.report"

    # === What the figures mean ===

    @api.model
    def _definitions(self):
        """Return what the figures mean, for whoever shows them: nobody else says so.

        :return: by code ``name`` and ``definition``, in the language of the user; of
            durations also ``begin``, ``end`` (fields of ``qms.incident``) and ``unit``
        :rtype: dict[str, dict]
        """
        told = {
            "mttd": (self.env._("Mean time to detect (MTTD)"), "time_to_detect"),
            "mtta": (
                self.env._("Mean time to acknowledge (MTTA)"),
                "time_to_acknowledge",
            ),
            "mttm": (self.env._("Mean time to mitigate (MTTM)"), "time_to_mitigate"),
            "mttr": (self.env._("Mean time to resolve (MTTR)"), "time_to_resolve"),
            "incidents": (self.env._("Incidents"), "count"),
            "repeats": (self.env._("Repeats"), "is_repeat"),
            "sla": (self.env._("SLA kept"), "sla"),
            "actions": (self.env._("Actions"), "actions_total"),
            "actions_done": (self.env._("Actions done"), "actions_done"),
            "actions_on_time": (self.env._("Actions done on time"), "actions_on_time"),
            "actions_overdue": (self.env._("Actions overdue"), "actions_overdue"),
            "postmortems": (self.env._("Post-mortems on time"), "postmortem"),
            "meetings": (
                self.env._("Post-mortems scheduled on time"),
                "postmortem_meeting",
            ),
            "apart": (self.env._("Counted apart"), "counted"),
        }
        definitions = {
            code: {
                "name": name,
                "definition": self._fields[field]._description_help(self.env),
            }
            for code, (name, field) in told.items()
        }
        anchors = {
            "mttd": ("occurred_at", "detected_at"),
            "mtta": ("detected_at", "triaged_at"),
            "mttm": ("detected_at", "mitigated_at"),
            "mttr": ("detected_at", "resolved_at"),
        }
        for code, (begin, end) in anchors.items():
            definitions[code] |= {"begin": begin, "end": end, "unit": "minutes"}
        texts = {
            "known": self.env._("Both times are known; only these are in the mean."),
            "pending": self.env._(
                "It has not come to that yet, or can still be found out."
            ),
            "unknown": self.env._(
                "One of the times was never told, and the incident has moved on."
            ),
            "invalid": self.env._(
                "The times contradict each other; nothing is made of them until they "
                "are corrected."
            ),
            "not_applicable": self.env._(
                "It does not apply: a duplicate, a false positive, no target; or the "
                "incident was resolved at once, without a mitigation before."
            ),
        }
        names = dict(
            self._fields["time_to_detect_status"]._description_selection(self.env)
        )
        return definitions | {
            code: {"name": names[code], "definition": text}
            for code, text in texts.items()
        }

    # === For clients ===

    @api.readonly
    @api.model
    @checked
    def get_metrics(
        self,
        since: str | None = None,
        until: str | None = None,
        severity: str | list[str] | None = None,
        category: str | list[str] | None = None,
        error_code: str | list[str] | None = None,
        sop: str | list[str] | None = None,
    ) -> dict:
        """Return the figures of the incidents that were detected in a period.

        :param since: first day, such as ``2026-11-01``, by the clock of the company
        :param until: last day
        :param severity: only of this severity, or of these: code, alias or name
        :param category: only of this category, or of these: code
        :param error_code: only of this code of the catalogue, or of these
        :param sop: only those whose first run was of this SOP, or of these: code
        :return: see :meth:`_summary`; and ``definitions``: what the figures mean
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        return without_none(
            self._metrics(
                since,
                until,
                severity=severity,
                category=category,
                error_code=error_code,
                sop=sop,
            )
        )

    @api.model
    def _api_metrics(self, query):
        """Return the figures of a period, and what they mean.

        :param query: see ``schemas.metrics.IncidentMetricsQuery``
        :rtype: dict
        """
        return self._metrics(**dict(query))

    @api.model
    def _metrics(self, since=None, until=None, **filters):
        """Return the figures of a period and what they mean; see :meth:`get_metrics`.

        :rtype: dict
        """
        summary = self._summary(
            self._to_day("since", since),
            self._to_day("until", until),
            self._metrics_domain(**filters),
        )
        return {**summary, "definitions": self._definitions()}

    @api.model
    def _metrics_domain(self, **given):
        """Return the domain of the filters of clients.

        :param given: one or several codes by ``severity``, ``category``,
            ``error_code`` and ``sop``; ``None``: all
        :raises ValidationError: naming the filter at fault and what is accepted
        """
        domain = Domain.TRUE
        for name, values in given.items():
            if not values:
                continue
            values = [values] if isinstance(values, str) else values
            with at_field(name):
                if name == "sop":
                    domain &= Domain("sop_code", "in", self._sop_codes(values))
                else:
                    lookups = self.env[self._fields[f"{name}_id"].comodel_name]
                    ids = [lookups._resolve(value).id for value in values]
                    domain &= Domain(f"{name}_id", "in", ids)
        return domain

    @api.model
    def _sop_codes(self, values):
        """Return codes of SOPs that a client gave.

        :raises ValidationError: for one that there is not
        """
        codes = [value.strip() for value in values]
        sops = self.env["qms.sop.document"].with_context(active_test=False)
        known = dict(sops._read_group([("code", "in", codes)], ["code"], ["__count"]))
        for code in codes:
            if code not in known:
                raise ValidationError(
                    self.env._(
                        "There is no SOP %s. Accepted: the code of one, such as "
                        "SOP-TRIAGE-001.",
                        repr(code),
                    )
                )
        return codes

    @api.model
    def _to_day(self, name, text):
        """Return a day that a client gave.

        :raises ValidationError: for anything but an ISO date
        """
        if not text:
            return None
        try:
            if len(text) != len("2026-11-01"):
                raise ValueError
            return datetime.strptime(text, "%Y-%m-%d").date()
        except ValueError:
            with at_field(name):
                raise ValidationError(
                    self.env._(
                        "Argument %(name)s: %(value)s is not accepted; give a day such "
                        "as 2026-11-01.",
                        name=name,
                        value=repr(text),
                    )
                ) from None
