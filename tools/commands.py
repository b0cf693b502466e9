"""The commands of the Makefile, each a sequence of steps."""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

from tools import (
    databases,
    demo,
    linting,
    lock,
    monitoring,
    odoo_source,
    postgres,
    system_packages,
    testing,
    virtualenv,
)
from tools.console import Console, human_size
from tools.errors import CommandError, SetupError, from_os_error
from tools.odoo import Odoo, find_addons
from tools.server import Server
from tools.settings import DEFAULT_DB, DEFAULT_PORT, Settings

ROOT = Path(__file__).resolve().parents[1]


class Setup:
    """The steps that commands share; each knows when it has nothing to do."""

    def __init__(self, settings, console):
        self.settings = settings
        self.console = console

    def machine(self, needs):
        """Have what only the machine's package manager can give."""
        with self.console.step("This machine") as done:
            if self.settings.odoo_home:  # better refused now than in a minute
                odoo_source.from_folder(self.settings.odoo_home, "ODOO_HOME")
            odoo_source.require_space(self.settings)
            added = system_packages.ensure(needs, self.settings, self.console)
            free = human_size(shutil.disk_usage(self.settings.root).free)
            text = f"Python {platform.python_version()}, {free} free"
            done(f"{text}, installed {', '.join(added)}" if added else text)

    def odoo(self):
        """Have Odoo and a running PostgreSQL."""
        with self.console.step("Odoo 19") as done:
            source = odoo_source.ensure(self.settings, self.console)
            done(source.origin)
        with self.console.step("PostgreSQL") as done:
            cluster = postgres.Cluster(self.settings, self.console)
            done(cluster.ensure())
        return Odoo(self.settings, self.console, source, cluster)

    def python(self):
        """Have the virtual environment."""
        with self.console.step("Python packages") as done:
            done(virtualenv.ensure(self.settings, self.console))

    def monitoring(self):
        """Have Prometheus and Alertmanager, if they can be had.

        :return: variables that say where they are, or why they are not there
        """
        with self.console.step("Prometheus and Alertmanager") as done:
            found, text = monitoring.ensure(self.settings, self.console)
            done(text)
        return found.environment() if found else {"QMS_MONITORING": text}

    def prettier(self):
        """Have prettier."""
        with self.console.step("Prettier") as done:
            done(linting.ensure_prettier(self.settings, self.console))

    def base(self, odoo):
        """Have the template with Odoo's own modules; returns its name."""
        with self.console.step("Template database") as done:
            name, text = databases.ensure_base(odoo)
            done(text)
        return name

    def test_template(self, odoo, base):
        """Have the template with our add-ons; returns its name and install log."""
        with self.console.step("Template database with the add-ons") as done:
            name, log, text = databases.ensure_test_template(odoo, base)
            done(text)
        return name, log


def run_demo(settings, console):
    """From nothing to a running server with a worked SOP on it."""
    shown = demo.Demo(settings)
    console.title(f"Demo on port {shown.port}, database {shown.db}", 9)
    shown.check_port("make demo")
    setup = Setup(settings, console)
    setup.machine(system_packages.FOR_ODOO)
    setup.python()
    odoo = setup.odoo()
    base = setup.base(odoo)
    watchers = setup.monitoring()
    with console.step("Demo database") as done:
        done(shown.ensure_database(odoo, base))
    with console.step("Odoo server") as done:
        done(shown.ensure_server(odoo))
    with console.step(
        "Scenario: a service fails, and the triage SOP is worked"
    ) as done:
        done(shown.ensure_story(odoo, console, watchers))
    shown.where_to_look(console)
    return 0


def run_up(settings, console):
    """Start what `make demo` made."""
    shown = demo.Demo(settings, remember=True)
    if not settings.made("stamps", f"demo-{shown.db}").is_file():
        raise SetupError(
            f"There is no database {shown.db} in this checkout yet.", "make demo"
        )
    console.title(f"Up on port {shown.port}, database {shown.db}", 7)
    shown.check_port("make up")
    setup = Setup(settings, console)
    setup.machine(system_packages.FOR_ODOO)
    setup.python()
    odoo = setup.odoo()
    base = setup.base(odoo)
    with console.step("Demo database") as done:
        done(shown.ensure_database(odoo, base))
    with console.step("Odoo server") as done:
        done(shown.ensure_server(odoo))
    shown.where_to_look(console)
    return 0


def run_down(settings, console):
    """Stop all that runs."""
    stop_all(settings, console)
    return 0


def stop_all(settings, console):
    """Stop the servers and PostgreSQL, and say which were running."""
    for name in ("demo", "test"):
        server = Server(settings, name)
        state = server.running()
        if server.stop():
            console.line(f"Odoo on port {state['port']} is stopped.")
    cluster = postgres.Cluster(settings, console)
    stopped = cluster.exists() and cluster.stop()
    console.line("PostgreSQL is stopped." if stopped else "PostgreSQL was not running.")


def run_test(settings, console):
    """Run the tests; the last lines are pytest's own."""
    paths = testing.paths_in(settings, settings.args)
    live = testing.wants_live_server(settings, paths)
    console.title("Test", 8 if live else 7)
    setup = Setup(settings, console)
    setup.machine(system_packages.FOR_TESTS)
    setup.python()
    odoo = setup.odoo()
    template, _log = setup.test_template(odoo, setup.base(odoo))
    watchers = setup.monitoring() if live else {}
    with console.step("Test databases and server") as done:
        workers = testing.count_workers(settings, paths)
        server, environment = testing.prepare(odoo, template, live, watchers)
        done("a copy for the add-ons" + (", another with a server" if live else ""))
    console.line()
    try:
        return testing.run_pytest(odoo, environment, workers, paths)
    finally:
        if server:
            server.stop()


