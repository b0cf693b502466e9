from odoo.http import Controller, request, route

from ..schemas import sop_runs as schemas
from .api import API_ROOT, Answer, api_route
from .problems import Problem

_TAG = "SOP runs"
# log_text may be a log.
_MAX_LOG = 16 * 1024 * 1024


class SopRunController(Controller):
    @api_route(
        "/sop-runs",
        method="POST",
        summary="Open a run",
        tag=_TAG,
        request=schemas.RunCreate,
        response=schemas.OpenedRun,
        status=201,
        max_body=_MAX_LOG,
    )
    def create_run(self, body):
        """Opens a run of the effective revision of an SOP, with all its steps.

        When an open run has the `dedup_key`, that one is returned, with status 200.
        """
        run = request.env["qms.sop.run"]._api_create(
            body.model_dump(exclude_unset=True)
        )
        return Answer(
            run,
            status=200 if run["existing"] else None,
            headers={"Location": run["api_url"]},
        )

    @api_route(
        "/sop-runs/<int:run_id>",
        method="GET",
        summary="Get a run",
        tag=_TAG,
        query=schemas.RunQuery,
        response=schemas.Run,
    )
    def get_run(self, run_id, query):
        """The run's *status link* has a token in place of the id: without a key, it
        tells `{"state": …}` and nothing else.
        """
        return request.env["qms.sop.run"]._api_get(run_id, query)

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


class UnknownController(Controller):
    @route(
        [API_ROOT, f"{API_ROOT}/<path:path>"],
        type="qms_api",
        auth="public",
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        readonly=True,
        save_session=False,
        csrf=False,
        qms_catch_all=True,
    )
    def unknown(self, path=""):
        """Answer everything else under /api/v1 with a problem document."""
        found = request.registry["ir.http"]._qms_allowed_methods(
            request.httprequest.path
        )
        methods = ", ".join(sorted(found))
        if methods:
            raise Problem(
                "method-not-allowed",
                f"{request.httprequest.method} is not possible here; {methods} are.",
                headers=[("Allow", methods)],
            )
        raise Problem("not-found", f"There is nothing at {API_ROOT}/{path}.")
