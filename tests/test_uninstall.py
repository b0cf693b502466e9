"""Uninstalling leaves nothing behind and nothing in the log, also when it was used."""

import os
import re
import subprocess
import sys
from contextlib import closing

import psycopg2
import pytest
from psycopg2 import sql

USE_AND_UNINSTALL = """
run = env["qms.sop.run"].start_run("SOP-TRIAGE-001", error_code="DB_DEADLOCK")
run = env["qms.sop.run"].browse(run["id"])
run.log_error("deadlock detected", step=1)
run.add_evidence("a.txt", "eA==")
run.record_rca("Two locks in two orders", confirm=True)
run.update_step(1, "completed")
# Activities of the SOP: one open, and one done, which Odoo archives and keeps.
for kind in ("review", "periodic_review"):
    activity = run.sop_id.activity_schedule("qms_sop.mail_activity_type_" + kind)
    assert activity.res_model == "qms.sop.document"
activity.action_feedback("Reviewed")
env.cr.commit()
module = env["ir.module.module"].search([("name", "=", "{module}")])
module.button_immediate_uninstall()
"""


@pytest.fixture
def database(database_copy):
    """A copy of the database that `make test` made, for one test."""
    with database_copy("uninstall") as name:
        yield name


def run_in_shell(database, script, said=""):
    """Run lines in a shell of Odoo, which complains of nothing meanwhile.

    :param str database: what it is connected to
    :param str script: Python, with ``env``
    :param str said: what has to be printed
    """
    done = subprocess.run(
        [sys.executable, "-m", "odoo", "shell", "--no-http", "-d", database]
        + ["-c", os.environ["QMS_TEST_RC"], "--logfile", ""],
        input=script,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0 and said in told, told
    bad = re.findall(rf"^.* (?:WARNING|ERROR|CRITICAL) {database} .*$", told, re.M)
    assert not bad, "\n".join(bad)
    assert "Traceback" not in told, told


@pytest.mark.parametrize(
    ("module", "prefixes"),
    [
        (
            "qms_sop",
            ("qms_sop", "qms_rca", "qms_idem", "qms_alert", "qms_maint")
            + ("qms_audit", "qms_retention"),
        ),
        ("qms_error_code", ("qms_",)),
    ],
)
def test_uninstall(odoo_server, database, module, prefixes):
    run_in_shell(database, USE_AND_UNINSTALL.format(module=module))
    with (
        closing(
            psycopg2.connect(
                host=odoo_server.pg_host, user=odoo_server.pg_user, dbname=database
            )
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ %s",
            [f"^({'|'.join(prefixes)})"],
        )
        assert cursor.fetchall() == []
        cursor.execute("SELECT count(*) FROM ir_model_data WHERE module = %s", [module])
        assert cursor.fetchone() == (0,)
        for table in ("ir_attachment", "mail_activity", "mail_activity_type"):
            cursor.execute(
                sql.SQL("SELECT count(*) FROM {} WHERE res_model LIKE 'qms.%'").format(
                    sql.Identifier(table)
                )
            )
            assert cursor.fetchone() == (0,), table


USE_AND_UNINSTALL_INCIDENTS = """
import base64
import tempfile
from odoo.addons.qms_sop.tools import verify_bundle
run = env["qms.sop.run"].start_run("SOP-TRIAGE-001", severity="critical")
run = env["qms.sop.run"].browse(run["id"])
run.log_error("deadlock detected", step=1)
incident = env["qms.incident"].browse(run.open_incident("Orders hang")["id"])
incident.add_timeline_entry("Seen", evidence="app.log")
incident.activity_schedule("mail.mail_activity_data_todo").action_feedback("Done")
action = env["qms.action"].browse(incident.create_action("Watch the pool")["id"])
run_id, action_id, reference = run.id, action.id, action.reference
# What other parts of the QMS know of it: an update, a rule, an issue, a bundle
incident.send_update("We are on it", users=["admin"])
rules = env["qms.retention.rule"]
rule = {"name": "Short", "years": 1, "basis": "A contract", "classification": "x"}
rules.create({**rule, "applies_to": "qms.incident"})
env["qms.issue.tracker"].create({"name": "Backlog", "repository": "example/backlog"})
incident.create_issue()
env.cr.commit()
postmortem = env["qms.postmortem"].browse(incident.create_postmortem()["id"])
postmortem.update_postmortem({"summary": "Orders hung", "participants": ["admin"]})
lesson = env["qms.action"].create({"name": "Alert", "postmortem_id": postmortem.id})
lesson_id = lesson.id
postmortem.activity_schedule("mail.mail_activity_data_todo").action_feedback("Done")
env.cr.commit()
other = env["qms.incident"].browse(env["qms.incident"].open_incident("Twice")["id"])
other.move("duplicate", duplicate_of=incident.id)
env.cr.commit()
# A post-mortem that was published, which is sealed by a signature, and amended
admin = env.ref("base.user_admin")
small = env["qms.incident"].with_user(admin)
small = small.browse(small.open_incident("Slow", severity="low")["id"])
for state in ("triaged", "resolved"):
    small.move(state)
quick = env["qms.postmortem"].with_user(admin)
quick = quick.browse(small.create_postmortem(kind="quick")["id"])
quick.update_postmortem(
    {"summary": "S", "root_cause": "C", "resolution": "R", "preventive_measures": "P"}
)
quick.move("in_review")
env.cr.commit()
quick.publish("{password}")
quick.amend("A mistake", "It was faster")
env.cr.commit()
bundle = env["qms.audit.bundle"].with_user(admin)
made = bundle.export_bundle(incident_ids=incident.ids)
assert (made["incidents"], made["runs"]) == (1, 1), made
env["qms.retention.purge"].create({"applies_to": "qms.incident"})
env["qms.audit.bundle"].create({"incident_ids": incident.ids})
env.cr.commit()
module = env["ir.module.module"].search([("name", "=", "qms_incident")])
module.button_immediate_uninstall()
with env.registry.cursor() as cr:
    env = env(cr=cr)
    assert "qms.incident" not in env
    run = env["qms.sop.run"].browse(run_id)
    assert run.get_run()["state"] == "in_progress"
    assert run.error_count == 1
    run.update_step(1, "completed")
    action = env["qms.action"].browse(action_id)
    assert (action.source_type, action.reference) == ("other", reference)
    action.write({"state": "in_progress"})
    lesson = env["qms.action"].browse(lesson_id)
    assert (lesson.source_type, lesson.state) == ("other", "open")
    assert not rules.with_env(env).search([("name", "=", "Short")])
    assert not env["qms.issue"].search([("res_model", "=", "qms.incident")])
    another = env["qms.sop.run"].start_run("SOP-TRIAGE-001", severity="critical")
    assert another["state"] == "in_progress"
    events = env["qms.audit.event"]
    for model, count in (("qms.incident", 5), ("qms.postmortem", 3)):
        trail = events.search([("root_model", "=", model)], order="root_id, sequence")
        assert len(trail) >= count, (model, trail.mapped("kind"))
        assert trail[-1].kind == "deleted", trail[-1].content
    # Without the add-on the run is taken away as before.
    made = env["qms.audit.bundle"].with_user(env.ref("base.user_admin"))
    made = made.export_bundle(run_ids=[run_id])
    assert "incidents" not in made and made["runs"] == 1
    trail = events.search([("model", "=", "qms.sop.run"), ("res_id", "=", run_id)])
    changes = [one.changes for one in trail if one.changes]
    told = [one["incident_id"][1] for one in changes if "incident_id" in one]
    assert sorted(map(bool, told)) == [False, True], told
    content = base64.b64decode(made["content"])
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(content)
        file.flush()
        keys = verify_bundle.audit_chain.Keys()
        source = verify_bundle.ZipSource(file.name)
        verification = verify_bundle.Verification(source, keys, 10**9)
        verification.run()
    assert not verification.problems, verification.problems
    check = events.with_user(env.ref("base.user_admin")).verify()
    # The anchors of the database that this is a copy of are not at hand.
    findings = [one for one in check["findings"] if one["kind"] != "anchor"]
    assert check["events"] and not findings, findings
    signatures = env["qms.signature"].search([("model", "=", "qms.postmortem")])
    assert signatures.mapped("validity") == ["missing"], signatures
print("UNINSTALLED")
"""

# Installed again, it goes on where it was: no id and no number is given out twice.
INSTALL_AGAIN = """
module = env["ir.module.module"].search([("name", "=", "qms_incident")])
module.button_immediate_install()
with env.registry.cursor() as cr:
    env = env(cr=cr)
    events = env["qms.audit.event"]
    known = events.search([("root_model", "=", "qms.incident")])
    again = env["qms.incident"].open_incident("Orders hang again", severity="low")
    cr.commit()
    assert again["id"] > max(known.mapped("root_id")), again
    assert again["name"] not in known.mapped("root_name"), again
    check = events.with_user(env.ref("base.user_admin")).verify()
    findings = [one for one in check["findings"] if one["kind"] != "anchor"]
    assert check["events"] and not findings, findings
print("INSTALLED")
"""


def test_uninstalling_incidents_leaves_the_rest_whole(odoo_server, database):
    script = USE_AND_UNINSTALL_INCIDENTS.replace("{password}", odoo_server.password)
    run_in_shell(database, script, "UNINSTALLED")
    with (
        closing(
            psycopg2.connect(
                host=odoo_server.pg_host, user=odoo_server.pg_user, dbname=database
            )
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^qms_(incident|postmortem)'"
        )
        assert cursor.fetchall() == []
        cursor.execute(
            "SELECT count(*) FROM ir_model_data WHERE module = 'qms_incident'"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute(
            """SELECT count(*) FROM information_schema.columns
                WHERE table_name IN ('qms_sop_run', 'qms_action')
                  AND column_name IN ('incident_id', 'postmortem_id')"""
        )
        assert cursor.fetchone() == (0,)
        for table in ("ir_attachment", "mail_activity", "mail_message"):
            column = "model" if table == "mail_message" else "res_model"
            cursor.execute(
                sql.SQL(
                    "SELECT count(*) FROM {} WHERE {} ~ '^qms.(incident|postmortem)'"
                ).format(sql.Identifier(table), sql.Identifier(column))
            )
            assert cursor.fetchone() == (0,), table
    run_in_shell(database, INSTALL_AGAIN, "INSTALLED")
