from odoo.tests import BaseCase, tagged

from ..tools.log_matcher import (
    CHUNK_BYTES,
    MAX_EXCERPT,
    MAX_PROGRAM_SIZE,
    LogMatcher,
    PatternError,
    clean_log,
    compile_pattern,
)


@tagged("post_install", "-at_install")
class TestLogMatcher(BaseCase):
    def _scan(self, patterns, text, **options):
        return LogMatcher(patterns).scan(clean_log(text), **options)

    def test_line_numbers_and_counts(self):
        scan = self._scan(["disk full", "never"], "a\nDisk full\nb\ndisk FULL\n")
        self.assertEqual(set(scan.hits), {0})
        hit = scan.hits[0]
        self.assertEqual((hit.lines, hit.line_number, hit.line), (2, 2, "Disk full"))
        self.assertEqual(scan.lines_read, 4)
        self.assertTrue(scan.complete)

    def test_a_line_counts_once(self):
        self.assertEqual(self._scan(["a"], "aaa a\nb a\n").hits[0].lines, 2)

    def test_anchors_are_line_ends(self):
        scan = self._scan(["^end$"], "the end\nend\nend.\n")
        self.assertEqual((scan.hits[0].lines, scan.hits[0].line_number), (1, 2))

    def test_a_match_stays_in_its_line(self):
        self.assertFalse(self._scan([r"one\s+two", "one[^x]*two"], "one\ntwo").hits)

    def test_patterns_without_fixed_words(self):
        self.assertEqual(self._scan([r"\d+ %"], "x\n97 %").hits[0].line_number, 2)

    def test_patterns_of_both_kinds_together(self):
        scan = self._scan([r"\d+ %", "disk"], "disk\n97 %")
        self.assertEqual(set(scan.hits), {0, 1})

    def test_nothing_to_search(self):
        self.assertFalse(self._scan([], "text").hits)
        self.assertFalse(self._scan(["a"], "").hits)
        self.assertEqual(self._scan(["a"], "").lines_read, 0)

    def test_windows_lines_nul_colours_and_broken_utf8(self):
        data = b"ok\r\n\x1b[31mdisk\x1b[0m \0full \xff\r\nend"
        scan = self._scan(["disk full", "^ok$"], data)
        self.assertEqual(scan.hits[0].line_number, 2)
        self.assertEqual(scan.hits[0].line, "disk full \N{REPLACEMENT CHARACTER}")
        self.assertEqual(scan.hits[1].line_number, 1)

    def test_utf16_and_byte_order_marks(self):
        for encoding in ("utf-16", "utf-8-sig"):
            scan = self._scan(["^disk füll$"], "disk füll".encode(encoding))
            self.assertEqual(scan.hits[0].line, "disk füll")

    def test_lone_surrogates(self):
        self.assertEqual(self._scan(["a"], "a\ud800").hits[0].line, "a?")

    def test_a_match_behind_the_first_piece(self):
        line = "x" * 99 + "\n"
        filler = line * (CHUNK_BYTES // 100 + 7)
        scan = self._scan(["needle"], filler + "needle\n" + filler + "needle")
        self.assertEqual(scan.hits[0].lines, 2)
        self.assertEqual(scan.hits[0].line_number, filler.count("\n") + 1)
        self.assertEqual(scan.lines_read, 2 * filler.count("\n") + 2)

    def test_huge_line_is_shortened_around_the_match(self):
        scan = self._scan(["needle"], "é" * 3_000_000 + "needle" + "ß" * 3_000_000)
        line = scan.hits[0].line
        self.assertLessEqual(len(line), MAX_EXCERPT)
        self.assertIn("needle", line)
        self.assertTrue(line.startswith("…é") and line.endswith("ß…"))

    def test_a_line_of_exactly_the_limit_is_whole(self):
        line = "n" * MAX_EXCERPT
        self.assertEqual(self._scan(["n+"], line).hits[0].line, line)

    def test_refused_patterns(self):
        for pattern, reason in (
            ("", "empty"),
            ("  ", "empty"),
            ("x*", "matches_empty"),
            ("a|", "matches_empty"),
            ("^", "matches_empty"),
            (r"\b", "matches_empty"),
            ("a\nb", "newline"),
            ("(?=a)b", "syntax"),
            (r"(a)\1", "syntax"),
            ("a)(b", "syntax"),
            ("[a", "syntax"),
            ("a{2000}", "syntax"),
            ("a.{900}b", "too_large"),
        ):
            with self.subTest(pattern=pattern), self.assertRaises(PatternError) as cm:
                compile_pattern(pattern)
            self.assertEqual(cm.exception.reason, reason, pattern)

    def test_nested_repetition_is_harmless(self):
        """A backtracking engine would need 2**40 steps for this."""
        scan = self._scan(["(a+)+$"], ("a" * 40 + "!\n") * 1000)
        self.assertTrue(scan.complete)
        self.assertFalse(scan.hits)

    def test_the_largest_accepted_pattern_is_bounded(self):
        self.assertLessEqual(compile_pattern("a.{100}b").programsize, MAX_PROGRAM_SIZE)

    def test_time_limit(self):
        scan = self._scan(["a"], "a\n" * CHUNK_BYTES, seconds=-1)
        self.assertFalse(scan.complete)
        self.assertEqual((scan.lines_read, scan.hits), (0, {}))
