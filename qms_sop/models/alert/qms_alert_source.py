import json
import re
import time

from odoo import api, fields, models
from odoo.exceptions import AccessError, MissingError, ValidationError
from odoo.fields import Domain

from ...schemas.alerts import AlertmanagerWebhook, check_webhook
from ...tools import standard_webhooks
from ...tools.alert_payload import (
    ALERTMANAGER,
    PATHS,
    Mapping,
    PayloadError,
    compile_path,
    load,
    read_alerts,
)

_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SECRET_GROUP = "qms_error_code.group_qms_manager"
# Paths that the API uses for something else, or would be taken for it.
_TAKEN_CODES = ("docs", "health", "metrics", "openapi")


class QmsAlertSource(models.Model):
    """A monitoring system that sends alerts, and how its payloads are read.

    The payloads of Alertmanager are known; those of others are mapped by JMESPath
    expressions, see :mod:`...tools.alert_payload`.
    """

    _name = "qms.alert.source"
    _description = "Alert source"
    _inherit = ["mail.thread"]
    _order = "name, id"

    name = fields.Char(required=True, tracking=True)
    code = fields.Char(
        required=True,
        copy=False,
        tracking=True,
        help="The last part of the address that alerts are sent to: lower-case "
        "letters, digits and hyphens.",
    )
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
        help="The company whose runs are opened.",
    )
    kind = fields.Selection(
        [
            ("alertmanager", "Alertmanager webhook, version 4"),
            ("json", "JSON, mapped by the paths below"),
        ],
        required=True,
        default="json",
        tracking=True,
    )
    sop_code = fields.Char(
        "SOP code",
        tracking=True,
        help="The SOP that is run for an alert that no rule takes care of.",
    )
    sop_id = fields.Many2one(
        "qms.sop.document",
        "SOP without a rule",
        compute="_compute_sop_id",
        inverse="_inverse_sop_id",
        domain=[("state", "=", "approved")],
        help="The SOP that is run for an alert that no rule takes care of, in the "
        "revision that is effective then.",
    )
    path_alerts = fields.Char(
        "Alerts", help="Gives one alert or a list; applied to the whole payload."
    )
    path_fingerprint = fields.Char(
        "Fingerprint",
        help="What names the thing that is wrong, always in the same way. Without "
        "one, alerts of the same title and labels are the same.",
    )
    path_title = fields.Char("Title")
    path_description = fields.Char("Description")
    path_severity = fields.Char("Severity")
    path_status = fields.Char(
        "Status",
        help="Words that mean that it is over: resolved, ok, normal, closed, "
        "recovered, cleared. Everything else means that it is not.",
    )
    path_starts_at = fields.Char(
        "Start", help="A time in RFC 3339, or Unix seconds. May be missing."
    )
    path_ends_at = fields.Char("End")
    path_labels = fields.Char("Labels", help="Gives an object of names and values.")
    path_annotations = fields.Char("Annotations", help="Gives an object, too.")
    path_url = fields.Char("Link")
    signing_secret = fields.Char(
        copy=False,
        exportable=False,
        groups=_SECRET_GROUP,
        help="When there is one, only payloads that are signed with it are accepted "
        "(Standard Webhooks), besides the API key.",
    )
    is_signed = fields.Boolean(
        "Signed", compute="_compute_is_signed", help="Only signed payloads are taken."
    )
    url = fields.Char("Address", compute="_compute_url")
    example_config = fields.Text("How to send alerts", compute="_compute_example")
    example_payload = fields.Text(compute="_compute_example")
    alert_count = fields.Integer(compute="_compute_counts")
    problem_count = fields.Integer(
        "Not processed",
        compute="_compute_counts",
        groups="qms_error_code.group_qms_manager,qms_error_code.group_qms_auditor",
        help="Deliveries that could not be processed, and wait for somebody.",
    )

    _code_uniq = models.Constraint(
        "UNIQUE(code)", "There is already an alert source with this code."
    )

    # === Computes ===

    @api.depends("sop_code")
    def _compute_sop_id(self):
        self.env["qms.alert.rule"]._find_sops(self)

    def _inverse_sop_id(self):
        for source in self:
            source.sop_code = source.sop_id.code

    @api.depends("signing_secret")
    def _compute_is_signed(self):
        # Whether there is a secret is no secret.
        for source in self:
            source.is_signed = bool(source.sudo().signing_secret)

    @api.depends("code")
    def _compute_url(self):
        for source in self:
            source.url = (
                f"{source.get_base_url()}/api/v1/alerts/{source.code}"
                if source.code
                else False
            )

    @api.depends("code", "kind", "signing_secret")
    def _compute_example(self):
        for source in self:
            alertmanager = source.kind == "alertmanager"
            example = _ALERTMANAGER_EXAMPLE if alertmanager else _PLAIN_EXAMPLE
            source.example_payload = json.dumps(example, indent=2)
            source.example_config = (
                _ALERTMANAGER_CONFIG if alertmanager else _CURL
            ).replace("{url}", source.url or "")

    def _compute_counts(self):
        alerts = dict(
            self.env["qms.alert"]._read_group(
                Domain("source_id", "in", self.ids), ["source_id"], ["__count"]
            )
        )
        deliveries = self.env["qms.alert.delivery"]
        problems = {}
        if deliveries.has_access("read"):
            problems = dict(
                deliveries._read_group(
                    Domain("source_id", "in", self.ids)
                    & Domain("state", "in", ("unprocessable", "error")),
                    ["source_id"],
                    ["__count"],
                )
            )
        for source in self:
            source.alert_count = alerts.get(source, 0)
            if deliveries.has_access("read"):
                source.problem_count = problems.get(source, 0)

    # === Constraints ===

    @api.constrains("code")
    def _check_code(self):
        for source in self:
            if (
                not _CODE.fullmatch(source.code)
                or len(source.code) > 60
                or source.code in _TAKEN_CODES
            ):
                raise ValidationError(
                    self.env._(
                        "code: “%(code)s” is not accepted. It becomes part of an "
                        "address: up to 60 lower-case letters, digits and single "
                        "hyphens, for example “uptime-kuma”, and none of %(taken)s.",
                        code=source.code,
                        taken=", ".join(_TAKEN_CODES),
                    )
                )

    @api.constrains("kind", *(f"path_{name}" for name in PATHS))
    def _check_paths(self):
        for source in self:
            for name in PATHS:
                expression = source[f"path_{name}"]
                if not expression:
                    continue
                try:
                    compile_path(expression)
                except PayloadError as error:
                    label = source._fields[f"path_{name}"]._description_string(self.env)
                    raise ValidationError(
                        self.env._("%(field)s: %(problem)s", field=label, problem=error)
                    ) from None

    @api.constrains("sop_code")
    def _check_sop_code(self):
        self.env["qms.alert.rule"]._check_sop_codes(self)

    @api.constrains("signing_secret")
    def _check_signing_secret(self):
        # Written by managers only; checked whoever imports it.
        for source in self.sudo():
            if not source.signing_secret:
                continue
            try:
                standard_webhooks.key_of(source.signing_secret)
            except standard_webhooks.SignatureError as error:
                raise ValidationError(
                    self.env._(
                        "Signing secret: it is not accepted, %(problem)s. “New "
                        "secret” makes one.",
                        problem=error,
                    )
                ) from None

    # === Buttons ===

    def action_new_secret(self):
        """Give sources a new signing secret; the one before stops working."""
        for source in self:
            source.signing_secret = standard_webhooks.new_secret()
        return True

    def action_no_secret(self):
        """Take unsigned payloads from now on."""
        self.signing_secret = False
        return True

    def action_view_alerts(self):
        """Open the alerts of the source."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_alert_action"
        )
        return {**action, "domain": [("source_id", "in", self.ids)], "context": {}}

    def action_view_problems(self):
        """Open the deliveries of the source that were not processed."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_alert_delivery_action"
        )
        return {
            **action,
            "domain": [("source_id", "in", self.ids)],
            "context": {"search_default_problems": 1},
        }

    def action_test(self):
        """Open the dialog that tells what would become of a payload."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "qms_sop.qms_alert_test_action"
        )
        return {
            **action,
            "context": {
                "default_source_id": self.id,
                "default_payload": self.example_payload,
            },
        }

    # === Business ===

    def export_data(self, fields_to_export):
        if "signing_secret" in fields_to_export:
            raise AccessError(self.env._("Signing secrets are not exported."))
        return super().export_data(fields_to_export)

    @api.model
    def _by_code(self, code):
        """Return the active source that an address belongs to.

        :param str code: the last part of the address
        :rtype: qms.alert.source record
        :raises MissingError: when there is none that the user may see
        """
        source = self.search(Domain("code", "=", code), limit=1)
        if not source:
            raise MissingError(
                self.env._("There is no alert source “%(code)s”.", code=code[:80])
            )
        return source

    def _verify(self, headers, body):
        """Check the signature of a payload, if the source wants one.

        :param headers: mapping of HTTP headers, None when there are none
        :param bytes body: as it came
        :return: what names the message, False when the source wants no signature
        :rtype: str | bool
        :raises AccessError: when it is missing, too old or wrong
        """
        self.ensure_one()
        # Whoever may deliver may not read the secret.
        secret = self.sudo().signing_secret
        if not secret:
            return False
        try:
            return standard_webhooks.verify(secret, headers or {}, body, time.time())
        except standard_webhooks.SignatureError as error:
            raise AccessError(
                self.env._(
                    "Payloads of %(name)s have to be signed: %(problem)s.",
                    name=self.name,
                    problem=error,
                )
            ) from None

    def _mapping(self):
        """Return where payloads of this source have what.

        :rtype: Mapping
        """
        self.ensure_one()
        if self.kind == "alertmanager":
            return ALERTMANAGER
        return Mapping(**{name: self[f"path_{name}"] or "" for name in PATHS})

    def _read(self, text):
        """Read the alerts of a payload.

        :param str text: the payload
        :return: see :func:`...tools.alert_payload.read_alerts`
        :raises PayloadError: when it cannot be read
        """
        problems = []
        try:
            data = load(text)
            if self.kind == "alertmanager":
                problems = check_webhook(data, AlertmanagerWebhook)
            reports, unread = read_alerts(data, self._mapping())
        except RecursionError:
            raise PayloadError(
                self.env._("The payload is nested too deeply to be read.")
            ) from None
        return reports, problems + unread


_ALERTMANAGER_CONFIG = """\
# alertmanager.yml
route:
  receiver: qms
  group_by: ["..."]          # every alert on its own: one outage, one run
  repeat_interval: 1h
