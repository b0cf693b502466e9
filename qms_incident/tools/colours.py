"""How severities look in charts: readable on white and on black."""

# By code; ``none``: no severity is said
SEVERITIES = {
    "critical": "#c43c46",
    "high": "#e08a2c",
    "medium": "#4a90c8",
    "low": "#8f9bab",
    "none": "#bfb4c9",
}
# Of whatever is no severity
PLAIN = "#875a7b"
