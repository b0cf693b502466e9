import hashlib

from odoo import api, models
from odoo.exceptions import ValidationError

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import paths
from ...tools.placeholders import fill
from ...tools.values import to_rfc3339, without_none

# More than this is no message any more, and grep is not given a whole log.
_MESSAGE_LENGTH = 1000


class QmsSopRun(models.Model):
    """What a program needs to know to carry out a run: ``execute_sop_run.py``.

    A command is told as the approved revision has it, together with its SHA-256,
    so that a program can show that it ran exactly that. Values of the run come
    beside it, to be set as variables of the shell: whoever pastes them into the
    text lets the author of an error message run commands.
    """

    _inherit = "qms.sop.run"

    @api.readonly
    @checked
    def execution_plan(self) -> dict:
        """Return what one run wants done, step by step.

        :return: ``run`` (as :meth:`get_run`, without its steps), ``sop``
            (``code``, ``version``, ``title``, ``state``, ``content_hash``: SHA-256
            of the approved content), ``blocked`` (why its commands are not to be
            executed by this user now; empty when they may), ``values`` (variables
            for the shell: ids, codes and times; ``False`` what is not known),
            ``texts`` (variables whose text comes from people or logs), ``category``
            and ``steps`` in order. A step has ``id``, ``number``, ``name``,
            ``state``, ``off_path``, ``mandatory``, ``evidence_required``,
            ``evidence_count``, ``objective``, ``instructions``,
            ``expected_result`` and ``verification`` (Markdown), ``expected_duration``
            (minutes; 0: varies), ``choices`` (labels), ``needs_choice`` (a choice has
            to be made here), ``choice``, ``result``, ``skip_reason``,
            ``start_time``, ``end_time`` and ``commands``: those for the category
            of the run and for every one, actions before verifications, with ``id``,
            ``sequence``, ``name``, ``language``, ``command``, ``sha256`` (of the
            command in UTF-8), ``parts`` (the command as shown to people, see
            ``qms.sop.run.step.filled_commands``), ``purpose`` (``action`` or
            ``verification``), ``category`` and ``expected_output``
        """
        self._only_one()
        run = self._to_dict()
        return without_none(
            {
                "run": run,
                "sop": _head(self.sop_id),
                "blocked": self._execution_blocked(),
                "category": run["category"],
                "values": self._placeholder_values(),
                "texts": self._placeholder_texts(),
                "steps": self._plan_steps(),
            }
        )

    @api.model
    @api.readonly
    @checked
    def preview_execution(
        self,
        sop_code: str,
        error_code: str | None = None,
        severity: str | None = None,
        category: str | None = None,
    ) -> dict:
        """Return what a run of an SOP would want done, without opening one.

        :param sop_code: such as ``SOP-TRIAGE-001``; its approved revision counts
        :param error_code: a code of the catalogue
        :param severity: code, alias (P0–P3) or name, in any case
        :param category: code of a category; that of the error code when missing
        :return: as :meth:`execution_plan`, with an empty ``run``, every step
            pending, and ids of steps ``False``
        :raises ValidationError: naming the argument at fault and what is accepted
        """
        sop = self.env["qms.sop.document"]._effective(sop_code)
        values = self._classification(error_code, severity, category)
        self._classify_by_code(values)
        run = self.new({"sop_id": sop.id, "name": False, **values})
        code = run.category_id.code
        return without_none(
            {
                "run": {},
                "sop": _head(sop),
                "blocked": "",
                "category": code or None,
                "values": run._placeholder_values(),
                "texts": {},
                "steps": run._plan_steps(),
            }
        )

    @api.readonly
    @checked
    def evidence_plan(self, category: str | None = None) -> dict:
        """Return how to collect the evidence for the category of one run.

        The commands are those of the error catalogue, which QMS managers keep.

        :param category: code of a category; the run's own when missing
        :return: ``run``, ``blocked``, ``category``, ``values`` and ``texts`` as in
            :meth:`execution_plan`, and ``sources`` in order: dicts with ``id``,
            ``name``, ``language``, ``command`` (empty: there is none), ``sha256``
            and ``parts``
        :raises ValidationError: for an unknown category, and when neither the
            run nor the caller names one
        """
        self._only_one()
        categories = self.env["qms.error.category"]
        found = categories._resolve(category) if category else self.category_id
        if not found:
            raise ValidationError(
                self.env._(
                    "%(run)s has no category yet: say which evidence to collect "
                    "(category). Accepted: %(accepted)s.",
                    run=self.display_name,
                    accepted=", ".join(categories.search([]).mapped("code")),
                )
            )
        values = self._placeholder_values()
        return without_none(
            {
                "run": self._to_dict(),
                "blocked": self._execution_blocked(),
                "category": found.code,
                "values": values,
                "texts": self._placeholder_texts(),
                "sources": [
                    {
                        "id": source.id,
                        "name": source.name,
                        **_told(source.command or "", source.language, values),
                    }
                    for source in found.evidence_source_ids
                ],
            }
        )

    def _execution_blocked(self):
        """Say why nothing of this run is to be executed now.

        :return: one sentence, empty when nothing stands in the way
        :rtype: str
        """
        if self.state != "in_progress":
            return self.env._(
                "%(run)s is %(state)s; its steps are worked only while it is in "
                "progress.",
                run=self.display_name,
                state=self._state_label(self.state),
            )
        # The run is pinned to its revision, but that one may have been replaced
        # since, perhaps because a command in it does harm.
        if self.sop_id.state != "approved":
            return self.env._(
                "%(sop)s is %(state)s: its commands are not executed any more. "
                "Cancel %(run)s and open another one, or finish it by hand.",
                sop=self.sop_id.display_name,
                state=self.sop_id._state_label(self.sop_id.state),
                run=self.display_name,
            )
        if not self.step_ids.has_access("write"):
            return self.env._(
                "User %(user)s may read %(run)s, but not work its steps.",
                user=self.env.user.login,
                run=self.display_name,
            )
        return ""

    def _placeholder_texts(self):
        """Return the variables whose text was written by people or by machines.

        They are for the environment of a shell only, never for its input.

        :return: ``{name: text}``; what is not known is left out
        :rtype: dict[str, str]
        """
        last = self.env["qms.sop.run.error"].search_fetch(
            [("run_id", "=", self.id)], ["error_message"], limit=1, order="id desc"
        )
        message = _telling_line(last.error_message or self.summary or "")
        return {"ERROR_MESSAGE": message} if message else {}

    def _plan_steps(self):
        """Return the steps of :meth:`execution_plan`."""
        values = self._placeholder_values()
        categories = self.env["qms.error.category"]._codes_by_id()
        graph = self.sop_id._graph()
        positions = {step_id: i for i, (step_id, _choices) in enumerate(graph)}
        numbers = {row[0]: row[2] for row in self.sop_id._outline()[3]}
        worked = {step.step_id.id: step for step in self.step_ids}
        evidence = dict(
            self.env["qms.sop.run.evidence"]._read_group(
                [("step_id", "in", self.step_ids.ids)], ["step_id"], ["__count"]
            )
            if self.step_ids
            else ()
        )
        plan = []
        for step in self.sop_id.step_ids.sorted():
            run_step = worked.get(step.id, self.env["qms.sop.run.step"])
            if self.id and not run_step:
                # Opened by a plain create(): nobody can work this step yet.
                continue
            position = positions[step.id]
            labels = {choice_id: name for choice_id, name, _to in graph[position][1]}
            plan.append(
                {
                    **_step_texts(step),
                    **_progress(run_step),
                    "number": numbers[step.id],
                    "evidence_count": evidence.get(run_step, 0),
                    "choices": list(labels.values()),
                    "needs_choice": paths.needs_choice(graph, position),
                    "choice": labels.get(run_step.choice_id.id),
                    "commands": [
                        {
                            "id": command.id,
                            "sequence": command.sequence,
                            "name": command.name,
                            "purpose": command.purpose,
                            "category": categories.get(command.category_id.id),
                            "expected_output": command.expected_output or "",
                            **_told(command.command, command.language, values),
                        }
                        for command in step.command_ids.sorted()
                        if not (command.category_id and self.category_id)
                        or command.category_id == self.category_id
                    ],
                }
            )
        return plan


