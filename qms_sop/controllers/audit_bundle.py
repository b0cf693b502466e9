import tempfile

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
    )
    def download(self, bundle_id):
        """Return an auditor bundle, piece by piece from a temporary file.

        :param int bundle_id: of what was asked for (``qms.audit.bundle``)
        """
        bundle = request.env["qms.audit.bundle"].browse(bundle_id).exists()
        try:
            bundle.check_access("read")
        except AccessError:
            bundle = bundle.browse()
        if bundle.create_uid != request.env.user:
            raise NotFound("There is no such auditor bundle; ask for it again.")
        file = tempfile.TemporaryFile()
        name, manifest = bundle._write(file)
        size = file.tell()
        file.seek(0)
        return Response(
            wrap_file(request.httprequest.environ, file),
            headers=[
                ("Content-Type", "application/zip"),
                ("Content-Length", size),
                ("Content-Disposition", content_disposition(name)),
                ("X-Content-Type-Options", "nosniff"),
                ("X-Manifest-SHA256", manifest),
            ],
            direct_passthrough=True,
        )
