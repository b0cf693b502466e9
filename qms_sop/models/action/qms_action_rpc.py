from datetime import date

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools.faults import at_field
from ...tools.idempotency import idempotent
from ...tools.values import to_rfc3339, without_none
from .qms_action import PRIORITIES

# By the key that is stored; P0 to P3 are understood as well, as of severities.
_PRIORITY_CODES = {key: label.lower() for key, label in PRIORITIES}
_PRIORITIES = {
    **{code: key for key, code in _PRIORITY_CODES.items()},
    **{f"p{3 - int(key)}": key for key in _PRIORITY_CODES},
}
# Arguments that are one of the words of a field
_WORDS = ("kind", "type", "horizon", "source_type")
# What clients call the fields that are called otherwise
_FIELDS = {"title": "name", "type": "action_type"}
_PEOPLE = {"owner": "user_id", "manager": "manager_id", "checker": "check_user_id"}
_DATES = ("due_date", "check_date")
# Refused where they are blanked
_REQUIRED = ("title", "kind", "priority", "horizon", "due_date", "check_days")


class QmsAction(models.Model):
    """Actions as clients make and change them."""

    _inherit = "qms.action"

    # === RPC ===

    @api.model
    @checked
    @idempotent
    def create_action(
        self,
        title: str,
        kind: str | None = None,
        type: str | None = None,  # what clients call it
        priority: str | None = None,
        horizon: str | None = None,
        owner: str | None = None,
        due_date: str | None = None,
        description: str | None = None,
        run_id: int | None = None,
        rca_id: int | None = None,
        sop_code: str | None = None,
        source_type: str | None = None,
        source_note: str | None = None,
        error_code: str | None = None,
        check_criteria: str | None = None,
        check_days: int | None = None,
        checker: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Raise an action.

        It comes from at most one of an analysis, a run and an SOP; otherwise from an
        audit or from elsewhere.

        :param title: what is to be done
        :param kind: corrective (by default), preventive or improvement
        :param type: see ``TYPES``
        :param priority: critical, high, medium (by default) or low, or P0 to P3
        :param horizon: immediate (0–7 days), short (1–4 weeks) or long (1–3 months);
            what the due date says when missing, else short
        :param owner: login of who answers for its being done; the user when missing,
            unless that is a robot
        :param due_date: ISO 8601, such as ``2026-03-01``; the horizon's last day when
            missing
        :param description: what exactly, and why
        :param run_id: id of the run that it comes from
        :param rca_id: id of the root-cause analysis that it comes from
        :param sop_code: code of the SOP that it comes from
        :param source_type: ``audit`` or ``other``, where it comes from no record
        :param source_note: which audit, for example
        :param error_code: a code of the catalogue; that of the source when missing
        :param check_criteria: what will show that it worked
        :param check_days: days from its being done until that is checked
        :param checker: login of who checks it
        :param idempotency_key: see :func:`idempotent`
        :return: the action as in :meth:`get_action`
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        values = {
            "title": title,
            "kind": kind,
            "type": type,
            "priority": priority,
            "horizon": horizon,
            "owner": owner,
            "due_date": due_date,
            "description": description,
            "run_id": run_id,
            "rca_id": rca_id,
            "sop_code": sop_code,
            "source_type": source_type,
            "source_note": source_note,
            "error_code": error_code,
            "check_criteria": check_criteria,
            "check_days": check_days,
            "checker": checker,
        }
        return self._raise(values)._to_rpc()

    @api.readonly
    @checked
    def get_action(self) -> dict:
        """Return one action.

        :return: the action as the REST API gives it, with ``False`` where that has
            null
        """
        return self._only_one()._to_rpc()

    @checked
    @idempotent
    def update_action(
        self,
        title: str | None = None,
        kind: str | None = None,
        type: str | None = None,
        priority: str | None = None,
        horizon: str | None = None,
        owner: str | None = None,
        due_date: str | None = None,
        description: str | None = None,
        check_criteria: str | None = None,
        check_days: int | None = None,
        check_date: str | None = None,
        checker: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Change one action; what is not given stays as it is.

        The arguments are those of :meth:`create_action`.

        :param check_date: day from which it can be told whether it worked; of an
            action that is done
        :return: the action as in :meth:`get_action`
        """
        values = {
            "title": title,
            "kind": kind,
            "type": type,
            "priority": priority,
            "horizon": horizon,
            "owner": owner,
            "due_date": due_date,
            "description": description,
            "check_criteria": check_criteria,
            "check_days": check_days,
            "check_date": check_date,
            "checker": checker,
        }
        given = {name: value for name, value in values.items() if value is not None}
        if not given:
            raise ValidationError(
                self.env._("Nothing to change: give at least one value.")
            )
        self._only_one().write(self._plain_values(given))
        return self._to_rpc()

    @checked
    @idempotent
    def start(self, idempotency_key: str | None = None) -> dict:
        """Take up one action.

        :return: the action as in :meth:`get_action`
        """
        self._only_one()._go("in_progress")
        return self._to_rpc()

    @checked
    @idempotent
    def complete(self, result: str, idempotency_key: str | None = None) -> dict:
        """Say of one action that it is done; one that was not begun is begun first.

        :param result: what was done
        :return: the action as in :meth:`get_action`
        """
        self._only_one()._go("done", result=result)
        return self._to_rpc()

    @checked
    @idempotent
    def reopen(
        self,
        reason: str,
        due_date: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Take up one action again that did not work, or not for good.

        :param reason: what shows that it did not work
        :param due_date: ISO 8601; a past one is moved by the horizon when missing
        :return: the action as in :meth:`get_action`
        """
        self._only_one()._go("reopened", reason=reason, due_date=due_date)
        return self._to_rpc()

    @checked
    @idempotent
    def cancel(self, reason: str, idempotency_key: str | None = None) -> dict:
        """Give one action up.

        :param reason: why it is not needed
        :return: the action as in :meth:`get_action`
        """
        self._only_one()._go("cancelled", reason=reason)
        return self._to_rpc()

    # === Helpers ===

    @api.model
    def _raise(self, values):
        """Raise an action from plain values; see :meth:`create_action`.

        :param dict values: what is ``None`` counts as not given
        :rtype: qms.action record
        """
        values = {name: value for name, value in values.items() if value is not None}
        sources = [name for name in ("rca_id", "run_id", "sop_code") if name in values]
        if len(sources) > 1:
            with at_field(sources[1]):
                raise ValidationError(
                    self.env._(
                        "An action comes from one source; got: %(sources)s.",
                        sources=", ".join(sources),
                    )
                )
        vals = {
            name: values.pop(name)
            for name in ("rca_id", "run_id", "source_note")
            if name in values
        }
        if code := values.pop("sop_code", None):
            with at_field("sop_code"):
                document = self.env["qms.sop.document"]._effective(code)
            vals["document_id"] = document.id
        if kind := values.get("source_type"):
            fits = self._words("source_type")
            with at_field("source_type"):
                vals["source_type"] = self._word("source_type", kind)
                field = self._source_fields().get(vals["source_type"])
                if field not in vals and (field or sources):
                    raise ValidationError(
                        self.env._(
                            "Argument source_type: %(kind)s does not fit the source "
                            "that is given (%(sources)s).",
                            kind=fits[vals["source_type"]],
                            sources=", ".join(sources) or self.env._("none"),
                        )
                    )
            del values["source_type"]
        return self.create({**vals, **self._plain_values(values)})

    @api.model
    def _plain_values(self, values):
        """Return the values of fields for what a client says.

        :param dict values: names as in :meth:`create_action`; ``None`` blanks
        :rtype: dict
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        result = {}
        for name, value in values.items():
            with at_field(name):
                if value is None and name in _REQUIRED:
                    raise ValidationError(
                        self.env._("Argument %(name)s: it cannot be blank.", name=name)
                    )
                field, value = self._plain_value(name, value)
                result[field] = value
        return result

    @api.model
    def _plain_value(self, name, value):
        """Return the name and the value of a field for one argument."""
        if name in _PEOPLE:
            return _PEOPLE[name], self._person(name, value).id if value else False
        if name == "error_code":
            codes = self.env["qms.error.code"]
            return "error_code_id", codes._resolve(value).id if value else False
        field = _FIELDS.get(name, name)
        if value is None or value == "":
            return field, False
        if name == "priority":
            return field, self._priority(value)
        if name in _WORDS:
            return field, self._word(name, value)
        if name in _DATES:
            return field, self._date(name, value)
        return field, value

    @api.model
    def _word(self, name, value):
        """Return a word of a list in the form that is stored."""
        known = self._words(name)
        word = value.strip().lower()
        if word not in known:
            self._refuse_word(name, value, known)
        return word

    @api.model
    def _words(self, name):
        """Return the words that an argument takes, those of other add-ons included.

        :rtype: dict[str, str]
        """
        field = self._fields[_FIELDS.get(name, name)]
        return dict(field._description_selection(self.env))

    @api.model
    def _priority(self, value):
        key = _PRIORITIES.get(value.strip().lower())
        if key is None:
            self._refuse_word("priority", value, _PRIORITIES)
        return key

    def _priority_code(self):
        """Return the priority of one action as clients know it."""
        return _PRIORITY_CODES[self.priority]

    @api.model
    def _refuse_word(self, name, value, accepted):
        raise ValidationError(
            self.env._(
                "Argument %(name)s: %(value)s is unknown. Accepted: %(accepted)s.",
                name=name,
                value=repr(value),
                accepted=", ".join(accepted),
            )
        )

    @api.model
    def _date(self, name, value):
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise ValidationError(
                self.env._(
                    "Argument %(name)s: %(value)s is no date; give one such as "
                    "2026-03-01.",
                    name=name,
                    value=repr(value),
                )
            ) from None

    @api.model
    def _person(self, name, login):
        """Return the user with a login."""
        user = self.env["res.users"].search([("login", "=", login)])
        if not user:
            raise ValidationError(
                self.env._(
                    "Argument %(name)s: there is no user with the login %(login)s.",
                    name=name,
                    login=repr(login),
                )
            )
        return user

    def _go(self, state, result=None, reason=None, due_date=None):
        """Go to another state, beginning first what is done without having been begun.

        :param str state: target
        :param str result: what was done
        :param str reason: why it is cancelled or reopened
        :param due_date: a date, or ISO 8601; of what is reopened
        """
        self._check_state_known(state)
        with at_field("state"):
            if state == self.state:
                # To the model a write of the same state is nothing.
                self._check_transition(state, state)
            vals = {"state": state}
            if state == "done":
                with at_field("result"):
                    self._check_said("result", {"result": result or False})
                vals["result"] = result
                if self.state in ("open", "reopened"):
                    self.write({"state": "in_progress"})
            elif state in ("reopened", "cancelled"):
                vals["state_reason"] = reason or False
            if due_date:
                vals |= self._plain_values({"due_date": due_date})
            self.write(vals)

    # === Plain values ===

    def _to_dict(self):
        """Return one action in plain values, ``None`` where nothing is known.

        :return: see ``schemas.actions.Action``
        :rtype: dict
        """
        self.ensure_one()
        base_url = self.get_base_url()
        return {
            "id": self.id,
            "reference": self.reference,
            "number": self.number,
            "title": self.name,
            "state": self.state,
            "kind": self.kind,
            "type": self.action_type or None,
            "priority": self._priority_code(),
            "horizon": self.horizon,
            "description": self.description or None,
            "owner_id": self.user_id.id or None,
            "owner": self.user_id.login or None,
            "due_date": _iso(self.due_date),
            "overdue": self.overdue,
            "source_type": self.source_type,
            "source_note": self.source_note or None,
            "run_id": self.run_id.id or None,
            "rca_id": self.rca_id.id or None,
            "sop_code": self.document_id.code or None,
            "error_code": self.env["qms.error.code"]
            ._names_by_id()
            .get(self.error_code_id.id),
            "raised_at": to_rfc3339(self.raised_on),
            "result": self.result or None,
            "done_at": to_rfc3339(self.done_on),
            "done_by_id": self.done_by_id.id or None,
            "check_criteria": self.check_criteria or None,
            "check_days": self.check_days,
            "check_date": _iso(self.check_date),
            "checker": self.check_user_id.login or None,
            "effectiveness": self.effectiveness or None,
            "verified_at": to_rfc3339(self.verified_on),
            "verified_by_id": self.verified_by_id.id or None,
            "state_reason": self.state_reason or None,
            "times_reopened": self.reopened_count,
            "url": f"{base_url}/odoo/qms-actions/{self.id}",
            "api_url": f"{base_url}/api/v1/actions/{self.id}",
        }

    def _to_rpc(self):
        return without_none(self._to_dict())


def _iso(value):
    return fields.Date.to_date(value).isoformat() if value else None
