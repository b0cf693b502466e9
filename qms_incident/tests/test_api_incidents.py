from odoo.tests import tagged

from odoo.addons.qms_sop.schemas.actions import Action, ActionPage
from odoo.addons.qms_sop.tests.api_common import QmsApiCase

from ..schemas import incidents as schemas

OPENED = {
    "title": "Schedules cannot be generated",
    "severity": "P1",
    "error_code": "DB_CONNECTION_TIMEOUT",
    "systems": ["Backend API"],
    "detection_method": "monitoring",
    "occurred_at": "2024-12-26T14:30:15Z",
    "detected_at": "2024-12-26T14:32:00Z",
}


@tagged("post_install", "-at_install")
class TestApiIncidents(QmsApiCase):
    def post(self, path, body, user=None, **options):
        return self.call("POST", path, user or self.operator, json_body=body, **options)

    def opened(self, **values):
        response = self.post("incidents", {**OPENED, **values})
        self.assertEqual(response.status_code, 201, response.text)
        return response.json()

    def moved(self, incident, *states):
        for state in states:
            path = f"incidents/{incident['id']}/transitions"
            response = self.post(path, {"state": state})
            self.assertEqual(response.status_code, 200, response.text)
        return response.json()

    def test_open_and_get(self):
        response = self.post("incidents", OPENED)
        self.assertEqual(response.status_code, 201, response.text)
        incident = response.json()
        self.assert_valid(schemas.OpenedIncident, incident)
        self.assertEqual(incident["name"], "INC-20241226-001")
        self.assertEqual(incident["severity"], "high")
        self.assertEqual(incident["category"], "DATABASE")
        self.assertEqual(incident["durations_minutes"]["detect"], 1.75)
        self.assertIsNone(incident["durations_minutes"]["resolve"])
        self.assertIsNone(incident["users_affected"])
        self.assertTrue(response.headers["Location"].endswith(f"/{incident['id']}"))
        read = self.call("GET", f"incidents/{incident['id']}", self.users["auditor"])
        self.assert_valid(schemas.Incident, read.json())
        self.assertEqual(read.headers["ETag"], response.headers["ETag"])
        some = self.call(
            "GET", f"incidents/{incident['id']}?fields=name,state", self.operator
        )
        self.assertEqual(set(some.json()), {"id", "name", "state"})

    def test_same_idempotency_key_opens_one(self):
        header = {"Idempotency-Key": "abc"}
        first = self.post("incidents", OPENED, headers=header).json()
        again = self.post("incidents", OPENED, headers=header)
        self.assertEqual(again.json()["id"], first["id"])
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")

    def test_open_for_a_run(self):
        run = self.start_run(severity="critical", summary="Down")
        run.log_error("deadlock detected", error_code="DB_DEADLOCK")
        first = self.post("incidents", {"run_id": run.id})
        self.assertEqual(first.status_code, 201, first.text)
        incident = first.json()
        self.assertEqual(incident["title"], "Down")
        self.assertEqual(incident["first_error"], "DB_DEADLOCK: deadlock detected")
        self.assertEqual(incident["roles"][0]["role"], "incident_commander")
        again = self.post("incidents", {"run_id": run.id})
        self.assertEqual(again.status_code, 200)
        self.assertTrue(again.json()["existing"])
        unknown = self.post("incidents", {"run_id": 2_000_000_000})
        self.assert_problem(unknown, 422, field="run_id")

    def test_open_for_an_alert(self):
        source = self.env.ref("qms_sop.qms_alert_source_generic")
        alert = self.env["qms.alert"].create(
            {
                "name": "Pool exhausted",
                "source_id": source.id,
                "company_id": self.env.company.id,
                "fingerprint": "pool",
                "status": "firing",
                "state": "failed",
                "starts_at": "2024-12-26 14:30:15",
                "start_known": True,
            }
        )
        response = self.post("incidents", {"alert_id": alert.id, "severity": "P0"})
        self.assertEqual(response.status_code, 201, response.text)
        incident = response.json()
        self.assertEqual(incident["title"], "Pool exhausted")
        self.assertEqual(incident["severity"], "critical")
        self.assertEqual(incident["occurred_at"], "2024-12-26T14:30:15Z")
        self.assertEqual(incident["detection_method"], "monitoring")
        again = self.post("incidents", {"alert_id": alert.id})
        self.assertEqual((again.status_code, again.json()["existing"]), (200, True))
        unknown = self.post("incidents", {"alert_id": 2_000_000_000})
        self.assert_problem(unknown, 422, field="alert_id")
        both = self.post("incidents", {"alert_id": alert.id, "run_id": 1})
        self.assert_problem(both, 422)

    def test_actions(self):
        incident = self.opened()
        path = f"incidents/{incident['id']}/actions"
        raised = self.post(path, {"title": "Check migrations in CI", "priority": "P1"})
        self.assertEqual(raised.status_code, 201, raised.text)
        self.assert_valid(Action, raised.json())
        self.assertEqual(raised.json()["reference"], f"{incident['name']}/AI-001")
        self.assertEqual(raised.json()["error_code"], "DB_CONNECTION_TIMEOUT")
        self.assertTrue(raised.headers["ETag"])
        run = self.start_run()
        self.post(f"incidents/{incident['id']}/runs", {"run_id": run.id})
        of_run = self.env["qms.action"].with_user(self.operator)
        of_run.create_action("Limit the pool", run_id=run.id)
        page = self.call("GET", f"{path}?limit=1", self.users["auditor"]).json()
        self.assert_valid(ActionPage, page)
        self.assertEqual([one["number"] for one in page["items"]], ["AI-001"])
        rest = self.call(
            "GET", f"{path}?limit=1&cursor={page['next_cursor']}", self.operator
        ).json()
        self.assertEqual(rest["items"][0]["title"], "Limit the pool")
        self.assertIsNone(rest["next_cursor"])
        body = {"title": "x", "priority": "huge"}
        self.assert_problem(self.post(path, body), 422, field="priority")
        refused = self.post(path, {"title": "x"}, user=self.users["auditor"])
        self.assert_problem(refused, 403)

    def test_what_is_wrong_is_named(self):
        for body, status, field in (
            ({}, 422, "title"),
            ({"title": " "}, 422, "title"),
            ({"title": "x", "severity": "awful"}, 422, "severity"),
            ({"title": "x", "detected_at": "2999-01-01T00:00:00Z"}, 422, "detected_at"),
            ({"title": "x", "detected_at": "0001-01-01T00:00:00Z"}, 422, "detected_at"),
            ({"title": "x", "occurred_at": "0001-01-01T00:00:00Z"}, 422, "occurred_at"),
            ({"title": "x", "parent": "INC-1"}, 422, "parent"),
            ({"title": "x", "color": 1}, 422, "color"),
            ({"title": "x", "detection_method": "x"}, 422, "detection_method"),
        ):
            with self.subTest(body):
                self.assert_problem(self.post("incidents", body), status, field=field)

    def test_list_filters_and_pages(self):
        made = [self.opened(title=f"Number {number}") for number in range(3)]
        self.opened(severity="low", error_code=None, title="Other")
        path = "incidents?severity=high&q=number&sort=detected_at&limit=2"
        first = self.call("GET", path, self.operator).json()
        self.assert_valid(schemas.IncidentPage, first)
        path = f"{path}&cursor={first['next_cursor']}"
        second = self.call("GET", path, self.operator).json()
        self.assertEqual(
            [one["id"] for one in first["items"] + second["items"]],
            [one["id"] for one in made],
        )
        self.assertIsNone(second["next_cursor"])
        path = f"incidents?name={made[1]['name'].lower()}"
        found = self.call("GET", path, self.operator).json()
        self.assertEqual([one["id"] for one in found["items"]], [made[1]["id"]])
        path = "incidents?detected_after=2024-12-26T00:00:00Z"
        path += "&detected_before=2024-12-26T14:32:00Z&state=detected"
        self.assertEqual(self.call("GET", path, self.operator).json()["items"], [])

    def test_many_cost_no_more_queries_than_few(self):
        incidents = self.env["qms.incident"].with_user(self.operator)
        for number in range(6):
            run = self.start_run(severity="critical", summary=f"Down {number}")
            run.open_incident()
        self.env.flush_all()
        counts = []
        # The first fills the caches.
        for limit in (6, 1, 6):
            self.env.invalidate_all()
            found = incidents.search([], limit=limit)
            before = self.cr.sql_log_count
            found._api_dicts()
            counts.append(self.cr.sql_log_count - before)
        self.assertEqual(*counts[1:])

    def test_change(self):
        incident = self.opened()
        path = f"incidents/{incident['id']}"
        read = self.call("GET", path, self.operator)
        response = self.call(
            "PATCH",
            path,
            self.operator,
            json_body={
                "users_affected": 0,
                "data_integrity": "intact",
                "systems": ["PostgreSQL", "Backend API"],
                "description": None,
            },
            headers={"If-Match": read.headers["ETag"]},
        )
        self.assertEqual(response.status_code, 200, response.text)
        self.assert_valid(schemas.Incident, response.json())
        self.assertEqual(response.json()["users_affected"], 0)
        self.assertEqual(response.json()["systems"], ["Backend API", "PostgreSQL"])
        stale = self.call(
            "PATCH",
            path,
            self.operator,
            json_body={"title": "x"},
            headers={"If-Match": read.headers["ETag"]},
        )
        self.assert_problem(stale, 412, "precondition-failed")
        for body, field in (
            ({"users_affected": -1}, "users_affected"),
            ({"state": "closed"}, "state"),
            ({"title": None}, "title"),
            ({"responsible": "ghost"}, "responsible"),
        ):
            with self.subTest(body):
                refused = self.call("PATCH", path, self.operator, json_body=body)
                self.assert_problem(refused, 422, field=field)

    def test_transitions(self):
        incident = self.opened()
        path = f"incidents/{incident['id']}/transitions"
        self.assert_problem(
            self.post(path, {"state": "closed"}), 422, "refused", field="state"
        )
        triaged = self.post(path, {"state": "triaged", "at": "2024-12-26T14:33:30Z"})
        self.assert_valid(schemas.Incident, triaged.json())
        self.assertEqual(triaged.json()["durations_minutes"]["acknowledge"], 1.5)
        again = self.post(path, {"state": "triaged"})
        self.assert_problem(again, 422, "refused", field="state")
        self.assert_problem(
            self.post(path, {"state": "mitigated", "at": "2024-12-26T14:00:00Z"}),
            422,
            field="at",
        )
        self.assert_problem(
            self.post(path, {"state": "duplicate"}), 422, field="duplicate_of"
        )

    def test_closure_says_the_same_as_the_refusal(self):
        incident = self.opened()
        self.moved(incident, "triaged", "resolved", "reviewed")
        path = f"incidents/{incident['id']}"
        closure = self.call("GET", f"{path}/closure", self.users["auditor"]).json()
        self.assert_valid(schemas.IncidentClosure, closure)
        self.assertFalse(closure["ready"])
        refused = self.assert_problem(
            self.post(f"{path}/transitions", {"state": "closed"}), 422, "refused"
        )
        self.assertEqual(
            [(one["field"], one["detail"]) for one in refused["errors"]],
            [(one["code"], one["text"]) for one in closure["missing"]],
        )
        record = self.env["qms.incident"].browse(incident["id"])
        self.assertEqual(record.missing, closure["missing"])

    def test_events(self):
        incident = self.opened()
        path = f"incidents/{incident['id']}/events"
        entry = {
            "text": "First error logged",
            "occurred_at": "2024-12-26T14:30:15Z",
            "component": "Backend API",
            "evidence": "logs/backend.log:1234",
        }
        response = self.post(path, entry)
        self.assertEqual(response.status_code, 201, response.text)
        self.assert_valid(schemas.IncidentEvent, response.json())
        page = self.call("GET", f"{path}?limit=2", self.users["auditor"]).json()
        self.assert_valid(schemas.IncidentEventPage, page)
        self.assertEqual(
            [event["type"] for event in page["items"]], ["incident.began", "entry"]
        )
        rest = self.call(
            "GET", f"{path}?limit=2&cursor={page['next_cursor']}", self.operator
        ).json()
        self.assertEqual(
            [event["type"] for event in rest["items"]], ["incident.detected"]
        )
        late = self.post(path, {**entry, "occurred_at": "2999-01-01T00:00:00Z"})
        self.assert_problem(late, 422, field="occurred_at")

    def test_roles_and_runs(self):
        incident = self.opened()
        path = f"incidents/{incident['id']}"
        body = {"role": "technical_lead", "user": "qms_author"}
        answer = self.post(f"{path}/roles", body).json()
        self.assert_valid(schemas.Incident, answer)
        self.assertEqual(answer["roles"][0]["user_id"], self.author.id)
        self.assert_problem(
            self.post(f"{path}/roles", {"role": "boss"}), 422, field="role"
        )
        run = self.start_run()
        answer = self.post(f"{path}/runs", {"run_id": run.id}).json()
        self.assertEqual(answer["runs"], [{"id": run.id, "name": run.name}])
        self.assert_problem(
            self.post(f"{path}/runs", {"run_id": 2_000_000_000}), 422, field="run_id"
        )

    def test_who_may_not(self):
        incident = self.opened()
        path = f"incidents/{incident['id']}"
        auditor = self.users["auditor"]
        for response in (
            self.post("incidents", OPENED, user=auditor),
            self.post(f"{path}/transitions", {"state": "triaged"}, user=auditor),
            self.post(f"{path}/events", {"text": "x"}, user=auditor),
            self.call("PATCH", path, auditor, json_body={"title": "x"}),
        ):
            self.assert_problem(response, 403, "forbidden")
        self.assert_problem(self.call("GET", path), 401, "unauthorized")
        self.assert_problem(
            self.call("GET", "incidents/2000000000", auditor), 404, "not-found"
        )

    def test_timeline_as_a_file(self):
        incident = self.opened()
        self.authenticate("qms_operator", "qms_operator")
        address = f"/qms_incident/timeline/{incident['id']}.csv"
        response = self.url_open(address)
        self.assertEqual(response.status_code, 200)
        self.assertIn("INC-20241226-001-timeline.csv", str(response.headers))
        self.assertIn("It began", response.text)
        other = self.env["res.company"].create({"name": "Other"})
        hidden = self.env["qms.incident"].create({"title": "x", "company_id": other.id})
        response = self.url_open(f"/qms_incident/timeline/{hidden.id}.csv")
        self.assertEqual(response.status_code, 404)
