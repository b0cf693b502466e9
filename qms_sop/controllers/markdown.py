from werkzeug.exceptions import BadRequest, NotFound

from odoo.exceptions import AccessError
from odoo.http import Controller, content_disposition, request, route


class MarkdownController(Controller):
    @route(
        "/qms_sop/markdown",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=True,
    )
    def download(self, ids=""):
        """Return SOP revisions as files.

        :param str ids: database ids, separated by commas
        :return: a Markdown file for one, a ZIP archive for several
        """
        numbers = ids.split(",")
        if not all(n.isascii() and n.isdecimal() and len(n) < 10 for n in numbers):
            raise BadRequest("ids: give database ids, separated by commas.")
        documents = request.env["qms.sop.document"].browse(map(int, numbers)).exists()
        if not documents:
            raise NotFound("There is no SOP with such an id.")
        try:
            documents.check_access("read")
        except AccessError:
            raise NotFound("There is no SOP with such an id.") from None
        if len(documents) == 1:
            name, data = documents._markdown_filename(), documents._markdown().encode()
            kind = "text/markdown; charset=utf-8"
        else:
            name, data = "sops.zip", documents._markdown_archive()
            kind = "application/zip"
        return request.make_response(
            data,
            [
                ("Content-Type", kind),
                ("Content-Disposition", content_disposition(name)),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )
