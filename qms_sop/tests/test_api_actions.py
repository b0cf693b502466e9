from datetime import timedelta
from typing import get_args

from odoo import fields
from odoo.tests import freeze_time, new_test_user, tagged

from ..models.action.qms_action import HORIZONS, KINDS, TYPES
from ..schemas import actions as schemas
from .api_common import QmsApiCase
from .common import GROUPS


@tagged("post_install", "-at_install")
class TestApiActions(QmsApiCase):
    def raised(self, title="Add a migration check", **values):
        actions = self.env["qms.action"].with_user(self.operator)
        return actions.browse(actions.create_action(title, **values)["id"])

    def post(self, path, body, user=None, **options):
        return self.call("POST", path, user or self.operator, body, **options)

    def test_words_are_those_of_the_model(self):
        for words, options in (
            (schemas.Kind, KINDS),
            (schemas.WorkType, TYPES),
            (schemas.Horizon, HORIZONS),
            (
                schemas.ActionState,
                self.env["qms.action"]._fields["state"].selection,
            ),
        ):
            self.assertEqual(get_args(words), tuple(dict(options)))

    def test_the_life_of_an_action(self):
        run = self.start_run(error_code="DB_CONNECTION_LEAK")
        response = self.post(
            "actions",
            {
                "title": "Add a migration check",
                "kind": "preventive",
                "type": "automation",
                "priority": "P1",
                "horizon": "immediate",
                "owner": "qms_author",
                "run_id": run.id,
                "check_days": 0,
            },
            headers={"Idempotency-Key": "once"},
        )
        self.assertEqual(response.status_code, 201, response.text)
        action = response.json()
        self.assert_valid(schemas.Action, action)
        today = fields.Date.context_today(self.env["qms.action"])
        expected = {
            "reference": f"{run.name}/AI-001",
            "state": "open",
            "priority": "high",
            "owner": "qms_author",
            "due_date": (today + timedelta(days=7)).isoformat(),
            "error_code": "DB_CONNECTION_LEAK",
            "source_type": "run",
            "done_at": None,
        }
        self.assertEqual({name: action[name] for name in expected}, expected)
        path = f"actions/{action['id']}"
        self.assertTrue(response.headers["Location"].endswith(f"/api/v1/{path}"))

        etag = response.headers["ETag"]
        response = self.call(
            "PATCH",
            path,
            self.author,
            {"owner": None, "title": "Check migrations in CI"},
            {"If-Match": etag},
        )
        self.assertEqual(response.status_code, 200, response.text)
        self.assertEqual(
            (response.json()["owner"], etag != response.headers["ETag"]), (None, True)
        )

        response = self.post(
            f"{path}/transitions", {"state": "done", "result": "Job added."}
        )
        self.assertEqual(response.status_code, 200, response.text)
        self.assert_valid(schemas.Action, response.json())
        self.assertEqual(response.json()["state"], "done")
        self.assertTrue(response.json()["done_at"])
        again = self.post(
            f"{path}/transitions", {"state": "reopened", "reason": "It fails."}
        ).json()
        self.assertEqual(
            (again["state"], again["done_at"], again["times_reopened"]),
            ("reopened", None, 1),
        )
        got = self.call("GET", path, self.users["auditor"])
        self.assertEqual(got.json(), again)

    def test_refusals(self):
        action = self.raised()
        path = f"actions/{action.id}"
        for body, field in (
            ({}, "title"),
            ({"title": " "}, "title"),
            ({"title": "x", "kind": "reactive"}, "kind"),
            ({"title": "x", "priority": "urgent"}, "priority"),
            ({"title": "x", "owner": "nobody"}, "owner"),
            ({"title": "x", "due_date": "2026-02-30"}, "due_date"),
            ({"title": "x", "due_date": "0001-01-01"}, "due_date"),
            ({"title": "x", "run_id": 2_147_483_647}, "run_id"),
            ({"title": "x", "sop_code": "SOP-NONE"}, "sop_code"),
            ({"title": "x", "run_id": 1, "rca_id": 1}, "run_id"),
            ({"title": "x", "source_type": "run"}, "source_type"),
            ({"title": "x", "state": "verified"}, "state"),
        ):
            with self.subTest(body):
                self.assert_problem(self.post("actions", body), 422, field=field)
        for body, field in (
            ({"title": None}, "title"),
            ({"due_date": None}, "due_date"),
            ({"state": "done"}, "state"),
        ):
            with self.subTest(body):
                response = self.call("PATCH", path, self.operator, body)
                self.assert_problem(response, 422, field=field)
        for body, field in (
            ({"state": "verified"}, "state"),
            ({"state": "reopened", "reason": "x"}, "state"),
            ({"state": "cancelled"}, "state"),
            ({"state": "done"}, "result"),
        ):
            with self.subTest(body):
                self.assert_problem(
                    self.post(f"{path}/transitions", body), 422, field=field
                )
        self.assertEqual(action.state, "open")
        self.assert_problem(self.call("GET", "actions/999999999", self.operator), 404)
        self.assert_problem(self.call("GET", path), 401)

    def test_only_what_was_read_is_changed(self):
        path = f"actions/{self.raised().id}"
        response = self.call(
            "PATCH", path, self.operator, {"title": "x"}, {"If-Match": '"1-1"'}
        )
        self.assert_problem(response, 412)

    def test_an_auditor_changes_nothing(self):
        path = f"actions/{self.raised().id}"
        auditor = self.users["auditor"]
        for response in (
            self.post("actions", {"title": "x"}, auditor),
            self.call("PATCH", path, auditor, {"title": "x"}),
            self.post(f"{path}/transitions", {"state": "in_progress"}, auditor),
        ):
            self.assert_problem(response, 403)

    def test_other_companies(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="qms_action_outsider",
            groups=GROUPS["manager"],
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        action = self.raised(run_id=self.start_run().id)
        self.assert_problem(self.call("GET", f"actions/{action.id}", outsider), 404)
        listed = self.call("GET", f"actions?run_id={action.run_id.id}", outsider)
        self.assertEqual(listed.json()["items"], [])
        self.assert_problem(
            self.post("actions", {"title": "x", "run_id": action.run_id.id}, outsider),
            422,
            field="run_id",
        )

    def test_lists(self):
        run = self.start_run(error_code="DB_CONNECTION_LEAK")
        rca = run.record_rca("No limit.", actions=[{"title": "Limit the pool"}])
        limit = self.env["qms.action"].browse(rca["actions"][0]["id"])
        with freeze_time("2026-03-02"):
            check = self.raised(run_id=run.id, kind="preventive", priority="high")
            self.env.flush_all()
        nobody = self.raised(sop_code=self.sop.code, type="testing")
        nobody.write({"user_id": False})
        ours = limit | check | nobody
        for query, expected in (
            (f"run_id={run.id}", limit | check),
            (f"rca_id={rca['id']}", limit),
            ("kind=preventive", check),
            ("priority=P1,critical", check),
            ("overdue=true", check),
            ("due_before=2026-04-01", check),
            ("type=testing,training", nobody),
            ("owner=", nobody),
            ("owner=qms_operator&state=open", limit | check),
            ("sop_code=SOP-TEST-001", nobody),
            ("source_type=rca", limit),
            ("error_code=DB_CONNECTION_LEAK", limit | check),
            ("q=the%20pool", limit),
            (f"q={check.reference}", check),
            ("state=done", ours.browse()),
        ):
            with self.subTest(query):
                response = self.call("GET", f"actions?limit=200&{query}", self.operator)
                self.assertEqual(response.status_code, 200, response.text)
                self.assert_valid(schemas.ActionPage, response.json())
                found = {item["id"] for item in response.json()["items"]}
                self.assertEqual(found & set(ours.ids), set(expected.ids))
        for query in ("priority=urgent", "owner=nobody", "due_before=2026-02-30"):
            response = self.call("GET", f"actions?{query}", self.operator)
            self.assert_problem(response, 422, field=query.partition("=")[0])
        page = self.call(
            "GET", f"actions?limit=1&run_id={run.id}&fields=title", self.operator
        ).json()
        self.assertEqual(page["items"], [{"id": check.id, "title": check.name}])
        following = self.call(
            "GET",
            f"actions?limit=1&run_id={run.id}&cursor={page['next_cursor']}",
            self.operator,
        ).json()
        self.assertEqual([item["id"] for item in following["items"]], limit.ids)

    def test_a_list_does_not_pay_per_action(self):
        run = self.start_run()
        query = schemas.ActionListQuery(run_id=run.id)
        counts = []
        # The first time, what is kept between requests is not there yet.
        for _round in range(3):
            for title in ("a", "b", "c", "d"):
                self.raised(title, run_id=run.id)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.env["qms.action"].with_user(self.operator)._api_list(query)
            counts.append(self.env.cr.sql_log_count - before)
        self.assertEqual(counts[1], counts[2])
        self.assertLessEqual(counts[2], 4)

    def test_an_analysis_raises_actions(self):
        run = self.start_run()
        response = self.post(
            f"sop-runs/{run.id}/rca",
            {
                "root_cause": "No limit.",
                "actions": [{"title": "x", "kind": "preventive"}],
            },
        )
        self.assertEqual(response.status_code, 201, response.text)
        (action,) = response.json()["actions"]
        self.assertEqual((action["title"], action["state"]), ("x", "open"))
        for wrong in ({"title": "x", "run_id": 1}, {"kind": "preventive"}):
            response = self.post(
                f"sop-runs/{run.id}/rca", {"root_cause": "x", "actions": [wrong]}
            )
            self.assert_problem(response, 422)
