"""A process with Odoo's ORM on the live server's database, for the fixtures' use.

Reads one JSON object per line on standard input, {"code": …, "values": {…}}, runs the
code with `env` (as superuser) and the values as names, commits, and answers with one
line: {"result": …} being the variable `result`, or {"error": …}.
"""

import json
import os
import sys
import traceback

import odoo
from odoo.modules.registry import Registry
from odoo.tools import config


def main():
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Odoo prints must not get between the answers
    config.parse_config(["-c", os.environ["QMS_TEST_RC"]], setup_logging=False)
    registry = Registry(os.environ["QMS_TEST_DB"])
    for line in sys.stdin:
        try:
            answer = {"result": run(registry, **json.loads(line))}
        except Exception as error:
            answer = {
                "error": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exc(),
            }
        answers.write(json.dumps(answer, default=str) + "\n")
        answers.flush()


def run(registry, code, values):
    """Run code in a transaction of its own and return what it calls `result`."""
    registry = registry.check_signaling()
    with registry.cursor() as cr:
        env = odoo.api.Environment(cr, odoo.SUPERUSER_ID, {})
        names = {**values, "env": env}
        exec(code, names)
        env.flush_all()
        result = names.get("result")
        cr.commit()
    registry.signal_changes()
    return result


if __name__ == "__main__":
    main()
