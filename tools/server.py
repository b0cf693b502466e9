"""Odoo in the background: started, watched until it answers, found again, stopped."""

import http.client
import json
import os
import re
import subprocess
import time

from tools import ports, process
from tools.errors import SetupError, explain


class Server:
    """An Odoo server of this checkout.

    :param settings: the Settings
    :param str name: what it is for ("demo", "test"); names its files
    """

    def __init__(self, settings, name):
        self.settings = settings
        self.name = name
        self.state_file = settings.made("run", f"{name}.json")
        self.log = settings.logs / f"odoo-{name}.log"

    def last(self):
        """Return what is known of the last start: {} or pid, born, port, db, code."""
        try:
            return json.loads(self.state_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def running(self):
        """Return what is known of the running server, {} when it does not run."""
        state = self.last()
        if state and process.started_at(state["pid"]) == state["born"]:
            return state
        return {}

    def start(self, odoo, database, port, code):
        """Start the server and wait until it answers.

        :param odoo: the Odoo to run
        :param str database: the database it serves
        :param int port: the TCP port it listens on
        :param str code: hash of the code it runs, to know later whether it is current
        :raise SetupError: when the port is taken or it does not come up
        """
        if not ports.is_free(port):
            raise ports.taken(port, f"make {self.name}")
        config = odoo.configure(self.name, database, port)
        odoo.announce(database, url_of(port))
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log, self.log.open("rb") as said:
            started = subprocess.Popen(
                [str(part) for part in odoo.command("-c", config)],
                env={**os.environ, **odoo.environment()},
                cwd=self.settings.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            state = {
                "pid": started.pid,
                "born": process.started_at(started.pid),
                "port": port,
                "db": database,
                "code": code,
            }
            self.state_file.parent.mkdir(exist_ok=True)
            self.state_file.write_text(json.dumps(state) + "\n")
            self._wait(started, port, said)

    def stop(self):
        """Stop the server.

        :return: whether it was running
        """
        state = self.running()
        if not state:
            return False
        process.end(state["pid"])
        return True

    def _wait(self, started, port, said, patience=120):
        limit = time.monotonic() + patience
        while time.monotonic() < limit:
            if started.poll() is not None:
                raise _why_ended(said.read().decode(errors="replace"), self.log, port)
            if healthy(port):
                return
            time.sleep(0.1)
        process.end(started.pid)
        raise SetupError(
            f"Odoo did not answer on port {port} within {patience} seconds.",
            f"see {self.log}",
        )


def url_of(port):
    """Return the address of a server of this machine."""
    return f"http://localhost:{port}"


def healthy(port):
    """Tell whether an Odoo on this machine answers its health check."""
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=5)
    try:
        connection.request("GET", "/web/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _why_ended(said, log, port):
    """Put the log of a server that ended at once into a sentence."""
    if "Address already in use" in said:
        return ports.taken(port, "make demo")
    machine = explain(said)
    if machine and "network" not in machine[0]:
        return SetupError(machine[0], machine[1])
    errors = re.findall(
        r"^(?:.*(?:ERROR|CRITICAL) .*|\w*(?:Error|Exception): .*)$", said, re.M
    )
    reason = errors[-1][:300] if errors else "it gave no reason"
    return SetupError(f"Odoo ended as soon as it was started: {reason}", f"see {log}")
