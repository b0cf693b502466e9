import base64
import io
import json
import tempfile
import zipfile
from contextlib import contextmanager
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from odoo.addons.base.models import res_users
from odoo.addons.qms_sop.schemas.actions import ActionListQuery
from odoo.addons.qms_sop.tests.test_audit_trail import KEY
from odoo.addons.qms_sop.tests.test_retention import REASON, RetentionCommon
from odoo.addons.qms_sop.tools.verify_bundle import (
    FIELDS,
    Verification,
    ZipSource,
    audit_chain,
)

from .common import QmsIncidentCommon
from .test_qms_incident_closure import TEXTS, WHYS

# What is told of an incident and not compared: many to many, and what has no column
UNCOMPARED = {"system_ids"}


class RecordsCommon(QmsIncidentCommon, RetentionCommon):
    """A closed incident with one of everything, and what verifies it."""

    @classmethod
    def setUpClass(cls):
        # How long a password is hashed is not what is tested.
        cls.classPatch(res_users, "MIN_ROUNDS", 1)
        super().setUpClass()
        cls.enterClassContext(patch.dict("os.environ", {"QMS_AUDIT_KEY": KEY}))
        cls.auditor = cls.users["auditor"]
        cls.env["ir.config_parameter"].set_param(
            "qms_incident.automatic_severities", ""
        )
        cls.incident, cls.run_ = cls.closed()

    @classmethod
    def closed(cls, **values):
        """Return an incident from detection to closure, and its run."""
        incidents = cls.env["qms.incident"].with_user(cls.operator)
        incident = incidents.browse(
            incidents.open_incident(
                "Schedules cannot be generated",
                severity="high",
                description="500 on every request",
                systems="API, Scheduler",
                **values,
            )["id"]
        )
        cls.env.cr.flush()
        runs = cls.env["qms.sop.run"].with_user(cls.operator)
        run = runs.browse(runs.start_run(cls.sop.code)["id"])
        incident.link_run(run.id)
        run.add_evidence("a.log", base64.b64encode(b"pool exhausted").decode())
        run.record_rca(
            "No check of migrations",
            whys=WHYS,
            fix="Migration applied",
            verification="Pool below 50 %",
            confirm=True,
        )
        for step in run.step_ids.filtered("mandatory"):
            step.complete("Done.")
        run.complete("Mended")
        cls.env.cr.flush()
        incident.assign_role("incident_commander", cls.operator.login)
        incident.add_timeline_entry("Called the team", evidence="chat")
        incident.send_update("We are on it", users=[cls.manager.login])
        incident.update_incident({**TEXTS, "cost_estimate": 12.34})
        incident.create_action("Check migrations in CI", priority="high")
        cls.env.cr.flush()
        for state in ("triaged", "mitigated", "resolved", "reviewed", "closed"):
            incident.move(state)
            cls.env.cr.flush()
        return incident, run

    def sql(self, query, *values):
        self.env.flush_all()
        self.env.cr.execute(query, values)
        self.env.invalidate_all()

    @contextmanager
    def undone(self):
        """Undo what a block does to the database."""
        self.env.cr.flush()
        self.env.cr.execute("SAVEPOINT records")
        try:
            yield
        finally:
            self.env.flush_all()
            self.env.cr.execute("ROLLBACK TO SAVEPOINT records")
            self.env.invalidate_all()

    def bundles(self, user=None):
        return self.env["qms.audit.bundle"].with_user(user or self.auditor)

    def files(self, answer):
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(answer["content"])))
        return {name: archive.read(name) for name in archive.namelist()}

    def problems(self, answer, keys=KEY):
        """Return what the offline verifier finds in a bundle."""
        with tempfile.NamedTemporaryFile(suffix=".zip") as file:
            file.write(base64.b64decode(answer["content"]))
            file.flush()
            verification = Verification(
                ZipSource(file.name), audit_chain.Keys(keys), 10**9
            )
            verification.run()
        return verification.problems


