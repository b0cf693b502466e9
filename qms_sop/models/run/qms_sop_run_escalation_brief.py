import json

from markupsafe import Markup

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools.misc import format_datetime

from ...tools.escalation import applicable, look
from ...tools.zones import in_utc

# Lines of a timeline in a message, and characters of a text in it
_LINES = 12
_SHORT = 160
_TIMES = (
    "occurred_at",
    "detected_at",
    "start_time",
    "acknowledged_at",
    "mitigated_at",
    "resolved_at",
)


class QmsSopRun(models.Model):
    """What somebody who is called in has to know.

    The escalation procedures of the runbooks ask for the description with a timeline,
    the steps taken so far, the current state, the impact, and what to do next. The
    description, the steps and the state are those of any notification.
    """

    _inherit = "qms.sop.run"

    escalation_plan = fields.Html(
        "Next escalations",
        compute="_compute_escalation_plan",
        help="Who is told next, unless something happens before.",
    )

    @api.depends("next_escalation_at", "escalation_ids")
    @api.depends_context("lang", "tz")
    def _compute_escalation_plan(self):
        for run in self:
            rows = run._escalation_outlook() if run._origin else []
            run.escalation_plan = (
                Markup("<table class='table table-sm mb-0'><tbody>%s</tbody></table>")
                % Markup("").join(
                    Markup("<tr><td>%s</td><td>%s</td><td>%s</td></tr>")
                    % (
                        format_datetime(self.env, moment, dt_format="short"),
                        f"{role} ({people})" if people else role,
                        reason,
                    )
                    for moment, role, people, reason in rows
                )
                if rows
                else False
            )

    def _escalation_outlook(self):
        """Return who is told of one run next, by each rule, unless something happens.

        :return: moment (naive UTC), role, who plays it then, and why; in order
        :rtype: list[tuple[datetime, str, str, str]]
        """
        self.ensure_one()
        if self.state != "in_progress":
            return []
        now = fields.Datetime.now()
        told = self._told_so_far()
        facts = self._escalation_facts(self.env["qms.severity"]._told_immediately())
        policies = self.env["qms.escalation.policy"]._specs()
        rows = []
        for spec in applicable(policies, self._escalation_subject({})):
            due, upcoming = look(spec, facts, told.get((self.id, spec.id), -1), now)
            moment = due.moment if due else upcoming
            if not moment:
                continue
            # sudo: whoever reads the run may know who hears of it.
            rule = self.env["qms.escalation.rule"].sudo().browse(spec.id)
            people = rule.user_ids
            for role in rule.role_ids:
                people |= role._holders(max(moment, now), immediately=True)
            rows.append(
                (moment, rule.told_words, ", ".join(people.mapped("name")), rule.when)
            )
        return sorted(rows)

    def _escalation_briefs(self, now):
        """Return the texts of messages about these runs.

        :param datetime now: naive, UTC
        :return: ``{run id: {"timeline", "impact", "next_action", "last_update"}}``,
            each ``None`` when nothing is recorded
        :rtype: dict
        """
        entries = self._entries_by_run()
        briefs = {}
        for run in self:
            said = entries.get(run.id, [])
            briefs[run.id] = {
                "timeline": run._brief_timeline(said) or None,
                "impact": run._escalation_impact(),
                "next_action": run._escalation_next_action(),
                "last_update": in_utc(said[-1][0]) if said else None,
            }
        return briefs

    def _entries_by_run(self):
        """Return what people wrote into the timelines.

        :return: ``{run id: [(when, text)]}``, in order
        :rtype: dict
        """
        entries = {}
        for event in self.env["qms.audit.event"].search(
            Domain("root_model", "=", self._name)
            & Domain("root_id", "in", self.ids)
            & Domain("kind", "=", "entry"),
            order="occurred_at, id",
        ):
            text = json.loads(event.content)["text"]
            entries.setdefault(event.root_id, []).append((event.occurred_at, text))
        return entries

    def _brief_timeline(self, entries):
        """Return the latest of what happened in one run, in order.

        :param list entries: when and text, of people
        :return: lines, times in UTC
        :rtype: list[str]
        """
        acts = [
            (self[name], self._fields[name]._description_string(self.env))
            for name in _TIMES
            if self[name]
        ]
        acts += entries
        acts += [
            (
                error.occurred_at,
                f"{error.error_code_id.name}: {error.error_message or ''}",
            )
            for error in self.error_ids
        ]
        for step in self.step_ids:
            name = f"{step.number}. {step.name}"
            if step.end_time:
                result = step.actual_result or step.skip_reason or ""
                state = step._state_label(step.state)
                acts.append((step.end_time, f"{name}: {state}. {result}"))
            elif step.start_time:
                acts.append((step.start_time, self.env._("%s: begun", name)))
        acts += [
            (event.told_at, self.env._("Told: %s", event.reason))
            for event in self.escalation_ids
        ]
        acts = sorted((act for act in acts if act[0]), key=lambda act: act[0])
        lines = [f"{when:%Y-%m-%d %H:%M} {_short(text)}" for when, text in acts]
        if len(lines) > _LINES:
            left_out = self.env._("… %s earlier entries", len(lines) - _LINES)
            lines = [left_out, *lines[-_LINES:]]
        return lines

    def _escalation_impact(self):
        """Return whom and what the trouble of one run affects.

        A run records none; who keeps it, such as an incident, extends this.

        :return: a text, or ``None`` when it is not recorded
        :rtype: str | None
        """
        return None

    def _escalation_next_action(self):
        """Return what is to be done next in one run.

        :rtype: str
        """
        lines = []
        if not (self.acknowledged_at or self.mitigated_at):
            lines.append(self.env._("Acknowledge the run, so that others know."))
        step = self.current_step_id
        if step.state == "failed":
            lines.append(
                self.env._(
                    "Step %(number)s “%(name)s” failed: have it tried again, or end "
                    "the run.",
                    number=step.number,
                    name=step.name,
                )
            )
        elif step:
            objective = f" – {step.objective}" if step.objective else ""
            lines.append(
                self.env._(
                    "Step %(number)s “%(name)s”%(objective)s",
                    number=step.number,
                    name=step.name,
                    objective=objective,
                )
            )
        elif self.step_ids:
            lines.append(self.env._("All steps are done: complete the run."))
        # sudo: whoever is told may read the catalogue.
        if known := self.error_code_id.sudo().resolution:
            lines.append(self.env._("Known remedy: %s", _short(known)))
        return "\n".join(lines) or None


def _short(text):
    """Return a text in one line, cut where it gets long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 1]}…"
