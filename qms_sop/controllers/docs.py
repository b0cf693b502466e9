from odoo.http import Controller, Response, request

from ..tools import api_docs
from ..tools.markdown import to_html
from .api import api_route
from .openapi import current_document
from .problems import PROBLEMS


class DocsController(Controller):
    @api_route(
        "/docs",
        method="GET",
        summary="The reference, for people",
        tag="About",
        auth="public",
        produces="text/html",
    )
    def docs(self):
        """A page made of the OpenAPI document; it loads nothing from elsewhere."""
        document = current_document()
        page = request.env["ir.qweb"]._render(
            "qms_sop.api_docs",
            {
                "about": to_html(document["info"]["description"]),
                "base_url": document["servers"][0]["url"],
                "chapters": api_docs.chapters(document),
                "objects": api_docs.objects(document),
                "problems": PROBLEMS,
                "to_html": to_html,
            },
        )
        return Response(
            f"<!doctype html>\n{page}",
            headers=[
                ("Content-Type", "text/html; charset=utf-8"),
                ("Cache-Control", "no-cache"),
                (
                    "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
                    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                ),
            ],
        )
