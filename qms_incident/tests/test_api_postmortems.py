from odoo.tests import tagged

from odoo.addons.base.models import res_users
from odoo.addons.qms_sop.tests.api_common import QmsApiCase

from ..schemas import postmortems as schemas
from .test_postmortem_text import FULL

DETECTED = {
    "severity": "critical",
    "detected_at": "2024-01-15T14:35:00Z",
    "occurred_at": "2024-01-15T14:33:00Z",
}
WRITTEN = {
    "summary": "Nobody could sign in.",
    "root_cause": "The pool was too small.",
    "impact": "120 users",
    "resolution": "A larger pool",
    "detection": "An alert",
    "knowledge": "Pools are finite",
    "preventive_measures": "An alert on the pool",
    "contributing_factors": ["A sale", "No alert"],
    "whys": [{"question": "Why?", "answer": "Load", "evidence": "graph"}],
    "participants": ["qms_author"],
}


@tagged("post_install", "-at_install")
class TestApiPostmortems(QmsApiCase):
    @classmethod
    def setUpClass(cls):
        cls.classPatch(res_users, "MIN_ROUNDS", 1)
        super().setUpClass()

    def incident(self, title="Sign-in fails", **values):
        incidents = self.env["qms.incident"].with_user(self.operator)
        told = incidents.open_incident(title=title, **{**DETECTED, **values})
        return incidents.browse(told["id"])

    def post(self, path, body, user=None, **options):
        return self.call("POST", path, user or self.operator, json_body=body, **options)

    def begun(self, incident=None, status=201, **values):
        incident = incident or self.incident()
        body = {"incident": incident.name, **values}
        response = self.post("postmortems", body)
        self.assertEqual(response.status_code, status, response.text)
        return response.json()

    def test_begin_and_get(self):
        incident = self.incident()
        first = self.begun(incident, title="Sign-in was down", **WRITTEN)
        self.assert_valid(schemas.BegunPostmortem, first)
        self.assertFalse(first["existing"])
        self.assertEqual(first["state"], "draft")
        self.assertEqual(first["contributing_factors"], ["A sale", "No alert"])
        self.assertEqual(first["whys"], WRITTEN["whys"])
        self.assertIn("It began", first["timeline"])
        again = self.begun(incident, status=200, follow_up="Tell the team")
        self.assertTrue(again["existing"])
        self.assertEqual(again["follow_up"], "Tell the team")
        self.assertEqual(again["summary"], WRITTEN["summary"])
        path = f"postmortems/{first['id']}"
        read = self.call("GET", path, self.users["auditor"])
        self.assert_valid(schemas.Postmortem, read.json())
        self.assertTrue(read.headers["ETag"])
        some = self.call("GET", f"{path}?fields=title,state", self.operator).json()
        self.assertEqual(set(some), {"id", "title", "state"})

    def test_what_is_wrong_is_named(self):
        incident = self.incident()
        number = incident.name
        for body, field in (
            ({}, "incident"),
            ({"incident": "INC-1"}, "incident"),
            ({"incident": number, "title": " "}, "title"),
            ({"incident": number, "kind": "quick"}, "kind"),
            ({"incident": number, "author": "ghost"}, "author"),
            ({"incident": number, "state": "published"}, "state"),
            ({"incident": number, "participants": ["ghost"]}, "participants"),
            ({"incident": number, "markdown": "Hello"}, "content"),
        ):
            with self.subTest(body):
                self.assert_problem(self.post("postmortems", body), 422, field=field)
        self.assertFalse(incident.postmortem_ids)

    def test_list(self):
        first, second = self.incident(), self.incident("Other", severity="low")
        one = self.begun(first, root_cause="A full disk")
        two = self.begun(second, kind="quick")
        # There may be others.
        every = f"postmortems?incident={first.name},{second.id}"
        page = self.call("GET", f"{every}&limit=1", self.users["auditor"]).json()
        self.assert_valid(schemas.PostmortemPage, page)
        self.assertEqual([item["id"] for item in page["items"]], [two["id"]])
        rest = f"{every}&limit=1&cursor={page['next_cursor']}"
        page = self.call("GET", rest, self.operator).json()
        self.assertEqual([item["id"] for item in page["items"]], [one["id"]])
        for query, found in (
            ("sort=id", [one, two]),
            ("severity=P0", [one]),
            ("kind=quick", [two]),
            ("q=full+disk", [one]),
            ("state=published", []),
            ("overdue=true", []),
            ("overdue=false&sort=id", [one, two]),
            ("published_after=2024-01-01T00:00:00Z", []),
        ):
            with self.subTest(query):
                path = f"{every}&{query}&fields=title"
                items = self.call("GET", path, self.operator).json()["items"]
                self.assertEqual(
                    items, [{"id": it["id"], "title": it["title"]} for it in found]
                )
        wrong = self.call("GET", "postmortems?severity=awful", self.operator)
        self.assert_problem(wrong, 422, field="severity")

    def test_many_cost_no_more_queries_than_few(self):
        for number in range(5):
            self.begun(self.incident(f"Number {number}"))
        self.env.flush_all()
        postmortems = self.env["qms.postmortem"].with_user(self.operator)
        counts = []
        # The first fills the caches.
        for limit in (5, 1, 5):
            self.env.invalidate_all()
            found = postmortems.search([], limit=limit)
            before = self.cr.sql_log_count
            for one in found:
                one._to_summary()
            counts.append(self.cr.sql_log_count - before)
        self.assertEqual(*counts[1:])

    def test_change(self):
        postmortem = self.begun()
        path = f"postmortems/{postmortem['id']}"
        read = self.call("GET", path, self.operator)
        tag = {"If-Match": read.headers["ETag"]}
        body = {"lucky": "It was night", "meeting_at": "2024-01-16T10:00:00+01:00"}
        response = self.call("PATCH", path, self.operator, json_body=body, headers=tag)
        self.assertEqual(response.status_code, 200, response.text)
        self.assert_valid(schemas.Postmortem, response.json())
        self.assertEqual(response.json()["lucky"], "It was night")
        self.assertEqual(response.json()["meeting_at"], "2024-01-16T09:00:00Z")
        stale = self.call("PATCH", path, self.operator, json_body=body, headers=tag)
        self.assert_problem(stale, 412, "precondition-failed")
        blank = self.call("PATCH", path, self.operator, json_body={"lucky": None})
        self.assertIsNone(blank.json()["lucky"])

    def test_review_to_amendment(self):
        incident = self.incident()
        for state in ("triaged", "resolved"):
            incident.move(state)
        postmortem = self.begun(incident)
        path = f"postmortems/{postmortem['id']}"
        refused = self.post(f"{path}/transitions", {"state": "in_review"})
        problem = self.assert_problem(refused, 422, "refused", field="root_cause")
        self.assertIn("root_cause", postmortem["missing"])
        self.assertIn("root_cause", [one["field"] for one in problem["errors"]])
        self.call("PATCH", path, self.operator, json_body=WRITTEN)
        moved = self.post(f"{path}/transitions", {"state": "in_review"})
        self.assert_valid(schemas.Postmortem, moved.json())
        self.assertEqual(moved.json()["state"], "in_review")
        locked = self.call("PATCH", path, self.operator, json_body={"lucky": "x"})
        self.assert_problem(locked, 422, "refused")
        changes = {"verdict": "changes"}
        wrong = self.post(f"{path}/reviews", changes, user=self.author)
        self.assert_problem(wrong, 422, field="comment")
        own = self.post(f"{path}/reviews", {"verdict": "reviewed"})
        self.assert_problem(own, 422, "refused")
        reviewed = self.post(
            f"{path}/reviews", {"verdict": "reviewed"}, user=self.author
        )
        self.assert_valid(schemas.Postmortem, reviewed.json())
        self.assertEqual(reviewed.json()["missing"], [])
        published = self.post(f"{path}/transitions", {"state": "published"})
        self.assert_problem(published, 422, field="state")
        early = {"reason": "Wrong", "text": "130 users"}
        self.assert_problem(self.post(f"{path}/amendments", early), 422, "refused")
        record = self.env["qms.postmortem"].browse(postmortem["id"])
        record.with_user(self.operator).publish(self.operator.login)
        read = self.call("GET", path, self.operator).json()
        self.assert_valid(schemas.Postmortem, read)
        self.assertTrue(read["signature"]["valid"])
        amended = self.post(f"{path}/amendments", early)
        self.assertEqual(amended.status_code, 201, amended.text)
        self.assert_valid(schemas.PostmortemAmendment, amended.json())
        back = {"state": "draft", "reason": "x"}
        self.assert_problem(self.post(f"{path}/transitions", back), 422, "refused")

    def test_markdown_out_and_in(self):
        incident = self.incident(error_code="DB_CONNECTION_TIMEOUT")
        body = {"incident": incident.name, "markdown": FULL, "lucky": "Given"}
        response = self.post("postmortems", body)
        self.assertEqual(response.status_code, 201, response.text)
        told = response.json()
        self.assert_valid(schemas.BegunPostmortem, told)
        self.assertEqual((told["entries_added"], told["actions_added"]), (2, 2))
        self.assertEqual(told["lucky"], "Given")
        path = f"postmortems/{told['id']}/markdown"
        file = self.call("GET", path, self.users["auditor"])
        self.assertEqual(file.headers["Content-Type"], "text/markdown; charset=utf-8")
        name = "2024-01-15-db-connection-timeout.md"
        self.assertIn(name, file.headers["Content-Disposition"])
        self.assertIn("# Postmortem: Sign-in was down\n", file.text)
        self.assertIn("| AI-001 | Larger pool |", file.text)
        again = self.post("postmortems", {"markdown": file.text}).json()
        self.assertTrue(again["existing"])
        self.assertEqual((again["entries_added"], again["actions_added"]), (0, 0))
        named = self.call("GET", f"{path}?slug=My%20Own", self.operator)
        self.assertIn("2024-01-15-my-own.md", named.headers["Content-Disposition"])

    def test_download(self):
        postmortem = self.begun()
        self.authenticate("qms_operator", "qms_operator")
        address = f"/qms_incident/postmortem/{postmortem['id']}.md"
        response = self.url_open(address)
        self.assertEqual(response.status_code, 200)
        self.assertIn("# Postmortem: Sign-in fails", response.text)
        response = self.url_open("/qms_incident/postmortem/2000000000.md")
        self.assertEqual(response.status_code, 404)

    def test_who_may_not(self):
        postmortem = self.begun()
        path = f"postmortems/{postmortem['id']}"
        auditor = self.users["auditor"]
        number = self.incident().name
        for response in (
            self.post("postmortems", {"incident": number}, user=auditor),
            self.call("PATCH", path, auditor, json_body={"title": "x"}),
            self.post(f"{path}/transitions", {"state": "in_review"}, user=auditor),
            self.post(f"{path}/reviews", {"verdict": "reviewed"}, user=auditor),
        ):
            self.assert_problem(response, 403, "forbidden")
        self.assert_problem(self.call("GET", path), 401, "unauthorized")
        other = self.env["res.company"].create({"name": "Other"})
        hidden = self.env["qms.incident"].create({"title": "x", "company_id": other.id})
        record = self.env["qms.postmortem"].create({"incident_id": hidden.id})
        for part in ("", "/markdown"):
            hid = self.call("GET", f"postmortems/{record.id}{part}", self.operator)
            self.assert_problem(hid, 404, "not-found")