@tagged("post_install", "-at_install")
class TestIncidentAttacks(RecordsCommon):
    """Whoever tries to alter the history of an incident is refused, or found out."""

    def test_closed_incidents_stay_as_they_are(self):
        incident = self.incident
        users = {**self.users, "administrator": self.env.ref("base.user_admin")}
        for role, user in {**users, "superuser": None}.items():
            mine = incident.with_user(user) if user else incident.sudo()
            for what, change in {
                "title": lambda one: one.write({"title": "Nothing"}),
                "time": lambda one: one.write({"resolved_at": "2020-01-01 00:00:00"}),
                "impact": lambda one: one.write({"users_affected": 1}),
                "cause": lambda one: one.write({"prevention": "x"}),
                "state": lambda one: one.write({"state": "triaged"}),
                "number": lambda one: one.write({"name": "INC-20200101-001"}),
                "override": lambda one: one.write({"override_reason": "x"}),
                "runs": lambda one: self.run_.with_env(one.env).write(
                    {"incident_id": False}
                ),
                "entry": lambda one: one.add_timeline_entry("Later"),
                "role": lambda one: one.assign_role(
                    "incident_commander", "qms_manager"
                ),
                "deletion": lambda one: one.unlink(),
                "purge": lambda one: one.purge("x"),
            }.items():
                with (
                    self.subTest(role=role, what=what),
                    self.assertRaises(UserError),
                    self.env.cr.savepoint(),
                ):
                    change(mine)
        for part in (incident.assignment_ids, incident.update_ids):
            for user in users.values():
                for attempt in (
                    lambda one: one.write({"user_id": self.manager.id}),
                    lambda one: one.unlink(),
                    lambda one: one.copy(),
                ):
                    with self.assertRaises(AccessError), self.env.cr.savepoint():
                        attempt(part.with_user(user))
        self.assertEqual(self.found(), set())

    def test_import_and_server_action(self):
        administrator = self.env.ref("base.user_admin")
        for record, field in (
            (self.incident, "title"),
            (self.incident.update_ids, "message"),
            (self.incident.assignment_ids, "note"),
        ):
            known = record._export_rows([["id"]])[0][0]
            mine = self.env[record._name].with_user(administrator)
            answer = mine.load(["id", field], [[known, "Forged"]])
            self.assertFalse(answer["ids"], record._name)
        action = self.env["ir.actions.server"].create(
            {
                "name": "Forge",
                "model_id": self.env["ir.model"]._get_id("qms.incident"),
                "state": "code",
                "code": f"env['qms.incident'].sudo().browse({self.incident.id})"
                ".write({'resolved_at': '2020-01-01 00:00:00'})",
            }
        )
        with self.assertRaises(UserError), self.env.cr.savepoint():
            action.with_user(administrator).run()
        self.assertEqual(self.found(), set())

    def test_changed_by_sql(self):
        """What is changed past the ORM is found although the trail is sound."""
        incident = self.incident
        for query in (
            "UPDATE qms_incident SET title = 'Nothing happened' WHERE id = %s",
            "UPDATE qms_incident SET state = 'false_positive' WHERE id = %s",
            "UPDATE qms_incident SET active = false WHERE id = %s",
            "UPDATE qms_incident SET users_affected = NULL WHERE id = %s",
            "UPDATE qms_incident SET users_affected = 7 WHERE id = %s",
            "UPDATE qms_incident SET cost_estimate = 12.35 WHERE id = %s",
            "UPDATE qms_incident SET compliance = 'violated' WHERE id = %s",
            "UPDATE qms_incident SET override_missing = 'fix' WHERE id = %s",
            "UPDATE qms_incident SET user_id = 1 WHERE id = %s",
            "UPDATE qms_incident SET postmortem_link = NULL WHERE id = %s",
            """UPDATE qms_incident SET severity_id = (SELECT id FROM qms_severity
                WHERE code = 'low') WHERE id = %s""",
            """UPDATE qms_incident
                  SET resolved_at = resolved_at + interval '1 second' WHERE id = %s""",
            "UPDATE qms_incident SET occurred_at = detected_at WHERE id = %s",
            "UPDATE qms_incident SET time_to_resolve = 1 WHERE id = %s",
            "UPDATE qms_incident SET time_to_detect = 0 WHERE id = %s",
            "UPDATE qms_incident SET times_conflict = true WHERE id = %s",
            """UPDATE qms_incident_assignment SET until = since
                WHERE incident_id = %s""",
            "UPDATE qms_incident_update SET message = 'x' WHERE incident_id = %s",
            """UPDATE qms_incident_update SET sent_at = '2020-01-01'
                WHERE incident_id = %s""",
        ):
            with self.subTest(query), self.undone():
                self.sql(query, incident.id)
                self.assertEqual(self.found(), {("differs", incident.id)})
        self.assertEqual(self.found(), set())

    def test_moved_by_sql(self):
        """What belongs to which incident is told in the trail of that."""
        other = self.open()
        self.env.cr.flush()
        for table, record in (
            ("qms_sop_run", self.run_),
            ("qms_action", self.incident.action_ids),
        ):
            for value in (other.id, None):
                with self.subTest(table=table, value=value), self.undone():
                    self.sql(
                        f"UPDATE {table} SET incident_id = %s WHERE id = %s",
                        value,
                        record.id,
                    )
                    self.assertEqual(self.found(), {("differs", record.id)})

    def test_put_in_or_deleted_by_sql(self):
        incident = self.incident
        with self.undone():
            self.sql(
                """INSERT INTO qms_incident_update
                          (incident_id, kind, message, sent_at, user_id)
                   SELECT incident_id, kind, 'Forged', sent_at, user_id
                     FROM qms_incident_update WHERE incident_id = %s""",
                incident.id,
            )
            self.assertEqual(self.found(), {("untracked", incident.id)})
        with self.undone():
            self.sql(
                "DELETE FROM qms_incident_assignment WHERE incident_id = %s",
                incident.id,
            )
            self.assertEqual(self.found(), {("vanished", incident.id)})
        with self.undone():
            self.sql(
                """INSERT INTO qms_incident
                          (name, title, state, company_id, detected_at, create_date,
                           active)
                   VALUES ('INC-20200101-001', 'x', 'closed', %s, now(),
                           now() + interval '1 hour', true)
                   RETURNING id""",
                incident.company_id.id,
            )
            (forged,) = self.env.cr.fetchone()
            self.assertEqual(self.found(), {("untracked", forged)})
        other = self.open(title="To be made away with")
        self.env.cr.flush()
        with self.undone():
            self.sql(
                "DELETE FROM qms_incident_assignment WHERE incident_id = %s", other.id
            )
            self.sql("DELETE FROM qms_incident WHERE id = %s", other.id)
            self.assertIn(("vanished", other.id), self.found())

    def test_every_text_is_compared(self):
        """A field that is added is compared, or named as one that is not."""
        for model in ("qms.incident", "qms.incident.assignment", "qms.incident.update"):
            told = self.env[model]._audit_fields() - UNCOMPARED - {"company_id"}
            self.assertLessEqual(told - {"name"}, FIELDS[model].keys(), model)

    def test_open_incidents_pass_too(self):
        incident = self.open(severity="critical", error_code="DB_DEADLOCK")
        incident.move("triaged")
        incident.move("mitigated")
        self.env.cr.flush()
        incident.move("triaged", reason="It is back")
        incident.update_incident({"users_affected": 0, "description": "ä" * 5000})
        self.env.cr.flush()
        self.assertEqual(self.found(), set())


