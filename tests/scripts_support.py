"""Runs scripts as processes, and servers that fail in real ways."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
import xmlrpc.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

# The bare environment of a machine without any setting of ours.
BARE = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}


def run_script(name, *arguments, env=None, stdin=b"", python=(), timeout=60):
    """Run a script as a process of its own.

    :param str name: file name in ``scripts/``
    :param str arguments: its arguments
    :param dict env: variables on top of the bare environment
    :param bytes stdin: what it reads
    :param tuple python: options of the interpreter
    :return: the finished process, its output as str
    :rtype: subprocess.CompletedProcess
    """
    process = subprocess.run(
        [sys.executable, *python, str(SCRIPTS / name), *arguments],
        env={**BARE, **(env or {})},
        input=stdin,
        capture_output=True,
        timeout=timeout,
        cwd=ROOT,
        check=False,
    )
    process.stdout = process.stdout.decode()
    process.stderr = process.stderr.decode()
    assert "Traceback" not in process.stderr
    return process


def run_shell(command, env, timeout=60):
    """Run shell lines in the root of the checkout.

    :param str command: the lines
    :param dict env: variables on top of the bare environment
    :rtype: subprocess.CompletedProcess
    """
    return subprocess.run(
        ["bash", "-c", command],
        env={**BARE, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        check=False,
    )


class RecordingServer:
    """A loopback HTTP server whose next answers are chosen by the test.

    ``plan`` holds one function per coming request; each takes the handler. When
    it is used up, ``default`` answers.
    """

    def __init__(self, default, tls=None):
        self.requests = []
        self.plan = []
        self.default = default
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _any(self):
                size = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(size)
                outer.requests.append(self)
                answer = outer.plan.pop(0) if outer.plan else outer.default
                with contextlib.suppress(ConnectionError):
                    answer(self)

            do_GET = _any  # noqa: N815
            do_POST = _any  # noqa: N815
            do_HEAD = _any  # noqa: N815

            def log_message(self, *_arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, _request, _address):
                """Leave failed handshakes to the client's own message."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()

    @property
    def paths(self):
        """The paths asked for so far.

        :rtype: list[str]
        """
        return [request.path for request in self.requests]


def send(handler, status, body=b"", content_type="text/html", **headers):
    """Answer a request.

    :param handler: the handler of the request
    :param int status: HTTP status
    :param bytes body: the body
    :param str content_type: its type
    :param headers: more headers, ``_`` for ``-``
    """
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def status(number, body=b"<html>oops</html>", **headers):
    """Return an answer with an HTTP status."""
    return lambda handler: send(handler, number, body, **headers)


def hang(seconds=3.0):
    """Return an answer that comes too late."""
    return lambda handler: time.sleep(seconds)


def close(handler):
    """Hang up without an answer."""
    handler.close_connection = True
    handler.connection.close()


def garbage(handler):
    """Answer something that is not HTTP."""
    handler.wfile.write(b"\x00\x01\x02 this is not HTTP\r\n\r\n")


