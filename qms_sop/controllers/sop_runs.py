from odoo.http import Controller, request, route

from ..schemas import sop_runs as schemas
from ..schemas.common import PageQuery
from .api import API_ROOT, MERGE_PATCH, Answer, api_route
from .problems import Problem

_TAG = "SOP runs"
# log_text may be a log.
_MAX_LOG = 16 * 1024 * 1024


class SopRunController(Controller):
    @api_route(
        "/sop-runs",
        method="GET",
        summary="List runs",
        tag=_TAG,
        query=schemas.RunListQuery,
        response=schemas.RunPage,
    )
    def list_runs(self, query):
        """Filters take several values, separated by commas; all filters have to fit.
        Runs that are archived are left out.
        """
        return request.env["qms.sop.run"]._api_list(query)

    @api_route(
        "/sop-runs",
        method="POST",
        summary="Open a run",
        tag=_TAG,
        request=schemas.RunCreate,
        response=schemas.OpenedRun,
        status=201,
        also={200: schemas.OpenedRun},
        etag=True,
        max_body=_MAX_LOG,
    )
    def create_run(self, body):
        """Opens a run of the effective revision of an SOP, with all its steps.

        When an open run has the `dedup_key`, that one is returned, with status 200.
        """
        run, etag = request.env["qms.sop.run"]._api_create(body.given())
        return Answer(
            run,
            status=200 if run["existing"] else None,
            headers={"Location": run["api_url"]},
            etag=etag,
        )

    @api_route(
        "/sop-runs/<int:run_id>",
        method="GET",
        summary="Get a run",
        tag=_TAG,
        query=schemas.RunQuery,
        response=schemas.Run,
        etag=True,
    )
    def get_run(self, run_id, query):
        """The run's *status link* has a token in place of the id: without a key, it
        tells `{"state": …}` and nothing else.
        """
        run, etag, timed = request.env["qms.sop.run"]._api_get(run_id, query)
        return Answer(run, etag=etag, timed=timed)

    @api_route(
        "/sop-runs/<int:run_id>",
        method="PATCH",
        summary="Change a run",
        tag=_TAG,
        request=schemas.RunUpdate,
        response=schemas.Run,
        media=MERGE_PATCH,
        if_match=True,
        etag=True,
    )
    def update_run(self, run_id, body, if_match):
        """Changes what the run says; its state is changed by a transition. A finished
        run can no longer be changed. Its times are corrected here, with a `reason`;
        that something happens now is told as a milestone.
        """
        run, etag = request.env["qms.sop.run"]._api_update(
            run_id, body.given(), if_match
        )
        return Answer(run, etag=etag)

    @api_route(
        "/sop-runs/<int:run_id>/transitions",
        method="POST",
        summary="Move a run on to another state",
        tag=_TAG,
        request=schemas.Transition,
        response=schemas.Run,
        if_match=True,
        etag=True,
    )
    def move_run(self, run_id, body, if_match):
        """A draft goes to `in_progress` or `cancelled`; from `in_progress` a run goes
        to `on_hold`, `completed`, `failed` or `cancelled`, from `on_hold` back to
        `in_progress`, to `failed` or `cancelled`.

        It completes only when every mandatory step is done and none has failed;
        otherwise the answer names what is missing.
        """
        run, etag = request.env["qms.sop.run"]._api_transition(
            run_id, body.given(), if_match
        )
        return Answer(run, etag=etag)

    @api_route(
        "/sop-runs/<int:run_id>/milestones",
        method="POST",
        summary="Tell that a run was acknowledged, mitigated or resolved",
        tag=_TAG,
        request=schemas.Milestone,
        response=schemas.Run,
        if_match=True,
        etag=True,
        status=200,
    )
    def reach_milestone(self, run_id, body, if_match):
        """Each stops one of the run's clocks: `acknowledged` that of the response,
        `mitigated` that of the mitigation, `resolved` that of the resolution. Whoever
        tells of one has acknowledged the run, if nobody had.
        """
        run, etag = request.env["qms.sop.run"]._api_reach(
            run_id, body.given(), if_match
        )
        return Answer(run, etag=etag)

    @api_route(
        "/sop-runs/<int:run_id>/events",
        method="GET",
        summary="List what happened in a run",
        tag=_TAG,
        query=PageQuery,
        response=schemas.EventPage,
    )
    def list_events(self, run_id, query):
        """The timeline of the run, as far as its records tell it."""
        return request.env["qms.sop.run"]._api_events(run_id, query)

    @route(
        f"{API_ROOT}/sop-runs/<string:token>",
        type="qms_api",
        auth="qms_status",
        methods=["GET"],
        readonly=True,
        save_session=False,
    )
    def get_status(self, token):
        """Return the state of a run to whoever has its status link.

        The verification command of SOP-TRIAGE-001 sends no key; with a status
        token for ``RUN_ID`` it works as it stands there.

        :param str token: the status token
        :return: ``{"state": …}``
        """
        status = request.env["qms.sop.run"]._by_status_token(token)
        if not status:
            raise Problem(
                "not-found", "There is no SOP run with this id or status token."
            )
        return status
