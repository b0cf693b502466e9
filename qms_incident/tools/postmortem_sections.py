"""What a post-mortem is made of, in the order of the runbooks' templates.

Nothing of Odoo is needed here.
"""

# Key and heading of each section of the full form …
FULL = (
    ("summary", "Summary"),
    ("timeline", "Timeline"),
    ("root_cause", "Root Cause"),
    ("whys", "Five Whys"),
    ("factors", "Contributing Factors"),
    ("impact", "Impact"),
    ("resolution", "Resolution"),
    ("verification", "Verification"),
    ("detection", "Detection"),
    ("actions", "Action Items"),
    ("went_well", "What Went Well"),
    ("went_wrong", "What Went Wrong"),
    ("lucky", "Where We Got Lucky"),
    ("knowledge", "Knowledge Gained"),
    ("preventive_measures", "Preventive Measures"),
    ("follow_up", "Follow-up"),
)
# … and of the quick one, for minor incidents
QUICK = (
    ("summary", "Issue"),
    ("time", "Time"),
    ("root_cause", "Root Cause"),
    ("resolution", "Fix"),
    ("preventive_measures", "Prevention"),
)
SECTIONS = {"full": FULL, "quick": QUICK}
# Sections that stand below the heading of another one
LESSONS = "Lessons Learned"
OF_LESSONS = ("went_well", "went_wrong", "lucky", "knowledge")
UNDER = {
    "whys": "Root Cause",
    "verification": "Resolution",
    **dict.fromkeys(OF_LESSONS, LESSONS),
}
# Left out where there is nothing to say: they complete the section they stand under.
OPTIONAL = ("whys", "verification")
# Sections that are a text of the record; the others follow from records beside it.
TEXTS = tuple(
    key for key, _heading in FULL if key not in ("timeline", "whys", "actions")
)
