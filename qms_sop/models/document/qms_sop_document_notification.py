from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.fields import Domain

_EVENT = "document_review_due"


class QmsSopDocument(models.Model):
    """Channels hear of reviews that fall due; those responsible get an activity."""

    _name = "qms.sop.document"
    _inherit = ["qms.sop.document", "qms.notification.source.mixin"]

    @api.model
    def _notification_names(self):
        return {
            **super()._notification_names(),
            "code": self.env._("code of the SOP"),
            "version": self.env._("version of the SOP"),
            "title": self.env._("title of the SOP"),
            "owner": self.env._("owner of the SOP"),
            "review_date": self.env._("when it is to be reviewed"),
        }

    def _notification_values(self):
        return {
            **super()._notification_values(),
            "code": self.code,
            "version": self.version,
            "title": self.name,
            "owner": self.owner,
            "review_date": fields.Date.to_string(self.review_date) or None,
        }

    def _notification_url(self):
        return f"{self.get_base_url()}/odoo/qms-sops/{self.id}"

    @api.model
    def _cron_announce_reviews(self):
        self._tell_reviews()
        return super()._cron_announce_reviews()

    @api.model
    def _tell_reviews(self):
        """Tell the channels that want to know of reviews that fall due soon, once."""
        if not self.env["qms.notification.channel"]._subscribed(_EVENT):
            return
        limit = fields.Date.context_today(self) + relativedelta(
            days=self._notice_days()
        )
        for document in self.search(
            Domain("state", "=", "approved") & Domain("review_date", "<=", limit)
        ):
            self.env["qms.notification"]._publish(
                _EVENT,
                document,
                key=f"document:{document.id}:review:{document.review_date}",
            )
