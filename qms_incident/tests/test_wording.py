from unittest import TestCase

from odoo.tests import tagged

from ..tools.wording import hints

# What blames, and what of it is found
BLAMING = {
    "We should have noticed it.": "should have",
    "We should not have deployed on a Friday.": "should not have",
    "It couldn't have been easier to see.": None,
    "They shouldn't have merged it.": "shouldn't have",
    "Cause: human error.": "human error",
    "The developer forgot to run the migration.": "forgot to",
    "This was the admin's fault.": "admin's fault",
    "Who is to blame?": "is to blame",
    "A careless change.": "careless",
    "Obviously the pool was too small.": "Obviously",
    "The operator ignored the alert.": "operator ignored",
    "Kim Lee broke the build.": "Kim Lee broke",
    "In the end Kim didn’t look.": "Kim didn’t",
    "- **Human error**: Developer forgot to run migrations locally": "Human error",
}
FAIR = (
    "The pool was exhausted after 100 connections.",
    "The pod failed to start, because the image was missing.",
    "Kim Lee restarted the service at 14:43.",
    "Kim noticed that the alert had fired.",
    "No step of the checklist asks for migrations.",
    "It should be checked by the pipeline.",
    "We could see no alert.",
    "`git blame` told when the line changed; ```should have``` is quoted.",
    "A default was set by the vendor.",
)


@tagged("at_install")
class TestWording(TestCase):
    def test_what_blames_is_found(self):
        for text, phrase in BLAMING.items():
            with self.subTest(text):
                found = [hint.phrase for hint in hints(text, ["Kim Lee"])]
                if phrase is None:
                    self.assertFalse(found)
                else:
                    self.assertIn(phrase, found)

    def test_what_is_fair_is_left_alone(self):
        for text in FAIR:
            with self.subTest(text):
                self.assertEqual(hints(text, ["Kim Lee"]), [])

    def test_the_sentence_is_told(self):
        text = "All was well.\n\n1. We v1.2.3 should have tested. It was Bo's fault!\n"
        first, second = hints(text)
        self.assertEqual(first.sentence, "We v1.2.3 should have tested.")
        self.assertEqual(
            (second.kind, second.sentence), ("fault", "It was Bo's fault!")
        )

    def test_overlapping_phrases_are_told_once(self):
        (hint,) = hints("Kim Lee forgot to look.", ["Kim Lee", "Kim"])
        self.assertEqual((hint.kind, hint.phrase), ("person", "Kim Lee forgot"))

    def test_nothing_at_all(self):
        self.assertEqual(hints(False), [])
        self.assertEqual(hints("", ["", "Al"]), [])
        self.assertEqual(hints("Al broke it", ["Al"]), [])

    def test_long_texts_take_no_long_time(self):
        text = "a." * 50_000 + " should " * 20_000 + "x" * 100_000
        self.assertEqual(hints(text, ["Kim Lee"]), [])
