from odoo.exceptions import ValidationError
from odoo.tests import TransactionCase, tagged

from ..tools.arguments import checked


class Dummy:
    def __init__(self, env):
        self.env = env

    @checked
    def method(self, name: str, count: int = 1, note: str | None = None):
        return name, count, note

    @checked(stored=False)
    def of_a_log(self, text: str):
        return text

    @checked
    def with_list(self, names: list[str]):
        return names


@tagged("post_install", "-at_install")
class TestArguments(TransactionCase):
    def setUp(self):
        super().setUp()
        self.dummy = Dummy(self.env)

    def test_accepts_what_is_annotated(self):
        self.assertEqual(self.dummy.method("a", count=2), ("a", 2, None))

    def test_false_stands_for_none_where_none_is_accepted(self):
        self.assertEqual(self.dummy.method("a", note=False), ("a", 1, None))

    def test_names_the_wrong_argument(self):
        with self.assertRaisesRegex(ValidationError, "count.*'5'"):
            self.dummy.method("a", count="5")
        with self.assertRaisesRegex(ValidationError, "name"):
            self.dummy.method(False)

    def test_numbers_are_not_converted(self):
        with self.assertRaises(ValidationError):
            self.dummy.method("a", count=True)

    def test_names_what_is_accepted(self):
        with self.assertRaisesRegex(ValidationError, "name, count, note"):
            self.dummy.method("a", colour="red")
        with self.assertRaisesRegex(ValidationError, "name, count, note"):
            self.dummy.method()

    def test_items_of_lists(self):
        with self.assertRaisesRegex(ValidationError, r"\[1\]"):
            self.dummy.with_list(["a", 1])

    def test_nul_cannot_be_stored(self):
        for call in (
            lambda: self.dummy.method("a\0"),
            lambda: self.dummy.with_list(["a", "\0"]),
        ):
            with self.assertRaisesRegex(ValidationError, "NUL"):
                call()
        self.assertEqual(self.dummy.of_a_log("a\0"), "a\0")
        with self.assertRaises(ValidationError):
            self.dummy.of_a_log(5)
