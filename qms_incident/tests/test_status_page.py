import re
import xml.etree.ElementTree as ET
from datetime import timedelta
from unittest.mock import patch

from freezegun import freeze_time
from lxml import html

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import HttpCase, new_test_user, tagged

from .common import QmsIncidentCommon

PATH = "/qms/status"
ATOM = "{http://www.w3.org/2005/Atom}"
HOSTILE = "</p><script>alert(1)</script>\"'&amp; {{7*7}} <t t-out='1'/>"


class StatusCase(QmsIncidentCommon):
    """A company with a page for everybody, and two systems that are on it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env.company
        # Whatever the database has besides
        cls.env["qms.incident"].search([]).public_withdrawn = True
        cls.env["qms.incident.system"].search([]).public = False
        cls.env["res.company"].search([]).qms_status_page = "off"
        cls.company.write({"qms_status_page": "everybody", "qms_status_slug": "acme"})
        cls.systems = cls.env["qms.incident.system"].create(
            [
                {"name": "pg-test-3", "public": True, "public_name": "Database"},
                {"name": "api-eu1", "public": True, "public_name": "API"},
                {"name": "vault-9"},
            ]
        )
        cls.pages = cls.env["qms.status.page"].with_user(
            cls.env.ref("base.public_user")
        )

    def published(self, text="We are looking into it.", states=(), **values):
        """Return an incident of which something was said outside."""
        incident = self.open(**{"systems": ["pg-test-3"], **values})
        incident.send_update("Internal words", public_text=text)
        for state in states:
            reason = "Not true" if state == "false_positive" else None
            incident.move(state, reason=reason)
        return incident

    def content(self, company=None):
        self.env.flush_all()
        return self.pages._content((company or self.company).sudo())


@tagged("post_install", "-at_install")
class TestStatusPage(StatusCase):
    def test_nothing_without_a_public_text(self):
        incident = self.open(severity="critical", systems=["pg-test-3"])
        incident.send_update("Internal words", users=["qms_operator"])
        incident.public_title = "Outside"
        content = self.content()
        self.assertEqual(content["ongoing"], [])
        self.assertEqual(content["overall"], "operational")
        self.assertEqual({one["state"] for one in content["systems"]}, {"operational"})
        incident.public_status = "   "
        self.assertEqual(self.content()["ongoing"], [])

    def test_state_of_systems(self):
        for severity, states, expected in (
            ("critical", (), "outage"),
            ("high", ("triaged",), "partial_outage"),
            ("medium", (), "degraded"),
            ("low", (), "degraded"),
            (None, (), "degraded"),
            ("critical", ("triaged", "mitigated"), "recovering"),
            ("critical", ("triaged", "mitigated", "resolved"), "operational"),
        ):
            with self.subTest(severity=severity, states=states):
                incident = self.published(severity=severity, states=states)
                content = self.content()
                states_of = {one["name"]: one["state"] for one in content["systems"]}
                self.assertEqual(
                    states_of, {"API": "operational", "Database": expected}
                )
                self.assertEqual(content["overall"], expected)
                incident.public_withdrawn = True

    def test_worst_incident_counts(self):
        self.published(severity="low")
        self.published(severity="critical", systems=["api-eu1", "pg-test-3"])
        self.published(severity="high", systems=["api-eu1"])
        content = self.content()
        self.assertEqual(
            [(one["name"], one["state"]) for one in content["systems"]],
            [("API", "outage"), ("Database", "outage")],
        )
        self.assertEqual(content["overall"], "outage")

    def test_order_and_pages_of_systems(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.systems[0].public_sequence = -1
        self.systems[2].write(
            {
                "public": True,
                "public_name": "Vault",
                "public_company_ids": [fields.Command.set(other.ids)],
            }
        )
        names = [one["name"] for one in self.content()["systems"]]
        self.assertEqual(names, ["Database", "API"])
        names = [one["name"] for one in self.content(other)["systems"]]
        self.assertEqual(names, ["Database", "API", "Vault"])

    def test_only_incidents_of_the_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.published()
        self.assertEqual(self.content(other)["ongoing"], [])

    def test_words_for_states_and_the_past(self):
        for states, word in (
            ((), "investigating"),
            (("triaged",), "identified"),
            (("triaged", "mitigated"), "monitoring"),
            (("triaged", "resolved"), "resolved"),
            (("triaged", "resolved", "reviewed"), "resolved"),
            (("false_positive",), "withdrawn"),
        ):
            with self.subTest(states):
                incident = self.published(states=states)
                content = self.content()
                over = word in ("resolved", "withdrawn")
                [entry] = content["past" if over else "ongoing"]
                self.assertEqual(entry["state"], word)
                self.assertEqual(bool(entry["until"]), over)
                incident.public_withdrawn = True
        first, second = self.published(), self.published()
        first.move("duplicate", duplicate_of=second.id)
        self.assertEqual(len(self.content()["ongoing"]), 1)

    def test_what_is_over_leaves_after_some_days(self):
        self.published(states=("triaged", "resolved"))
        self.assertEqual(len(self.content()["past"]), 1)
        for days, left in ((6, 1), (8, 0)):
            self.company.qms_status_days = 7
            later = fields.Datetime.now() + timedelta(days=days)
            with self.subTest(days), freeze_time(later):
                self.assertEqual(len(self.content()["past"]), left)
        with freeze_time(fields.Datetime.now() + timedelta(days=400)):
            self.published(title="Still there")
            self.assertEqual(len(self.content()["ongoing"]), 1)

    def test_title_outside_is_never_the_inner_one(self):
        incident = self.published(title="Secret")
        self.assertEqual(
            self.content()["ongoing"][0]["title"], "Disruption of Database"
        )
        incident.system_ids = self.systems[2]
        self.assertEqual(self.content()["ongoing"][0]["title"], "Disruption")
        incident.public_title = "Logins are slow"
        self.assertEqual(self.content()["ongoing"][0]["title"], "Logins are slow")

    def test_correction_replaces_what_was_said_last(self):
        incident = self.published("First")
        incident.send_update("Internal", public_text="Ask Jo Miller")
        incident.public_status = "Ask support"
        texts = [one["text"] for one in self.content()["ongoing"][0]["texts"]]
        self.assertEqual(texts, ["Ask support", "First"])

    def test_closed_incident_can_be_taken_off(self):
        incident = self.published(states=("false_positive",))
        with self.assertRaises(UserError):
            incident.public_status = "Something else"
        incident.public_withdrawn = True
        self.assertEqual(self.content()["past"], [])
        self.assertEqual(incident.status_page_note, "Kept off the status page.")

    def test_note_says_what_is_so(self):
        incident = self.open()
        notes = [incident.status_page_note]
        incident.public_status = "Said"
        notes.append(incident.status_page_note)
        other = self.open()
        incident.move("duplicate", duplicate_of=other.id)
        notes.append(incident.status_page_note)
        self.company.qms_status_page = "off"
        incident.invalidate_recordset()
        notes.append(incident.status_page_note)
        self.assertEqual(
            [note.partition(":")[0].partition(",")[0] for note in notes],
            [
                "Not on the status page",
                "On the status page",
                "No longer on the status page.",
                "The company has no status page; nobody outside reads it.",
            ],
        )

    def test_incident_knows_whether_it_is_on_the_page(self):
        now, over = self.published(), self.published(states=("triaged", "resolved"))
        both = now | over
        self.assertEqual(both.mapped("on_status_page"), [True, True])
        self.assertEqual(now.action_open_status_page()["url"], f"{PATH}/acme")
        with freeze_time(fields.Datetime.now() + timedelta(days=15)):
            both.invalidate_recordset()
            self.assertEqual(both.mapped("on_status_page"), [True, False])
            self.assertEqual(over.status_page_note, "No longer on the status page.")

    def test_many_cost_no_more_queries_than_few(self):
        def queries():
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.pages._content(self.company.sudo())
            return self.env.cr.sql_log_count - before

        self.published()
        queries()
        few = queries()
        for number in range(5):
            self.published(systems=["api-eu1"], title=f"Number {number}")
        self.assertEqual(queries(), few)
        self.assertLessEqual(few, 14)

    def test_addresses(self):
        companies = self.env["res.company"]
        first, second = companies.create([{"name": "Öko & Söhne"}, {"name": "???"}])
        self.assertFalse(first.qms_status_slug)
        (first | second).qms_status_page = "everybody"
        self.assertEqual(first.qms_status_slug, "oko-sohne")
        self.assertEqual(second.qms_status_slug, "status")
        third = companies.create({"name": "Öko, Söhne", "qms_status_page": "members"})
        self.assertEqual(third.qms_status_slug, "oko-sohne-2")
        for slug in ("", "Acme", "a b", "-a", "a--b", "../x", "preview", "a" * 61):
            with (
                self.subTest(slug),
                self.refused(ValidationError, "Address of the status page"),
            ):
                first.qms_status_slug = slug
        for days in (0, -1, 366):
            with (
                self.subTest(days),
                self.refused(ValidationError, "Days on the status page"),
            ):
                first.qms_status_days = days

    def test_only_managers_say_which_systems_are_shown(self):
        system = self.systems[2]
        for role in ("operator", "author", "automation", "auditor"):
            mine = system.with_user(self.users[role])
            with self.subTest(role), self.refused(AccessError, ""):
                mine.write({"public": True, "public_name": "Vault"})
            for name, value in (
                ("public", True),
                ("public_name", "New"),
                ("public_sequence", -1),
                ("public_company_ids", [fields.Command.link(self.company.id)]),
            ):
                with self.subTest((role, name)), self.refused(AccessError, ""):
                    mine.create({"name": "new", name: value})
        with self.refused(ValidationError, "Name outside: it is missing for vault-9"):
            system.with_user(self.manager).public = True
        system.with_user(self.manager).write({"public": True, "public_name": "Vault"})
        self.assertTrue(system.with_user(self.users["auditor"]).public)

    def test_public_title_by_rpc_and_dialog(self):
        incident = self.open()
        told = incident.update_incident({"public_title": "Logins are slow"})
        self.assertEqual(told["public_title"], "Logins are slow")
        dialog = self.env["qms.incident.message"].with_user(self.operator)
        dialog = dialog.create(
            {
                "incident_id": incident.id,
                "kind": "update",
                "message": "Inside",
                "public_text": "Outside",
                "channel_ids": [],
            }
        )
        self.assertEqual(dialog.public_title, "Logins are slow")
        self.assertIn("at once", dialog.status_page_note)
        dialog.public_title = "Logins fail"
        dialog.action_send()
        [entry] = self.content()["ongoing"]
        self.assertEqual(entry["title"], "Logins fail")
        self.assertEqual([one["text"] for one in entry["texts"]], ["Outside"])

    def test_preview_is_for_managers_of_the_company(self):
        self.company.qms_status_page = "off"
        other = self.env["res.company"].create({"name": "Other"})
        pages = self.env["qms.status.page"]
        for user, company, expected in (
            (self.manager, None, self.company),
            (self.manager, self.company.id, self.company),
            (self.manager, other.id, other.browse()),
            (self.operator, None, other.browse()),
            (self.users["auditor"], None, other.browse()),
        ):
            with self.subTest(user.login):
                self.assertEqual(pages.with_user(user)._previewed(company), expected)
        asked = f"{PATH}/preview?company={self.company.id}"
        action = self.systems.with_user(self.manager).action_preview_status_page()
        self.assertEqual(action["url"], asked)
        settings = self.env["res.config.settings"].create({})
        self.assertEqual(settings.action_preview_status_page()["url"], asked)


@tagged("post_install", "-at_install")
class TestStatusPageOverHttp(StatusCase, HttpCase):
    def get(self, path=PATH, status=200, **headers):
        self.env.flush_all()
        response = self.url_open(path, headers=headers, allow_redirects=False)
        self.assertEqual(response.status_code, status, response.text[:500])
        return response

    def test_off(self):
        self.company.qms_status_page = "off"
        for path in (
            "",
            "/acme",
            "/acme/feed",
            "/x",
            "/a%00b",
            "/%ff/feed",
            "/a%0d%0a",
        ):
            with self.subTest(path):
                self.get(f"{PATH}{path}", 404)
        self.authenticate("qms_operator", "qms_operator")
        self.get(PATH, 404)
        self.get(f"{PATH}/preview", 404)
        self.authenticate("qms_manager", "qms_manager")
        preview = self.get(f"{PATH}/preview")
        self.assertIn("Preview for managers", preview.text)
        self.assertEqual(preview.headers["Cache-Control"], "private, no-cache")
        self.get(f"{PATH}/preview?company=x' OR 1=1")

    def test_page_tells_nothing_from_inside(self):
        run = self.start_run(severity="critical", summary="Inner summary")
        run.log_error("Inner error of pg-test-3", error_code="DB_DEADLOCK")
        incident = self.published(
            "Logins fail at times.",
            title="Inner title",
            description="Inner description",
            error_code="DB_DEADLOCK",
            severity="critical",
            systems=["pg-test-3", "vault-9"],
            detected_by="Inner monitor",
        )
        incident.link_run(run.id)
        incident.write({"workaround_available": "yes", "workaround": "Inner way"})
        incident.assign_role("incident_commander", user="qms_manager")
        self.open(title="Unpublished incident", systems=["api-eu1"])
        for path in (f"{PATH}/acme", f"{PATH}/acme/feed"):
            response = self.get(path)
            text = response.text
            self.assertIn("Logins fail at times.", text)
            self.assertIn("Database", text)
            inner = [
                "Inner",
                "inner",
                "Internal words",
                "Unpublished",
                "pg-test-3",
                "vault-9",
                "api-eu1",
                "DB_DEADLOCK",
                "Deadlock",
                "critical",
                incident.name,
                run.name,
                "INC-",
                "RUN-",
                "qms_operator",
                "qms_manager",
                self.operator.name,
                self.manager.name,
                f"/{incident.id}",
                f'"{incident.id}"',
                "/odoo",
                "/web",
            ]
            self.assertEqual([word for word in inner if word in text], [], path)
            self.assertNotIn("Set-Cookie", response.headers)
            self.assertIn(
                "default-src 'none'", response.headers["Content-Security-Policy"]
            )

    def test_what_is_said_stays_text(self):
        incident = self.published(f"{HOSTILE}\nSecond line")
        incident.public_title = HOSTILE
        self.systems[0].public_name = HOSTILE
        self.company.write({"qms_status_note": HOSTILE, "qms_status_title": HOSTILE})
        page = self.get(f"{PATH}/acme")
        self.assertNotIn("<script>alert", page.text)
        tree = html.fromstring(page.content)
        self.assertEqual(len(tree.xpath("//script")), 1)
        self.assertEqual(tree.xpath("//title/text()"), [HOSTILE])
        self.assertEqual(tree.xpath("//h3/text()"), [HOSTILE])
        self.assertEqual(
            tree.xpath("//*[@class='said']//p[@class='text']/text()"),
            [f"{HOSTILE}\nSecond line"],
        )
        incident.public_title = f"{HOSTILE}\x01\x0b"
        feed = ET.fromstring(self.get(f"{PATH}/acme/feed").content)
        title = feed.find(f"{ATOM}entry/{ATOM}title").text
        self.assertEqual(title, f"{HOSTILE}\ufffd\ufffd – Investigating")

    def test_caches(self):
        incident = self.published()
        first = self.get(f"{PATH}/acme")
        self.assertEqual(first.headers["Cache-Control"], "public, max-age=30")
        tag = {"If-None-Match": first.headers["ETag"]}
        again = self.get(f"{PATH}/acme", 304, **tag)
        self.assertEqual(again.content, b"")
        incident.move("triaged")
        self.assertNotEqual(
            self.get(f"{PATH}/acme", **tag).headers["ETag"], first.headers["ETag"]
        )

    def test_members(self):
        self.company.qms_status_page = "members"
        other = self.env["res.company"].create(
            {"name": "Other", "qms_status_page": "members"}
        )
        new_test_user(self.env, "customer", groups="base.group_portal")
        new_test_user(
            self.env,
            "stranger",
            groups="base.group_portal",
            company_id=other.id,
            company_ids=[fields.Command.set(other.ids)],
        )
        for path in (PATH, f"{PATH}/acme"):
            where = self.get(path, 303).headers["Location"]
            self.assertTrue(where.endswith(f"/web/login?redirect={path}"), where)
        self.get(f"{PATH}/unknown", 404)
        self.get(f"{PATH}/acme/feed", 404)
        self.authenticate("customer", "customer")
        for path in (PATH, f"{PATH}/acme", f"{PATH}/acme/feed"):
            response = self.get(path)
            self.assertEqual(response.headers["Cache-Control"], "private, no-cache")
            self.assertIn("Cookie", response.headers["Vary"])
        self.authenticate("stranger", "stranger")
        self.get(f"{PATH}/acme", 404)
        self.get(f"{PATH}/acme/feed", 404)

    def test_several_companies(self):
        other = self.env["res.company"].create(
            {"name": "Öko", "qms_status_page": "everybody"}
        )
        links = html.fromstring(self.get().content).xpath("//main//a/@href")
        self.assertEqual(sorted(links), [f"{PATH}/acme", f"{PATH}/oko"])
        other.qms_status_page = "off"
        self.assertIn("All systems operational", self.get().text)

    def test_page_is_read_without_scripts(self):
        self.published()
        zone = "Asia/Kolkata"
        self.company.resource_calendar_id.tz = zone
        with (
            freeze_time("2026-03-01T20:00:00Z"),
            patch.object(type(self.env.cr), "now", lambda cr: fields.Datetime.now()),
        ):
            self.published(title="At a known time")
        tree = html.fromstring(self.get(f"{PATH}/acme").content)
        times = {one.get("datetime"): one.text for one in tree.xpath("//main//time")}
        self.assertEqual(times["2026-03-01T20:00:00Z"], "2 Mar 2026, 01:30 IST")
        self.assertEqual(tree.get("lang"), "en-US")
        headings = [one.tag for one in tree.iter("h1", "h2", "h3")]
        self.assertEqual(headings[:3], ["h1", "h2", "h3"])
        labelled = tree.xpath("//@aria-labelledby")
        self.assertEqual(
            [one for one in labelled if not tree.xpath(f"//*[@id='{one}']")], []
        )
        self.assertTrue(all(re.fullmatch(r"[\w-]+", one) for one in labelled))
