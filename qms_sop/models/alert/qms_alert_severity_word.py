from odoo import api, fields, models
from odoo.exceptions import ValidationError


class QmsAlertSeverityWord(models.Model):
    """What monitoring systems call a severity, where it is not our word.

    Codes, aliases and names of severities (critical, P1, …) need no entry.
    """

    _name = "qms.alert.severity.word"
    _description = "Severity word of alerts"
    _order = "name"

    name = fields.Char("Word", required=True)
    severity_id = fields.Many2one("qms.severity", required=True, ondelete="cascade")

    _name_uniq = models.UniqueIndex(
        "(lower(name))", "There is already an entry for this word."
    )

    @api.model
    def _by_word(self):
        """Return the severities by the words for them.

        :return: ``{word in lower case: id of a qms.severity}``
        :rtype: dict
        """
        return {
            word.name.strip().lower(): word.severity_id.id
            for word in self.search_fetch([], ["name", "severity_id"])
        }

    @api.model
    def _find(self, text, words):
        """Return the severity that a word of an alert stands for.

        :param str text: as the alert has it
        :param dict words: what :meth:`_by_word` returns
        :return: a severity, or none
        :rtype: qms.severity record
        """
        severities = self.env["qms.severity"]
        text = (text or "").strip().lower()
        if not text:
            return severities
        if text in words:
            return severities.browse(words[text])
        try:
            return severities._resolve(text)
        except ValidationError:
            return severities
