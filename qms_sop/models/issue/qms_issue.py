import logging
import uuid
from datetime import timedelta
from functools import partial

from markupsafe import Markup
from psycopg2 import OperationalError

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.modules.registry import Registry
from odoo.tools import SQL

from odoo.addons.qms_error_code.tools.arguments import checked

from ...tools import github
from ...tools.markdown import to_html
from ...tools.values import without_none

_logger = logging.getLogger(__name__)

# Minutes after the first, the second … failure; after the last it is given up.
BACK_OFF = (1, 5, 15, 60, 240)
# Minutes after which a worker that took an issue is believed to have died
LEASE = 5
_AT_ONCE = 10
CRON = "qms_sop.ir_cron_issues"


class QmsIssue(models.Model):
    """An issue that was asked for, and where it is.

    It is written in the transaction that asks for it, and made right after that has
    been committed, by a worker if that fails. As GitHub knows no idempotency keys, the
    body carries a mark: before it is tried again, it is looked for among the newest.
    """

    _name = "qms.issue"
    _description = "Issue"
    _inherit = ["qms.audit.mixin"]
    _order = "id desc"
    _rec_name = "title"

    _audit_ignored = frozenset(
        {"mark", "attempts", "next_try_at", "claimed_at", "res_model", "res_id"}
    )
    _audit_initial = {"state": "queued"}
    _audit_reasons = ("error",)

    tracker_id = fields.Many2one(
        "qms.issue.tracker", required=True, readonly=True, ondelete="restrict"
    )
    repository = fields.Char(related="tracker_id.repository")
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True
    )
    res_model = fields.Char("Kind of record", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        "Record", model_field="res_model", required=True, readonly=True
    )
    source = fields.Char("About", compute="_compute_source")
    title = fields.Char(required=True, readonly=True)
    body = fields.Text(required=True, readonly=True)
    body_html = fields.Html("Text", compute="_compute_body_html", sanitize=False)
    labels = fields.Char(readonly=True)
    state = fields.Selection(
        [
            ("queued", "Waiting"),
            ("sending", "Being made"),
            ("made", "Made"),
            ("failed", "Given up"),
        ],
        required=True,
        readonly=True,
        default="queued",
        index=True,
    )
    number = fields.Integer(readonly=True, aggregator=None)
    url = fields.Char("Link", readonly=True)
    reference = fields.Char("Issue", compute="_compute_reference")
    error = fields.Text("Problem", readonly=True)
    attempts = fields.Integer(readonly=True, aggregator=None)
    next_try_at = fields.Datetime("Next try", readonly=True)
    claimed_at = fields.Datetime(readonly=True)
    mark = fields.Char(readonly=True, default=lambda self: f"qms-issue:{uuid.uuid4()}")
    user_id = fields.Many2one("res.users", "Asked for by", readonly=True)

    _source_uniq = models.UniqueIndex(
        "(tracker_id, res_model, res_id)",
        "There is an issue for this record in that tracker already.",
    )
    _source_idx = models.Index("(res_model, res_id)")
    _waiting_idx = models.Index("(next_try_at) WHERE state IN ('queued', 'sending')")

    # === Computes ===

    def _compute_source(self):
        for issue in self:
            # sudo: the name only
            record = issue._source().sudo()
            issue.source = record.display_name if record.exists() else False

    @api.depends("body")
    def _compute_body_html(self):
        for issue in self:
            issue.body_html = self._shown(issue.body)

    @api.model
    def _shown(self, body):
        """Return the text of an issue as GitHub shows it, with boxes to tick.

        :param str body: Markdown
        :rtype: markupsafe.Markup
        """
        return to_html(body).replace(Markup("<li>[ ] "), Markup("<li>☐ "))

    @api.depends("number", "tracker_id.repository")
    def _compute_reference(self):
        for issue in self:
            issue.reference = issue.number and f"{issue.repository}#{issue.number}"

    def _source(self):
        self.ensure_one()
        return self.env[self.res_model].browse(self.res_id)

    def _audit_root(self):
        return self._source()

    def _audit_name(self):
        return f"{self.repository}: {self.title}"

    # === Buttons ===

    def action_open(self):
        """Open the issue at GitHub."""
        self.ensure_one()
        return {"type": "ir.actions.act_url", "url": self.url, "target": "new"}

    def action_view_source(self):
        """Open the record that the issue is about."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "view_mode": "form",
        }

    def action_retry(self):
        """Try again to make issues that were given up.

        :raises UserError: when one was made already
        """
        for issue in self:
            issue._source().check_access("write")
            if issue.state not in ("failed", "queued"):
                raise UserError(
                    self.env._("%(issue)s was made already.", issue=issue.title)
                )
        # sudo: nobody writes issues; who may write what they are about may retry.
        self.sudo().write(
            {
                "state": "queued",
                "next_try_at": fields.Datetime.now(),
            }
        )
        self._send_after_commit()
        return True

    # === RPC ===

    @api.readonly
    @checked
    def get_issue(self) -> dict:
        """Return one issue.

        :return: ``id``, ``state`` (queued, sending, made, failed), ``repository``,
            ``number``, ``url``, ``title``, ``labels``, ``error``; ``False`` where
            there is nothing yet
        """
        if len(self) != 1 or not self.exists():
            raise UserError(self.env._("Exactly one issue id is needed."))
        return without_none(self._to_dict())

    def _to_dict(self):
        return {
            "id": self.id,
            "state": self.state,
            "repository": self.repository,
            "number": self.number or None,
            "url": self.url or None,
            "title": self.title,
            "labels": [label for label in (self.labels or "").split(", ") if label],
            "error": self.error or None,
        }

    # === Asking for one ===

    @api.model
    def _ask(self, record, tracker, title, body, labels):
        """Ask for an issue about a record, once.

        :param record: one record that the user may write
        :param tracker: qms.issue.tracker record
        :param str title: one line
        :param str body: Markdown
        :param labels: list of str
        :return: the issue, and whether there was one already
        :rtype: tuple[qms.issue, bool]
        """
        record.ensure_one()
        record.check_access("write")
        # sudo: nobody writes issues by hand.
        issues = self.sudo()
        found = issues.search(
            Domain("tracker_id", "=", tracker.id)
            & Domain("res_model", "=", record._name)
            & Domain("res_id", "=", record.id),
            limit=1,
        )
        if found:
            return found.sudo(False), True
        self._check_content(title, body, labels)
        issue = issues.create(
            {
                "tracker_id": tracker.id,
                "company_id": (record.company_id or self.env.company).id,
                "res_model": record._name,
                "res_id": record.id,
                "title": title.strip(),
                "body": body.strip(),
                "labels": ", ".join(labels) or False,
                "next_try_at": fields.Datetime.now(),
                "user_id": self.env.uid,
            }
        )
        issue._send_after_commit()
        return issue.sudo(False), False

    @api.model
    def _check_content(self, title, body, labels):
        """Refuse what GitHub would refuse."""
        title = title.strip()
        if not title or "\n" in title or len(title) > github.TITLE_LIMIT:
            raise ValidationError(
                self.env._(
                    "title: give one line of up to %(limit)s characters.",
                    limit=github.TITLE_LIMIT,
                )
            )
        # The mark comes on top.
        limit = github.BODY_LIMIT - 200
        if not body.strip() or len(body) > limit:
            raise ValidationError(
                self.env._(
                    "body: give a text of up to %(limit)s characters; it has %(size)s.",
                    limit=limit,
                    size=len(body.strip()),
                )
            )
        for label in labels:
            if not label.strip() or "," in label or len(label) > github.LABEL_LIMIT:
                raise ValidationError(
                    self.env._(
                        "labels: “%(label)s” is not accepted; give up to %(limit)s "
                        "characters without a comma.",
                        label=label,
                        limit=github.LABEL_LIMIT,
                    )
                )

    def _send_after_commit(self):
        """Have issues made once this transaction is committed.

        At once by this process; by the worker, should it not live to do so.
        """
        # sudo: jobs are the administrator's.
        cron = self.env.ref(CRON).sudo()
        cron._trigger(at=fields.Datetime.now() + timedelta(minutes=LEASE))
        self.env.cr.postcommit.add(partial(_send_now, self.env.cr.dbname, self.ids))

    # === Making it ===

    @api.model
    def _cron_send(self):
        """Make the issues that wait."""
        commit = self.env["ir.cron"]._commit_progress
        while waiting := self.search(self._due(), order="id", limit=_AT_ONCE):
            waiting._deliver()
            if not commit(len(waiting), remaining=self.search_count(self._due())):
                break
        later = self.search(
            Domain("state", "=", "queued"), order="next_try_at", limit=1
        )
        if later:
            self.env.ref(CRON)._trigger(
                at=max(later.next_try_at, fields.Datetime.now())
            )
            commit()

    @api.model
    def _due(self):
        now = fields.Datetime.now()
        lost = now - timedelta(minutes=LEASE)
        return (Domain("state", "=", "queued") & Domain("next_try_at", "<=", now)) | (
            Domain("state", "=", "sending") & Domain("claimed_at", "<=", lost)
        )

    def _deliver(self):
        """Make issues, each outside of any transaction that holds a lock.

        What is taken is committed before it is sent, so that nobody else takes it.
        """
        commit = self.env["ir.cron"]._commit_progress
        for issue in self:
            tried_before = issue.attempts > 0
            if not issue._claim():
                continue
            commit()
            issue._note(issue._send(tried_before))
            commit()

    def _claim(self):
        """Take one issue, unless somebody else has.

        :rtype: bool
        """
        now = fields.Datetime.now()
        self.flush_recordset()
        taken = self.env.execute_query(
            SQL(
                """UPDATE qms_issue
                      SET state = 'sending', claimed_at = %(now)s,
                          attempts = coalesce(attempts, 0) + 1
                    WHERE id IN (SELECT id FROM qms_issue
                                  WHERE id = %(id)s
                                    AND (state = 'queued' OR state = 'sending'
                                         AND claimed_at <= %(lost)s)
                                    FOR UPDATE SKIP LOCKED)
                RETURNING id""",
                now=now,
                lost=now - timedelta(minutes=LEASE),
                id=self.id,
            )
        )
        self.invalidate_recordset(["state", "claimed_at", "attempts"])
        return bool(taken)

    def _send(self, tried_before):
        """Make one issue at GitHub.

        :param bool tried_before: it may be there already
        :return: values to write
        :rtype: dict
        """
        mark = f"<!-- {self.mark} -->"
        labels = [label for label in (self.labels or "").split(", ") if label]
        try:
            client = self.tracker_id._client()
            made = client.find(mark) if tried_before else None
            made = made or client.make(self.title, f"{self.body}\n\n{mark}", labels)
        except github.GithubError as error:
            return self._failed(str(error), error.passing, error.wait)
        except UserError as error:
            return self._failed(str(error), False)
        dropped = [label for label in labels if label not in made.labels]
        return {
            "state": "made",
            "number": made.number,
            "url": made.url,
            "error": self.env._(
                "GitHub left away: %(labels)s. The token may not push to the "
                "repository.",
                labels=", ".join(dropped),
            )
            if dropped
            else False,
        }

    def _failed(self, message, passing, wait=0):
        if not passing or self.attempts > len(BACK_OFF):
            return {"state": "failed", "error": message}
        minutes = BACK_OFF[self.attempts - 1]
        later = max(timedelta(minutes=minutes), timedelta(seconds=wait))
        return {
            "state": "queued",
            "error": message,
            "next_try_at": fields.Datetime.now() + later,
        }

    def _note(self, values):
        """Write what became of one issue."""
        self.write(values)
        if values["state"] == "queued":
            self.env.ref(CRON)._trigger(at=values["next_try_at"])
        if values["state"] == "made":
            self._source().exists()._issue_made(self)


def _send_now(dbname, ids):
    """Make issues in transactions of their own, and leave what fails to the worker."""
    try:
        with Registry(dbname).cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            env["qms.issue"].browse(ids)._deliver()
    except OperationalError as error:
        _logger.info("Issues %s are left to the worker: %s", ids, error)
    except Exception:
        _logger.exception("Issues %s are left to the worker", ids)