def run_lint(settings, console):
    """Check the code; says what is wrong where."""
    console.title("Lint", 9)
    setup = Setup(settings, console)
    setup.machine(system_packages.FOR_LINT)
    setup.prettier()
    setup.python()
    addons = find_addons(settings.root)
    with console.step("The source") as done:
        complaints = linting.check_source(settings, console, addons)
        done(*linting.verdict(complaints))
    odoo = setup.odoo()
    template, log = setup.test_template(odoo, setup.base(odoo))
    with console.step("The installation") as done:
        demo_log = databases.ensure_demo_log(odoo, template)
        logs = {"the add-ons install": log, "their demo data load": demo_log}
        found = linting.check_logs(settings, console, logs)
        done(*linting.verdict(found))
    if complaints + found:
        raise linting.refuse(complaints + found)
    return 0


def run_format(settings, console):
    """Correct the format of the code."""
    console.title("Format", 4)
    setup = Setup(settings, console)
    setup.machine(system_packages.FOR_LINT)
    setup.prettier()
    setup.python()
    with console.step("Format"):
        linting.apply_format(settings, console, find_addons(settings.root))
    return 0


def run_bench(settings, console):
    """Measure against the budgets of the design."""
    console.title("Bench", 5)
    setup = Setup(settings, console)
    setup.machine(system_packages.FOR_ODOO)
    setup.python()
    odoo = setup.odoo()
    base = setup.base(odoo)
    console.line()
    argv = [settings.python, settings.root / "benchmarks" / "run.py"]
    argv += ["--odoo", odoo.source.python_path, "--pg-host", settings.socket_folder]
    argv += ["--pg-user", postgres.SUPERUSER, "--template", base, *settings.args]
    return subprocess.run([str(part) for part in argv], cwd=settings.root).returncode


def run_clean(settings, console):
    """Stop everything and remove everything that was made."""
    stop_all(settings, console)
    shutil.rmtree(settings.work)
    console.line(f"{settings.work} is removed.")
    return 0


COMMANDS = {
    "demo": (run_demo, "everything from nothing: Odoo 19, the add-ons, a worked SOP"),
    "up": (run_up, "start again what make demo made"),
    "down": (run_down, "stop everything that runs"),
    "test": (run_test, "all tests; ARGS='tests -k health' chooses, as for pytest"),
    "lint": (run_lint, "ruff, pylint-odoo, XML and JavaScript format, install log"),
    "format": (run_format, "correct the format of Python, XML and JavaScript"),
    "bench": (run_bench, "measure against the budgets; ARGS as for benchmarks/run.py"),
    "clean": (run_clean, "stop everything and remove all that was made (.qms/)"),
}


def run_help(console):
    """Print the commands and the choices."""
    console.line("QMS SOP: runbooks as controlled, executable, auditable procedures.")
    console.line()
    for name, (_function, text) in COMMANDS.items():
        console.line(f"  {console.paint(f'make {name:<8}', 'bold')} {text}")
    console.line()
    for name, text in (
        ("PORT", f"port of the demo's Odoo (default {DEFAULT_PORT})"),
        ("DB", f"database of the demo (default {DEFAULT_DB})"),
        ("ODOO_HOME", "a checkout of Odoo 19.0 to use instead of fetching one"),
        ("PYTHON", "a Python 3.10 to 3.13 to use (default python3)"),
    ):
        console.line(f"  {console.paint(f'{name:<13}', 'bold')} {text}")
    console.line()
    console.line("  Example: PORT=8070 make demo")
    return 0


def main(arguments):
    """Run one command.

    :param list arguments: the command's name
    :return: exit status
    """
    parser = argparse.ArgumentParser(prog="python3 -m tools")
    parser.add_argument(
        "command", choices=["help", *COMMANDS], nargs="?", default="help"
    )
    command = parser.parse_args(arguments).command
    console = Console()
    if command == "help":
        return run_help(console)
    settings = None
    try:
        settings = Settings.from_environment(os.environ, ROOT)
        if command in ("down", "clean") and not settings.work.is_dir():
            console.line("Nothing was made here, so nothing runs.")
            return 0
        settings.prepare()
        with lock.hold(settings, command):
            return COMMANDS[command][0](settings, console)
    except SetupError as error:
        return _fail(error, bool(settings and settings.ci))
    except OSError as error:
        _keep_traceback(settings)
        return _fail(from_os_error(error))
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. The same command goes on where it was.\n")
        return 130
    except Exception as error:  # whatever it is, nobody is shown a stack trace
        _keep_traceback(settings)
        where = settings.logs / "tools-error.log" if settings else "above"
        return _fail(
            SetupError(
                f"This should not happen ({type(error).__name__}: {error}).",
                f"tell us, with {where}",
            )
        )


def _fail(error, ci=False):
    """Show an error and return the exit status for it."""
    console = Console(sys.stderr)
    sys.stdout.flush()
    console.line(f"\n{console.mark(False)} {error.problem}")
    console.line(f"  {console.paint('Way out:', 'bold')} {error.way_out}")
    if ci and isinstance(error, CommandError):
        # The log goes with the machine, so its end is shown here.
        console.line("\n".join(["", *error.tail]))
    return 1


def _keep_traceback(settings):
    """Keep what a developer needs where it does not disturb."""
    if settings and settings.logs.is_dir():
        try:
            with (settings.logs / "tools-error.log").open("a") as log:
                traceback.print_exc(file=log)
        except OSError:
            return
