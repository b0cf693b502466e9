import json
import re

from odoo.tests import tagged

from ..controllers.api import API_ROOT, operations
from .api_common import QmsApiCase

_METHODS = ("get", "post", "put", "patch", "delete")


@tagged("post_install", "-at_install")
class TestApiOpenApi(QmsApiCase):
    """The OpenAPI document and the routes say the same."""

    @property
    def routing_map(self):
        # The server has made it with the first request.
        self.document()
        return self.env["ir.http"].routing_map()

    def document(self):
        response = self.call("GET", "openapi.json")
        self.assertEqual(response.status_code, 200)
        return response.json()

    def entries(self):
        """Return ``(path, method, operation)`` of everything documented."""
        return [
            (path, method, operation)
            for path, methods in self.document()["paths"].items()
            for method, operation in methods.items()
        ]

    def test_every_route_is_documented(self):
        undocumented, documented = set(), set()
        for rule in self.routing_map.iter_rules():
            if not f"{rule.rule}/".startswith(f"{API_ROOT}/"):
                continue
            operation = rule.endpoint.routing.get("qms_operation")
            if operation:
                documented.add((operation.template, operation.method.lower()))
            else:
                undocumented.add(rule.rule)
        self.assertEqual(
            documented, {(path, method) for path, method, _ in self.entries()}
        )
        # What is left is the catch-all and the status link, which stands in the
        # description of a run: it has the same address.
        self.assertEqual(
            undocumented,
            {
                API_ROOT,
                f"{API_ROOT}/<path:path>",
                f"{API_ROOT}/sop-runs/<string:token>",
            },
        )

    def test_everything_documented_is_routed(self):
        adapter = self.routing_map.bind("localhost")
        for path, method, operation in self.entries():
            with self.subTest(path, method=method):
                filled = re.sub(r"\{\w+\}", "1", path)
                rule, _args = adapter.match(
                    f"{API_ROOT}{filled}", method.upper(), return_rule=True
                )
                found = rule.endpoint.routing["qms_operation"]
                self.assertEqual(found.name, operation["operationId"])

    def test_document(self):
        document = self.document()
        self.assertEqual(document["openapi"], "3.1.0")
        self.assertTrue(document["servers"][0]["url"].endswith(API_ROOT))
        names = [operation["operationId"] for *_, operation in self.entries()]
        self.assertEqual(len(set(names)), len(names))
        for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
            with self.subTest(reference):
                found = document
                for part in reference.split("/"):
                    found = found[part]
        for path, method, operation in self.entries():
            with self.subTest(path, method=method):
                self.assertIn(method, _METHODS)
                self.assertTrue(operation["summary"])
                self.assertEqual(
                    re.findall(r"\{(\w+)\}", path),
                    [
                        parameter["name"]
                        for parameter in operation["parameters"]
                        if parameter["in"] == "path"
                    ],
                )
                responses = operation["responses"]
                self.assertTrue({"406", "500", "503"} <= responses.keys())
                if operation.get("security") is None:
                    self.assertTrue({"401", "403"} <= responses.keys())
                if "requestBody" in operation:
                    self.assertTrue(
                        {"400", "411", "413", "415", "422"} <= responses.keys()
                    )

    def test_examples_are_valid(self):
        for operation in operations(self.routing_map):
            for model in filter(None, (operation.request, operation.query)):
                for name, field in model.model_fields.items():
                    for example in field.examples or ():
                        with self.subTest(model=model.__name__, field=name):
                            schema = json.dumps({name: example})
                            try:
                                model.model_validate_json(schema)
                            except ValueError as error:
                                wrong = [e["loc"][:1] for e in error.errors()]
                                self.assertNotIn((name,), wrong)

    def test_nothing_without_a_key(self):
        for path, method, operation in self.entries():
            if operation.get("security") is not None:
                continue
            filled = re.sub(r"\{\w+\}", "1", path).removeprefix("/")
            with self.subTest(path, method=method):
                for headers in ({}, {"Authorization": "Bearer nonsense"}):
                    response = self.call(method.upper(), filled, headers=headers)
                    self.assert_problem(response, 401)

    def is_routed(self, path, method):
        """Tell whether a path is met by an operation with an argument there."""
        adapter = self.env["ir.http"].routing_map().bind("localhost")
        rule, _arguments = adapter.match(
            f"{API_ROOT}/{path}", method.upper(), return_rule=True
        )
        return not rule.endpoint.routing.get("qms_catch_all")

    def test_other_methods(self):
        document = self.document()
        for path, methods in document["paths"].items():
            filled = re.sub(r"\{\w+\}", "1", path).removeprefix("/")
            for method in _METHODS:
                if method in methods or self.is_routed(filled, method):
                    continue
                with self.subTest(path, method=method):
                    response = self.call(method.upper(), filled, self.operator)
                    self.assert_problem(response, 405)
                    allowed = response.headers["Allow"].split(", ")
                    self.assertTrue({m.upper() for m in methods} <= set(allowed))
                    self.assertNotIn(method.upper(), allowed)
