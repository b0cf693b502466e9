import tempfile

from werkzeug.exceptions import NotFound
from werkzeug.wsgi import wrap_file

from odoo.exceptions import AccessError
from odoo.http import Controller, Response, content_disposition, request, route

# What is larger goes to the disk while it is made and sent.
_IN_MEMORY = 1024 * 1024


class RunHistoryController(Controller):
    @route(
        [
            "/qms_sop/run-history/<int:history_id>.<any(csv,xlsx):kind>",
        ],
        type="http",
        auth="user",
        methods=["GET"],
        readonly=True,
    )
    def download(self, history_id, kind):
        """Return the runs of a period as a file.

        :param int history_id: of what was asked for (``qms.sop.run.history``)
        :param str kind: ``csv`` or ``xlsx``
        """
        history = request.env["qms.sop.run.history"].browse(history_id).exists()
        try:
            history.check_access("read")
        except AccessError:
            history = history.browse()
        if not history:
            raise NotFound("There is no such run history; ask for it again.")
        stream = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)
        name, mimetype = history._write(kind, stream)
        size = stream.tell()
        stream.seek(0)
        return Response(
            wrap_file(request.httprequest.environ, stream),
            headers=[
                ("Content-Type", mimetype),
                ("Content-Length", size),
                ("Content-Disposition", content_disposition(name)),
                ("X-Content-Type-Options", "nosniff"),
            ],
            direct_passthrough=True,
        )