receivers:
  - name: qms
    webhook_configs:
      - url: {url}
        send_resolved: true
        max_alerts: 500
        http_config:
          authorization:
            type: Bearer
            credentials_file: /etc/alertmanager/qms_api_key
"""
_CURL = """\
curl -sS {url} \\
  -H "Authorization: Bearer $ODOO_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d @payload.json
"""
_ALERTMANAGER_EXAMPLE = {
    "version": "4",
    "groupKey": '{}:{alertname="PostgresConnectionsHigh"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "qms",
    "groupLabels": {"alertname": "PostgresConnectionsHigh"},
    "commonLabels": {"alertname": "PostgresConnectionsHigh"},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "alertname": "PostgresConnectionsHigh",
                "instance": "db1:9187",
                "severity": "warning",
                "sop": "SOP-DBCONN-001",
                "error_code": "DB_TOO_MANY_CONNECTIONS",
            },
            "annotations": {
                "summary": "More than 80 % of the connections of db1 are in use"
            },
            "startsAt": "2026-01-31T08:15:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": "3f8a1c0d5b7e9f24",
        }
    ],
}
_PLAIN_EXAMPLE = {
    "title": "The disk of db1 is 91 % full",
    "description": "No space left on device in about two hours",
    "severity": "high",
    "status": "firing",
    "fingerprint": "db1-disk-root",
    "starts_at": "2026-01-31T08:15:00Z",
    "labels": {"host": "db1", "sop": "SOP-DISK-001"},
    "url": "https://monitoring.example.com/db1",
}
