from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.fields import Command

from odoo.addons.qms_error_code.tools.arguments import checked
from odoo.addons.qms_sop.tools.faults import at_field
from odoo.addons.qms_sop.tools.idempotency import idempotent

from ...tools.postmortem_sections import TEXTS
from .qms_postmortem import KINDS

# What clients call the fields that are a text, and that they call otherwise
PLAIN = {
    "title": "title",
    "timeline": "timeline",
    **{name: name for name in TEXTS if name != "factors"},
    "fix": "resolution",
}
_WHY_KEYS = ("question", "answer", "evidence")
_MAX_TEXT = 100_000


class QmsPostmortem(models.Model):
    """Post-mortems as programs write and read them."""

    _name = "qms.postmortem"
    _inherit = ["qms.postmortem", "qms.plain.mixin"]

    # === RPC ===

    @api.model
    @checked
    @idempotent
    def create_for(
        self,
        incident: int | str,
        values: dict | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Begin the post-mortem of an incident, or go on with its draft.

        :param incident: id or number of the incident
        :param values: as for :meth:`update_postmortem`
        :return: as ``qms.incident.create_postmortem()``
        :raises ValidationError: for an unknown incident, name or value
        """
        with at_field("incident"):
            found = self.env["qms.incident"]._by_reference(incident)
        if values:
            self._check_names(values)
        postmortem, existing = found._write_postmortem(values or {})
        return {**postmortem._to_rpc(), "existing": existing}

    @api.readonly
    @checked
    def get_postmortem(self) -> dict:
        """Return one post-mortem.

        :return: the post-mortem as the REST API gives it, with ``False`` where that has
            null; times are RFC 3339 in UTC, texts Markdown
        """
        return self._only_one()._to_rpc()

    @api.readonly
    @checked
    def what_is_missing(self) -> list[dict]:
        """Return what one post-mortem still needs before it can be published.

        :return: dicts with ``code`` (stable, such as ``root_cause``) and ``text``
        """
        return self._only_one()._missing()

    @checked
    @idempotent
    def update_postmortem(
        self, values: dict, idempotency_key: str | None = None
    ) -> dict:
        """Change what one post-mortem says; what is not given stays as it is.

        :param values: by the names that :meth:`get_postmortem` gives them: the texts
            (also ``fix``, for the resolution), ``kind``, ``contributing_factors`` (a
            list, or one a line), ``whys`` (dicts), ``author`` (login), ``participants``
            (logins; all of them), ``meeting_at``; ``False`` blanks
        :return: the post-mortem as in :meth:`get_postmortem`
        :raises ValidationError: for an unknown name or value
        :raises UserError: when it is reviewed or published already
        """
        self._only_one()._write_plain(values)
        return self._to_rpc()

    @checked
    @idempotent
    def move(
        self,
        state: str,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict:
        """Hand one post-mortem in for review, or take it back.

        :param state: ``in_review``, or ``draft``; it is published by a signature, with
            :meth:`publish`
        :param reason: why it goes back to draft
        :return: the post-mortem as in :meth:`get_postmortem`
        :raises UserError: when the transition does not exist, or something is missing
        """
        self._only_one()._move(state, reason)
        return self._to_rpc()

    def _move(self, state, reason=None):
        """See :meth:`move`."""
        self._check_state_known(state)
        with at_field("state"):
            if state == self.state:
                # A write of the same state is nothing to the model.
                self._check_transition(state, state)
            values = {"state": state}
            if state == "draft":
                values["state_reason"] = (reason or "").strip()
            self.write(values)

    # === Values ===

    @api.model
    def _changeable(self):
        """Return the names of what a client may change."""
        return {
            *PLAIN,
            "kind",
            "contributing_factors",
            "whys",
            "author",
            "participants",
            "meeting_at",
        }

    def _value(self, name, value):
        """Return a field and its value for one value that a client gives.

        :rtype: tuple[str, object]
        """
        if name in PLAIN:
            return PLAIN[name], self._text(name, value)
        if name == "kind":
            return name, self._kind(value)
        if name == "contributing_factors":
            lines = value.splitlines() if isinstance(value, str) else value or []
            return "factors", "\n".join(
                text for line in lines if (text := " ".join(str(line).split()))
            )
        if name == "whys":
            return "why_ids", self._why_commands(value)
        incidents = self.env["qms.incident"]
        if name == "meeting_at":
            return name, incidents._time(name, value) if value else False
        if name == "author":
            return "author_id", value and incidents._user(value).id
        return "participant_ids", self._participant_commands(value)

    @api.model
    def _text(self, name, value):
        if value in (None, ""):
            return False
        if not isinstance(value, str):
            raise ValidationError(
                self.env._(
                    "Argument %(name)s: %(value)s is no text.",
                    name=name,
                    value=repr(value)[:60],
                )
            )
        if len(value) > _MAX_TEXT:
            raise ValidationError(
                self.env._(
                    "Argument %(name)s: it has %(length)s characters; up to %(most)s "
                    "are kept.",
                    name=name,
                    length=len(value),
                    most=_MAX_TEXT,
                )
            )
        return value.strip()

    @api.model
    def _kind(self, value):
        if value not in dict(KINDS):
            raise ValidationError(
                self.env._(
                    "Argument kind: %(value)s is unknown. Accepted: %(accepted)s.",
                    value=repr(value),
                    accepted=", ".join(dict(KINDS)),
                )
            )
        return value

    @api.model
    def _why_commands(self, whys):
        """Return what replaces the whys by those given."""
        commands = [Command.clear()]
        for position, why in enumerate(whys or [], 1):
            fits = isinstance(why, dict) and not why.keys() - set(_WHY_KEYS)
            if not (fits and why.get("question") and why.get("answer")):
                raise ValidationError(
                    self.env._(
                        "Argument whys: number %(position)s needs a question and an "
                        "answer, and may have evidence; got: %(why)s.",
                        position=position,
                        why=repr(why)[:80],
                    )
                )
            said = {key: str(value) for key, value in why.items() if value}
            commands.append(Command.create({"sequence": position, **said}))
        return commands

    def _participant_commands(self, logins):
        """Return what makes the people with these logins the participants."""
        if isinstance(logins, str):
            logins = logins.split(",")
        users = self.env["res.users"]
        for login in logins or ():
            users |= self.env["qms.incident"]._user(str(login).strip())
        kept = self.participant_ids.filtered(lambda one: one.user_id in users)
        return [
            *(Command.delete(one.id) for one in self.participant_ids - kept),
            *(Command.create({"user_id": user.id}) for user in users - kept.user_id),
        ]

    def _open_form(self):
        """Return the action that opens the form of one post-mortem."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
        }
