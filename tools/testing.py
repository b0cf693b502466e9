"""`make test`: every test, on databases of their own."""

import os
import subprocess

from tools import ports
from tools.server import Server, url_of

ADDONS_DB = "qms_test_addons"  # the add-ons' tests, which roll back what they do
LIVE_DB = "qms_test_live"  # what tests/ talk to over the network
MAX_WORKERS = 4  # more would wait for the tests that stay together


def wants_live_server(settings, paths):
    """Tell whether the tests asked for talk to a server."""
    folder = settings.root / "tests"
    if not folder.is_dir():
        return False
    return not paths or any(
        folder == path or folder in path.parents or path == settings.root
        for path in (settings.root / one.partition("::")[0] for one in paths)
    )


def paths_in(settings, arguments):
    """Return those of pytest's arguments that name tests."""
    return [
        one
        for one in arguments
        if not one.startswith("-") and (settings.root / one.partition("::")[0]).exists()
    ]


def count_workers(settings, paths):
    """Return how many processes share the tests; 0: pytest's own alone.

    What somebody asks for by name is run where a debugger can reach it.

    :param list paths: tests that were asked for
    :rtype: int
    """
    cores = os.cpu_count() or 1
    asked = paths or any(one.startswith("-n") for one in settings.args)
    return 0 if asked or cores == 1 else min(cores, MAX_WORKERS)


def prepare(odoo, template, live, watchers):
    """Make the databases, and start the server if it is wanted.

    :param str template: database to copy
    :param bool live: whether the tests talk to a server
    :param dict watchers: variables that say where Prometheus and Alertmanager are
    :return: (the Server or None, variables for pytest)
    """
    settings, cluster = odoo.settings, odoo.cluster
    server = Server(settings, "test")
    server.stop()
    cluster.copy(template, ADDONS_DB)
    environment = {
        **odoo.environment(),
        "ODOO_RC": str(odoo.configure("pytest", ADDONS_DB, ports.free_port())),
        "QMS_PG_HOST": str(settings.socket_folder),
        "QMS_PG_USER": "odoo",
        # pytest-odoo copies the database for its workers with these.
        "PATH": f"{cluster.binaries().folder}{os.pathsep}{os.environ['PATH']}",
        "PGHOST": str(settings.socket_folder),
        "PGUSER": "odoo",
        **watchers,
    }
    if not live:
        return None, environment
    cluster.copy(template, LIVE_DB)
    port = ports.free_port()
    server.start(odoo, LIVE_DB, port, "")
    environment.update(
        QMS_TEST_URL=url_of(port),
        QMS_TEST_DB=LIVE_DB,
        QMS_TEST_TEMPLATE=template,
        QMS_TEST_LOGIN="admin",
        QMS_TEST_PASSWORD="admin",
        QMS_TEST_RC=str(settings.made("conf", "test.conf")),
        QMS_TEST_LOG=str(server.log),
    )
    return server, environment


def run_pytest(odoo, environment, workers, paths):
    """Run pytest in the foreground, its output being ours.

    :param dict environment: variables to add
    :param int workers: processes that share the tests, see :func:`count_workers`
    :param list paths: tests that were asked for; [] runs all of them
    :return: pytest's exit status
    """
    settings = odoo.settings
    tests = [] if (settings.root / "tests").is_dir() is False else ["tests"]
    argv = [settings.python, "-m", "pytest", "-p", "tools.pytest_strict"]
    argv += ["--odoo-http", f"--odoo-database={ADDONS_DB}"]
    # The memory limit of a server would hold for what the tests start, too.
    argv += ["--odoo-extra=limit-memory-hard=0"]
    if workers:
        argv += ["-p", "tools.pytest_workers", f"--numprocesses={workers}"]
        argv += ["--no-loadscope-reorder"]
    argv += settings.args if paths else [*odoo.addons(), *tests, *settings.args]
    with subprocess.Popen(
        [str(part) for part in argv],
        cwd=settings.root,
        env={**os.environ, **environment},
    ) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # pytest got it too, and closes with what it has so far.
                continue
