from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.fields import Command, Domain

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.idempotency import idempotent
from odoo.addons.qms_sop.tools.values import to_rfc3339

from .qms_incident import FINAL_STATES, OPEN_STATES, STAMPS

# What clients call the fields that they may set to a text or a choice
PLAIN = {
    "title": "title",
    "description": "description",
    "detection_method": "detection_method",
    "detected_by": "detected_by",
    "detection_faster": "detection_faster",
    "detection_note": "detection_note",
    "groups_affected": "groups_affected",
    "operations_affected": "operations_affected",
    "workaround_available": "workaround_available",
    "workaround": "workaround",
    "data_integrity": "data_integrity",
    "data_checks": "data_checks",
    "compliance": "compliance",
    "compliance_checks": "compliance_checks",
}
NUMBERS = {"users_affected": int, "cost_estimate": (int, float)}
TIMES = ("occurred_at", "detected_at")
_CODED = {
    "severity": "qms.severity",
    "category": "qms.error.category",
    "error_code": "qms.error.code",
}
_INCIDENTS = {"parent": "parent_id", "duplicate_of": "duplicate_of_id"}


class QmsIncident(models.Model):
    """Incidents as programs open, read and change them."""

    _name = "qms.incident"
    _inherit = ["qms.incident", "qms.plain.mixin"]

    # === Opening ===

    @api.model
    @checked
    @idempotent
    def open_incident(
        self,
        title: str,
        severity: str | None = None,
        category: str | None = None,
        error_code: str | None = None,
        description: str | None = None,
        systems: list[str] | str | None = None,
        detection_method: str | None = None,
        detected_by: str | None = None,
        detected_at: str | None = None,
        occurred_at: str | None = None,
        parent: int | str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Open an incident.

        :param title: what happens, in a line
        :param severity: code, alias (P0–P3) or name; that of the error code when
            missing
        :param category: code of a category; that of the error code when missing
        :param error_code: a code of the catalogue
        :param description: what users or systems experience
        :param systems: names of affected systems; new ones are made
        :param detection_method: ``monitoring``, ``health_check``, ``user``, ``team`` or
            ``other``
        :param detected_by: the monitor or the person
        :param detected_at: RFC 3339, UTC without an offset; now when missing
        :param occurred_at: when it began, if that is known
        :param parent: id or number of the larger incident that it is a part of
        :return: the incident as in :meth:`get_incident`
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        return self._open(
            {
                "title": title,
                "severity": severity,
                "category": category,
                "error_code": error_code,
                "description": description,
                "systems": systems,
                "detection_method": detection_method,
                "detected_by": detected_by,
                "detected_at": detected_at,
                "occurred_at": occurred_at,
                "parent": parent,
            }
        )._to_rpc()

    @api.model
    def _open(self, values):
        """Open an incident from plain values; empty ones count as not given.

        :param dict values: see :meth:`open_incident`
        :rtype: qms.incident record
        """
        given = {
            name: value for name, value in values.items() if value not in (None, "")
        }
        # The check of titles says what is missing.
        return self.create({"title": " ", **self._values(given)})

    @api.model
    def _value(self, name, value):
        """Return a field and its value for one value that a client gives.

        :rtype: tuple[str, object]
        """
        if name in _CODED:
            if value and not isinstance(value, models.BaseModel):
                value = self.env[_CODED[name]]._resolve(value)
            return f"{name}_id", value.id if value else False
        if name in PLAIN:
            return PLAIN[name], self._plain(PLAIN[name], name, value)
        if name in NUMBERS:
            return name, self._number(name, value)
        if name in TIMES:
            return name, self._time(name, value)
        if name in _INCIDENTS:
            return _INCIDENTS[name], value and self._by_reference(value).id
        if name == "responsible":
            return "user_id", value and self._user(value).id
        return "system_ids", [
            Command.set(self.env["qms.incident.system"]._named(value).ids)
        ]

    @api.model
    def _plain(self, field, name, value):
        known = self._fields[field]
        if value in (None, ""):
            return False
        if known.type == "selection" and value not in known.get_values(self.env):
            raise ValidationError(
                self.env._(
                    "Argument %(name)s: %(value)s is unknown. Accepted: %(accepted)s.",
                    name=name,
                    value=repr(value),
                    accepted=", ".join(known.get_values(self.env)),
                )
            )
        return value

    @api.model
    def _number(self, name, value):
        if value is None:
            return False
        if isinstance(value, bool) or not isinstance(value, NUMBERS[name]):
            raise ValidationError(
                self.env._(
                    "Argument %(name)s: %(value)s is no number.",
                    name=name,
                    value=repr(value),
                )
            )
        return value

    @api.model
    def _time(self, name, value):
        """Return a time to the second; a client's text, or ready made."""
        if isinstance(value, str):
            value = self.env["qms.audit.event"]._parse_time(name, value)
        return value.replace(microsecond=0) if value else False

    @api.model
    def _user(self, login):
        """Return the active user with a login."""
        users = self.env["res.users"]
        found = users.search(Domain("login", "=", login), limit=1)
        if not found:
            raise ValidationError(
                self.env._("There is no user with the login %s.", repr(login))
            )
        return found

    @api.model
    def _by_reference(self, reference):
        """Return the incident that an id or a number names.

        :param reference: database id, or ``INC-…`` in any case
        :rtype: qms.incident record
        :raises ValidationError: when there is none that the user may see
        """
        every = self.with_context(active_test=False)
        text = str(reference).strip().upper()
        if text.startswith("INC-"):
            # Two companies may have the same number.
            found = every.search(Domain("name", "=", text), limit=2)
            own = found.filtered(lambda one: one.company_id == self.env.company)
            found = found if len(found) < 2 else own
        elif text.isascii() and text.isdecimal() and 0 < int(text) < 2**31:
            found = every.search(Domain("id", "=", int(text)))
        else:
            found = every.browse()
        if not found:
            raise ValidationError(
                self.env._(
                    "There is no incident %s. Accepted: an id, or a number such as "
                    "INC-20260301-001.",
                    repr(reference),
                )
            )
        return found.with_env(self.env)

    # === Reading ===

    @api.model
    @api.readonly
    @checked
    def find_incident(self, reference: int | str) -> dict:
        """Return an incident by its id or number.

        :param reference: such as ``INC-20260301-001``
        :return: as in :meth:`get_incident`
        :raises ValidationError: when there is none
        """
        return self._by_reference(reference)._to_rpc()

    @api.readonly
    @checked
    def get_incident(self) -> dict:
        """Return one incident.

        :return: the incident as the REST API gives it, with ``False`` where that has
            null; times are RFC 3339 in UTC, durations in minutes
        """
        return self._only_one()._to_rpc()

    def _to_dict(self):
        """Return one incident in plain values, ``None`` where nothing is known.

        :rtype: dict
        """
        self.ensure_one()
        base_url = self.get_base_url()
        codes = {
            "severity": self.env["qms.severity"]._codes_by_id(),
            "category": self.env["qms.error.category"]._codes_by_id(),
            "error_code": self.env["qms.error.code"]._names_by_id(),
        }
        result = {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            **{name: known.get(self[f"{name}_id"].id) for name, known in codes.items()},
            "systems": sorted(self.system_ids.mapped("name")),
            "first_error": self.first_error or None,
            **{name: self[field] or None for name, field in PLAIN.items()},
            **{name: None if self[name] is False else self[name] for name in NUMBERS},
            **{name: to_rfc3339(self[name]) for name in TIMES},
            **{name: to_rfc3339(self[name]) for name in dict.fromkeys(STAMPS.values())},
            "durations_minutes": {
                name: None if self[field] is False else round(self[field], 2)
                for name, field in (
                    ("detect", "time_to_detect"),
                    ("acknowledge", "time_to_acknowledge"),
                    ("mitigate", "time_to_mitigate"),
                    ("resolve", "time_to_resolve"),
                )
            },
            "times_conflict": self.times_conflict,
            "reopen_count": self.reopen_count,
            "state_reason": self.state_reason or None,
            "responsible_id": self.user_id.id or None,
            "duplicate_of": self.duplicate_of_id.name or None,
            "parent": self.parent_id.name or None,
            "runs": [{"id": run.id, "name": run.name} for run in self.run_ids],
            "url": f"{base_url}/odoo/qms-incidents/{self.id}",
            "api_url": f"{base_url}/api/v1/incidents/{self.id}",
        }
        return result

    # === Changing ===

    @checked
    @idempotent
    def update_incident(self, values: dict, idempotency_key: str | None = None) -> dict:
        """Change what one incident says; what is not given stays as it is.

        :param values: by the names that :meth:`get_incident` gives them: ``title``,
            ``severity``, ``category``, ``error_code``, ``systems``, ``description``,
            ``occurred_at``, ``detected_at``, ``responsible`` (a login), ``parent``,
            what the detection and the impact are made of; ``False`` blanks
        :return: the incident as in :meth:`get_incident`
        :raises ValidationError: for an unknown name or value
        """
        self._only_one()._write_plain(values)
        return self._to_rpc()

    @api.model
    def _changeable(self):
        """Return the names of what a client may change."""
        return {
            *_CODED,
            *PLAIN,
            *NUMBERS,
            *TIMES,
            "systems",
            "parent",
            "responsible",
        }

    @checked
    @idempotent
    def move(
        self,
        state: str,
        reason: str | None = None,
        at: str | None = None,
        duplicate_of: int | str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Move one incident on to another state.

        :param state: ``triaged``, ``mitigated``, ``resolved``, ``reviewed``,
            ``closed``, ``duplicate`` or ``false_positive``; going back to ``triaged``
            reopens it
        :param reason: why it is reopened, or is a false positive
        :param at: when it was triaged, mitigated or resolved: RFC 3339, UTC without
            an offset; now when missing
        :param duplicate_of: id or number of the incident that it is a duplicate of
        :return: the incident as in :meth:`get_incident`
        :raises UserError: when the transition does not exist, or something is missing
            for it; before it is closed, see :meth:`what_is_missing`
        """
        self._only_one()._move(state, reason, at, duplicate_of)
        return self._to_rpc()

    def _move(self, state, reason=None, at=None, duplicate_of=None):
        """See :meth:`move`."""
        self._check_state_known(state)
        values = {"state": state}
        if reason and reason.strip():
            values["state_reason"] = reason.strip()
        if at:
            with at_field("at"):
                values |= self._moved_at(state, self._time("at", at))
        if duplicate_of:
            with at_field("duplicate_of"):
                values["duplicate_of_id"] = self._by_reference(duplicate_of).id
        with at_field("state"):
            if state == self.state:
                # A write of the same state is nothing to the model, but the client
                # thinks that something happens.
                self._check_transition(state, state)
            self.write(values)

    def _moved_at(self, state, moment):
        """Return the value for the time of a transition, if it can be given."""
        if state not in ("triaged", "mitigated", "resolved") or (
            state == "triaged" and self.state != "detected"
        ):
            raise ValidationError(
                self.env._(
                    "Argument at: the time of going to %(state)s is when it is done; "
                    "only triaged, mitigated and resolved can be dated back.",
                    state=self._state_label(state),
                )
            )
        earlier = [
            self[name]
            for name in ("detected_at", "triaged_at", "mitigated_at")
            if self[name] and name != STAMPS[state]
        ]
        if moment < max(earlier):
            raise ValidationError(
                self.env._(
                    "Argument at: %(time)s is before %(last)s, when it came to be "
                    "%(state)s.",
                    time=to_rfc3339(moment),
                    last=to_rfc3339(max(earlier)),
                    state=self._state_label(self.state),
                )
            )
        return {STAMPS[state]: moment}

    # === Runs ===

    @checked
    @idempotent
    def link_run(self, run: int | str, idempotency_key: str | None = None) -> dict:
        """Say that a run belongs to one incident.

        :param run: id or name of the run
        :return: the incident as in :meth:`get_incident`
        :raises ValidationError: when there is no such run
        :raises UserError: when it belongs to another incident already, or the
            incident is closed
        """
        self._only_one()
        with at_field("run"):
            found = self.env["qms.sop.run"]._by_reference(run)
        found._join_incident(self)
        return self._to_rpc()

    def _is_open(self):
        return self.state in OPEN_STATES

    def _is_final(self):
        return self.state in FINAL_STATES
