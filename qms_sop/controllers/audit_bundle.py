from werkzeug.exceptions import NotFound
from werkzeug.wsgi import wrap_file

from odoo.exceptions import AccessError
from odoo.http import Controller, Response, content_disposition, request, route


class AuditBundleController(Controller):
    @route(
        "/qms_sop/audit-bundle/<int:bundle_id>.zip",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=True,
    )
    def download(self, bundle_id):
        """Return an auditor bundle that was made, piece by piece.

        :param int bundle_id: of what was asked for (``qms.audit.bundle``)
        """
        bundle = request.env["qms.audit.bundle"].browse(bundle_id).exists()
        try:
            bundle.check_access("read")
        except AccessError:
            bundle = bundle.browse()
        missing = "There is no such auditor bundle; make it again."
        if bundle.create_uid != request.env.user or not bundle.filename:
            raise NotFound(missing)
        try:
            file = bundle._path().open("rb")
        except FileNotFoundError:
            raise NotFound(missing) from None
        size = file.seek(0, 2)
        file.seek(0)
        return Response(
            wrap_file(request.httprequest.environ, file),
            headers=[
                ("Content-Type", "application/zip"),
                ("Content-Length", size),
                ("Content-Disposition", content_disposition(bundle.filename)),
                ("X-Content-Type-Options", "nosniff"),
                ("X-Manifest-SHA256", bundle.manifest_sha256),
            ],
            direct_passthrough=True,
        )
