from odoo import api, models
from odoo.exceptions import UserError, ValidationError

# What Odoo itself writes on a record to keep its chatter and its place in the
# lists; none of it is the content that a lock protects.
BOOKKEEPING = ("message_", "activity_", "website_message_", "rating_")


class QmsStateMixin(models.AbstractModel):
    """A state machine that no channel gets around.

    The ORM example of SOP-TRIAGE-001 writes ``state`` directly, and so do RPC
    clients and imports; the table is therefore checked in ``create()`` and
    ``write()``, and the buttons only call those.
    """

    _name = "qms.state.mixin"
    _description = "State machine"

    # {state: states it may go to}
    _transitions = {}
    # States a record may be created in
    _initial_states = ()
    # States in which content can no longer be written …
    _locked_states = ()
    # … except for these fields
    _unlocked_fields = frozenset()
    # Fields that say who did what and when, which no client gets to say
    _system_fields = frozenset()
    # States in which a record has no history worth keeping
    _deletable_states = ("draft",)

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            if "state" in vals:
                self._check_state_known(vals["state"])
                if vals["state"] not in self._initial_states:
                    raise UserError(
                        self.env._(
                            "%(model)s: a new record cannot be %(state)s. "
                            "It can start as: %(accepted)s.",
                            model=self._description,
                            state=self._state_label(vals["state"]),
                            accepted=self._state_labels(self._initial_states),
                        )
                    )
        return super().create(vals_list)

    def write(self, vals):
        # Who may not write at all is told that, not why it would fail anyway.
        self.check_access("write")
        self._check_not_system(vals)
        self._check_unlocked(vals)
        if "state" not in vals:
            return super().write(vals)
        target = vals["state"]
        self._check_state_known(target)
        for source, records in self.grouped("state").items():
            if source == target:
                super(QmsStateMixin, records).write(vals)
                continue
            records._check_transition(source, target)
            extra = records._prepare_transition(source, target, vals)
            super(QmsStateMixin, records).write({**extra, **vals})
            records._after_transition(source, target)
        return True

    @api.ondelete(at_uninstall=False)
    def _unlink_except_history(self):
        for record in self:
            if record.state not in self._deletable_states:
                raise UserError(
                    self.env._(
                        "%(record)s is %(state)s and has a history: it cannot "
                        "be deleted. Archive or cancel it instead.",
                        record=record.display_name,
                        state=self._state_label(record.state),
                    )
                )

    def _prepare_transition(self, source, target, vals):
        """Check what a transition needs, and return what goes with it.

        :param str source: the state of every record of ``self``
        :param str target: the state they go to
        :param dict vals: what the caller writes; it wins over the result
        :return: further values to write
        :rtype: dict
        :raises UserError: when something is missing, naming all of it
        """
        return {}

    def _after_transition(self, source, target):
        """Do what follows from a transition, in the same transaction."""

    def _write_system(self, vals):
        """Write fields that clients cannot, and that no lock holds back."""
        self.check_access("write")
        return super().write(vals)

    @api.model
    def _check_not_system(self, vals):
        """Refuse values that only the system itself writes."""
        forged = sorted(self._system_fields & vals.keys())
        if forged:
            raise UserError(
                self.env._(
                    "%(model)s: %(fields)s cannot be given, the system writes it.",
                    model=self._description,
                    fields=", ".join(forged),
                )
            )

    def _check_unlocked(self, vals):
        """Refuse to change the content of a locked record."""
        content = [
            name
            for name in vals
            if name in self._fields
            and name != "state"
            and name not in self._unlocked_fields
            and not name.startswith(BOOKKEEPING)
        ]
        for record in self:
            if record.state not in self._locked_states:
                continue
            changed = content
            if vals.get("state") == record.state and not self._transitions.get(
                record.state
            ):
                # Finishing twice is a mistake worth telling, not a no-op.
                changed = ["state", *content]
            if changed:
                raise UserError(
                    self.env._(
                        "%(record)s is %(state)s and can no longer be changed "
                        "(%(fields)s).",
                        record=record.display_name,
                        state=self._state_label(record.state),
                        fields=", ".join(changed),
                    )
                )

    def _check_transition(self, source, target):
        """Refuse a transition that the table does not have."""
        accepted = self._transitions.get(source, ())
        if target in accepted:
            return
        record = self[0]
        if not accepted:
            raise UserError(
                self.env._(
                    "%(record)s cannot go from %(current)s to %(target)s: "
                    "%(current)s is final.",
                    record=record.display_name,
                    current=self._state_label(source),
                    target=self._state_label(target),
                )
            )
        raise UserError(
            self.env._(
                "%(record)s cannot go from %(current)s to %(target)s. "
                "From %(current)s it can go to: %(accepted)s.",
                record=record.display_name,
                current=self._state_label(source),
                target=self._state_label(target),
                accepted=self._state_labels(accepted),
            )
        )

    @api.model
    def _check_state_known(self, state):
        """Refuse a value that is no state at all, and list the states."""
        known = self._fields["state"].get_values(self.env)
        if state not in known:
            raise ValidationError(
                self.env._(
                    "%(model)s: %(state)s is not a state. Accepted: %(accepted)s.",
                    model=self._description,
                    state=repr(state),
                    accepted=", ".join(known),
                )
            )

    @api.model
    def _state_label(self, state):
        """Return a state as a person reads it."""
        labels = dict(self._fields["state"]._description_selection(self.env))
        return labels.get(state, state)

    @api.model
    def _state_labels(self, states):
        return ", ".join(self._state_label(state) for state in states)

    def _only_one(self):
        """Refuse, in words, a call on none or many records; return the one.

        :raises UserError: where ``ensure_one()`` would be a traceback
        """
        if len(self) != 1:
            raise UserError(
                self.env._(
                    "%(model)s: exactly one record id is needed, got %(ids)s.",
                    model=self._description,
                    ids=self.ids,
                )
            )
        if not self.exists():
            raise UserError(
                self.env._(
                    "%(model)s: there is no record with id %(id)s.",
                    model=self._description,
                    id=self.id,
                )
            )
        return self
