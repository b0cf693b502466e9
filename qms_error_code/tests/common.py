from odoo.tests import TransactionCase, new_test_user

ROLES = ("operator", "author", "manager", "auditor", "automation")


class QmsCase(TransactionCase):
    """One user per role in ``cls.users``, and a user of none in ``cls.outsider``."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.users = {
            role: new_test_user(
                cls.env,
                login=f"qms_{role}",
                groups=f"qms_error_code.group_qms_{role}",
            )
            for role in ROLES
        }
        cls.outsider = new_test_user(cls.env, "qms_outsider", groups="base.group_user")
        cls.codes = cls.env["qms.error.code"]
        cls.categories = cls.env["qms.error.category"]
        cls.severities = cls.env["qms.severity"]

    @classmethod
    def _create_code(cls, name, patterns=(), **values):
        """An entry of the catalogue.

        :param str name: its code
        :param patterns: ``(pattern, weight)`` pairs
        :param values: field values; category APPLICATION and severity medium else
        :rtype: qms.error.code
        """
        values.setdefault("category_id", cls.categories._resolve("APPLICATION").id)
        values.setdefault("severity_id", cls.severities._resolve("medium").id)
        return cls.codes.create(
            {
                "name": name,
                "title": name.title(),
                "pattern_ids": [
                    (0, 0, {"pattern": pattern, "weight": weight})
                    for pattern, weight in patterns
                ],
                **values,
            }
        )

    def _forget_records(self):
        """Empty the records' cache, so that the queries of a call can be counted."""
        for model in (
            "qms.error.code",
            "qms.error.category",
            "qms.error.pattern",
            "qms.severity",
        ):
            self.env[model].invalidate_model()
