import json
import re
import shlex

from lxml import html

from odoo.tests import tagged

from ..controllers.problems import PROBLEMS
from ..tools import api_docs
from .api_common import QmsApiCase


@tagged("post_install", "-at_install")
class TestApiDocs(QmsApiCase):
    """The reference for people says what the OpenAPI document says."""

    def setUp(self):
        super().setUp()
        self.document = self.call("GET", "openapi.json").json()
        self.response = self.call("GET", "docs")
        self.assertEqual(self.response.status_code, 200)
        self.page = html.fromstring(self.response.content.decode())

    def test_every_operation_is_described(self):
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                with self.subTest(path, method=method):
                    section = self.page.get_element_by_id(operation["operationId"])
                    text = section.text_content()
                    self.assertIn(path, text)
                    self.assertIn(method.upper(), text)
                    self.assertIn(operation["summary"], text)
                    for parameter in operation["parameters"]:
                        self.assertIn(parameter["name"], text)
                    for status in operation["responses"]:
                        self.assertIn(status, text)
                    self.assertIn("curl", text)

    def test_objects_and_problems(self):
        for name, schema in self.document["components"]["schemas"].items():
            section = self.page.get_element_by_id(f"object-{api_docs.anchor(name)}")
            for field in schema.get("properties", {}):
                self.assertIn(field, section.text_content())
        problems = self.page.get_element_by_id("problems").text_content()
        for name in PROBLEMS:
            self.assertIn(f"urn:qms:problem:{name}", problems)

    def test_links_lead_somewhere(self):
        ids = set(self.page.xpath("//@id"))
        for link in self.page.xpath("//a/@href"):
            with self.subTest(link):
                if link.startswith("#"):
                    self.assertIn(link[1:], ids)
                else:
                    self.assertEqual(link, "openapi.json")

    def test_needs_nothing_from_outside(self):
        self.assertIn(
            "default-src 'none'", self.response.headers["Content-Security-Policy"]
        )
        self.assertFalse(self.page.xpath("//script | //img | //link | //iframe"))
        self.assertFalse(re.search(r"@import|url\(", self.response.text))

    def test_examples_are_accepted(self):
        """The command of every POST and PATCH on a run has a body that is valid."""
        for chapter in api_docs.chapters(self.document):
            for operation in chapter["operations"]:
                if not operation["path"].startswith("/sop-runs"):
                    continue
                words = shlex.split(operation["curl"].replace("\\\n", " "))
                if "-d" not in words:
                    continue
                with self.subTest(operation["anchor"]):
                    body = json.loads(words[words.index("-d") + 1])
                    run = self.start_run()
                    path = operation["path"].replace("{run_id}", str(run.id))
                    response = self.call(
                        operation["method"],
                        path.replace("{number}", "1").lstrip("/"),
                        self.operator,
                        body,
                    )
                    self.assertLess(response.status_code, 300, response.text)
