import time

from odoo.tests import BaseCase

from odoo.addons.qms_sop.tools import runbook
from odoo.addons.qms_sop.tools.runbook import Limits, RunbookError


class TestRunbookText(BaseCase):
    """Decoding, repair and limits."""

    def refuse(self, data, line, *words, limits=None):
        with self.assertRaises(RunbookError) as caught:
            runbook.parse(data, limits)
        self.assertEqual(caught.exception.line, line)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_not_markdown(self):
        self.refuse(b"", 1, "empty")
        self.refuse(" \n\t\n", 1, "empty")
        self.refuse(b"\xef\xbb\xbf\n", 1, "empty")
        self.refuse(b"# T\n\nab\0c", 3, "binary", "position 7")
        self.refuse("# T\nä\nö".encode("latin-1"), 2, "UTF-8", "0xe4", "byte 1 of")
        self.refuse(b"\xef\xbb\xbf# T\nok\xff", 2, "0xff", "byte 3 of")
        self.refuse("# T".encode("utf-16"), 1, "UTF-16")
        self.refuse("# T\n\ud83d", 2, "half a character")

    def test_no_title(self):
        self.refuse("words\n", 1, "title")
        self.refuse("\n\n## Second level\n", 3, "title")
        self.refuse("```\n# in a fence\n```\n", 1, "title")
        self.refuse("---\nowner: me\n---\n\ntext", 5, "title")
        self.refuse("#\n", 1, "title")

    def test_limits(self):
        self.refuse("# T\n" + "a" * 30, 1, "34 bytes", "20", limits=Limits(size=20))
        # ten characters, twenty bytes more
        self.refuse("# T\n" + "→" * 10, 1, "34 bytes", limits=Limits(size=33))
        steps = "# T\n" + "".join(f"## Step {n}: a\n" for n in range(1, 5))
        self.refuse(steps, 5, "more than 3 steps", limits=Limits(steps=3))
        self.assertEqual(len(runbook.parse(steps, Limits(steps=4)).steps), 4)
        sections = "# T\n" + "## a\n" * 4
        self.refuse(sections, 4, "more than 3", limits=Limits(parts=3))

    def test_byte_order_mark_and_line_ends(self):
        for data in (
            b"\xef\xbb\xbf# T\r\n\r\na\r\n",
            b"# T\r\ra\r",
            "\ufeff# T\n\na\n",
        ):
            with self.subTest(data):
                self.assertEqual(runbook.parse(data).text, "# T\n\na\n")

    def test_the_last_line_may_lack_its_end(self):
        for text in ("# T", "# T\n", "# T\n\n\n", "# T\n## a", "# T\n## a\n \n"):
            with self.subTest(text):
                self.assertEqual(runbook.parse(text).text, text)

    def repaired(self, text):
        parsed = runbook.parse(f"# T\n\n{text}\n")
        return parsed.text.split("\n")[2], parsed.notes

    def test_repairs(self):
        good = ["🚨 Alarm", "a → b", "✅ done ✅", "⬇️", "── │ └─", "it’s – “so” …"]
        good += ["café", "Größe", "20 °C", "🛠️", "naïve → 30 €"]
        for text in good:
            for codec in ("cp1252", "mac-roman", "latin-1"):
                try:
                    wrong = text.encode().decode(codec)
                except UnicodeDecodeError:
                    continue  # a byte that the table does not have
                with self.subTest(f"{codec}: {text}"):
                    fixed, notes = self.repaired(f"x {wrong} y")
                    self.assertEqual(fixed, f"x {text} y")
                    self.assertEqual(
                        [tuple(note) for note in notes],
                        [(3, f"x {wrong} y", f"x {text} y")],
                    )

    def test_fine_text_is_left_alone(self):
        for text in (
            "🚨 → ✅ – “so” …",
            "Größe, façade, São Paulo, Łódź, Århus",
            "„Über“ ‚Übung‘ à «bas» §5 ±2 ©®",
            "日本語 Ελληνικά Русский עברית",
            "½ × ² µ ¿por qué? ÀÉÎ",
        ):
            with self.subTest(text):
                self.assertEqual(self.repaired(text), (text, ()))

    def test_what_cannot_be_repaired_is_said(self):
        # The last byte of the emoji is lost: it may have been one of five.
        text = "ðŸ” Look"
        fixed, notes = self.repaired(text)
        self.assertEqual(fixed, text)
        self.assertEqual([tuple(note) for note in notes], [(3, text, text)])

    def test_two_megabytes_take_seconds(self):
        step = (
            "### Step {}: Look\n\n**Objective**: see\n\n- a\n- b\n\n```bash\n# c\nls\n"
            "```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n**Verification**: ok\n\n"
        )
        filler = "Words that explain the step to somebody who is new.\n" * 18
        text = "# T\n\n" + "".join(
            step.format(number) + filler + "\n" for number in range(1, 1900)
        )
        self.assertGreater(len(text), 1_900_000)
        begin = time.process_time()
        parsed = runbook.parse(text)
        # 1 s on a common machine
        self.assertLess(time.process_time() - begin, 20)
        self.assertEqual(len(parsed.steps), 1899)
        self.assertEqual(parsed.text, text)

    def test_hostile_texts_take_seconds(self):
        size = 400_000
        for name, piece in {
            "backticks": "`" * size,
            "lines of backticks": "```\n" * (size // 4),
            "stars": "**a" * (size // 3),
            "headings of stars": "## " + "*a_" * (size // 3),
            "brackets": "[" * size,
            "lines of brackets": "[a\n" * (size // 3),
            "quotes": "> " * (size // 2),
            "nested lists": "".join("  " * n + "- a\n" for n in range(600)),
            "pipes": "|a" * (size // 2) + "\n" + "|-" * (size // 2),
            "attributes": "<a " + "b=c " * (size // 4),
            "templates": "```markdown\n```sql\n```\n" * (size // 23),
            "one line": "a " * (size // 2),
            "mis-decoded": "â†’" * (size // 7),
            "parentheses": "## a" + "(" * size,
            "arrows": "```\n" + "a? →\n" * (size // 5) + "```",
            "lead-ins": "**a**: b\n" * (size // 9),
        }.items():
            with self.subTest(name):
                begin = time.process_time()
                runbook.parse(f"# T\n\n{piece}\n")
                # 0.5 s at most on a common machine; quadratic work takes minutes
                self.assertLess(time.process_time() - begin, 20)