@tagged("post_install", "-at_install")
class TestIncidentBundle(RecordsCommon):
    """An incident is taken away with everything that proves it."""

    def export(self, **arguments):
        arguments = arguments or {"incident_ids": self.incident.ids}
        return self.bundles().export_bundle(**arguments)

    def test_it_has_everything(self):
        self.env["qms.audit.anchor"].sudo()._take()
        answer = self.export()
        self.assertEqual(
            (answer["incidents"], answer["runs"], answer["purged"]), (1, 1, 0)
        )
        files = self.files(answer)
        incident, name = self.incident, f"incidents/{self.incident.name}.json"
        action = incident.action_ids
        self.assertLessEqual(
            {
                name,
                f"runs/{self.run_.name}.json",
                f"actions/{action.reference.replace('/', '_')}.json",
                "sops/SOP-TEST-001-1.0.0.json",
                f"chain/qms.incident-{incident.id}.jsonl",
                f"chain/qms.sop.run-{self.run_.id}.jsonl",
                f"chain/qms.action-{action.id}.jsonl",
            },
            set(files),
        )
        said = json.loads(files[name])
        self.assertEqual((said["state"], said["users_affected"]), ("closed", 0))
        self.assertEqual([one["message"] for one in said["updates"]], ["We are on it"])
        self.assertEqual(said["assignments"][0]["role"], "incident_commander")
        self.assertIn("Called the team", [act["detail"] for act in said["timeline"]])
        self.assertNotIn("url", said)
        self.assertEqual(self.problems(answer), [])
        # The same, whoever takes it and whenever, and with the run for a start.
        self.env.invalidate_all()
        self.assertEqual(
            self.bundles(self.manager).export_bundle(incident_ids=incident.ids), answer
        )
        self.assertEqual(self.export(run_ids=self.run_.ids)["sha256"], answer["sha256"])

    def test_by_period(self):
        since = f"{self.incident.detected_at.isoformat()}Z"
        manifest = json.loads(self.files(self.export(since=since))["manifest.json"])
        self.assertIn(self.incident.id, manifest["records"]["qms.incident"])
        nothing = self.export(until="1999-01-01T00:00:00Z")
        self.assertEqual((nothing["incidents"], nothing["runs"]), (0, 0))
        with self.assertRaisesRegex(
            ValidationError, "no incidents with these ids.*: 0"
        ):
            self.export(incident_ids=[0])
        with self.assertRaisesRegex(ValidationError, "Say which"):
            self.export(incident_ids=self.incident.ids, since=since)

    def test_only_auditors_and_managers(self):
        for role in ("operator", "author", "automation"):
            with self.assertRaisesRegex(AccessError, "Only auditors"):
                self.bundles(self.users[role]).export_bundle(
                    incident_ids=self.incident.ids
                )

    def test_signature_of_an_override(self):
        self.registry_enter_test_mode()
        incident = self.open().with_user(self.manager)
        for state in ("triaged", "resolved", "reviewed"):
            incident.move(state)
            self.env.cr.flush()
        incident.close_anyway("Nobody is left who knows", "qms_manager")
        self.env.cr.flush()
        answer = self.export(incident_ids=incident.ids)
        said = json.loads(self.files(answer)[f"incidents/{incident.name}.json"])
        (signature,) = said["signatures"]
        self.assertEqual(
            (signature["meaning"], signature["valid"], signature["comment"]),
            ("closed", True, "Nobody is left who knows"),
        )
        self.assertEqual(self.problems(answer), [])
        self.assertEqual(self.found(), set())
        self.sql(
            "UPDATE qms_incident SET override_reason = 'x' WHERE id = %s", incident.id
        )
        answer = self.export(incident_ids=incident.ids)
        said = json.loads(self.files(answer)[f"incidents/{incident.name}.json"])
        self.assertFalse(said["signatures"][0]["valid"])
        (problem,) = self.problems(answer)
        self.assertIn("its override_reason is not what event", problem)

    def test_what_was_changed_past_the_trail_disproves_it(self):
        name = f"incidents/{self.incident.name}.json"
        for table, column, value, said in (
            ("qms_incident", "title", "Nothing", f"{name}: its title is not what"),
            (
                "qms_incident",
                "resolved_at",
                "2020-01-01",
                "its resolved_at is not what",
            ),
            ("qms_incident", "users_affected", None, "its users_affected is not"),
            ("qms_incident_update", "message", "x", "updates .*: its message is not"),
            ("qms_incident_assignment", "until", "2020-01-01", "its until is not what"),
        ):
            column_of = "id" if table == "qms_incident" else "incident_id"
            with self.subTest(table=table, column=column), self.undone():
                self.sql(
                    f"UPDATE {table} SET {column} = %s WHERE {column_of} = %s",
                    value,
                    self.incident.id,
                )
                (problem,) = self.problems(self.export())
                self.assertRegex(problem, said)
        with self.undone():
            self.sql(
                "DELETE FROM qms_incident_update WHERE incident_id = %s",
                self.incident.id,
            )
            (problem,) = self.problems(self.export())
            self.assertRegex(problem, "updates [0-9]+ is missing, of which event")

    def test_wizard(self):
        context = {"active_model": "qms.incident", "active_ids": self.incident.ids}
        form = Form(self.bundles().with_context(**context))
        # With the run that comes along
        self.assertEqual((form.incident_count, form.run_count), (1, 1))
        # As the web client opens it, which wants the names at once
        wanted = {"incident_ids": {"fields": {"display_name": {}}}}
        shown = self.bundles().with_context(**context).onchange({}, [], wanted)
        self.assertEqual(len(shown["value"]["incident_ids"]), 1)
        wizard = form.save()
        wizard.action_make()
        self.addCleanup(wizard._path().unlink, missing_ok=True)
        with zipfile.ZipFile(wizard._path()) as archive:
            self.assertIn(f"incidents/{self.incident.name}.json", archive.namelist())
        context = {"active_model": "qms.sop.run", "active_ids": self.run_.ids}
        form = Form(self.bundles().with_context(**context))
        self.assertEqual((form.incident_count, form.run_count), (1, 1))
        self.assertEqual(Form(self.bundles()).incident_count, 0)
        with Form(self.bundles()) as form:
            form.date_from = form.date_to = self.incident.detected_at.date()
            self.assertGreaterEqual(form.incident_count, 1)


