"""Further Odoo servers for tests that need several workers, or one to kill."""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from scripts_support import free_port

# `python -m odoo` cannot start the extra process that worker processes come with: it
# starts its own script again, which then is a module without its package.
_PROGRAM = "import odoo.cli\nodoo.cli.main()\n"


class OdooProcess:
    """An Odoo server with two workers, of the test's own.

    :param Path folder: where its log goes
    :param str rc: configuration file to start from
    :param str db: the database it serves
    :param str options: more options of Odoo
    """

    def __init__(self, folder, rc, db, *options):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(folder, "odoo.log")
        self._process = None
        program = Path(folder, "odoo-bin")
        program.write_text(_PROGRAM)
        self._command = [
            *(sys.executable, program, "-c", rc, "-d", db),
            *(f"--db-filter=^{db}$", f"--http-port={self.port}"),
            *(f"--gevent-port={free_port()}", "--workers=2", "--max-cron-threads=0"),
            f"--logfile={self.log}",
            *options,
        ]

    def start(self, patience=60):
        """Start the server and wait until it answers.

        :param float patience: seconds until it must answer
        :raise AssertionError: when it does not
        """
        self._process = subprocess.Popen(
            [str(part) for part in self._command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=dict(os.environ),
        )
        limit = time.monotonic() + patience
        while not self.answers():
            assert self._process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < limit, self.log.read_text()[-2000:]
            time.sleep(0.1)

    def answers(self):
        """Tell whether the server is ready.

        :rtype: bool
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/web/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self):
        """End the server and its workers the way a power cut does."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self):
        """End the server."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
