from urllib.parse import quote

from werkzeug.exceptions import NotFound

from odoo.http import Controller, Response, request, route
from odoo.tools import get_lang

from ..models.status.res_company import PATH

# A visitor who reloads sees what is new after this many seconds at the latest.
_FRESH = 30
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# No session, no cookie: what everybody sees can be kept by any cache on the way.
_OPTIONS = {
    "type": "http",
    "auth": "public",
    "methods": ["GET"],
    "readonly": True,
    "save_session": False,
    "sitemap": False,
}


class StatusPageController(Controller):
    @route(PATH, **_OPTIONS)
    def only(self):
        """The status page that the visitor may see, or the list of several."""
        pages = request.env["qms.status.page"]._pages()
        if len(pages) == 1:
            return self._page(pages)
        if not pages:
            return self._nothing()
        html = request.env["ir.qweb"]._render(
            "qms_incident.status_pages",
            {
                "lang": request.env["qms.status.page"]._language(),
                "pages": [
                    {
                        "title": page.qms_status_title or page.name,
                        "path": page._status_page_path(),
                    }
                    for page in pages
                ],
            },
        )
        everybody = set(pages.mapped("qms_status_page")) == {"everybody"}
        return self._answer(html, "text/html", everybody)

    @route(f"{PATH}/<string:slug>", **_OPTIONS)
    def one(self, slug):
        """The status page of a company.

        :param str slug: the last part of its address
        """
        page = request.env["qms.status.page"]._page(slug)
        return self._page(page) if page else self._nothing(slug)

    @route(f"{PATH}/<string:slug>/feed", **_OPTIONS)
    def feed(self, slug):
        """The status page of a company as an Atom feed.

        :param str slug: the last part of the page's address
        """
        pages = request.env["qms.status.page"]
        page = pages._page(slug)
        if not page:
            raise NotFound
        everybody = page.qms_status_page == "everybody"
        return self._answer(pages._feed(page), "application/atom+xml", everybody)

    @route(
        f"{PATH}/preview",
        type="http",
        auth="user",
        methods=["GET"],
        readonly=True,
        sitemap=False,
    )
    def preview(self, company=""):
        """A status page as visitors would see it, for managers.

        :param str company: database id; the user's company when missing
        """
        known = company.isascii() and company.isdecimal() and len(company) < 10
        page = request.env["qms.status.page"]._previewed(
            int(company) if known else None
        )
        if not page:
            raise NotFound
        return self._page(page, preview=True)

    def _page(self, page, preview=False):
        lang = self._lang(page)
        pages = request.env["qms.status.page"].with_context(lang=lang)
        html = pages.env["ir.qweb"]._render(
            "qms_incident.status_page",
            {"page": pages._content(page.with_context(lang=lang), preview)},
        )
        everybody = page.qms_status_page == "everybody" and not preview
        return self._answer(html, "text/html", everybody)

    def _lang(self, page):
        """Return the language that the visitor prefers, or else that of the company.

        Not that of the user: what caches keep depends on what is asked for only.
        """
        fallback = page.with_context(lang=page.partner_id.lang).env
        return get_lang(fallback, request.best_lang).code

    def _nothing(self, slug=None):
        """Say that there is no page, or have those sign in who may then see it."""
        if request.env["qms.status.page"]._asks_to_sign_in(slug):
            path = quote(request.httprequest.path)
            return request.redirect(f"/web/login?redirect={path}")
        raise NotFound

    def _answer(self, body, mimetype, everybody):
        """Return a response that caches keep for a short while.

        :param body: text or bytes
        :param bool everybody: whether it is the same for every visitor
        """
        if mimetype == "text/html":
            body = f"<!DOCTYPE html>\n{body}"
        response = Response(
            body,
            content_type=f"{mimetype}; charset=utf-8",
            headers=[
                ("Content-Security-Policy", _POLICY),
                ("Referrer-Policy", "no-referrer"),
                ("X-Content-Type-Options", "nosniff"),
                (
                    "Cache-Control",
                    f"public, max-age={_FRESH}" if everybody else "private, no-cache",
                ),
                ("Vary", "Accept-Language" if everybody else "Accept-Language, Cookie"),
            ],
        )
        response.add_etag()
        return response.make_conditional(request.httprequest)
