from odoo import api, models
from odoo.exceptions import MissingError, ValidationError
from odoo.fields import Domain

from ...tools.faults import at_field
from ...tools.paging import page, slice_page
from ...tools.values import to_rfc3339
from .qms_sop_run_clock import CLOCK_COLUMNS

# The columns that a run is made of in the API; one query reads them.
_COLUMNS = (
    "name",
    "state",
    "severity_id",
    "category_id",
    "error_code_id",
    "sop_id",
    "trigger",
    "source",
    "summary",
    "user_id",
    "start_time",
    "end_time",
    "duration",
    "resolution",
    "resolution_time",
    "state_reason",
    "lock_version",
    *CLOCK_COLUMNS,
)
# Filters that name records by their codes
_NAMED = {
    "severity": "qms.severity",
    "category": "qms.error.category",
    "error_code": "qms.error.code",
}
# Those who read later want to know why.
_NEED_REASON = ("on_hold", "failed", "cancelled")
_PARTS = {
    "errors": "qms.sop.run.error",
    "evidence": "qms.sop.run.evidence",
    "rca": "qms.rca",
}


class QmsSopRun(models.Model):
    """What /api/v1 does with runs: one method for each of its operations."""

    _inherit = "qms.sop.run"

    _api_columns = _COLUMNS

    # === Reading ===

    @api.model
    def _api_get(self, run_id, query):
        """Return one run, its entity tag, and whether it changes with time.

        :param int run_id: database id
        :param query: see ``schemas.sop_runs.RunQuery``
        :rtype: tuple[dict, str, bool]
        """
        run = self._api_find(run_id)
        return run._api_items(query)[0], run._api_etag(), run._api_changes_with_time()

    def _api_items(self, query):
        return self._api_dicts(query.include, query.fields)

    @api.model
    def _api_domain(self, query):
        """Return the domain of the filters of a list."""
        domain = self._api_named(query, _NAMED)
        for name in ("state", "trigger"):
            if values := getattr(query, name):
                domain &= Domain(name, "in", values)
        if query.sop_code:
            domain &= Domain("sop_id", "in", self._api_revisions(query.sop_code))
        if query.started_after:
            domain &= Domain("start_time", ">=", query.started_after)
        if query.started_before:
            domain &= Domain("start_time", "<", query.started_before)
        if query.q:
            domain &= Domain.OR(
                Domain(name, "ilike", query.q) for name in ("name", "summary", "source")
            )
        return domain

    @api.model
    def _api_revisions(self, codes):
        """Return the ids of all revisions of some SOPs."""
        documents = self.env["qms.sop.document"].with_context(active_test=False)
        found = documents.search_fetch(Domain("code", "in", codes), ["code"])
        if unknown := set(codes) - set(found.mapped("code")):
            with at_field("sop_code"):
                raise ValidationError(
                    self.env._(
                        "There is no SOP with the code %(code)s.",
                        code=", ".join(map(repr, sorted(unknown))),
                    )
                )
        return found.ids

    def _api_dicts(self, include=None, names=None):
        """Return runs in plain values, in as many queries for many as for one.

        :param include: what belongs to a run and is wanted with it: ``steps``,
            ``errors``, ``evidence``, ``rca``
        :param names: the only fields that are wanted; ``id`` always is
        :rtype: list[dict]
        """
        include = set(include or ())
        parts = {
            name: self.env[_PARTS[name]]._api_by_run(self)
            for name in _PARTS
            if name in include
        }
        result = []
        for run in self:
            values = run._to_dict(steps="steps" in include)
            for name, by_run in parts.items():
                values[name] = by_run.get(run.id, [])
            if names:
                kept = {"id", *names, *include}
                values = {name: values[name] for name in values if name in kept}
            result.append(values)
        return result

    # === Changing ===

    @api.model
    def _api_create(self, values):
        """Open a run.

        :param dict values: the arguments of :meth:`start_run`
        :return: the run with its steps and whether it was open already, and its
            entity tag
        :rtype: tuple[dict, str]
        """
        run, existing = self._start(**values)
        return {**run._to_dict(steps=True), "existing": existing}, run._api_etag()

    @api.model
    def _api_update(self, run_id, values, if_match=None):
        """Change what a run says; ``None`` blanks it.

        :param int run_id: database id
        :param dict values: what is given of ``schemas.sop_runs.RunUpdate``
        :param if_match: entity tags, one of which has to be the run's
        :return: the run with its steps, and its entity tag
        :rtype: tuple[dict, str]
        :raises StaleVersionError: when the run was changed meanwhile
        """
        run = self._api_find(run_id, if_match)
        named = ("error_code", "severity", "category")
        changes = self._classification(*(values.get(name) for name in named))
        for name in named:
            if name in values and values[name] is None:
                changes[f"{name}_id"] = False
        for name, field in (
            ("summary", "summary"),
            ("resolution", "resolution"),
            ("resolution_time_seconds", "resolution_time"),
        ):
            if name in values:
                changes[field] = False if values[name] is None else values[name]
        run.write(changes)
        return run._to_dict(steps=True), run._api_etag()

    @api.model
    def _api_transition(self, run_id, values, if_match=None):
        """Move a run on to another state.

        :param int run_id: database id
        :param dict values: what is given of ``schemas.sop_runs.Transition``
        :param if_match: as for :meth:`_api_update`
        :return: the run with its steps, and its entity tag
        :rtype: tuple[dict, str]
        :raises UserError: when the transition does not exist, or something is
            missing for it
        """
        run = self._api_find(run_id, if_match)
        state = values["state"]
        changes = {"state": state}
        if state in _NEED_REASON:
            self._check_reason(values.get("reason"))
            changes["state_reason"] = values["reason"]
        for name, field in (
            ("resolution", "resolution"),
            ("resolution_time_seconds", "resolution_time"),
        ):
            if values.get(name) is not None:
                changes[field] = values[name]
        with at_field("state"):
            if state == run.state:
                # A write of the same state is nothing to the model, but the client
                # thinks that something happens.
                run._check_transition(state, state)
            run.write(changes)
        return run._to_dict(steps=True), run._api_etag()

    # === What belongs to a run ===

    @api.model
    def _api_steps(self, run_id):
        """Return the steps of a run, and the run's entity tag.

        :param int run_id: database id
        :rtype: tuple[list[dict], str]
        """
        run = self._api_find(run_id)
        return run._to_dict(steps=True)["steps"], run._api_etag()

    @api.model
    def _api_step(self, run_id, number):
        """Return one step of a run, and the run's entity tag.

        :param int run_id: database id
        :param int number: of the step, from 1
        :rtype: tuple[dict, str]
        :raises MissingError: when the run has no such step
        """
        run = self._api_find(run_id)
        return run._api_step_dict(number), run._api_etag()

    def _api_step_dict(self, number):
        for step in self._to_dict(steps=True)["steps"]:
            if step["number"] == number:
                return step
        raise MissingError(
            self.env._(
                "%(run)s has no step %(number)s.",
                run=self.display_name,
                number=number,
            )
        )

    @api.model
    def _api_update_step(self, run_id, number, values, if_match=None):
        """Move one step of a run on.

        :param int run_id: database id
        :param int number: of the step, from 1
        :param dict values: what is given of ``schemas.sop_runs.StepUpdate``
        :param if_match: as for :meth:`_api_update`
        :return: the step, and the run's entity tag
        :rtype: tuple[dict, str]
        """
        run = self._api_find(run_id, if_match)
        run._api_step_dict(number)
        run.update_step(number, **values)
        return run._api_step_dict(number), run._api_etag()

    @api.model
    def _api_parts(self, run_id, name, query):
        """Return one page of the errors, the evidence or the analyses of a run.

        :param int run_id: database id
        :param str name: ``errors``, ``evidence`` or ``rca``
        :param query: a page
        :return: ``items`` and ``next_cursor``
        :rtype: dict
        """
        run = self._api_find(run_id)
        parts, cursor = page(
            self.env[_PARTS[name]],
            Domain("run_id", "=", run.id),
            query,
            sort="id",
            filters=[run.id],
        )
        return {"items": parts._api_dicts(), "next_cursor": cursor}

    @api.model
    def _api_part(self, run_id, name, part_id):
        """Return one error, piece of evidence or analysis of a run.

        :param int run_id: database id
        :param str name: ``errors``, ``evidence`` or ``rca``
        :param int part_id: database id
        :return: the record
        :raises MissingError: when the run has none with that id
        """
        run = self._api_find(run_id)
        part = self.env[_PARTS[name]].search_fetch(
            Domain("id", "=", part_id) & Domain("run_id", "=", run.id), limit=1
        )
        if not part:
            raise MissingError(
                self.env._(
                    "%(run)s has nothing with the id %(id)s there.",
                    run=run.display_name,
                    id=part_id,
                )
            )
        return part

    @api.model
    def _api_add_error(self, run_id, values):
        """Record an error that a run met.

        :param int run_id: database id
        :param dict values: the arguments of :meth:`log_error`
        :rtype: dict
        """
        run = self._api_find(run_id)
        number = values.get("step")
        with at_field("step"):
            step = run._step(number) if number is not None else None
        error = run._log_error(values["error_message"], values.get("error_code"), step)
        return error._api_dicts()[0]

    @api.model
    def _api_add_evidence(self, run_id, values):
        """Attach a file or captured output to a run.

        :param int run_id: database id
        :param dict values: the arguments of :meth:`add_evidence`
        :return: the evidence, and ``classification``
        :rtype: dict
        """
        run = self._api_find(run_id)
        number = values.get("step")
        with at_field("step"):
            step = run._step(number) if number is not None else None
        evidence = self.env["qms.sop.run.evidence"].create(
            {
                "run_id": run.id,
                "step_id": step.id if step else False,
                "name": values["name"],
                "datas": values["content"],
                "source": values.get("source") or False,
                "mimetype": values.get("mimetype") or False,
            }
        )
        matches = evidence._classify_run() if values.get("classify") else []
        return {
            **evidence._api_dicts()[0],
            "classification": [
                {
                    **match,
                    "code": match["code"] or None,
                    "severity": match["severity"] or None,
                }
                for match in matches
            ],
        }

    @api.model
    def _api_add_rca(self, run_id, values):
        """Record the root-cause analysis of a run.

        :param int run_id: database id
        :param dict values: the arguments of :meth:`record_rca`
        :rtype: dict
        """
        run = self._api_find(run_id)
        return self.env["qms.rca"]._record(run, **values)._api_dicts()[0]

    # === Events ===

    @api.model
    def _api_events(self, run_id, query):
        """Return one page of what happened in a run, the first thing first.

        :param int run_id: database id
        :param query: a page
        :return: ``items`` and ``next_cursor``
        :rtype: dict
        """
        run = self._api_find(run_id)
        events, cursor = slice_page(
            run._timeline(),
            query,
            lambda event: [event["at"], event["id"]],
            filters=[run.id],
        )
        return {"items": events, "next_cursor": cursor}

    def _timeline(self):
        """Return what happened in one run, as far as its records tell.

        That is: what stands with a time in the run, its steps, errors, evidence and
        analyses. Where a step was taken up again, only its last try is known.

        :return: dicts with ``id`` (unique in the run), ``at`` (RFC 3339), ``type``,
            ``step`` (number), ``detail`` and ``user_id``, in order
        :rtype: list[dict]
        """
        self.ensure_one()
        numbers = {row[0]: row[2] for row in self.sop_id._outline()[3]}
        events = []

        def add(order, key, kind, at, detail=None, user=None, step=None):
            if at:
                events.append(
                    (
                        order,
                        {
                            "id": f"{order:02d}-{kind}-{key}",
                            "at": to_rfc3339(at),
                            "type": kind,
                            "step": numbers.get(step.step_id.id) if step else None,
                            "detail": detail or None,
                            "user_id": user.id if user else None,
                        },
                    )
                )

        add(0, self.id, "run.opened", self.create_date, self.source, self.create_uid)
        add(1, self.id, "run.started", self.start_time)
        for step in self.step_ids:
            add(2, step.id, "step.started", step.start_time, None, step.user_id, step)
            if step.state in ("completed", "failed", "skipped"):
                detail = (
                    step.skip_reason if step.state == "skipped" else step.actual_result
                )
                kind = f"step.{step.state}"
                add(6, step.id, kind, step.end_time, detail, step.user_id, step)
        for error in self.error_ids:
            detail = f"{error.error_code_id.name}: {error.error_message}"
            at, user = error.occurred_at, error.user_id
            add(4, error.id, "error.logged", at, detail, user, error.step_id)
        for proof in self.evidence_ids:
            at, user = proof.collected_at, proof.user_id
            add(5, proof.id, "evidence.added", at, proof.name, user, proof.step_id)
        for rca in self.rca_ids:
            at, user = rca.create_date, rca.create_uid
            add(7, rca.id, "rca.recorded", at, rca.root_cause, user)
            add(8, rca.id, "rca.confirmed", rca.confirmed_on, None, rca.confirmed_by_id)
        if self.state in self._locked_states:
            detail = self.resolution if self.state == "completed" else self.state_reason
            add(9, self.id, f"run.{self.state}", self.end_time, detail)
        return [
            event
            for _order, event in sorted(
                events, key=lambda entry: (entry[1]["at"], entry[1]["id"])
            )
        ]
