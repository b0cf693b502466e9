import base64
import hashlib
import json
from datetime import datetime, timedelta

from odoo.tests import new_test_user, tagged

from ..schemas import sop_runs as schemas
from .api_common import QmsApiCase
from .common import GROUPS


@tagged("post_install", "-at_install")
class TestApiRuns(QmsApiCase):
    """Runs over REST; responses are held against their models."""

    def open_run(self, **values):
        response = self.call(
            "POST",
            "sop-runs",
            self.operator,
            {"sop_code": "SOP-TEST-001", **values},
        )
        self.assertEqual(response.status_code, 201, response.text)
        return response.json()

    def listed(self, query="", user=None):
        response = self.call("GET", f"sop-runs?{query}", user or self.operator)
        self.assertEqual(response.status_code, 200, response.text)
        self.assert_valid(schemas.RunPage, response.json())
        return response.json()

    # === Create and get ===

    def test_create(self):
        response = self.call(
            "POST",
            "sop-runs",
            self.users["automation"],
            {
                "sop_code": "SOP-TEST-001",
                "error_code": "DB_CONNECTION_LEAK",
                "severity": "P0",
                "trigger": "automated",
                "source": "deploy 4711",
                "summary": "Pool empty – überall",
            },
        )
        self.assertEqual(response.status_code, 201)
        body = response.json()
        self.assert_valid(schemas.OpenedRun, body)
        self.assertEqual(body["severity"], "critical")
        self.assertEqual(body["category"], "DATABASE")
        self.assertEqual(body["summary"], "Pool empty – überall")
        self.assertEqual(len(body["steps"]), 3)
        self.assertFalse(body["existing"])
        self.assertEqual(response.headers["Location"], body["api_url"])
        self.assertEqual(response.headers["ETag"], f'"{body["id"]}-1"')
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        run = self.env["qms.sop.run"].browse(body["id"])
        self.assertEqual(run.source, "deploy 4711")
        self.assertEqual(run.user_id, self.users["automation"])

    def test_create_once_per_outage(self):
        first = self.open_run(dedup_key="https://x/health")
        again = self.call(
            "POST",
            "sop-runs",
            self.operator,
            {"sop_code": "SOP-TEST-001", "dedup_key": "https://x/health"},
        )
        self.assertEqual(again.status_code, 200)
        self.assertTrue(again.json()["existing"])
        self.assertEqual(again.json()["id"], first["id"])

    def test_create_from_log(self):
        run = self.open_run(log_text="FATAL: sorry, too many clients already\n" * 2)
        self.assertTrue(run["error_code"])
        self.assertEqual(run["category"], "DATABASE")

    def test_get(self):
        run = self.start_run(error_code="DB_DEADLOCK")
        response = self.call("GET", f"sop-runs/{run.id}", self.users["auditor"])
        self.assert_valid(schemas.Run, response.json())
        self.assertNotIn("steps", response.json())
        body = self.call(
            "GET",
            f"sop-runs/{run.id}?fields=state,name&include=steps,errors,evidence,rca",
            self.operator,
        ).json()
        self.assertEqual(
            set(body), {"id", "state", "name", "steps", "errors", "evidence", "rca"}
        )
        self.assertEqual(len(body["steps"]), 3)
        only = self.call("GET", f"sop-runs/{run.id}?fields=state", self.operator).json()
        self.assertEqual(only, {"id": run.id, "state": "in_progress"})

    def test_not_modified(self):
        run = self.start_run()
        path = f"sop-runs/{run.id}"
        etag = self.call("GET", path, self.operator).headers["ETag"]
        headers = {"If-None-Match": etag}
        response = self.call("GET", path, self.operator, headers=headers)
        self.assertEqual(response.status_code, 304)
        self.assertFalse(response.content)
        self.assertEqual(response.headers["ETag"], etag)
        run.hold("Waiting")
        response = self.call("GET", path, self.operator, headers=headers)
        self.assertEqual(response.status_code, 200)

    # === Lists ===

    def test_list_filters(self):
        runs = {
            "plain": self.open_run(source="list-test plain"),
            "leak": self.open_run(
                error_code="DB_CONNECTION_LEAK",
                severity="critical",
                trigger="automated",
                source="list-test leak",
            ),
            "held": self.open_run(summary="LIST-TEST held", severity="low"),
        }
        ids = {name: run["id"] for name, run in runs.items()}
        self.env["qms.sop.run"].browse(ids["held"]).hold("Waiting")
        self.approved_sop("SOP-OTHER-001")
        other = self.open_run(sop_code="SOP-OTHER-001", source="list-test other")
        ids["other"] = other["id"]
        # Whatever else the database holds, these four are told by their words.
        for query, expected in (
            ("", "plain leak held other"),
            ("state=on_hold", "held"),
            ("state=on_hold,in_progress", "plain leak held other"),
            ("state=on_hold&state=in_progress", "plain leak held other"),
            ("severity=P0", "leak"),
            ("severity=critical,low", "leak held"),
            ("category=database", "leak"),
            ("error_code=DB_CONNECTION_LEAK", "leak"),
            ("trigger=automated", "leak"),
            ("sop_code=SOP-OTHER-001", "other"),
            ("sop_code=SOP-OTHER-001,SOP-TEST-001&state=on_hold", "held"),
            (f"q={runs['leak']['name']}", "leak"),
            ("started_after=2000-01-01T00:00:00Z", "plain leak held other"),
            ("started_before=2000-01-01T00:00:00Z", ""),
            ("started_after=2999-01-01T00:00:00%2B02:00", ""),
        ):
            with self.subTest(query):
                text = "" if "q=" in query else "&q=list-test"
                found = self.listed(f"{query}{text}&limit=200")["items"]
                self.assertEqual(
                    {run["id"] for run in found},
                    {ids[name] for name in expected.split()},
                )

    def test_list_refusals(self):
        for query, field in (
            ("state=open", "state.0"),
            ("severity=urgent", "severity"),
            ("category=NETWORKING", "category"),
            ("error_code=DB_CONECTION_LEAK", "error_code"),
            ("sop_code=SOP-NONE-001", "sop_code"),
            ("started_after=yesterday", "started_after"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=5&limit=6", "limit"),
            ("sort=severity", "sort"),
            ("fields=secret", "fields.0"),
            ("include=everything", "include.0"),
            ("cursor=bm9uc2Vuc2U", "cursor"),
            ("cursor=%00", "cursor"),
            ("q=%00", "q"),
            ("prio=high", "prio"),
        ):
            with self.subTest(query):
                response = self.call("GET", f"sop-runs?{query}", self.operator)
                self.assert_problem(response, 422, field=field)

    def pages(self, query, between=lambda: None):
        """Return the ids of a list that is read to its end by its links."""
        url, ids = f"sop-runs?{query}", []
        while url:
            response = self.call("GET", url, self.operator)
            self.assertEqual(response.status_code, 200, response.text)
            body = response.json()
            ids += [run["id"] for run in body["items"]]
            link = response.links.get("next", {}).get("url", "")
            self.assertEqual(bool(link), bool(body["next_cursor"]))
            url = link.partition("/api/v1/")[2]
            if len(ids) < 9:
                between()
        return ids

    def test_pages_are_stable_under_inserts(self):
        runs = self.env["qms.sop.run"]
        opened = [self.start_run(source="page-test") for _ in range(7)]
        for days, run in enumerate(opened):
            run.start_time = datetime(2026, 1, 1) + timedelta(days=days // 2)
        # Two that have not started have no time, and come last either way.
        blank = [
            runs.with_user(self.operator).create(
                {"sop_id": self.sop.id, "source": "page-test"}
            )
            for _ in range(2)
        ]
        ids = [run.id for run in opened]
        last = [run.id for run in blank]
        for sort, expected in (
            ("id", [*ids, *last]),
            ("-id", [*last[::-1], *ids[::-1]]),
            ("start_time", [*ids, *last]),
            ("-start_time", [*ids[::-1], *last[::-1]]),
        ):
            for limit in (1, 2, 3, 9):
                with self.subTest(sort=sort, limit=limit):
                    found = self.pages(
                        f"q=page-test&sort={sort}&limit={limit}",
                        # Added while somebody reads.
                        lambda: self.start_run(source="page-test"),
                    )
                    met = [run_id for run_id in found if run_id in expected]
                    self.assertEqual(met, expected)
                    self.assertEqual(len(set(found)), len(found))
            new = runs.search([("source", "=", "page-test")]) - runs.union(
                *opened, *blank
            )
            self.env.cr.execute(
                "UPDATE qms_sop_run SET source = NULL WHERE id IN %s", [tuple(new.ids)]
            )
            self.env.invalidate_all()

    def test_cursor_of_another_list(self):
        for _ in range(3):
            self.start_run(source="cursor-test")
        cursor = self.listed("q=cursor-test&limit=1")["next_cursor"]
        for query in ("q=other", "q=cursor-test&sort=id", "state=failed"):
            with self.subTest(query):
                response = self.call(
                    "GET", f"sop-runs?{query}&cursor={cursor}", self.operator
                )
                self.assert_problem(response, 422, field="cursor")
        # The size of a page and what is shown may change on the way.
        found = self.listed(f"q=cursor-test&limit=2&fields=state&cursor={cursor}")
        self.assertEqual(len(found["items"]), 2)

    # === Changes ===

    def test_patch(self):
        run = self.start_run(summary="Before", severity="low")
        response = self.call(
            "PATCH",
            f"sop-runs/{run.id}",
            self.operator,
            {"summary": None, "severity": "P1", "resolution_time_seconds": 0},
        )
        self.assertEqual(response.status_code, 200, response.text)
        body = response.json()
        self.assert_valid(schemas.Run, body)
        self.assertIsNone(body["summary"])
        self.assertEqual(body["severity"], "high")
        self.assertEqual(body["resolution_time_seconds"], 0)
        self.assertFalse(run.summary)
        self.assertEqual(run.severity, "high")

    def test_patch_refusals(self):
        run = self.start_run()
        for body, field in (
            ({}, "body"),
            ({"state": "completed"}, "state"),
            ({"severity": "urgent"}, "severity"),
            ({"resolution_time_seconds": -1}, "resolution_time_seconds"),
            ({"resolution_time_seconds": "5"}, "resolution_time_seconds"),
            ({"resolution_time_seconds": 2**31}, "resolution_time_seconds"),
            ({"summary": "\0"}, "summary"),
        ):
            with self.subTest(body):
                response = self.call("PATCH", f"sop-runs/{run.id}", self.operator, body)
                self.assert_problem(response, 422, field=field)
        run.cancel("Not needed.")
        response = self.call(
            "PATCH", f"sop-runs/{run.id}", self.operator, {"summary": "Late"}
        )
        self.assert_problem(response, 422, "refused")

    def test_if_match(self):
        run = self.start_run(summary="Before")
        path = f"sop-runs/{run.id}"
        etag = self.call("GET", path, self.operator).headers["ETag"]

        def patch(summary, tag):
            return self.call(
                "PATCH",
                path,
                self.operator,
                {"summary": summary},
                headers={"If-Match": tag},
            )

        first = patch("First", etag)
        self.assertEqual(first.status_code, 200)
        self.assertNotEqual(first.headers["ETag"], etag)
        for stale in (etag, '"0-0"', f"W/{first.headers['ETag']}"):
            with self.subTest(stale):
                self.assert_problem(patch("Lost?", stale), 412)
                self.assertEqual(run.summary, "First")
        for good in (first.headers["ETag"], "*"):
            with self.subTest(good):
                self.assertEqual(patch(f"By {good}", good).status_code, 200)
        now = self.call("GET", path, self.operator).headers["ETag"]
        self.assertEqual(patch("Several", f'"1-1", {now}').status_code, 200)
        self.assert_problem(patch("Odd", "nonsense"), 400)

    def test_every_change_changes_the_etag(self):
        run = self.start_run()
        path = f"sop-runs/{run.id}"
        seen = set()

        def look(what):
            etag = self.call("GET", path, self.operator).headers["ETag"]
            self.assertNotIn(etag, seen, what)
            seen.add(etag)

        look("opened")
        for what, call in (
            ("step", lambda: run.update_step(1, "completed", result="Done.")),
            ("error", lambda: run.log_error("Oh")),
            ("evidence", lambda: run.add_evidence("a.txt", "eA==")),
            ("rca", lambda: run.record_rca("Cause")),
            ("why", lambda: run.rca_ids.write({"why_ids": [(0, 0, WHY)]})),
            ("hold", lambda: run.hold("Waiting")),
            ("link", run.action_revoke_status_link),
            ("cancel", lambda: run.cancel("Enough")),
            ("confirm", lambda: run.rca_ids.action_confirm()),
        ):
            call()
            self.env.flush_all()
            look(what)

    def test_version_is_not_for_clients(self):
        run = self.start_run()
        with self.assertRaisesRegex(Exception, "lock_version"):
            run.write({"lock_version": 99})

    def test_transitions(self):
        run = self.start_run()
        path = f"sop-runs/{run.id}/transitions"

        def move(**body):
            return self.call("POST", path, self.operator, body)

        for body, field in (
            ({"state": "on_hold"}, "reason"),
            ({"state": "failed", "reason": " "}, "reason"),
            ({"state": "resolved"}, "state"),
            ({"state": "draft"}, "state"),
            ({}, "state"),
            ({"state": "in_progress"}, "state"),
            ({"state": "completed"}, "state"),
        ):
            with self.subTest(body):
                self.assert_problem(move(**body), 422, field=field)
        held = move(state="on_hold", reason="Vendor sleeps")
        self.assert_valid(schemas.Run, held.json())
        self.assertEqual(held.json()["state_reason"], "Vendor sleeps")
        self.assertEqual(move(state="in_progress").json()["state_reason"], None)
        self.work(run)
        done = move(
            state="completed", resolution="Cleaned up", resolution_time_seconds=60
        )
        self.assertEqual(done.json()["state"], "completed")
        self.assertEqual(done.json()["resolution_time_seconds"], 60)
        self.assertEqual(done.json()["progress"], 100)
        self.assert_problem(move(state="failed", reason="No"), 422, field="state")

    def test_transition_of_a_stale_run(self):
        run = self.start_run()
        etag = self.call("GET", f"sop-runs/{run.id}", self.operator).headers["ETag"]
        run.log_error("Something new")
        self.env.flush_all()
        response = self.call(
            "POST",
            f"sop-runs/{run.id}/transitions",
            self.operator,
            {"state": "cancelled", "reason": "Nothing is wrong"},
            headers={"If-Match": etag},
        )
        self.assert_problem(response, 412, "precondition-failed")
        self.assertEqual(run.state, "in_progress")

    # === Steps ===

    def test_steps(self):
        run = self.start_run()
        path = f"sop-runs/{run.id}/steps"
        body = self.call("GET", path, self.operator).json()
        self.assert_valid(schemas.StepList, body)
        self.assertEqual([step["number"] for step in body["items"]], [1, 2, 3])
        response = self.call(
            "PATCH",
            f"{path}/1",
            self.operator,
            {"state": "completed", "result": "Looked"},
        )
        self.assertEqual(response.status_code, 200, response.text)
        self.assert_valid(schemas.RunStep, response.json())
        self.assertEqual(response.json()["result"], "Looked")
        step = self.call("GET", f"{path}/1", self.operator)
        self.assertEqual(step.json(), response.json())
        self.assertEqual(step.headers["ETag"], response.headers["ETag"])
        failed = self.call(
            "PATCH",
            f"{path}/2",
            self.operator,
            {"state": "failed", "error_message": "It broke"},
        )
        self.assertEqual(failed.json()["state"], "failed")
        self.assertEqual(run.error_ids.error_code_id.name, "STEP_FAILURE")

    def test_step_refusals(self):
        run = self.start_run()
        path = f"sop-runs/{run.id}/steps"
        self.assert_problem(self.call("GET", f"{path}/9", self.operator), 404)
        self.assert_problem(self.call("GET", f"{path}/0", self.operator), 404)
        for number, body, status in (
            (9, {"state": "completed"}, 404),
            (1, {"state": "waiting"}, 422),
            (1, {"state": "skipped"}, 422),
            (1, {"result": "x"}, 422),
            (1, {"state": "failed"}, 422),
            (1, {"state": "completed", "choice": "Nope"}, 422),
        ):
            with self.subTest(body, number=number):
                response = self.call("PATCH", f"{path}/{number}", self.operator, body)
                self.assert_problem(response, status)
        self.assertEqual(set(run.step_ids.mapped("state")), {"pending"})

    # === Errors, evidence, analyses ===

    def test_errors(self):
        run = self.start_run()
        path = f"sop-runs/{run.id}/errors"
        response = self.call(
            "POST",
            path,
            self.operator,
            {"error_message": "FATAL: sorry, too many clients already", "step": 2},
        )
        self.assertEqual(response.status_code, 201, response.text)
        self.assert_valid(schemas.RunError, response.json())
        self.assertEqual(response.json()["category"], "DATABASE")
        self.assertEqual(response.json()["step"], 2)
        self.call("POST", path, self.operator, {"error_message": "qwertz"})
        page = self.call("GET", f"{path}?limit=1", self.operator)
        self.assert_valid(schemas.ErrorPage, page.json())
        self.assertEqual(page.json()["items"], [response.json()])
        rest = self.call("GET", page.links["next"]["url"][-1000:].partition("v1/")[2])
        self.assert_problem(rest, 401)
        rest = self.call(
            "GET", page.links["next"]["url"].partition("/v1/")[2], self.operator
        ).json()
        self.assertEqual(rest["items"][0]["error_code"], "STEP_FAILURE")
        self.assertIsNone(rest["next_cursor"])
        for body, field in (
            ({"error_message": "x", "error_code": "NO_SUCH_CODE"}, "error_code"),
            ({"error_message": "x", "step": 7}, "step"),
            ({"error_message": ""}, "error_message"),
            ({}, "error_message"),
        ):
            with self.subTest(body):
                response = self.call("POST", path, self.operator, body)
                self.assert_problem(response, 422, field=field)

    def test_evidence(self):
        run = self.start_run()
        path = f"sop-runs/{run.id}/evidence"
        log = b"FATAL: sorry, too many clients already\n" * 3
        response = self.call(
            "POST",
            path,
            self.operator,
            files={"file": ("../../app.log", log, "text/plain")},
            data={"source": "tail app.log", "step": "2", "classify": "true"},
        )
        self.assertEqual(response.status_code, 201, response.text)
        body = response.json()
        self.assert_valid(schemas.AddedEvidence, body)
        self.assertEqual(body["name"], "app.log")
        self.assertEqual(body["sha256"], hashlib.sha256(log).hexdigest())
        self.assertEqual(body["size"], len(log))
        self.assertEqual(body["step"], 2)
        self.assertEqual(body["classification"][0]["category"], "DATABASE")
        self.assertTrue(run.error_code_id)
        one = self.call("GET", f"{path}/{body['id']}", self.operator).json()
        self.assert_valid(schemas.RunEvidence, one)
        self.assertTrue(response.headers["Location"].endswith(f"/{body['id']}"))
        listed = self.call("GET", path, self.operator).json()
        self.assert_valid(schemas.EvidencePage, listed)
        self.assertEqual(listed["items"], [one])
        run.add_evidence("b.txt", "eA==")
        both = self.call("GET", path, self.operator).json()["items"]
        self.assertEqual([proof["name"] for proof in both], ["app.log", "b.txt"])

    def test_evidence_as_json(self):
        run = self.start_run()
        response = self.call(
            "POST",
            f"sop-runs/{run.id}/evidence",
            self.operator,
            {
                "name": "a.html",
                "content": base64.b64encode(b"<script>alert(1)</script>").decode(),
                "mimetype": "text/html",
            },
        )
        self.assertEqual(response.status_code, 201, response.text)
        path = response.json()["content_url"].partition("/api/v1/")[2]
        content = self.call("GET", path, self.users["auditor"])
        self.assertEqual(content.content, b"<script>alert(1)</script>")
        self.assertTrue(
            content.headers["Content-Disposition"].startswith("attachment;")
        )
        self.assertEqual(content.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(content.headers["ETag"], f'"{response.json()["sha256"]}"')
        unchanged = self.call(
            "GET",
            path,
            self.operator,
            headers={"If-None-Match": content.headers["ETag"]},
        )
        self.assertEqual(unchanged.status_code, 304)
        self.assert_problem(self.call("GET", path), 401)

    def test_evidence_refusals(self):
        run = self.start_run()
        other = self.start_run()
        path = f"sop-runs/{run.id}/evidence"
        for body, field in (
            ({"name": "a", "content": "not base64!"}, "content"),
            ({"name": "a", "content": ""}, "content"),
            ({"name": "", "content": "eA=="}, "name"),
            ({"name": "a/b", "content": "eA=="}, "name"),
            ({"name": "a", "content": "eA==", "mimetype": "text"}, "mimetype"),
            ({"name": "a", "content": "eA==", "step": 9}, "step"),
        ):
            with self.subTest(body):
                response = self.call("POST", path, self.operator, body)
                self.assert_problem(response, 422, field=field)
        for files, data, field in (
            ({"other": ("a.log", b"x")}, {}, "other"),
            ({"file": (None, b"x")}, {}, "file"),
            ({"file": ("a.log", b"x")}, {"step": "two"}, "step"),
        ):
            with self.subTest(field):
                response = self.call(
                    "POST", path, self.operator, files=files, data=data
                )
                self.assert_problem(response, 422, field=field)
        proof = other.add_evidence("a.txt", "eA==")["id"]
        for tail in (f"{proof}", f"{proof}/content", "0/content", "0"):
            with self.subTest(tail):
                self.assert_problem(
                    self.call("GET", f"{path}/{tail}", self.operator), 404
                )
        self.assertFalse(run.evidence_ids)

    def test_rca(self):
        run = self.start_run(error_code="DB_CONNECTION_LEAK")
        run.cancel("Known already")
        path = f"sop-runs/{run.id}/rca"
        response = self.call(
            "POST",
            path,
            self.operator,
            {
                "root_cause": "Connections are not returned",
                "whys": [{"question": "Why 500?", "answer": "The pool was empty"}],
                "contributing_factors": ["Traffic", "Slow queries"],
                "fix_type": "code",
                "confirm": True,
            },
        )
        self.assertEqual(response.status_code, 201, response.text)
        body = response.json()
        self.assert_valid(schemas.Rca, body)
        self.assertEqual(body["error_code"], "DB_CONNECTION_LEAK")
        self.assertEqual(body["state"], "confirmed")
        self.assertEqual(body["contributing_factors"], ["Traffic", "Slow queries"])
        self.assertEqual(body["whys"][0]["answer"], "The pool was empty")
        listed = self.call("GET", path, self.operator).json()
        self.assert_valid(schemas.RcaPage, listed)
        self.assertEqual(listed["items"], [body])
        for values, field in (
            ({"root_cause": ""}, "root_cause"),
            ({"root_cause": "x", "fix_type": "magic"}, "fix_type"),
            ({"root_cause": "x", "whys": [{"question": "y"}]}, "whys.0.answer"),
        ):
            with self.subTest(values):
                refused = self.call("POST", path, self.operator, values)
                self.assert_problem(refused, 422, field=field)

    def test_events(self):
        run = self.start_run(source="pipeline")
        run.update_step(1, "completed", result="Seen")
        run.log_error("Oh", step=2)
        run.add_evidence("a.txt", "eA==")
        run.update_step(2, "skipped", reason="No need")
        run.fail("Could not be fixed")
        run.record_rca("Cause", confirm=True)
        self.env.flush_all()
        path = f"sop-runs/{run.id}/events"
        body = self.call("GET", path, self.users["auditor"]).json()
        self.assert_valid(schemas.EventPage, body)
        kinds = [event["type"] for event in body["items"]]
        self.assertEqual(kinds[0], "run.opened")
        self.assertEqual(
            sorted(kinds[1:]),
            [
                "error.logged",
                "evidence.added",
                "rca.confirmed",
                "rca.recorded",
                "run.failed",
                "run.started",
                "step.completed",
                "step.skipped",
                "step.started",
            ],
        )
        times = [event["at"] for event in body["items"]]
        self.assertEqual(times, sorted(times))
        found, url = [], f"{path}?limit=3"
        while url:
            page = self.call("GET", url, self.operator)
            found += page.json()["items"]
            url = page.links.get("next", {}).get("url", "").partition("/v1/")[2]
        self.assertEqual(found, body["items"])

    # === Who may ===

    def test_roles(self):
        run = self.start_run()
        stranger = new_test_user(self.env, login="api_none", groups="base.group_user")
        company = self.env["res.company"].create({"name": "Elsewhere"})
        outsider = new_test_user(
            self.env,
            login="api_out",
            groups=GROUPS["operator"],
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        proof = run.add_evidence("a.txt", "eA==")["id"]
        self.env.flush_all()
        base = f"sop-runs/{run.id}"
        reads = [
            base,
            *(
                f"{base}/{part}"
                for part in (
                    "steps",
                    "steps/1",
                    "errors",
                    "evidence",
                    f"evidence/{proof}",
                    f"evidence/{proof}/content",
                    "rca",
                    "events",
                )
            ),
        ]
        writes = [
            ("PATCH", base, {"summary": "x"}),
            ("POST", f"{base}/transitions", {"state": "on_hold", "reason": "x"}),
            ("PATCH", f"{base}/steps/1", {"state": "completed"}),
            ("POST", f"{base}/errors", {"error_message": "x"}),
            ("POST", f"{base}/evidence", {"name": "b", "content": "eA=="}),
            ("POST", f"{base}/rca", {"root_cause": "x"}),
        ]
        create = ("POST", "sop-runs", {"sop_code": "SOP-TEST-001"})
        for path in [*reads, "sop-runs"]:
            with self.subTest(path):
                self.assert_problem(self.call("GET", path), 401)
                self.assert_problem(self.call("GET", path, stranger), 403)
                response = self.call("GET", path, self.users["auditor"])
                self.assertEqual(response.status_code, 200)
        for path in reads:
            with self.subTest(path):
                self.assert_problem(self.call("GET", path, outsider), 404)
        self.assertFalse(self.listed("limit=200", outsider)["items"])
        for method, path, body in [*writes, create]:
            with self.subTest(path, method=method):
                self.assert_problem(self.call(method, path, None, body), 401)
                for user in (stranger, self.users["auditor"]):
                    self.assert_problem(self.call(method, path, user, body), 403)
        for method, path, body in writes:
            with self.subTest(path, method=method):
                self.assert_problem(self.call(method, path, outsider, body), 404)
        self.assertEqual(run.state, "in_progress")
        self.assertFalse(run.error_ids or run.rca_ids)
        self.assertEqual(len(run.evidence_ids), 1)
        for user in ("automation", "operator"):
            for method, path, body in writes[2:]:
                with self.subTest(path, method=method, user=user):
                    response = self.call(method, path, self.users[user], body)
                    self.assertLess(response.status_code, 300, response.text)

    def test_archived_run_is_found_and_not_listed(self):
        run = self.start_run(source="archived-test")
        run.cancel("Not needed")
        run.with_user(self.manager).action_archive()
        self.assertEqual(
            self.call("GET", f"sop-runs/{run.id}", self.operator).status_code, 200
        )
        self.assertFalse(self.listed("q=archived-test")["items"])

    def test_bodies_are_utf8(self):
        run = self.start_run(summary="Prüfung – ☃ 𝄞")
        response = self.call("GET", f"sop-runs/{run.id}", self.operator)
        self.assertEqual(
            json.loads(response.content.decode())["summary"], "Prüfung – ☃ 𝄞"
        )
        self.assertEqual(int(response.headers["Content-Length"]), len(response.content))


WHY = {"question": "Why?", "answer": "Because"}
