from odoo.tests import BaseCase, tagged

from ..tools.message_template import TemplateError, names, render


@tagged("post_install", "-at_install")
class TestMessageTemplate(BaseCase):
    def fill(self, text, **values):
        return render(text, values, "not known")

    def test_values_are_filled_in(self):
        self.assertEqual(
            self.fill("{{ name }}: {{count}} of {{all}}", name="A", count=0, all=[7]),
            "A: 0 of 7",
        )

    def test_lists_are_told_line_by_line(self):
        self.assertEqual(self.fill("{{all}}", all=["a", None, 2]), "a\n2")

    def test_what_is_missing_is_said_to_be_missing(self):
        for missing in (None, False, "", "  ", []):
            with self.subTest(missing):
                self.assertEqual(
                    self.fill("Impact: {{impact}}.", impact=missing),
                    "Impact: not known.",
                )
        self.assertEqual(
            self.fill("Impact: {{impact ||| nobody knows}}."), "Impact: nobody knows."
        )

    def test_a_line_is_left_out(self):
        text = "First\nReason: {{reason?}} here\nLast"
        self.assertEqual(self.fill(text), "First\nLast")
        self.assertEqual(self.fill(text, reason="r"), "First\nReason: r here\nLast")

    def test_nothing_is_filled_in_twice(self):
        self.assertEqual(self.fill("{{a}}", a="{{b}}", b="secret"), "{{b}}")

    def test_nothing_is_run(self):
        for text in (
            "{{ object.env }}",
            "{{ 1 + 1 }}",
            "{{ ''.__class__ }}",
            "{{ name() }}",
            "{{}}",
            "{{ Name }}",
            "{{ name",
            "name }}",
            "{{ {{name}} }}",
            "{{ name | upper }}",
        ):
            with self.subTest(text), self.assertRaises(TemplateError):
                names(text)
        # Even if one got past the check, it would be text.
        self.assertEqual(
            self.fill("{{ ''.__class__ }}", **{"''.__class__": None}), "not known"
        )

    def test_names(self):
        self.assertEqual(
            names("{{a}} {{ b? }} {{c ||| none}} {{a}} {single}"),
            ["a", "b", "c"],
        )
        self.assertEqual(names(False), [])
