"""Start and stop Prometheus and Alertmanager, configured as in monitoring/.

Both listen on free ports of this machine and keep their data in a folder that the
caller removes; the intervals are shorter than one would have them in operation.
"""

import contextlib
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

CONFIGURATION = Path(__file__).parent / "monitoring"
_START_TIMEOUT = 20.0
_STOP_TIMEOUT = 10.0


class MonitoringError(Exception):
    """Prometheus or Alertmanager did not start; the message says what it said."""


@dataclass(frozen=True)
class Programs:
    """Where the two programs are."""

    prometheus: str
    alertmanager: str

    @classmethod
    def from_environment(cls, environment=os.environ):
        """Return what QMS_PROMETHEUS and QMS_ALERTMANAGER name, None without them.

        `make test` and `make demo` set them when the programs can be had.
        """
        paths = [environment.get(f"QMS_{n}") for n in ("PROMETHEUS", "ALERTMANAGER")]
        return cls(*paths) if all(paths) else None


class MonitoringStack:
    """Both programs, watching one service; a context manager that stops them.

    :param Programs programs: where they are
    :param Path folder: for their configuration, data and logs
    :param str service_url: what Prometheus scrapes
    :param str webhook_url: where Alertmanager sends alerts
    :param str api_key: what it authenticates with
    :raise MonitoringError: when one of them does not start within 20 seconds
    """

    def __init__(self, programs, folder, service_url, webhook_url, api_key):
        self.folder = Path(folder)
        ports = _free_ports(2)
        self.prometheus_url, self.alertmanager_url = (
            f"http://127.0.0.1:{port}" for port in ports
        )
        self._write_configuration(service_url, webhook_url, api_key)
        self._stack = contextlib.ExitStack()
        try:
            self._start(
                "alertmanager",
                [
                    programs.alertmanager,
                    f"--config.file={self.folder / 'alertmanager.yml'}",
                    f"--storage.path={self.folder / 'alertmanager'}",
                    f"--web.listen-address=127.0.0.1:{ports[1]}",
                    # Alone: it looks for no peers and listens to none.
                    "--cluster.listen-address=",
                ],
            )
            self._start(
                "prometheus",
                [
                    programs.prometheus,
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.folder / 'prometheus'}",
                    f"--web.listen-address=127.0.0.1:{ports[0]}",
                    f"--web.external-url={self.prometheus_url}",
                    # It knows its Alertmanager a few seconds after its first alerts.
                    "--rules.alert.resend-delay=1s",
                ],
            )
            for name, url in (
                ("alertmanager", self.alertmanager_url),
                ("prometheus", self.prometheus_url),
            ):
                self._wait_until_ready(name, url)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.stop()

    def stop(self):
        """End both programs; safe to call again."""
        self._stack.close()

    def _write_configuration(self, service_url, webhook_url, api_key):
        key_file = self.folder / "api_key"
        key_file.touch(mode=0o600)
        key_file.write_text(api_key)
        prometheus = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
        prometheus["global"] = {
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "evaluation_interval": "200ms",
        }
        prometheus["rule_files"] = [str(CONFIGURATION / "qms_rules.yml")]
        managers = prometheus["alerting"]["alertmanagers"]
        managers[0]["static_configs"] = [
            {"targets": [urlsplit(self.alertmanager_url).netloc]}
        ]
        (orders,) = (
            job for job in prometheus["scrape_configs"] if job["job_name"] == "orders"
        )
        orders["static_configs"] = [{"targets": [urlsplit(service_url).netloc]}]
        prometheus["scrape_configs"] = [orders]
        alertmanager = yaml.safe_load((CONFIGURATION / "alertmanager.yml").read_text())
        alertmanager["route"].update(group_wait="100ms", group_interval="300ms")
        (webhook,) = alertmanager["receivers"][0]["webhook_configs"]
        webhook["url"] = webhook_url
        webhook["http_config"]["authorization"]["credentials_file"] = str(key_file)
        for name, content in (
            ("prometheus.yml", prometheus),
            ("alertmanager.yml", alertmanager),
        ):
            (self.folder / name).write_text(yaml.safe_dump(content))

    def _start(self, name, argv):
        log = self._stack.enter_context((self.folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Where an Alertmanager that was only unpacked looks for its templates.
            cwd=Path(argv[0]).resolve().parents[1],
            # Ctrl-C reaches the whole group: who started it stops it, in order.
            start_new_session=True,
        )
        self._stack.callback(_end, process)

    def _wait_until_ready(self, name, url):
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if time.monotonic() > deadline:
                    said = (self.folder / f"{name}.log").read_text().splitlines()
                    raise MonitoringError(
                        f"{name} did not start: {said[-1] if said else 'no word'}"
                    ) from None
                time.sleep(0.05)


def _end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(count):
    """Return ports on which nothing listens, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(count)
        ]
        return [one.getsockname()[1] for one in sockets]
