from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from ..schemas.catalogue import (
    Category,
    CategoryPage,
    Classification,
    ErrorCode,
    ErrorCodePage,
    ErrorCodeQuery,
    Severity,
    SeverityPage,
    StoredErrorCode,
)
from ..schemas.common import PageQuery
from ..schemas.sop import RevisionPage, SopPage, SopQuery, SopRevisionDetail
from .api_common import QmsApiCase

LOG = "2026-03-01 08:00:00 ERROR deadlock detected\nall is well\n"


@tagged("post_install", "-at_install")
class TestApiCatalogue(QmsApiCase):
    def fetch(self, path, model, role="auditor"):
        """Return an answer that is what it is documented to be."""
        response = self.call("GET", path, self.users[role])
        self.assertEqual(response.status_code, 200, response.text)
        self.assertEqual(response.headers["Content-Type"], "application/json")
        self.assert_valid(model, response.json())
        return response.json()

    # === Severities and categories ===

    def test_severities(self):
        body = self.fetch("severities", SeverityPage)
        codes = self.env["qms.severity"].search([]).mapped("code")
        self.assertEqual([item["code"] for item in body["items"]], codes)
        self.assertEqual(codes[0], "critical")
        critical = self.fetch("severities/critical", Severity)
        self.assertEqual(critical, body["items"][0])
        self.assertEqual(critical["alias"], "P0")
        record = self.env["qms.severity"]._resolve("critical")
        self.assertEqual(critical["response_minutes"], record.response_target)
        record.response_target = 0
        self.assertIsNone(
            self.fetch("severities/critical", Severity)["response_minutes"]
        )

    def test_lists_come_in_pages(self):
        for path, model in (
            ("severities", SeverityPage),
            ("categories", CategoryPage),
            ("error-codes", ErrorCodePage),
            ("sops", SopPage),
        ):
            with self.subTest(path):
                whole = self.fetch(f"{path}?limit=200", model)
                self.assertIsNone(whole["next_cursor"])
                items, cursor, pages = [], "", 0
                while cursor is not None:
                    part = self.fetch(f"{path}?limit=3{cursor}", model)
                    items += part["items"]
                    pages += 1
                    cursor = part["next_cursor"] and f"&cursor={part['next_cursor']}"
                self.assertEqual(items, whole["items"])
                self.assertEqual(pages, -(-len(items) // 3))
                self.assert_problem(
                    self.call("GET", f"{path}?cursor=nonsense", self.operator),
                    422,
                    field="cursor",
                )

    def test_categories(self):
        body = self.fetch("categories", CategoryPage)
        codes = self.env["qms.error.category"].search([]).mapped("code")
        self.assertEqual([item["code"] for item in body["items"]], codes)
        database = self.fetch("categories/DATABASE", Category)
        self.assertIn(database, body["items"])
        self.assertTrue(database["evidence_sources"])
        self.assertTrue(database["causes"])
        self.assertTrue(database["patterns"])

    # === Error codes ===

    def test_error_code(self):
        code = self.env["qms.error.code"]._resolve("DB_CONNECTION_LEAK")
        body = self.fetch("error-codes/DB_CONNECTION_LEAK", ErrorCode)
        self.assertEqual(body["category"], code.category_id.code)
        self.assertEqual(body["severity"], code.severity_id.code)
        self.assertEqual(body["resolution"], code.resolution)
        self.assertEqual(
            [pattern["pattern"] for pattern in body["patterns"]],
            code.pattern_ids.mapped("pattern"),
        )
        self.assertNotIn("SOP-TEST-002", body["sop_codes"])
        self.approved_sop("SOP-TEST-002", error_code_ids=[Command.link(code.id)])
        self.draft_sop("SOP-TEST-003", error_code_ids=[Command.link(code.id)])
        sops = self.fetch("error-codes/DB_CONNECTION_LEAK", ErrorCode)["sop_codes"]
        self.assertIn("SOP-TEST-002", sops)
        self.assertNotIn("SOP-TEST-003", sops)

    def test_error_codes_by_category_severity_and_text(self):
        def names(query):
            body = self.fetch(f"error-codes?limit=200&{query}", ErrorCodePage)
            return [item["code"] for item in body["items"]]

        codes = self.env["qms.error.code"].search([])
        self.assertEqual(names(""), codes.mapped("name"))
        database = codes.filtered(lambda code: code.category_id.code == "DATABASE")
        self.assertEqual(names("category=database"), database.mapped("name"))
        high = codes.filtered(lambda code: code.severity_id.code == "high")
        self.assertEqual(names("severity=P1"), high.mapped("name"))
        self.assertEqual(
            names("category=DATABASE&severity=high"), (database & high).mapped("name")
        )
        self.assertIn("DB_DEADLOCK", names("q=deadlock"))
        self.assertEqual(names("q=no_such_text_anywhere"), [])
        archived = codes.browse(self.env["qms.error.code"]._resolve("DB_DEADLOCK").id)
        archived.active = False
        self.assertNotIn("DB_DEADLOCK", names("q=deadlock"))
        self.assertFalse(self.fetch("error-codes/DB_DEADLOCK", ErrorCode)["active"])
        for query, field in (("category=NO", "category"), ("severity=P9", "severity")):
            self.assert_problem(
                self.call("GET", f"error-codes?{query}", self.operator),
                422,
                field=field,
            )
        self.assert_problem(
            self.call("GET", "error-codes?colour=red", self.operator),
            422,
            field="colour",
        )

    def test_a_cursor_belongs_to_its_filters(self):
        cursor = self.fetch("error-codes?limit=1", ErrorCodePage)["next_cursor"]
        self.assert_problem(
            self.call(
                "GET", f"error-codes?category=DATABASE&cursor={cursor}", self.operator
            ),
            422,
            field="cursor",
        )

    def test_put_adds_then_updates_then_changes_nothing(self):
        path = "error-codes/API_TEST_CODE"
        automation = self.users["automation"]
        values = {"category": "DATABASE", "severity": "P1", "title": "A test"}
        response = self.call("PUT", path, automation, {**values, "patterns": ["xyz+"]})
        self.assertEqual(response.status_code, 201, response.text)
        self.assert_valid(StoredErrorCode, response.json())
        self.assertTrue(response.json()["created"])
        response = self.call("PUT", path, automation, {"severity": "low"})
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json()["updated"], ["severity"])
        response = self.call("PUT", path, automation, {"severity": "low"})
        self.assertEqual(response.json()["updated"], [])
        stored = self.fetch(path, ErrorCode)
        self.assertEqual(
            (stored["title"], stored["category"], stored["severity"]),
            ("A test", "DATABASE", "low"),
        )
        self.assertEqual([one["pattern"] for one in stored["patterns"]], ["xyz+"])

    def test_put_refuses_what_is_wrong(self):
        automation = self.users["automation"]
        for path, body, status in (
            ("error-codes/lower_case", {}, 422),
            ("error-codes/" + "A" * 129, {}, 422),
            ("error-codes/API_TEST_CODE", {"severity": "P9"}, 422),
            ("error-codes/API_TEST_CODE", {"patterns": ["("]}, 422),
            ("error-codes/API_TEST_CODE", {"colour": "red"}, 422),
            ("error-codes/API_TEST_CODE", {"title": 5}, 422),
            ("error-codes/API_TEST_CODE", {"title": "a\0b"}, 422),
            ("error-codes/API_TEST_CODE", [], 422),
        ):
            with self.subTest(path, body=body):
                self.assert_problem(self.call("PUT", path, automation, body), status)
        self.assertFalse(
            self.env["qms.error.code"].search([("name", "=", "API_TEST_CODE")])
        )
        for role in ("operator", "auditor"):
            self.assert_problem(
                self.call(
                    "PUT", "error-codes/DB_DEADLOCK", self.users[role], {"title": "x"}
                ),
                403,
            )

    def test_classify(self):
        for role in self.users:
            response = self.call(
                "POST", "error-codes/classify", self.users[role], {"text": LOG}
            )
            self.assertEqual(response.status_code, 200, response.text)
            self.assert_valid(Classification, response.json())
            best = response.json()["items"][0]
            self.assertEqual((best["code"], best["line_number"]), ("DB_DEADLOCK", 1))
        as_text = self.call(
            "POST",
            "error-codes/classify",
            self.operator,
            headers={"Content-Type": "text/plain"},
            data=LOG.encode() + b"\xff\xfe\0",
        )
        self.assertEqual(as_text.status_code, 200, as_text.text)
        self.assertEqual(as_text.json()["items"][0]["code"], "DB_DEADLOCK")
        nothing = self.call(
            "POST", "error-codes/classify", self.operator, {"text": "all is well"}
        ).json()
        self.assert_valid(Classification, nothing)
        self.assertIsNone(nothing["items"][0]["code"])
        self.assertIsNone(nothing["items"][0]["severity"])
        self.assert_problem(
            self.call("POST", "error-codes/classify", self.operator, {}),
            422,
            field="text",
        )
        self.assert_problem(
            self.call(
                "POST",
                "error-codes/classify",
                self.operator,
                headers={"Content-Type": "text/html"},
                data=LOG,
            ),
            415,
        )

    # === SOPs ===

    def test_sops(self):
        def codes(query):
            body = self.fetch(f"sops?limit=200&{query}", SopPage)
            return [(item["code"], item["state"]) for item in body["items"]]

        self.draft_sop("SOP-TEST-002", owner="The 100%_team", purpose="Quite odd.")
        effective = codes("")
        self.assertIn(("SOP-TEST-001", "approved"), effective)
        self.assertNotIn("SOP-TEST-002", dict(effective))
        self.assertEqual({state for _code, state in effective}, {"approved"})
        self.assertEqual(
            codes("state=draft&code=SOP-TEST-002"), [("SOP-TEST-002", "draft")]
        )
        self.assertEqual(codes("effective=true"), effective)
        self.assertIn(("SOP-TEST-002", "draft"), codes("effective=false"))
        self.assertEqual(codes("code=SOP-TEST-001"), [("SOP-TEST-001", "approved")])
        self.assertEqual(
            codes("state=draft&owner=the 100%25_TEAM"), [("SOP-TEST-002", "draft")]
        )
        self.assertEqual(codes("state=draft&owner=The 1%25"), [])
        self.assertEqual(codes("state=draft&q=quite"), [("SOP-TEST-002", "draft")])
        self.assert_problem(
            self.call("GET", "sops?state=new", self.operator), 422, field="state"
        )

    def test_sop_and_its_revisions(self):
        second = self.sop.with_user(self.author).action_new_revision()
        second = self.env["qms.sop.document"].browse(second["res_id"])
        second.with_user(self.author).change_summary = "Better."
        body = self.fetch("sops/SOP-TEST-001", SopRevisionDetail)
        self.assertEqual(body["version"], self.sop.version)
        self.assertEqual(body["content_hash"], self.sop.content_hash)
        self.assertEqual([step["number"] for step in body["steps"]], [1, 2, 3])
        self.assertEqual(body["steps"][0]["name"], "Look")
        self.approve(second)
        body = self.fetch("sops/SOP-TEST-001", SopRevisionDetail)
        self.assertEqual(body["version"], second.version)
        self.assertEqual(body["change_summary"], "Better.")
        revisions = self.fetch("sops/SOP-TEST-001/revisions", RevisionPage)["items"]
        self.assertEqual(
            [(one["version"], one["state"]) for one in revisions],
            [(second.version, "approved"), (self.sop.version, "superseded")],
        )
        old = self.fetch(
            f"sops/SOP-TEST-001/revisions/{self.sop.version}", SopRevisionDetail
        )
        self.assertEqual(old["state"], "superseded")
        self.assertEqual(
            {key: old[key] for key in revisions[1]},
            revisions[1],
            "the list says the same as the revision",
        )

    def test_commands_and_choices(self):
        draft = self.draft_sop("SOP-TEST-002", steps=("Ask", "Left", "Right"))
        ask, _left, right = draft.step_ids.sorted()
        database = self.env["qms.error.category"]._resolve("DATABASE")
        ask.with_user(self.author).write(
            {
                "command_ids": [
                    Command.create(
                        {
                            "name": "Count",
                            "language": "sql",
                            "command": "SELECT 1",
                            "category_id": database.id,
                            "purpose": "verification",
                        }
                    )
                ],
                "choice_ids": [
                    Command.create({"name": "Left", "sequence": 1}),
                    Command.create(
                        {"name": "Right", "sequence": 2, "next_step_id": right.id}
                    ),
                    Command.create({"name": "Home", "sequence": 3, "ends": True}),
                ],
            }
        )
        body = self.fetch("sops/SOP-TEST-002/revisions/1.0.0", SopRevisionDetail)
        self.assertEqual(
            body["steps"][0]["commands"],
            [
                {
                    "name": "Count",
                    "language": "sql",
                    "command": "SELECT 1",
                    "purpose": "verification",
                    "category": "DATABASE",
                    "expected_output": None,
                }
            ],
        )
        self.assertEqual(
            [
                (choice["name"], choice["next_step"])
                for choice in body["steps"][0]["choices"]
            ],
            [("Left", 2), ("Right", 3), ("Home", None)],
        )

    def test_every_shipped_sop_is_what_it_is_documented_to_be(self):
        sops = self.fetch("sops?limit=200", SopPage)["items"]
        self.assertGreater(len(sops), 10)
        for sop in sops:
            with self.subTest(sop["code"]):
                body = self.fetch(f"sops/{sop['code']}", SopRevisionDetail)
                self.assertEqual(len(body["steps"]), sop["step_count"])

    # === Who, what not ===

    def test_not_found(self):
        for path in (
            "severities/none",
            "categories/none",
            "error-codes/NO_SUCH_CODE",
            "sops/SOP-NONE-001",
            "sops/SOP-NONE-001/revisions",
            "sops/SOP-TEST-001/revisions/9.9.9",
        ):
            with self.subTest(path):
                self.assert_problem(self.call("GET", path, self.operator), 404)
        self.draft_sop("SOP-TEST-002")
        response = self.call("GET", "sops/SOP-TEST-002", self.operator)
        self.assert_problem(response, 404)

    def test_who_may_read(self):
        stranger = new_test_user(self.env, login="qms_none", groups="base.group_user")
        portal = new_test_user(self.env, login="qms_portal", groups="base.group_portal")
        for path in (
            "severities",
            "severities/critical",
            "categories",
            "categories/DATABASE",
            "error-codes",
            "error-codes/DB_DEADLOCK",
            "sops",
            "sops/SOP-TEST-001",
            "sops/SOP-TEST-001/revisions",
            "sops/SOP-TEST-001/revisions/1.0.0",
        ):
            with self.subTest(path):
                for role in self.users:
                    response = self.call("GET", path, self.users[role])
                    self.assertEqual(response.status_code, 200, response.text)
                self.assert_problem(self.call("GET", path, stranger), 403)
                self.assert_problem(self.call("GET", path, portal), 403)
                self.assert_problem(self.call("GET", path), 401)
        for user in (stranger, portal):
            self.assert_problem(
                self.call("POST", "error-codes/classify", user, {"text": LOG}), 403
            )

    def test_the_sops_of_another_company(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.approve(self.draft_sop("SOP-TEST-002", company_id=self.env.company.id))
        outsider = new_test_user(
            self.env,
            login="qms_out",
            groups="qms_error_code.group_qms_auditor",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        self.assert_problem(self.call("GET", "sops/SOP-TEST-002", outsider), 404)
        response = self.call("GET", "sops?code=SOP-TEST-002", outsider)
        self.assertEqual(response.json()["items"], [])

    # === Costs ===

    def test_lists_do_not_pay_per_record(self):
        def cost(model, query, user):
            records = self.env[model].with_user(user)
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.env.cr.sql_log_count
                records._api_list(query)
            return self.env.cr.sql_log_count - before

        automation = self.users["automation"]
        for model, query, limit in (
            ("qms.severity", PageQuery, 2),
            ("qms.error.category", PageQuery, 8),
            ("qms.error.code", ErrorCodeQuery, 9),
            ("qms.sop.document", SopQuery, 6),
        ):
            with self.subTest(model):
                few = cost(model, query(limit=2), automation)
                self.assertEqual(cost(model, query(limit=10), automation), few)
                self.assertLessEqual(few, limit)

    def test_a_revision_does_not_pay_per_step(self):
        def cost(code):
            documents = self.env["qms.sop.document"].with_user(self.users["automation"])
            for _ in range(2):
                self.env.flush_all()
                self.env.invalidate_all()
                before = self.env.cr.sql_log_count
                documents._api_get(code)
            return self.env.cr.sql_log_count - before

        self.approved_sop("SOP-SIX-001", steps=tuple("ABCDEF"))
        self.assertEqual(cost("SOP-SIX-001"), cost("SOP-TEST-001"))
        self.assertLessEqual(cost("SOP-TRIAGE-001"), 15)
