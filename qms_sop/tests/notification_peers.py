"""Those who are told, as far as the wire is concerned: HTTP and SMTP at this machine.

What Slack and PagerDuty accept is checked as their documentation has it:
https://api.slack.com/messaging/webhooks and
https://developer.pagerduty.com/docs/send-alert-event.
"""

import email
import email.policy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller

_SLACK_KEYS = {"text", "blocks", "attachments", "username", "channel", "mrkdwn"}
_PAGERDUTY_SEVERITIES = {"critical", "error", "warning", "info"}


class HttpPeer(ThreadingHTTPServer):
    """Takes what is posted to it, and answers as it is told.

    :param answer: gets the body as JSON, returns the status
    """

    daemon_threads = True

    def __init__(self, answer=lambda body: 200):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.bodies, self.paths, self.headers = [], [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def close(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Whoever was hung up on is not there to be answered."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.paths.append(self.path)
        self.server.headers.append(dict(self.headers))
        status, headers = self.server.answer(body), {}
        if isinstance(status, tuple):
            status, headers = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        """Tests are quiet."""


def slack(body):
    """Answer as Slack's incoming webhooks do.

    :return: HTTP status
    :rtype: int
    """
    texts = [body.get("text"), *body.get("attachments", []), *body.get("blocks", [])]
    known = not body.keys() - _SLACK_KEYS
    return 200 if known and any(texts) and not _pings(json.dumps(body)) else 400


def _pings(text):
    return "<!channel>" in text or "<!everyone>" in text or "<!here>" in text


def pagerduty(body):
    """Answer as PagerDuty's Events API v2 does.

    :return: HTTP status
    :rtype: int
    """
    action, payload = body.get("event_action"), body.get("payload", {})
    if not body.get("routing_key") or len(body.get("dedup_key", "")) > 255:
        return 400
    if action in ("acknowledge", "resolve"):
        return 202 if body.get("dedup_key") else 400
    if action != "trigger" or payload.get("severity") not in _PAGERDUTY_SEVERITIES:
        return 400
    return 202 if payload.get("source") and 0 < len(payload["summary"]) <= 1024 else 400


class SmtpPeer(Controller):
    """Takes mails; they are in ``mails``, as email.message.EmailMessage."""

    def __init__(self):
        self.mails, self.recipients = [], []
        super().__init__(self, hostname="127.0.0.1", port=0)

    def _trigger_server(self):
        # Port 0 is any free one, which is known from here on.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append(
            email.message_from_bytes(envelope.content, policy=email.policy.default)
        )
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"
