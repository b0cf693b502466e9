"""The job that tells people of runs, run once and measured in the server."""

import time

from odoo import SUPERUSER_ID, http
from odoo.fields import Command
from odoo.http import request


class EscalationPass(http.Controller):
    """What a pass of the job costs, without the scheduler around it."""

    @http.route(
        "/bench/v1/escalation-policies",
        type="http",
        auth="bearer",
        methods=["POST"],
        csrf=False,
    )
    def prepare(self):
        """Have one channel told of every run at once, and nobody else.

        :return: JSON with the ``id`` of the rule
        """
        env = request.env(user=SUPERUSER_ID)
        parameters = env["ir.config_parameter"]
        parameters.set_param("qms_sop.notification_schemes", "json")
        parameters.set_param("qms_sop.notification_hosts", "127.0.0.1")
        env["qms.escalation.matrix"].search([]).active = False
        matrix = env["qms.escalation.matrix"].create({"name": "Benchmark"})
        channel = env["qms.notification.channel"].create(
            {"name": "Benchmark", "new_url": "json://127.0.0.1:9"}
        )
        policy = env["qms.escalation.policy"].create(
            {
                "name": "Benchmark",
                "matrix_id": matrix.id,
                "rule_ids": [
                    Command.create(
                        {"hours": "always", "channel_ids": [Command.set(channel.ids)]}
                    )
                ],
            }
        )
        # The review of open runs that follows is no part of what is measured.
        env["qms.sop.run"]._cron_escalate()
        return request.make_json_response({"id": policy.rule_ids.id})

    @http.route(
        "/bench/v1/escalation-passes",
        type="http",
        auth="bearer",
        methods=["POST"],
        csrf=False,
    )
    def escalate(self):
        """Run the job until nothing is due any more.

        :return: JSON with ``seconds``, ``queries``, ``told`` (runs) and ``megabytes``,
            by which the process grew at most meanwhile
        """
        env = request.env(user=SUPERUSER_ID)
        events = env["qms.escalation.event"]
        before = events.search_count([])
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the high-water mark begins here
        start = _memory("VmRSS")
        queries, began = env.cr.sql_log_count, time.perf_counter()
        env["qms.sop.run"]._cron_escalate()
        took = time.perf_counter() - began
        return request.make_json_response(
            {
                "seconds": took,
                "queries": env.cr.sql_log_count - queries,
                "told": events.search_count([]) - before,
                "megabytes": max(_memory("VmHWM") - start, 0),
            }
        )


def _memory(name):
    """Return a figure of this process's memory, in megabytes."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    raise LookupError(name)
