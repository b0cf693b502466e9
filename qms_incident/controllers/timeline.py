from werkzeug.exceptions import NotFound

from odoo.exceptions import AccessError
from odoo.http import Controller, content_disposition, request, route

_TYPES = {"csv": "text/csv; charset=utf-8", "md": "text/markdown; charset=utf-8"}
_FORMATS = {"csv": "csv", "md": "markdown"}


class IncidentTimelineController(Controller):
    @route(
        ["/qms_incident/timeline/<int:incident_id>.<any(csv,md):ending>"],
        type="http",
        auth="user",
        methods=["GET"],
        readonly=True,
    )
    def download(self, incident_id, ending):
        """Return the timeline of an incident as a file.

        :param int incident_id: database id
        :param str ending: ``csv`` or ``md`` (Markdown)
        """
        incident = request.env["qms.incident"].browse(incident_id).exists()
        try:
            incident.check_access("read")
        except AccessError:
            incident = incident.browse()
        if not incident:
            raise NotFound("There is no such incident, or you may not see it.")
        table = incident.export_timeline(_FORMATS[ending])
        return request.make_response(
            table["content"],
            headers=[
                ("Content-Type", _TYPES[ending]),
                ("Content-Disposition", content_disposition(table["name"])),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )
