from odoo import api, fields, models
from odoo.tools import format_datetime


class QmsPaperReport(models.AbstractModel):
    """What the printed reports of this product have in common.

    A report inherits this in the model that prepares its values
    (``report.<module>.<template>``), calls the template
    ``qms_error_code.paper_style`` for its looks, and gets a line with the page
    number at the foot of every page.
    """

    _name = "qms.paper.report"
    _description = "Printed report"

    # Whether several records make one document, instead of one each.
    _together = False

    @api.model
    def _footer_text(self, records):
        """Return the line at the foot of every page.

        :param records: what is printed: one record, unless ``_together``
        :rtype: str
        """
        return self._printed_text()

    @api.model
    def _records(self, model, docids, data):
        """Return the records to print, which the user may read.

        :param str model: their model
        :param docids: database ids, as ``_get_report_values`` gets them
        :param data: ditto; holds the ids where ``_together``
        :raises AccessError: when the user may not read one of them
        """
        ids = docids or (data or {}).get("record_ids") or []
        records = self.env[model].browse(ids).exists()
        records.check_access("read")
        return records

    @api.model
    def _zone(self):
        """Return the name of the time zone that times are printed in.

        :rtype: str
        """
        return self.env.user.tz or "UTC"

    @api.model
    def _time(self, value, form="yyyy-MM-dd HH:mm:ss"):
        """Return a time as it is printed: year first, in the zone of the user.

        :param value: naive ``datetime`` in UTC, or a false value
        :param str form: a pattern of CLDR; ``xxx`` is the offset from UTC
        :rtype: str
        """
        return format_datetime(self.env, value, self._zone(), form)

    @api.model
    def _printed_text(self):
        """Return when and by whom this is being printed.

        :rtype: str
        """
        return self.env._(
            "printed %(now)s (%(zone)s) by %(user)s",
            now=self._time(fields.Datetime.now(), "yyyy-MM-dd HH:mm"),
            zone=self._zone(),
            user=self.env.user.name,
        )
