from odoo.http import Controller, request, route

from .api import API_ROOT
from .problems import Problem


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
