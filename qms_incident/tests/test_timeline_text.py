from datetime import date, datetime

from odoo.tests import BaseCase

from ..tools import timeline_text

DAY = date(2025, 12, 26)
TABLE = """
| Time (UTC) | Event | Component | Evidence |
|------------|-------|-----------|----------|
| 14:30:15 | First error logged | Backend API | `logs/backend.log:1234` |
| 14:33:30 | Investigation started | Human | - |
| later | Lunch | - | - |
"""


def read(text, zone="UTC"):
    return timeline_text.read(text, DAY, zone)


class TestTimelineText(BaseCase):
    def test_markdown_table(self):
        entries, problems = read(TABLE, "Asia/Kathmandu")
        self.assertEqual(
            [tuple(entry) for entry in entries],
            [
                (
                    datetime(2025, 12, 26, 14, 30, 15),
                    "First error logged",
                    "Backend API",
                    "logs/backend.log:1234",
                ),
                (
                    datetime(2025, 12, 26, 14, 33, 30),
                    "Investigation started",
                    "Human",
                    "",
                ),
            ],
        )
        self.assertEqual([problem.line for problem in problems], [6])

    def test_csv(self):
        entries, problems = read(
            "when;what;proof\n"
            '2025-12-26 14:42;"Migration applied; twice";abc123\n'
            "2025-12-26T15:42:00+01:00;Restart;\n"
            "26/12/2025;Nonsense;\n",
            "America/New_York",
        )
        self.assertEqual(
            [(entry.at, entry.text, entry.evidence) for entry in entries],
            [
                (datetime(2025, 12, 26, 19, 42), "Migration applied; twice", "abc123"),
                (datetime(2025, 12, 26, 14, 42), "Restart", ""),
            ],
        )
        self.assertEqual(problems[0].line, 4)

    def test_heading_without_time(self):
        entries, problems = read("| Event | Owner |\n|---|---|\n| a | b |")
        self.assertFalse(entries)
        self.assertIn("column for the time", problems[0].why)

    def test_log(self):
        entries, problems = read(
            "=== excerpt ===\n"
            "2025-12-26T14:30:15.123Z ERROR pool exhausted\n"
            "  at acquire()\n"
            "[2025-12-26 14:30:42,500] WARNING slow\n"
            "Dec 26 14:31:05 db postgres: deadlock detected\n"
            "14:32 - Alert fired\n"
            "14:33:00\n"
            "25:00 never\n"
        )
        self.assertEqual(
            [(f"{entry.at:%H:%M:%S}", entry.text) for entry in entries],
            [
                ("14:30:15", "ERROR pool exhausted\n  at acquire()"),
                ("14:30:42", "WARNING slow"),
                ("14:31:05", "db postgres: deadlock detected"),
                ("14:32:00", "Alert fired"),
            ],
        )
        self.assertEqual([problem.line for problem in problems], [1, 7, 8])

    def test_past_midnight_and_summer_time(self):
        entries, _problems = read("23:50 a\n00:10 b\n23:59 c", "Europe/Berlin")
        self.assertEqual(
            [entry.at for entry in entries],
            [
                datetime(2025, 12, 26, 22, 50),
                datetime(2025, 12, 26, 23, 10),
                datetime(2025, 12, 27, 22, 59),
            ],
        )

    def test_written_and_read_again(self):
        row = {
            "time": "2025-12-26 14:30:15",
            "event": "a | b\nc",
            "component": "=cmd()",
            "evidence": "",
            "who": "me",
            "run": "",
            "recorded": "",
        }
        self.assertIn("| a \\| b c | =cmd() | - |", timeline_text.to_markdown([row]))
        text = timeline_text.to_csv([row])
        self.assertIn("'=cmd()", text)
        entries, problems = read(text)
        self.assertFalse(problems)
        self.assertEqual(entries[0].at, datetime(2025, 12, 26, 14, 30, 15))
        self.assertEqual(entries[0].text, "a | b\nc")
