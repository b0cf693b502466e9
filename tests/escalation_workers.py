"""Workers of the escalation job that compete for the same runs, one of which dies.

Started by test_escalation_live.py with a database of its own: makes runs that are due,
has them escalated by three processes at once, of which the first is killed in the
middle of a batch, and prints as JSON what came of it.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections import Counter

import odoo
from odoo import sql_db
from odoo.modules.registry import Registry
from odoo.tools import config

RUNS = 40
BATCH = 8
# The first worker is killed while it tells of so many runs, in its first batch.
LAST_WORDS = 5


def main(db):
    """Do it, and print what came of it.

    :param str db: name of the database
    """
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what Odoo prints must not get into the report
    config.parse_config(["-c", os.environ["QMS_TEST_RC"]], setup_logging=False)
    registry = Registry(db)
    with registry.cursor() as cr:
        prepare(environment(cr))
        cr.commit()
    sql_db.close_all()
    ready, go = os.pipe()
    workers = [fork(registry, ready, go, dies=number == 0) for number in range(3)]
    os.close(ready)
    os.close(go)
    ends = [os.waitpid(worker, 0)[1] for worker in workers]
    sql_db.close_all()
    with registry.cursor() as cr:
        env = environment(cr)
        env["qms.sop.run"]._cron_escalate()
        cr.execute(
            "SELECT run_id, key FROM qms_escalation_event WHERE rule_id IS NOT NULL"
        )
        events = Counter(cr.fetchall())
        cr.execute(
            "SELECT key, target FROM qms_notification WHERE event = 'escalation'"
        )
        outbox = Counter(cr.fetchall())
        cr.execute("SELECT count(*) FROM mail_activity WHERE res_model = 'qms.sop.run'")
        ((activities,),) = cr.fetchall()
    json.dump(
        {
            "killed": [os.WIFSIGNALED(end) and os.WTERMSIG(end) for end in ends],
            "exits": [os.WIFEXITED(end) and os.WEXITSTATUS(end) for end in ends],
            "runs": RUNS,
            "events": sum(events.values()),
            "most_events": max(events.values()),
            "outbox": sum(outbox.values()),
            "most_in_outbox": max(outbox.values()),
            "activities": activities,
        },
        report,
    )
    report.flush()


def environment(cr):
    """Return an environment of the superuser, as the job has."""
    return odoo.api.Environment(cr, odoo.SUPERUSER_ID, {})


def prepare(env):
    """Make a rule for two people, and runs that are due."""
    people = env["res.users"].create(
        [
            {
                "name": name,
                "login": name,
                "email": f"{name}@example.com",
                "group_ids": [(4, env.ref("qms_error_code.group_qms_operator").id)],
            }
            for name in ("first", "second")
        ]
    )
    env["qms.escalation.matrix"].search([]).active = False
    matrix = env["qms.escalation.matrix"].create({"name": "Test"})
    env["qms.escalation.policy"].create(
        {
            "name": "Test",
            "matrix_id": matrix.id,
            "rule_ids": [(0, 0, {"user_ids": [(6, 0, people.ids)], "hours": "always"})],
        }
    )
    for number in range(RUNS):
        env["qms.sop.run"].start_run("SOP-TRIAGE-001", summary=f"Run {number}")


def fork(registry, ready, go, dies):
    """Start a worker: the one that dies at once, the others when it is busy.

    :param int ready: descriptor that tells the others when to begin: when it ends
    :param int go: its other end, which the one that dies closes
    :param bool dies: whether it is killed on the way
    :return: its process id
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if not dies:
            os.close(go)
            os.read(ready, 1)
        work(registry, go if dies else None)
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def work(registry, go):
    """Escalate what is due, in small batches.

    :param go: descriptor that the worker that dies closes when it is busy; None: it
        does not die
    """
    from odoo.addons.qms_sop.models.run import qms_sop_run_escalation as engine

    engine.BATCH = BATCH
    with registry.cursor() as cr:
        env = environment(cr)
        if go is not None:
            die_while_telling(type(env["qms.notification"]), go)
        env["qms.sop.run"]._cron_escalate()


def die_while_telling(outbox, go):
    """Have this process killed after something was put into the outbox."""
    enqueue, calls = outbox._enqueue, []

    def dying(self, *args, **kwargs):
        told = enqueue(self, *args, **kwargs)
        if not calls:
            os.close(go)
        calls.append(told)
        # The others claim their batches meanwhile.
        time.sleep(0.2)
        if len(calls) >= LAST_WORDS:
            os.kill(os.getpid(), signal.SIGKILL)
        return told

    outbox._enqueue = dying


if __name__ == "__main__":
    main(sys.argv[1])