def cut(handler):
    """Promise more bytes than are sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"<?xml version='1.0'?><methodRe")


class Odoo:
    """The RPC protocol of an Odoo server, without an Odoo behind it.

    It has one user and counts what it is asked; ``methods`` maps
    ``model.method`` to a function of (ids, arguments), or to an exception.
    """

    DB, USER, KEY, UID = "prod", "robot", "k" * 40, 7

    def __init__(self, xmlrpc=True, json2=True):
        self.has = {"xmlrpc": xmlrpc, "json2": json2}
        self.methods = {}
        self.calls = []
        self.logins = 0
        self.uid = self.UID

    def __call__(self, handler):
        _empty, kind, *rest = handler.path.split("/")
        if not self.has.get({"xmlrpc": "xmlrpc", "json": "json2"}.get(kind)):
            send(handler, 404, b"<h1>Not Found</h1>")
        elif kind == "xmlrpc":
            self._xmlrpc(handler, rest[-1])
        else:
            self._json2(handler, *rest[1:])

    def _xmlrpc(self, handler, service):
        params, method = xmlrpc.client.loads(handler.body)
        try:
            if service == "common":
                assert method == "authenticate"
                self.logins += 1
                good = params == (self.DB, self.USER, self.KEY, {})
                answer = self.uid if good else False
            else:
                db, uid, key, model, method, args, kwargs = params
                if (db, uid, key) != (self.DB, self.uid, self.KEY):
                    raise xmlrpc.client.Fault(3, "Access Denied")
                answer = self._do(model, method, args[0] if args else None, kwargs)
            body = xmlrpc.client.dumps((answer,), methodresponse=True)
        except xmlrpc.client.Fault as fault:
            body = xmlrpc.client.dumps(fault)
        send(handler, 200, body.encode(), "text/xml")

    def _json2(self, handler, model, method):
        def answer(number, data):
            send(handler, number, json.dumps(data).encode(), "application/json")

        if handler.headers["X-Odoo-Database"] != self.DB:
            send(handler, 404, b"<h1>Not Found</h1>")
        elif handler.headers["Authorization"] != f"bearer {self.KEY}":
            answer(401, {"name": "werkzeug", "message": "Invalid apikey"})
        else:
            kwargs = json.loads(handler.body)
            ids = kwargs.pop("ids", None)
            try:
                answer(200, self._do(model, method, ids, kwargs))
            except xmlrpc.client.Fault as fault:
                number = {1: 500, 2: 422, 3: 403, 4: 403}[fault.faultCode]
                name = {3: "AccessDenied", 4: "AccessError"}.get(fault.faultCode, "X")
                answer(
                    number,
                    {
                        "name": f"odoo.exceptions.{name}",
                        "message": fault.faultString.strip().splitlines()[-1],
                        "debug": "Traceback (most recent call last):\n  …",
                    },
                )

    def _do(self, model, method, ids, kwargs):
        self.calls.append((model, method, ids, kwargs))
        result = self.methods[f"{model}.{method}"]
        if isinstance(result, Exception):
            raise result
        return result(ids, kwargs) if callable(result) else result

    def settings(self, url):
        """Return the environment of a script that connects to this server.

        :param str url: where it listens
        :rtype: dict
        """
        return {
            "ODOO_URL": url,
            "ODOO_DB": self.DB,
            "ODOO_USER": self.USER,
            "ODOO_API_KEY": self.KEY,
        }


def free_port():
    """Return a loopback port on which nothing listens.

    :rtype: int
    """
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def certificate(folder, days=90, name="127.0.0.1", age=1):
    """Make a certificate that signs itself.

    :param pathlib.Path folder: where its files go
    :param float days: days from now until it expires
    :param str name: the address or host name it is for
    :param float age: days since it became valid
    :return: server context and path of the PEM file
    :rtype: tuple[ssl.SSLContext, str]
    """
    import ssl
    from datetime import datetime, timedelta, timezone
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    try:
        alternative = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.now(timezone(timedelta()))
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=age))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(x509.SubjectAlternativeName([alternative]), False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "cert.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, str(pem)


def environment(folder, **settings):
    """Return variables of a user whose home and cache are ``folder``.

    :param pathlib.Path folder: an empty folder
    :param str settings: more variables
    :rtype: dict
    """
    return {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        **settings,
    }


def without_proxy(monkeypatch):
    """Keep the proxies of this machine away from loopback addresses."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def forward(odoo_server):
    """Return an answer that asks the live server."""
    parts = urlsplit(odoo_server.url)

    def answer(handler):
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        kept = ("Content-Type", "Authorization", "X-Odoo-Database")
        headers = {
            name: handler.headers[name] for name in kept if handler.headers[name]
        }
        connection.request(handler.command, handler.path, handler.body, headers)
        response = connection.getresponse()
        body = response.read()
        send(handler, response.status, body, response.headers["Content-Type"])
        connection.close()

    return answer
