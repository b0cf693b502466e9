from werkzeug.exceptions import MethodNotAllowed, NotFound

from odoo.http import Controller, request, route

READ_METHODS = ("GET", "HEAD", "OPTIONS")


class SopRunController(Controller):
    @route(
        "/api/v1/sop-runs/<int:run_id>",
        type="qms_api",
        auth="bearer",
        methods=["GET"],
        readonly=True,
        save_session=False,
    )
    def get_run(self, run_id):
        """Return one run.

        :param int run_id: database id
        :return: the run; see ``qms.sop.run._to_dict``
        """
        if not run_id:
            # browse(0) would be a new record, full of defaults.
            raise NotFound("There is no SOP run with the id 0.")
        return request.env["qms.sop.run"].browse(run_id)._to_dict()

    @route(
        "/api/v1/sop-runs/<string:token>",
        type="qms_api",
        auth="public",
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
            raise NotFound("There is no SOP run with this id or status token.")
        return status

    @route(
        ["/api/v1", "/api/v1/<path:path>"],
        type="qms_api",
        auth="public",
        methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        readonly=True,
        save_session=False,
        csrf=False,
    )
    def unknown(self, path=""):
        """Answer everything else under /api/v1 with a problem document."""
        if path.startswith("sop-runs/") and path.count("/") == 1:
            raise MethodNotAllowed(
                READ_METHODS,
                f"{request.httprequest.method} is not possible on a SOP run.",
            )
        raise NotFound(f"There is nothing at /api/v1/{path}.")
