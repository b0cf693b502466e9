"""The least an authenticated API can do: read one record and return it."""

from odoo import http
from odoo.http import request


class Yardstick(http.Controller):
    """What ``GET /api/v1/sop-runs/<id>`` is measured against."""

    @http.route(
        "/bench/v1/industries/<int:industry_id>",
        type="http",
        auth="bearer",
        methods=["GET"],
        readonly=True,
    )
    def industry(self, industry_id):
        """Return the stored fields of one ``res.partner.industry`` as JSON.

        :param int industry_id: id of an existing record
        """
        industry = request.env["res.partner.industry"].browse(industry_id)
        return request.make_json_response(
            industry.read(["name", "full_name", "active"])[0]
        )
