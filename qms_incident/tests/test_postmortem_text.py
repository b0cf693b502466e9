import unicodedata
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odoo.tests import BaseCase

from ..tools import postmortem_tables, postmortem_text, timeline_text
from ..tools.postmortem_text import BLANK, HEADER, HEADINGS, LABELS, tidy

# In the shape of the response runbook's template
FULL = """\
# Postmortem: Sign-in was down

**Date:** 2024-01-15
**Author:** John Doe
**Severity:** P0 - Critical
**Duration:** 47 minutes (14:35 - 15:22 UTC)

---

## Summary
Nobody could sign in.

---

## Timeline (All times UTC)
| Time | Event |
|------|-------|
| 14:35 | Alert: errors on the sign-in page |
| 15:22 | Back to normal |

---

## Root Cause
The pool was exhausted by:
1. Three times the load
2. A pool of 100

---

## Impact
- **Users Affected:** ~120

---

## Resolution
1. Restarted the service

---

## Detection
- **How detected:** Prometheus

---

## Action Items
| Action | Owner | Due Date | Priority |
|--------|-------|----------|----------|
| Larger pool | DevOps Lead | 2024-01-16 | P0 |
| Alert on the pool | Backend Lead | 2024-01-18 | P1 |

---

## Lessons Learned
### What Went Well
- Noticed within 2 minutes

### What Went Wrong
- Nobody watched the pool

### Where We Got Lucky
- It was in office hours

---

## Follow-up
- Tell the team
"""
# In the shape of the review workflow's example
REVIEW = """\
## Incident ID: INC-20251226-001

**Date/Time**: 2025-12-26 14:30 UTC
**Severity**: HIGH
**Affected Systems**: Backend API, Schedules
**Reported By**: Monitoring

### Summary
Status 500.

### Timeline

| Time (UTC) | Event | Component | Evidence |
|------------|-------|-----------|----------|
| 14:30:15 | First error | Backend API | `logs/backend.log:1234` |

### Impact Assessment

**Users Affected**: All

#### Compliance
Kept

### Root Cause Analysis (5-Whys)

**1. Why did the API answer 500?**
→ Because the pool was exhausted

**2. Why was it exhausted?**
→ Because queries were slow

**ROOT CAUSE**: No step verifies that migrations
are applied.

### Contributing Factors
- **Monitoring**: none of the pool

### Fix Applied
Migration applied

### Immediate Actions Taken
Restarted

### Short-term Prevention (Tactical)
- Look at migrations

### Long-term Prevention (Strategic)
- In the pipeline

### What Could Be Improved
- Reviews

### Lessons Learned
- Indexes matter

### Knowledge Gained
- Pools are finite

### Weather
Sunny
"""
QUICK = """\
## Quick Incident Report

**Issue**: The page was slow
**Time**: 2025-12-26 14:30
**Root Cause**: A missing index
**Fix**: Index added
**Prevention**: Measure
"""
quickly = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
# Lines that mean something in a text, in any order
LINES = """\
# a|## Summary|## Timeline|### What Went Well|#### z|## Lessons Learned|### Five Whys
### Contributing Factors|# Postmortem: x|# a #|### a \\#|#|```|```bash|   ```|~~~|===|=
---|* * *|Summary|Title|text|text  |\\|x\\|- a|  - b|1. c|> q|> ```|    code|[a]: b
**Fix**: a|**Fix:** b|**Issue**:|**Fix**\\: x|- **Fix**: x|**Date:** 2024
_Not written yet._|<!-- x""".replace("\n", "|").split("|")
LINES += ["|a|b|", "|-|-|", "|1|2|", "", "", "\ttab", "é ’", "\x0b", "\u2028"]
texts = st.lists(
    st.sampled_from(LINES) | st.text("ab #*`-_>|[]()<:\\é\t1.=~", max_size=8),
    max_size=14,
).map("\n".join)
words = st.text("ab #*`-_>|[]()<:\\é\t1.&=~\x00\x0b\u2028", max_size=12)


def headers():
    return st.dictionaries(st.sampled_from(list(HEADER)), words)


def sections(keys):
    return st.dictionaries(st.sampled_from(list(keys)), texts, max_size=6)


def one_line(text):
    """Return plain text as the header of a file can have it."""
    spaces = ("Cc", "Zl", "Zp")
    return " ".join(
        "".join(" " if unicodedata.category(c) in spaces else c for c in text).split()
    )


def said(found):
    """Return the sections that say something, as they stand in a file."""
    told = {key: tidy(text) for key, text in found.items()}
    return {key: text for key, text in told.items() if text and text != BLANK}


def write(title, header, found, kind):
    keys = HEADINGS if kind == "full" else LABELS
    return postmortem_text.render(
        title,
        [(HEADER[key], text) for key, text in header.items()],
        [(key, found.get(key)) for key in keys],
        kind,
    )


