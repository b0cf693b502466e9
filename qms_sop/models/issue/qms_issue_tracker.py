from urllib.parse import urlsplit

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.orm.models import NO_ACCESS

from ...tools import github
from ...tools.notification_target import allowed

# System parameter: hosts that the token of a tracker may be sent to
HOSTS = "qms_sop.issue_hosts"
DEFAULT_HOSTS = "api.github.com"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class QmsIssueTracker(models.Model):
    """A repository at GitHub in which issues are made.

    Its token can be given and replaced, never read.
    """

    _name = "qms.issue.tracker"
    _description = "Issue tracker"
    _inherit = ["mail.thread", "qms.audit.mixin"]
    _order = "sequence, name, id"

    _audit_ignored = frozenset({"token"})

    name = fields.Char(required=True)
    sequence = fields.Integer(
        default=10, help="The first tracker is the one that is proposed."
    )
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        index=True,
        default=lambda self: self.env.company,
        help="Whose issues are made here; empty for those of all companies.",
    )
    repository = fields.Char(
        required=True, help="Owner and name, such as example/service."
    )
    api_url = fields.Char(
        "API",
        required=True,
        default=github.API_URL,
        help="https://api.github.com, or https://HOST/api/v3 of a GitHub Enterprise "
        "Server.",
    )
    new_token = fields.Char(
        "Token",
        compute="_compute_new_token",
        inverse="_inverse_new_token",
        copy=False,
        exportable=False,
        help="A fine-grained token for this repository with the right to write "
        "issues. It is never shown again; give another one to replace it.",
    )
    token = fields.Char("Token kept", copy=False, exportable=False, groups=NO_ACCESS)
    token_since = fields.Datetime(
        "Token since", readonly=True, copy=False, help="When it was given."
    )
    labels = fields.Char(
        default="tech-debt", help="Of every issue; separated by commas."
    )
    label_category = fields.Boolean(
        "Label with the category", default=True, help="Such as “database”."
    )
    label_severity = fields.Boolean(
        "Label with the severity", default=True, help="Such as “high-priority”."
    )
    issue_count = fields.Integer(compute="_compute_issue_count")
    accepted_hosts = fields.Char(compute="_compute_accepted_hosts")

    # === Computes ===

    @api.depends("name", "repository")
    def _compute_display_name(self):
        for tracker in self:
            tracker.display_name = f"{tracker.name} ({tracker.repository})"

    def _compute_new_token(self):
        self.new_token = False

    def _inverse_new_token(self):
        for tracker in self:
            text = (tracker.new_token or "").strip()
            if not text:
                continue
            if not (text.isascii() and text.isprintable() and " " not in text):
                raise ValidationError(
                    self.env._("Token: it has characters that no token has.")
                )
            tracker.check_access("write")
            # sudo: nobody reads or writes these fields by themselves.
            tracker.sudo().write({"token": text, "token_since": fields.Datetime.now()})
        self.invalidate_recordset(["new_token"])

    def _compute_issue_count(self):
        counts = dict(
            self.env["qms.issue"]._read_group(
                Domain("tracker_id", "in", self.ids), ["tracker_id"], ["__count"]
            )
        )
        for tracker in self:
            tracker.issue_count = counts.get(tracker, 0)

    @api.depends_context("uid")
    def _compute_accepted_hosts(self):
        self.accepted_hosts = ", ".join(self._hosts())

    # === Constraints ===

    @api.constrains("repository")
    def _check_repository(self):
        for tracker in self:
            if not github.is_repository(tracker.repository):
                raise ValidationError(
                    self.env._(
                        "Repository: “%(repository)s” is not accepted. Give owner and "
                        "name as in the address, such as example/service.",
                        repository=tracker.repository,
                    )
                )

    @api.constrains("api_url")
    def _check_api_url(self):
        for tracker in self:
            tracker._check_host()

    def _check_host(self):
        """Refuse an address that administrators do not allow.

        :raises ValidationError: saying what is accepted
        """
        self.ensure_one()
        try:
            parts = urlsplit(self.api_url)
            host = (parts.hostname or "").lower()
            port = parts.port
        except ValueError:
            host, port = "", None
        plain = parts.scheme == "http" and host in _LOOPBACK if host else False
        if (
            not host
            or not (parts.scheme == "https" or plain)
            or parts.username
            or parts.password
            or parts.query
            or parts.fragment
        ):
            raise ValidationError(
                self.env._(
                    "API: “%(url)s” is not accepted. Give https:// and a host, such as "
                    "https://api.github.com or https://HOST/api/v3.",
                    url=self.api_url,
                )
            )
        if not allowed(f"{host}:{port}" if port else host, self._hosts()):
            raise ValidationError(
                self.env._(
                    "API: the host %(host)s is not allowed. Allowed: %(allowed)s. "
                    "Administrators choose them in the settings.",
                    host=host,
                    allowed=", ".join(self._hosts()) or self.env._("none"),
                )
            )

    # === CRUD ===

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_own_fields(vals)
        return super().create(vals_list)

    def write(self, vals):
        self._check_own_fields(vals)
        if {"api_url", "repository"} & vals.keys() and "new_token" not in vals:
            # A token given for one place is not sent to another.
            moved = self.filtered(
                lambda tracker: any(
                    name in vals and vals[name] != tracker[name]
                    for name in ("api_url", "repository")
                )
            )
            result = super().write(vals)
            moved.sudo().write({"token": False, "token_since": False})
            return result
        return super().write(vals)

    def export_data(self, fields_to_export):
        if {"new_token", "token"} & set(fields_to_export):
            raise AccessError(self.env._("Tokens of trackers are not exported."))
        return super().export_data(fields_to_export)

    def _check_own_fields(self, vals):
        if {"token", "token_since"} & vals.keys() and not self.env.su:
            raise UserError(
                self.env._("Give the token as new_token; the rest follows from it.")
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        for tracker in self:
            if tracker.issue_count:
                raise UserError(
                    self.env._(
                        "%(tracker)s has issues, which belong to the records: it "
                        "cannot be deleted. Archive it.",
                        tracker=tracker.name,
                    )
                )

    # === Buttons ===

    def action_test(self):
        """Ask GitHub for the repository, and tell what it says.

        :return: a message on the screen
        :rtype: dict
        """
        self.ensure_one()
        self.check_access("write")
        try:
            found = self._client().check()
        except github.GithubError as error:
            return self._tell("danger", str(error))
        if found["has_issues"] is False:
            return self._tell(
                "danger", self.env._("Issues are switched off in this repository.")
            )
        if found["can_write"] is False:
            return self._tell(
                "warning",
                self.env._(
                    "The repository was found. The token may not push to it, so GitHub "
                    "leaves the labels away."
                ),
            )
        return self._tell("success", self.env._("The repository was found."))

    def _tell(self, kind, message):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.repository,
                "message": message,
                "type": kind,
                "sticky": kind == "danger",
            },
        }

    def action_view_issues(self):
        """Open the issues that were made here."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_issue_action"
        )
        return {**action, "domain": [("tracker_id", "in", self.ids)], "context": {}}

    # === Business ===

    @api.model
    def _hosts(self):
        """Return the hosts that tokens may be sent to.

        :rtype: list[str]
        """
        # sudo: system parameters are read by administrators only.
        value = self.env["ir.config_parameter"].sudo().get_param(HOSTS, DEFAULT_HOSTS)
        return [host.strip().lower() for host in value.split(",") if host.strip()]

    def _client(self):
        """Return what talks to the repository.

        :rtype: github.Client
        :raises UserError: when there is no token, or its host is not allowed any more
        """
        self.ensure_one()
        self._check_host()
        # sudo: nobody reads the token.
        token = self.sudo().token
        if not token:
            raise UserError(
                self.env._(
                    "%(tracker)s has no token. A manager gives it one.",
                    tracker=self.name,
                )
            )
        return github.Client(self.api_url, token, self.repository)

    @api.model
    def _choose(self, named=None, company=None):
        """Return the tracker for an issue.

        :param str named: name or repository; the first one when missing
        :param res.company company: whose issue it is
        :rtype: qms.issue.tracker record
        :raises ValidationError: when there is none, naming those there are
        """
        trackers = self.search(
            Domain("company_id", "in", (False, (company or self.env.company).id))
        )
        chosen = trackers
        if named:
            wanted = named.strip().lower()
            chosen = trackers.filtered(
                lambda tracker: (
                    wanted in (tracker.name.lower(), tracker.repository.lower())
                )
            )
        if not chosen:
            raise ValidationError(
                self.env._(
                    "There is no issue tracker “%(name)s”. There is: %(known)s.",
                    name=named,
                    known=", ".join(trackers.mapped("repository"))
                    or self.env._("none"),
                )
                if named
                else self.env._(
                    "There is no issue tracker yet. A manager makes one under "
                    "Configuration."
                )
            )
        return chosen[0]

    def _labels_of(self, category=None, severity=None):
        """Return the labels of an issue.

        :param qms.error.category category: of what it is about
        :param qms.severity severity: of what it is about
        :rtype: list[str]
        """
        labels = [label.strip() for label in (self.labels or "").split(",")]
        if self.label_category and category:
            labels.append(category.code.lower().replace("_", "-"))
        if self.label_severity and severity:
            labels.append(f"{severity.code}-priority")
        return list(dict.fromkeys(label for label in labels if label))
