from odoo import api, models


class QmsNotificationSourceMixin(models.AbstractModel):
    """A record that people are told about.

    It gives the templates plain values, says how grave it is, and which of its
    notifications belong together.
    """

    _name = "qms.notification.source.mixin"
    _description = "Record that people are told about"

    @api.model
    def _notification_names(self):
        """Return what templates about this model may name.

        :return: ``{name: what it is, in a few words}``, the keys of
            :meth:`_notification_values`
        :rtype: dict
        """
        return {
            "name": self.env._("what the record is called"),
            "kind": self.env._("what kind of record it is"),
            "url": self.env._("link to the record"),
            "company": self.env._("company"),
        }

    def _notification_values(self):
        """Return the values of one record for templates, in the language of the env.

        :return: ``{name: text, number, list of texts, or None when it is missing}``
        :rtype: dict
        """
        self.ensure_one()
        company = self._notification_company()
        return {
            "name": self.display_name,
            "kind": self._description,
            "url": self._notification_url(),
            "company": company.name,
        }

    def _notification_url(self):
        """Return the link to one record in Odoo's backend.

        :rtype: str
        """
        return f"{self.get_base_url()}/odoo/{self._name}/{self.id}"

    def _notification_company(self):
        """Return the company that one record belongs to, empty for all of them.

        :rtype: res.company record
        """
        if "company_id" in self._fields:
            return self.company_id
        return self.env["res.company"]

    def _notification_severity(self):
        """Return how grave one record is, as a channel may ask for.

        :rtype: qms.severity record, or an empty one when it has no severity
        """
        return self.env["qms.severity"]

    def _notification_thread(self):
        """Return what the notifications about one record have in common.

        PagerDuty is given it as the deduplication key: what is acknowledged or
        resolved under it is what was triggered under it.

        :rtype: str
        """
        return f"{self._name}:{self.id}"