@tagged("post_install", "-at_install")
class TestIncidentRetention(RecordsCommon):
    """Incidents are kept for years, and purged after what refers to them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.incident_rule = cls.make_rule("qms.incident", 10)

    def old_incident(self, **values):
        with self.in_the_past():
            incident = self.open(**values).with_user(self.manager)
            incident.move("false_positive", reason="A test of the alarm")
        return incident

    def test_kept_until(self):
        until = self.incident.kept_until
        last = self.trail(self.incident)[-1].recorded_at
        self.assertEqual((until.year, until.month), (last.year + 10, last.month))
        self.assertFalse(self.open().kept_until)
        incident = self.incident.with_user(self.manager)
        with self.assertRaisesRegex(UserError, "1 × Action refer to it; 1 × SOP run"):
            incident.purge(REASON)
        with self.in_the_past(9):
            young = self.open().with_user(self.manager)
            young.move("false_positive", reason="A test of the alarm")
        with self.assertRaisesRegex(UserError, "it is kept until"):
            young.purge(REASON)
        with self.assertRaisesRegex(AccessError, "Only QMS managers"):
            self.incident.purge(REASON)

    def test_purged(self):
        first = self.old_incident(title="Secret of a customer")
        number = first.name
        with self.in_the_past():
            part = self.open(parent=first.name).with_user(self.manager)
            part.move("duplicate", duplicate_of=first.id)
        with self.assertRaisesRegex(UserError, "2 × Incident refer to it"):
            first.purge(REASON)
        run = self.old_run()
        with self.in_the_past():
            third = self.open()
            third.link_run(run.id)
            third = third.with_user(self.manager)
            third.move("false_positive", reason="No")
        with self.assertRaisesRegex(UserError, "1 × SOP run refer to it"):
            third.purge(REASON)

        purges = self.env["qms.retention.purge"].with_user(self.manager)
        with Form(purges.with_context(default_applies_to="qms.incident")) as form:
            form.reason = REASON
            self.assertIn(third.name, form.stays)
        due = form.record.incident_ids & (first | part | third)
        self.assertEqual(due, first | part)
        # Together they do not hold each other back.
        self.assertEqual((first | part).purge(REASON)["purged"], 2)
        self.assertFalse((first | part).exists())
        events = self.events_of("qms.incident", first.id)
        self.assertEqual((events[-1].kind, events[-1].reason), ("purged", REASON))
        self.assertNotIn("Secret", "".join(events.mapped("content")))
        self.assertFalse(
            self.env["mail.message"].search_count(
                [("model", "=", "qms.incident"), ("res_id", "=", first.id)]
            )
        )
        self.assertEqual(self.found(), set())
        # What is left of it is taken away as well.
        self.env.flush_all()
        answer = self.bundles().export_bundle(incident_ids=[first.id])
        self.assertEqual((answer["incidents"], answer["purged"]), (0, 1))
        self.assertIn(f"chain/qms.incident-{first.id}.jsonl", self.files(answer))
        self.assertEqual(self.problems(answer), [])
        # The number is not given out again.
        self.assertNotEqual(self.open().name, number)


@tagged("post_install", "-at_install")
class TestIncidentRecords(RecordsCommon):
    """What other parts of the QMS learn from an incident."""

    def test_nothing_is_given_out_again_after_a_reinstallation(self):
        """As when the tables are new, and the trails are those of before."""
        last = self.open()
        self.env.cr.flush()
        self.sql("SELECT setval('qms_incident_id_seq', 1)")
        self.sql("DELETE FROM qms_incident_number")
        for model in ("qms.incident", "qms.incident.number"):
            self.env[model].init()
        following = self.open()
        self.assertGreater(following.id, last.id)
        self.assertEqual(int(following.name[-3:]), int(last.name[-3:]) + 1)

    def test_page_of_the_auditor(self):
        self.sql(
            "UPDATE qms_incident SET reopen_count = 1 WHERE id = %s", self.incident.id
        )
        pages = self.env["qms.audit.integrity"].with_user(self.auditor)
        page = pages.browse(pages.action_open()["res_id"])
        questions = {one.name: one for one in page.question_ids}
        reopened = questions["Reopened"]
        self.assertEqual(reopened.where, "Incident")
        found = self.env["qms.incident"].search(reopened.action_open()["domain"])
        self.assertIn(self.incident, found)
        self.assertEqual(reopened.count, len(found))
        lacking = questions["Critical or high, closed without post-mortem"]
        count = lacking.count
        self.sql(
            "UPDATE qms_incident SET postmortem_link = NULL WHERE id = %s",
            self.incident.id,
        )
        page._ask()
        self.assertEqual(
            page.question_ids.filtered(lambda one: one.name == lacking.name)[-1].count,
            count + 1,
        )

    def test_impact_in_escalations(self):
        run = self.start_run()
        self.assertIsNone(run._escalation_impact())
        incident = self.open()
        incident.link_run(run.id)
        self.assertIsNone(run._escalation_impact())
        incident.update_incident(
            {
                "users_affected": 0,
                "groups_affected": "residents",
                "workaround_available": "no",
                "compliance": "at_risk",
            }
        )
        self.assertEqual(
            run._escalation_impact().splitlines(),
            [
                incident.display_name,
                "Users affected: 0: residents",
                "Workaround: none",
                "Compliance: At risk",
            ],
        )

    def test_actions_are_found_by_where_they_come_from(self):
        actions = self.env["qms.action"].with_user(self.operator)
        query = ActionListQuery.model_validate({"source_type": "Incident,postmortem"})
        found = {one["id"]: one for one in actions._api_list(query)["items"]}
        action = self.incident.action_ids
        self.assertEqual(found[action.id]["source_type"], "incident")
        query = ActionListQuery.model_validate({"source_type": "hearsay"})
        with self.assertRaisesRegex(
            ValidationError, "source_type: 'hearsay' is unknown. Accepted: .*incident"
        ):
            actions._api_list(query)
        with self.assertRaisesRegex(ValidationError, "does not fit the source"):
            actions.create_action("x", run_id=self.run_.id, source_type="incident")

    def test_issues(self):
        tracker = self.env["qms.issue.tracker"].create(
            {"name": "Backlog", "repository": "example/backlog"}
        )
        draft = self.incident.preview_issue()
        self.assertEqual(
            draft["title"],
            f"[Post-Incident] {self.incident.name}: Schedules cannot be generated",
        )
        self.assertEqual(draft["labels"][:1], ["incident-response"])
        self.assertIn("high-priority", draft["labels"])
        for text in (
            "Users affected: 0",
            "No check of migrations",
            f"- [ ] {self.incident.action_ids.reference}: Check migrations in CI",
            f"[{self.run_.name}]",
        ):
            self.assertIn(text, draft["body"])
        issue = self.env["qms.issue"].browse(self.incident.create_issue()["id"])
        self.assertEqual(issue.res_model, "qms.incident")
        self.assertEqual(self.incident.issue_count, 1)
        about = self.incident.action_ids.preview_issue(tracker.name)
        self.assertEqual(about["title"], "[Post-Incident] Check migrations in CI")
        self.assertIn(f"From incident [{self.incident.name}]", about["body"])
        self.assertEqual(about["labels"], draft["labels"])
        # An action that comes from elsewhere is called as before.
        actions = self.env["qms.action"].with_user(self.operator)
        other = actions.browse(actions.create_action("Tidy up")["id"])
        self.assertTrue(
            other.preview_issue()["title"].startswith(f"[{other.reference}]")
        )
