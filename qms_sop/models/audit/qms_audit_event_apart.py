import logging

from psycopg2.errors import LockNotAvailable, SerializationFailure

from odoo import api, models
from odoo.exceptions import ConcurrencyError
from odoo.tools import SQL

_logger = logging.getLogger(__name__)

# The transaction that is about to be undone must not be waited for: it may hold the
# head of the very trail, and it goes on only after this.
_PATIENCE = "5s"
_TRIES = 3


class QmsAuditEvent(models.Model):
    _inherit = "qms.audit.event"

    @api.model
    def _record_apart(self, record, kind, **details):
        """Add an event that stays when what this transaction does is undone.

        For refusals and findings, which end in an error. A record that is new in this
        very transaction has no trail yet, and gets no event.

        :param record: see :meth:`_record`
        :param str kind: see :meth:`_record`
        :param details: see :meth:`_record`
        """
        for _try in range(_TRIES):
            try:
                with self.env.registry.cursor() as cr:
                    cr.execute(SQL("SET LOCAL lock_timeout = %s", _PATIENCE))
                    there = record.with_env(self.env(cr=cr, su=True)).exists()
                    if there:
                        there.env[self._name]._record(there, kind, **details)
                return
            except (SerializationFailure, ConcurrencyError):
                continue
            except LockNotAvailable:
                break
        _logger.error(
            "Not in the audit trail, which is locked: %s %s,%s",
            kind,
            record._name,
            record.id,
        )
