"""Runbooks in Markdown, in and out, with no line lost. README.md tells the shapes.

Nothing here imports Odoo.
"""

from .header import code_from_filename
from .model import (
    KINDS,
    PREREQUISITE_GROUPS,
    Branch,
    Choice,
    Command,
    Duration,
    Footer,
    Header,
    Limits,
    Note,
    Part,
    Prerequisite,
    Prerequisites,
    Reference,
    Related,
    Runbook,
    RunbookError,
    Step,
    Table,
    Text,
    Tree,
    Trigger,
    Triggers,
    as_date,
)
from .parse import parse, parse_part
from .render import canonical, export, render, render_document
from .rows import Row, is_target, minutes_of, rows, words_of