class TestPostmortemText(BaseCase):
    def check_round_trip(self, title, header, found, kind):
        text = write(title, header, found, kind)
        read = postmortem_text.parse(text)
        self.assertEqual(read.title, one_line(title))
        self.assertEqual(read.kind, kind)
        told = {key: one_line(value) for key, value in header.items()}
        self.assertEqual(
            read.header, {key: value for key, value in told.items() if value}
        )
        self.assertEqual(read.sections, said(found))
        self.assertEqual(read.notes, ())
        self.assertEqual(
            write(read.title, read.header, read.sections, kind),
            write(title, header, said(found), kind),
        )

    @quickly
    @given(words, headers(), sections(HEADINGS))
    def test_full_round_trip(self, title, header, found):
        self.check_round_trip(title, header, found, "full")

    @quickly
    @given(words, headers(), sections(LABELS))
    def test_quick_round_trip(self, title, header, found):
        self.check_round_trip(title, header, found, "quick")

    @quickly
    @given(texts)
    def test_what_was_read_once_stays(self, text):
        read = postmortem_text.parse(text)
        again = postmortem_text.parse(
            write(read.title, read.header, read.sections, read.kind)
        )
        self.assertEqual(again.sections, read.sections)
        # Not a letter is lost; only marks are.
        kept = [read.title, *read.header.values(), *read.sections.values()]
        kept += [part for note in read.notes for part in note]
        for word in ("tab", "code", "é"):
            self.assertGreaterEqual("\n".join(kept).count(word), text.count(word))

    def test_template_of_the_response_runbook(self):
        read = postmortem_text.parse(FULL)
        self.assertEqual((read.title, read.kind), ("Sign-in was down", "full"))
        self.assertEqual(
            read.header,
            {
                "date": "2024-01-15",
                "author": "John Doe",
                "severity": "P0 - Critical",
                "duration": "47 minutes (14:35 - 15:22 UTC)",
            },
        )
        self.assertEqual(
            list(read.sections),
            [
                *("summary", "timeline", "root_cause", "impact", "resolution"),
                *("detection", "actions", "went_well", "went_wrong", "lucky"),
                "follow_up",
            ],
        )
        self.assertEqual(read.zone_hint, "All times UTC")
        self.assertEqual(read.sections["summary"], "Nobody could sign in.")
        self.assertEqual(read.sections["lucky"], "- It was in office hours")
        self.assertEqual(read.lines["summary"], 10)
        self.assertFalse(read.notes)

    def test_example_of_the_review_workflow(self):
        read = postmortem_text.parse(REVIEW)
        self.assertEqual(read.header["incident"], "INC-20251226-001")
        self.assertEqual(read.header["systems"], "Backend API, Schedules")
        self.assertIn("#### Compliance\nKept", read.sections["impact"])
        self.assertEqual(
            read.sections["resolution"],
            "Migration applied\n\n#### Immediate Actions Taken\n\nRestarted",
        )
        self.assertIn(
            "#### Long-term Prevention (Strategic)",
            read.sections["preventive_measures"],
        )
        self.assertEqual(
            read.sections["knowledge"], "- Indexes matter\n\n- Pools are finite"
        )
        self.assertEqual(read.sections["went_wrong"], "- Reviews")
        self.assertEqual(read.notes, (("Weather", "Sunny"),))
        whys, rest = postmortem_tables.read_whys(read.sections["root_cause"])
        self.assertEqual(
            whys[1],
            ("Why was it exhausted?", "Because queries were slow", ""),
        )
        self.assertEqual(rest, "No step verifies that migrations\nare applied.")
        factors = postmortem_text.entries_of(read.sections["factors"])
        self.assertEqual(factors, "**Monitoring**: none of the pool")

    def test_quick_report(self):
        read = postmortem_text.parse(QUICK)
        self.assertEqual(read.kind, "quick")
        self.assertEqual(
            read.sections,
            {
                "summary": "The page was slow",
                "time": "2025-12-26 14:30",
                "root_cause": "A missing index",
                "resolution": "Index added",
                "preventive_measures": "Measure",
            },
        )
        written = write("", {}, read.sections, "quick")
        self.assertIn("\n**Fix:** Index added\n", written)

    def test_what_is_blank_says_so(self):
        text = write("x", {"date": "2024-01-15"}, {"summary": "All"}, "full")
        for heading in HEADINGS.values():
            self.assertRegex(text, rf"(?m)^##+ {heading}$")
        self.assertIn(f"## Timeline\n\n{BLANK}\n", text)
        self.assertIn("## Lessons Learned\n\n### What Went Well\n", text)
        self.assertIn("**Date:** 2024-01-15\n\n---\n", text)

    def test_rules_around_a_text(self):
        for text, left in (
            ("---\n\n---\na\n\n***\n\n---\n", "a"),
            ("---", ""),
            ("a\n\n---\n\nb", "a\n\n---\n\nb"),
            ("---\n[a]: b\n\n---", "[a]: b"),
        ):
            with self.subTest(text):
                self.assertEqual(tidy(text), left)

    def test_a_table_of_something_else_is_no_actions(self):
        table = "| Metric | Value |\n|---|---|\n| a | 1 |"
        items, rest = postmortem_tables.read_items(f"{table}\n\n- Do it")
        self.assertEqual([item.title for item in items], ["Do it"])
        self.assertEqual(rest, table)

    def test_headings_of_a_text_end_no_section(self):
        text = write("x", {}, {"summary": "a\n\n# Impact\nb\n\n```\n## c"}, "full")
        self.assertEqual(
            postmortem_text.parse(text).sections,
            {"summary": "a\n\n#### Impact\nb\n\n```\n## c\n```"},
        )

    def test_actions_in_tables_and_lists(self):
        items, rest = postmortem_tables.read_items(
            "| ID | Action | Team | Owner | Due Date | Status |\n"
            "|----|--------|------|-------|----------|--------|\n"
            "| AI-001 | Check \\| a | Core | [assign] | 2025-12-30 | ✓ Complete |\n"
            "| AI-002 | | Core | | | |\n"
            "\nTracked elsewhere.\n"
            "- [x] Tell **everybody**\n"
            "- [ ] Alert\n  - When above 80 %\n  - Owner: Ann\n  - Due: [date]\n"
        )
        self.assertEqual([item.line for item in items], [3, 7, 8])
        first, second, third = items
        self.assertEqual(first.title, "Check | a")
        self.assertEqual((first.reference, first.owner), ("AI-001", ""))
        self.assertEqual((first.due, first.status), ("2025-12-30", "✓ Complete"))
        self.assertEqual(first.more, (("Team", "Core"),))
        self.assertEqual((second.title, second.done), ("Tell **everybody**", True))
        self.assertEqual((third.owner, third.due), ("Ann", ""))
        self.assertEqual(third.more, (("", "When above 80 %"),))
        self.assertIn("| AI-002 |", rest)
        self.assertIn("Tracked elsewhere.", rest)

    def test_a_list_of_causes_is_no_whys(self):
        text = "Because of:\n1. **Load** was high\n2. The pool was small"
        self.assertEqual(postmortem_tables.read_whys(text), ([], text))
        text = "1. **Why?** Load\n   Evidence: graph\n2. **Why that?**"
        self.assertEqual(postmortem_tables.read_whys(text), ([], text))
        whys, rest = postmortem_tables.read_whys(f"{text} Sale\n\nIn short: load")
        self.assertEqual([tuple(why) for why in whys][0], ("Why?", "Load", "graph"))
        self.assertEqual(rest, "In short: load")

    def test_durations(self):
        begin = datetime(2024, 1, 15, 14, 35)
        for end, text in (
            (datetime(2024, 1, 15, 15, 22), "47 minutes (14:35 - 15:22 UTC)"),
            (datetime(2024, 1, 15, 14, 36), "1 minute (14:35 - 14:36 UTC)"),
            (datetime(2024, 1, 15, 14, 48, 30), "13.5 minutes (14:35 - 14:48 UTC)"),
            (
                datetime(2024, 1, 16, 0, 35),
                "10 hours (2024-01-15 14:35 - 2024-01-16 00:35 UTC)",
            ),
            (begin, "0 minutes (14:35 - 14:35 UTC)"),
            (datetime(2024, 1, 15, 14, 0), ""),
            (None, ""),
        ):
            with self.subTest(text):
                self.assertEqual(postmortem_text.duration_text(begin, end), text)

    def test_slugs(self):
        for text, slug in (
            ("DB_CONNECTION_LEAK", "db-connection-leak"),
            ("Anmeldung fällt aus: überall!", "anmeldung-fallt-aus-uberall"),
            ("../../etc/passwd", "etc-passwd"),
            ("系统", "incident"),
            ("word " * 40, "-".join(["word"] * 12)),
        ):
            with self.subTest(text):
                self.assertEqual(postmortem_text.slug(text), slug)

    def test_rows_of_a_timeline_with_bars_are_read_again(self):
        row = {"time": "2025-12-26 14:30:15", "event": "a | b \\ <c>"}
        table = timeline_text.to_markdown([{**row, "component": "", "evidence": ""}])
        entries, problems = timeline_text.read(table, datetime(2025, 12, 26).date())
        self.assertFalse(problems)
        self.assertEqual(entries[0].text, row["event"])
