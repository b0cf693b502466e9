"""Databases: made once as templates, then copied, so that a fresh one is cheap."""

import ast

from tools.errors import SetupError
from tools.settings import BASE_PREFIX, TEST_PREFIX
from tools.stamps import Stamp, digest

# Installed in the base template beside what our add-ons depend on. `rpc` installs
# itself with `web` and serves XML-RPC.
_ALWAYS = ("base", "web", "mail", "rpc", "resource")


def base_modules(odoo):
    """Return the modules of Odoo that a database has before our add-ons come."""
    own = odoo.addons()
    wanted = set(_ALWAYS)
    for name in own:
        manifest = odoo.settings.root / name / "__manifest__.py"
        try:
            wanted.update(ast.literal_eval(manifest.read_text()).get("depends", ()))
        except (SyntaxError, ValueError) as error:
            raise SetupError(
                f"{manifest} is no manifest ({error}).", "correct it, then run again"
            ) from error
    return sorted(wanted.difference(own))


def ensure_base(odoo):
    """Have the template with Odoo's own modules.

    :return: (its name, what was done for people)
    """
    modules = base_modules(odoo)
    name = BASE_PREFIX + digest(odoo.source.fingerprint, ",".join(modules))[:10]
    if _is_made(odoo, name):
        return name, "up to date"
    _drop_others(odoo, BASE_PREFIX)
    log = odoo.settings.logs / "template-base.log"
    log.unlink(missing_ok=True)
    odoo.cluster.drop(name)
    odoo.install("Installing Odoo's own modules", name, log, install=modules)
    Stamp(odoo.settings, f"db-{name}").write("made")
    return name, "made from nothing"


def ensure_test_template(odoo, base):
    """Have the template with our add-ons, as they are now and without demo data.

    The log of their installation is kept: lint wants no warning in it.

    :return: (its name, path of the log, what was done for people)
    """
    key = digest(base, odoo.addons_digest())[:10]
    name = TEST_PREFIX + key
    log = odoo.settings.logs / f"install-{key}.log"
    if _is_made(odoo, name) and log.is_file():
        return name, log, "up to date (the add-ons have not changed)"
    _drop_others(odoo, TEST_PREFIX)
    for old in odoo.settings.logs.glob("install-*.log"):
        old.unlink()
    odoo.cluster.copy(base, name)
    addons = odoo.addons()
    if addons:
        odoo.install(f"Installing {', '.join(addons)}", name, log, install=addons)
    else:
        log.touch()
    # Tests roll back, so what they generate for the web client is lost each time.
    odoo.shell(
        "Building the web client's files",
        name,
        "env['ir.qweb']._pregenerate_assets_bundles(); env.cr.commit()",
        odoo.settings.logs / "assets.log",
    )
    Stamp(odoo.settings, f"db-{name}").write("made")
    return name, log, f"installed {', '.join(addons)}"


def ensure_demo(odoo, base, name, stop_server):
    """Have the demo database with our add-ons as they are now, and demo data.

    :param str base: the base template
    :param str name: the demo database
    :param stop_server: called before the database is changed
    :return: what was done, for people
    """
    # What the database is at, and the add-ons it has: "<hash>,a,b"; "making," and
    # "updating,a,b" are left behind by a call that did not come to its end.
    stamp = Stamp(odoo.settings, f"demo-{name}")
    now, addons = odoo.addons_digest(), odoo.addons()
    state, *installed = stamp.read().split(",")
    exists = name in odoo.cluster.databases()
    if exists and state == now:
        return f"{name} is up to date"
    if exists and not state:
        raise SetupError(
            f"There is a database {name} already that `make demo` did not make.",
            "choose another name: DB=qms_demo2 make demo",
        )
    stop_server()
    log = odoo.settings.logs / f"demo-{name}.log"
    log.unlink(missing_ok=True)
    if exists and state != "making":
        stamp.write(",".join(["updating", *installed]))
        odoo.install(
            f"Updating {', '.join(addons)}",
            name,
            log,
            install=[one for one in addons if one not in installed],
            update=[one for one in addons if one in installed],
        )
        done = f"{name} updated"
    else:
        stamp.write("making,")
        odoo.cluster.copy(base, name)
        odoo.install(f"Installing {', '.join(addons)}", name, log, install=addons)
        _load_demo_data(odoo, name, log)
        _refuse_broken_demo(log)
        done = f"{name} made, with demo data"
    stamp.write(",".join([now, *addons]))
    return done


def ensure_demo_log(odoo, template):
    """Have the log of loading the demo data of our add-ons, as they are now.

    Nothing else that CI runs would notice demo data that cannot be loaded.

    :param str template: the template with our add-ons
    :return: path of the log
    """
    log = odoo.settings.logs / "demo-data.log"
    stamp = Stamp(odoo.settings, "demo-data")
    if not (stamp.fits(template) and log.is_file()):
        log.unlink(missing_ok=True)
        name = TEST_PREFIX + "demo"
        odoo.cluster.copy(template, name)
        _load_demo_data(odoo, name, log)
        odoo.cluster.drop(name)
        stamp.write(template)
    return log


def _load_demo_data(odoo, name, log):
    config = odoo.configure("install", name)
    arguments = ["module", "force-demo", "-c", config, "-d", name]
    odoo.run("Loading the demo data", log, arguments)


def _refuse_broken_demo(log):
    """Odoo goes on when demo data cannot be loaded; we do not."""
    for line in log.read_text(errors="replace").splitlines():
        if "demo data failed to install" in line:
            module = line.partition(" Module ")[2].split(" ")[0]
            raise SetupError(
                f"The demo data of {module} cannot be loaded.", f"see {log}"
            )


def _is_made(odoo, name):
    return name in odoo.cluster.databases() and Stamp(odoo.settings, f"db-{name}").fits(
        "made"
    )


def _drop_others(odoo, prefix):
    """Drop the databases of this kind, which are all out of date by now."""
    for other in odoo.cluster.databases():
        if other.startswith(prefix):
            Stamp(odoo.settings, f"db-{other}").clear()
            odoo.cluster.drop(other)
