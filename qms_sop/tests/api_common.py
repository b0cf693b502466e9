"""What the tests of /api/v1 stand on."""

import json
from datetime import timedelta

from odoo import fields
from odoo.tests import HttpCase

from ..controllers.problems import PROBLEMS
from ..schemas.common import ProblemDocument
from .common import QmsSopCommon


class QmsApiCase(QmsSopCommon, HttpCase):
    """Calls operations of the API as the users of the roles."""

    def setUp(self):
        super().setUp()
        # Rolled back with the test that made them.
        self._keys = {}

    def key(self, user):
        """Return an API key of a user, the same each time."""
        if user not in self._keys:
            self._keys[user] = (
                self.env["res.users.apikeys"]
                .with_user(user)
                .sudo()
                ._generate("rpc", "test", fields.Datetime.now() + timedelta(days=1))
            )
        return self._keys[user]

    def call(self, method, path, user=None, json_body=None, headers=None, **options):
        """Call an operation.

        :param str path: below ``/api/v1/``
        :param user: whose key is sent; none when missing
        :param json_body: what is sent as JSON
        :param dict headers: further headers
        :return: the response
        """
        headers = dict(headers or {})
        if user:
            headers["Authorization"] = f"Bearer {self.key(user)}"
        if json_body is not None:
            headers.setdefault("Content-Type", "application/json")
            options["data"] = json.dumps(json_body)
        return self.url_open(
            f"/api/v1/{path}", headers=headers, method=method, **options
        )

    def assert_problem(self, response, status, name=None, field=None):
        """Check that a response is a problem document.

        :param int status: HTTP status
        :param str name: last part of its type
        :param str field: the field at fault
        :return: the document
        :rtype: dict
        """
        self.assertEqual(response.status_code, status, response.text)
        self.assertEqual(response.headers["Content-Type"], "application/problem+json")
        document = response.json()
        ProblemDocument.model_validate(document)
        self.assertEqual(document["status"], status)
        self.assertEqual(document["request_id"], response.headers["X-Request-Id"])
        found = document["type"].removeprefix("urn:qms:problem:")
        self.assertEqual(PROBLEMS[found][0], status)
        self.assertTrue(document["detail"])
        self.assertNotIn("Traceback", response.text)
        self.assertNotIn("<p>", document["detail"])
        if name:
            self.assertEqual(found, name, document)
        if field:
            self.assertIn(field, [error["field"] for error in document["errors"]])
        return document

    def assert_valid(self, model, body):
        """Check a response body against its model, and that it says nothing else."""
        return model.model_validate_json(json.dumps(body), strict=True)
