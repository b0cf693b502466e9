"""Starting Odoo: its configuration file, its command line, its progress."""

import re
from dataclasses import dataclass

from tools import postgres, process
from tools.stamps import digest


@dataclass(frozen=True)
class Odoo:
    """An Odoo that can be run on the private PostgreSQL.

    :param settings: the Settings
    :param console: the Console
    :param source: the OdooSource
    :param cluster: the Cluster, running
    """

    settings: object
    console: object
    source: object
    cluster: object

    def addons(self):
        """Return the names of our add-ons: each top-level folder with a manifest."""
        return find_addons(self.settings.root)

    def addons_digest(self):
        """Return a hash that changes when an installed database has to be updated."""
        return addons_digest(self.settings.root, self.addons())

    def environment(self):
        """Return the variables that a Python needs to import Odoo."""
        return {
            "PYTHONPATH": f"{self.source.python_path}:{self.settings.root}",
            "PYTHONDONTWRITEBYTECODE": "",
        }

    def configure(self, name, database, port=None):
        """Write a configuration file.

        :param str name: the file's name, without its ending
        :param str database: the one database that is served
        :param int port: TCP port, or None for no HTTP server
        :return: its path
        """
        folders = [*map(str, self.source.addons), str(self.settings.root)]
        options = {
            "addons_path": ",".join(folders),
            "data_dir": self.settings.data,
            # What a failing browser test leaves to look at.
            "screenshots": self.settings.made("screenshots"),
            "db_host": self.settings.socket_folder,
            "db_user": postgres.SUPERUSER,
            "db_name": database,
            "dbfilter": f"^{database}$",
            "list_db": False,
            "http_interface": "127.0.0.1",
            "http_port": port or 8069,
            "http_enable": port is not None,
            "proxy_mode": False,
            # Threads, not processes: with one worker process no PDF can be made.
            "workers": 0,
            "max_cron_threads": 1,
            # Each XML-RPC call would log that XML-RPC will be removed in Odoo 22.
            "log_handler": ":INFO,odoo.addons.rpc.controllers.xmlrpc:ERROR",
        }
        path = self.settings.made("conf", f"{name}.conf")
        path.parent.mkdir(exist_ok=True)
        lines = [f"{key} = {value}" for key, value in options.items()]
        path.write_text("\n".join(["[options]", *lines]) + "\n")
        return path

    def command(self, *arguments):
        """Return the command line that runs Odoo."""
        return [self.settings.python, "-m", "odoo", *arguments]

    def run(self, what, log, arguments, stdin=None):
        """Run an Odoo command to its end, showing how far it is.

        :param str what: the doing, for people
        :param Path log: where its output goes
        :param list arguments: Odoo's arguments
        """
        with self.console.activity(what) as activity:

            def watch(line):
                match = re.search(r"Loading module (\S+) \((\d+)/(\d+)\)", line)
                if match:
                    activity.detail(f"{match[1]} ({match[2]} of {match[3]})")

            process.run(
                self.command(*arguments),
                what,
                log,
                watch=watch,
                env=self.environment(),
                cwd=self.settings.root,
                stdin=stdin,
            )

    def install(self, what, database, log, install=(), update=(), demo=False):
        """Install and update add-ons in a database, which is made if it is missing."""
        config = self.configure("install", database)
        arguments = ["-c", config, "--stop-after-init"]
        if install:
            arguments += ["-i", ",".join(install)]
        if update:
            arguments += ["-u", ",".join(update)]
        if demo:
            arguments.append("--with-demo")
        self.run(what, log, arguments)

    def shell(self, what, database, code, log):
        """Run Python code in a database, `env` being Odoo's environment."""
        config = self.configure("install", database)
        arguments = ["shell", "-c", config, "-d", database, "--no-http"]
        self.run(what, log, arguments, stdin=code)

    def announce(self, database, url):
        """Tell a database, whose server is not running, the address of its server.

        Links in messages and PDF reports are made with it.
        """
        self.cluster.query(
            f"UPDATE ir_config_parameter SET value = '{url}' "
            "WHERE key = 'web.base.url'",
            database,
        )


def find_addons(root):
    """Return the names of the add-ons in a checkout, in alphabetical order."""
    return sorted(path.parent.name for path in root.glob("*/__manifest__.py"))


def addons_digest(root, names):
    """Return a hash of what add-ons hold, their tests left out.

    A changed test needs no update of the database it runs on.
    """
    parts = []
    for name in names:
        for path in sorted((root / name).rglob("*")):
            inside = path.relative_to(root)
            if "tests" in inside.parts or "__pycache__" in inside.parts:
                continue
            if path.is_file() and path.suffix != ".pyc":
                parts += [str(inside), path]
    return digest(*parts)
