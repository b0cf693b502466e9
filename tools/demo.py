"""`make demo`, `make up`, `make down`: a server with something to see on it."""

import json
import os
import subprocess
from urllib.parse import urlsplit, urlunsplit

from tools import databases, ports
from tools.errors import CommandError, SetupError
from tools.server import Server, url_of
from tools.settings import DEFAULT_DB, DEFAULT_PORT
from tools.stamps import Stamp, digest

USER, PASSWORD = "admin", "admin"  # what Odoo gives a new database
_AUTOMATION = "automation"  # the user of examples/automation_key.py


class Demo:
    """The demo server of this checkout.

    A port or database that the person left open is that of the running server, for
    `make up` that of the last one, else the default.

    :param settings: the Settings
    :param bool remember: whether the last server's port and database count
    """

    def __init__(self, settings, remember=False):
        self.settings = settings
        self.server = Server(settings, "demo")
        known = self.server.running() or (self.server.last() if remember else {})
        self.port = settings.port or known.get("port") or DEFAULT_PORT
        self.db = settings.db or known.get("db") or DEFAULT_DB
        self.url = url_of(self.port)
        self.key_file = settings.made("demo", f"{self.db}.key")
        self.run_file = settings.made("demo", f"{self.db}.json")

    def check_port(self, command):
        """Refuse at once, before minutes of work, when the port is taken."""
        if self.server.running().get("port") != self.port and not ports.is_free(
            self.port
        ):
            raise ports.taken(self.port, command)

    def ensure_database(self, odoo, base):
        """Have the demo database; says what was done."""
        return databases.ensure_demo(odoo, base, self.db, self.server.stop)

    def ensure_server(self, odoo):
        """Have the server running with the code as it is now; says what was done."""
        code = digest(odoo.source.fingerprint, odoo.addons_digest())
        wanted = {"port": self.port, "db": self.db, "code": code}
        state = self.server.running()
        if state and {key: state[key] for key in wanted} == wanted:
            return f"running at {self.url}"
        self.server.stop()
        self.server.start(odoo, self.db, self.port, code)
        return f"started at {self.url}"

    def ensure_story(self, odoo, console, watchers):
        """Work the scenario unless that was done with this code and this database.

        :param dict watchers: variables that say where Prometheus and Alertmanager are
        :return: what was done, for people
        """
        script = self.settings.root / "examples" / "demo.py"
        if not script.is_file():
            return "there is no scenario in this checkout (examples/demo.py)"
        born = odoo.cluster.query(
            f"SELECT oid FROM pg_database WHERE datname = '{self.db}'"
        )[0][0]
        root = self.settings.root
        code = digest(born, odoo.addons_digest(), root / "examples", root / "scripts")
        stamp = Stamp(self.settings, f"story-{self.db}")
        if stamp.fits(code) and self.run_file.is_file():
            return "worked before; nothing has changed since"
        stamp.clear()
        key = self._ensure_key(odoo, console, born)
        console.line()
        told = self.settings.logs / "demo-story.log"
        done = _tell(
            [self.settings.python, script, "--json", self.run_file],
            {
                "ODOO_URL": self.url,
                "ODOO_DB": self.db,
                "ODOO_USER": _AUTOMATION,
                "ODOO_API_KEY": key,
                "QMS_PG_HOST": str(self.settings.socket_folder),
                "QMS_PG_USER": "odoo",
                **watchers,
            },
            told,
        )
        console.line()
        if done:
            raise SetupError(
                "The scenario did not come to its good end (its last lines say why).",
                f"look at {self.url} and {self.server.log}, then: make demo",
            )
        stamp.write(code)
        return "the triage SOP was worked from detection to resolution"

    def where_to_look(self, console):
        """Print where the person finds what was made."""
        lines = [("Odoo", self.url), ("Login", f"{USER} / {PASSWORD}")]
        story = self._story()
        if story:
            lines.append(("Run", f"{story['name']}, {story['state']}: {story['url']}"))
            key = os.path.relpath(self.key_file, self.settings.root)
            lines += [
                (
                    "API",
                    f'curl -s -H "Authorization: Bearer $(cat {key})" '
                    f"{story['api_url']}",
                ),
            ]
            if story.get("alert_run"):
                lines.append(("Alerts", f"{self.url}/odoo/qms-alerts"))
            if story.get("status_url"):
                lines.append(("Status", f"curl -s {story['status_url']}"))
            if story.get("incident"):
                lines += self._incident_lines(story)
        lines.append(("Stop", "make down      (make up starts it again)"))
        console.line()
        width = max(len(name) for name, _text in lines)
        for name, text in lines:
            console.line(f"  {console.paint(f'{name:<{width}}', 'bold')} {text}")

    def _incident_lines(self, story):
        """Return where the incident of the scenario, and all of them, are seen."""
        lines = []
        for label, key in (("Incident", "incident"), ("Post-mortem", "postmortem")):
            told = story[key]
            where = _moved(told["url"], self.port)
            state = told["state"].replace("_", " ")
            lines.append((label, f"{told['name']}, {state}: {where}"))
        lines.append(("Dashboard", f"{self.url}/odoo/qms-incident-dashboard"))
        if story.get("status_page"):
            lines.append(("Outside", f"{self.url}{story['status_page']}"))
        return lines

    def _story(self):
        try:
            story = json.loads(self.run_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        for field in ("url", "api_url", "status_url"):
            # It may have been told when the server listened on another port.
            value = story.get(field) or ""
            story[field] = _moved(value, self.port) if value else ""
        return story

    def _ensure_key(self, odoo, console, born):
        """Return an API key of the automation user, made once per database."""
        stamp = Stamp(self.settings, f"key-{self.db}")
        if stamp.fits(born) and self.key_file.is_file():
            return self.key_file.read_text().strip()
        script = self.settings.root / "examples" / "automation_key.py"
        config = odoo.configure("install", self.db)
        log = self.settings.logs / "demo-key.log"
        with console.activity("Making an automation user and its API key"):
            with log.open("w") as errors:
                # Not through the log: the key is printed.
                done = subprocess.run(
                    [
                        str(part)
                        for part in odoo.command(
                            "shell", "-c", config, "-d", self.db, "--no-http"
                        )
                    ],
                    input=script.read_text(),
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    cwd=self.settings.root,
                    env={**os.environ, **odoo.environment()},
                )
        key = (done.stdout.split() or [""])[-1]
        if done.returncode or not key.isalnum():
            tail = log.read_text(errors="replace").splitlines()[-20:]
            raise CommandError("Making an API key", done.returncode, tail, log)
        self.key_file.parent.mkdir(exist_ok=True)
        self.key_file.touch(mode=0o600)
        self.key_file.write_text(key + "\n")
        stamp.write(born)
        return key


def _moved(url, port):
    """Return a URL of this machine with another port."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}"))


def _tell(argv, environment, log):
    """Run the scenario, showing and keeping what it prints; returns its status."""
    shown = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    with log.open("w", encoding="utf-8") as kept:
        process = subprocess.Popen(
            [str(part) for part in argv],
            env=shown,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                kept.write(line)
            return process.wait()
        except BaseException:
            # The scenario stops what it started when it is told to end.
            process.terminate()
            process.wait()
            raise
