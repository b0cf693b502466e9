"""A GitHub on loopback that is as strict as its documentation.

https://docs.github.com/en/rest/issues/issues, version 2022-11-28. Standard library
only: the end-to-end tests use it, too.
"""

import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "github_pat_TEST0123456789"


class FakeGithub:
    """One repository with issues, for as long as a ``with`` block lasts.

    ``plan`` holds what comes next instead of the usual answer: a function that takes
    the handler. ``problems`` holds what GitHub would not have understood.
    """

    def __init__(self, repository="example/service", may_push=True):
        self.repository = repository
        self.may_push = may_push
        self.has_issues = True
        self.issues = []
        self.plan = []
        self.requests = []
        self.problems = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self):
                size = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(size)
                outer.requests.append((self.command, self.path))
                step = outer.plan.pop(0) if outer.plan else outer.answer
                step(self)

            do_GET = _any  # noqa: N815
            do_POST = _any  # noqa: N815

            def log_message(self, *_arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, _request, _address):
                """Connections are dropped on purpose."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()

    # === What it usually does ===

    def answer(self, handler):
        """Answer as GitHub does."""
        self._check_headers(handler)
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refuse(handler, 401, "Bad credentials")
        path = handler.path.partition("?")[0]
        if path == f"/repos/{self.repository}" and handler.command == "GET":
            return self.send(
                handler,
                200,
                {
                    "id": 1,
                    "full_name": self.repository,
                    "private": True,
                    "has_issues": self.has_issues,
                    "permissions": {"push": self.may_push, "pull": True},
                },
            )
        if path != f"/repos/{self.repository}/issues":
            return self.refuse(handler, 404, "Not Found")
        if not self.has_issues:
            return self.refuse(handler, 410, "Issues are disabled for this repo")
        if handler.command == "GET":
            return self.send(handler, 200, list(reversed(self.issues)))
        issue = self.keep(handler)
        return issue and self.send(handler, 201, issue)

    def _check_headers(self, handler):
        for name, pattern in (
            ("Accept", r"application/vnd\.github\+json"),
            ("X-GitHub-Api-Version", r"2022-11-28"),
            ("User-Agent", r".+"),
            ("Authorization", r"Bearer \S+"),
        ):
            if not re.fullmatch(pattern, handler.headers.get(name) or ""):
                self.problems.append(f"{name}: {handler.headers.get(name)}")

    def keep(self, handler):
        """Keep the issue that a request asks for, if it is well-formed."""
        try:
            asked = json.loads(handler.body)
        except ValueError:
            self.problems.append("no JSON")
            return self.refuse(handler, 400, "Problems parsing JSON")
        problems = []
        unknown = asked.keys() - {"title", "body", "labels", "assignees", "milestone"}
        if unknown:
            problems.append(f"unknown: {sorted(unknown)}")
        title = asked.get("title")
        if not isinstance(title, str) or not 1 <= len(title) <= 256:
            problems.append("title")
        if len(asked.get("body") or "") > 65536:
            problems.append("body")
        labels = asked.get("labels", [])
        if not isinstance(labels, list) or not all(
            isinstance(label, str) and 1 <= len(label) <= 50 for label in labels
        ):
            problems.append("labels")
        if problems:
            self.problems += problems
            self.refuse(
                handler,
                422,
                "Validation Failed",
                [
                    {"resource": "Issue", "field": p, "code": "invalid"}
                    for p in problems
                ],
            )
            return None
        number = len(self.issues) + 1
        issue = {
            "id": 1000 + number,
            "node_id": f"I_{number}",
            "number": number,
            "state": "open",
            "title": title,
            "body": asked.get("body"),
            # Without the right to push, labels are silently left away.
            "labels": [{"id": n, "name": name} for n, name in enumerate(labels)]
            if self.may_push
            else [],
            "html_url": f"https://github.com/{self.repository}/issues/{number}",
        }
        self.issues.append(issue)
        return issue

    # === Answers ===

    def send(self, handler, status, content, **headers):
        """Answer with JSON."""
        body = json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json; charset=utf-8")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    def refuse(self, handler, status, message, errors=None, **headers):
        """Answer with an error as GitHub words it."""
        content = {"message": message, "documentation_url": "https://docs.github.com"}
        if errors:
            content["errors"] = errors
        self.send(handler, status, content, **headers)

    def refusal(self, status, message, **headers):
        """Return a step of the plan that refuses."""
        return lambda handler: self.refuse(handler, status, message, **headers)

    def lose_answer(self, handler):
        """Keep the issue, and drop the connection before the answer."""
        self.keep(handler)
        self.drop(handler)

    def drop(self, handler):
        """Drop the connection."""
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)
