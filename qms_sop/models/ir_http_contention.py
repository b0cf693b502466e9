from functools import partial

from odoo import models
from odoo.http import request

from ..tools.contention import run_again_at_once

_ROUTES = ("/web/dataset/call_kw", "/web/dataset/call_button")


class IrHttp(models.AbstractModel):
    """What people do in the web client does not wait when it collides, either."""

    _inherit = "ir.http"

    @classmethod
    def _dispatch(cls, endpoint):
        call = partial(super()._dispatch, endpoint)
        model = str(request.params.get("model"))
        if (
            not request.httprequest.path.startswith(_ROUTES)
            or not model.startswith("qms.")
            or request.env.cr.readonly
        ):
            return call()
        ids = (request.params.get("args") or [None])[0]
        known = isinstance(ids, list) and all(type(one) is int for one in ids)
        names = [f"{model},{record_id}" for record_id in ids] if known else []
        return run_again_at_once(request.env, call, names, _forget_session)


def _forget_session():
    """Take the session as it was, like Odoo where it runs a request again."""
    request.session = request._get_session_and_dbname()[0]