def _head(sop):
    """Return which content a plan is made from."""
    code, version, title, _steps = sop._outline()
    return {
        "code": code,
        "version": version,
        "title": title,
        "state": sop.state,
        "content_hash": sop.content_hash or None,
    }


def _step_texts(step):
    """Return what an SOP says in a step, apart from its commands."""
    return {
        "name": step.name,
        "mandatory": step.mandatory,
        "evidence_required": step.evidence_required,
        "objective": step.objective or "",
        "instructions": step.instructions or "",
        "expected_result": step.expected_result or "",
        "verification": step.verification or "",
        "expected_duration": step.expected_duration,
    }


def _progress(run_step):
    """Return how far a step of a run has come; of an empty one, that it waits."""
    return {
        "id": run_step.id or None,
        "state": run_step.state or "pending",
        "off_path": run_step.off_path,
        "result": run_step.actual_result or None,
        "skip_reason": run_step.skip_reason or None,
        "start_time": to_rfc3339(run_step.start_time),
        "end_time": to_rfc3339(run_step.end_time),
    }


def _told(command, language, values):
    """Return a command for programs and for people.

    :param str command: as it is written
    :param str language: of the command; may be empty
    :param dict values: see :func:`...tools.placeholders.fill`
    :rtype: dict
    """
    return {
        "language": language or "",
        "command": command,
        "sha256": hashlib.sha256(command.encode()).hexdigest(),
        "parts": fill(command, values, language),
    }


def _telling_line(text):
    """Return the line of an error message that can be looked for in a log.

    No leading dash: a program that is given it as an argument (``grep "$…"``)
    would take it for an option.

    :param str text: one line, or a whole traceback
    :rtype: str
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    line = lines[-1 if lines[0].startswith("Traceback") else 0]
    return line[:_MESSAGE_LENGTH].lstrip("- \t")
