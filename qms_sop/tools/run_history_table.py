"""The run history as a table: comma-separated values, and a workbook."""

import csv
import io

import xlsxwriter

# What a spreadsheet takes for the start of a formula. A text that begins so gets
# an apostrophe, which makes it a text again (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LONGEST = 32_767  # characters that a cell of a workbook holds
_WIDTHS = {"title": 34, "outcome": 60, "source": 24, "started": 19, "ended": 19}


def headings(env):
    """Return the columns: attribute of the line, heading, and kind of value.

    :rtype: list[tuple[str, str, str]]
    """
    return [
        ("name", env._("Run"), "text"),
        ("sop_code", env._("SOP"), "text"),
        ("sop_version", env._("Version"), "text"),
        ("title", env._("Title"), "text"),
        ("state", env._("State"), "text"),
        ("severity", env._("Severity"), "text"),
        ("category", env._("Category"), "text"),
        ("error_code", env._("Error code"), "text"),
        ("trigger", env._("Trigger"), "text"),
        ("source", env._("Source"), "text"),
        ("responsible", env._("Responsible"), "text"),
        ("opened_by", env._("Opened by"), "text"),
        ("started", env._("Started"), "time"),
        ("ended", env._("Ended"), "time"),
        ("duration", env._("Duration (min)"), "minutes"),
        ("expected", env._("Expected (min)"), "minutes"),
        ("over", env._("Over (min)"), "minutes"),
        ("errors", env._("Errors"), "count"),
        ("outcome", env._("Resolution or reason"), "text"),
        ("archived", env._("Archived"), "flag"),
    ]


def neutral(text):
    """Return a text that no spreadsheet runs as a formula.

    :param str text: any text
    :rtype: str
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(env, zone, lines, stream):
    """Write runs as comma-separated values (RFC 4180), in UTF-8.

    States, severities and so on are codes, times RFC 3339 with their offset, and
    what is unknown is empty.

    :param env: gives the language of the headings
    :param zone: of pytz, in which the times of the lines are
    :param lines: iterable of :class:`.run_history.RunLine`
    :param stream: a binary file
    """
    # The mark lets Excel see that it is UTF-8.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    writer = csv.writer(text)
    columns = headings(env)
    writer.writerow([heading for _name, heading, _kind in columns])
    for line in lines:
        writer.writerow(
            [_plain(getattr(line, name), kind, zone) for name, _h, kind in columns]
        )
    text.flush()
    text.detach()


def _plain(value, kind, zone):
    if value is None:
        return ""
    if kind == "time":
        return zone.localize(value).isoformat(timespec="seconds")
    if kind == "minutes":
        return round(value, 2)
    if kind == "flag":
        return "true" if value else "false"
    return neutral(value) if kind == "text" else value


def write_xlsx(history, summary, lines, stream):
    """Write runs and what they add up to as a workbook.

    Rows are written through to a file, so the memory it takes does not depend on
    how many there are.

    :param history: qms.sop.run.history record
    :param summary: :class:`.run_history.Summary`; complete once ``lines`` is used up
    :param lines: iterable of :class:`.run_history.RunLine`
    :param stream: a binary file
    """
    env = history.env
    labels = history._labels()
    workbook = xlsxwriter.Workbook(
        stream,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        },
    )
    formats = {
        "head": workbook.add_format(
            {"bold": True, "bg_color": "#E8E4EE", "bottom": 1, "text_wrap": True}
        ),
        "title": workbook.add_format({"bold": True, "font_size": 14}),
        "text": None,
        "count": None,
        "flag": None,
        "time": workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        "minutes": workbook.add_format({"num_format": "0.0"}),
        "percent": workbook.add_format({"num_format": "0 %"}),
    }
    totals = workbook.add_worksheet(env._("Totals"))
    _write_runs(workbook.add_worksheet(env._("Runs")), env, labels, lines, formats)
    _write_totals(totals, history, labels, summary, formats)
    workbook.close()


def _write_runs(sheet, env, labels, lines, formats):
    columns = headings(env)
    for place, (name, heading, _kind) in enumerate(columns):
        sheet.set_column(place, place, _WIDTHS.get(name, 14))
        sheet.write_string(0, place, heading, formats["head"])
    sheet.freeze_panes(1, 1)
    row = 0
    for row, line in enumerate(lines, 1):
        for place, (name, _heading, kind) in enumerate(columns):
            value = getattr(line, name)
            _write_cell(
                sheet, row, place, labels.get(name, {}).get(value, value), kind, formats
            )
    sheet.autofilter(0, 0, row, len(columns) - 1)


def _write_cell(sheet, row, place, value, kind, formats):
    """Write one value; what is unknown stays an empty cell."""
    if value is None:
        return
    if kind == "text":
        sheet.write_string(row, place, value[:_LONGEST])
    elif kind == "time":
        sheet.write_datetime(row, place, value, formats["time"])
    elif kind == "flag":
        sheet.write_boolean(row, place, value)
    else:
        sheet.write_number(row, place, value, formats[kind])


def _write_totals(sheet, history, labels, summary, formats):
    env = history.env
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 10, 13)
    sheet.write_string(0, 0, history.display_name, formats["title"])
    facts = [
        *history._filter_texts(),
        (env._("Time zone"), str(history._zone())),
        (env._("Made by"), env.user.name),
    ]
    for row, (label, text) in enumerate(facts, 2):
        sheet.write_string(row, 0, label)
        sheet.write_string(row, 1, text)
    columns = total_columns(env)
    row += 2
    sheet.write_string(row, 0, history._choice("group_by"), formats["head"])
    for place, (_get, heading, _kind) in enumerate(columns, 1):
        sheet.write_string(row, place, heading, formats["head"])
    groups = [
        (history._group_label(group, labels), totals)
        for group, totals in sorted_groups(summary.groups)
    ]
    for label, totals in [*groups, (env._("All"), summary.total)]:
        row += 1
        sheet.write_string(row, 0, label)
        for place, (get, _heading, kind) in enumerate(columns, 1):
            _write_cell(sheet, row, place, get(totals), kind, formats)


def total_columns(env):
    """Return what is said of a group: how to get it, its heading, and its kind.

    :rtype: list[tuple[callable, str, str]]
    """
    return [
        (lambda totals: totals.runs, env._("Runs"), "count"),
        (lambda totals: totals.results["completed"], env._("Completed"), "count"),
        (lambda totals: totals.results["failed"], env._("Failed"), "count"),
        (lambda totals: totals.results["cancelled"], env._("Cancelled"), "count"),
        (lambda totals: totals.results["open"], env._("Open"), "count"),
        (lambda totals: totals.success, env._("Success"), "percent"),
        (lambda totals: totals.median, env._("Median (min)"), "minutes"),
        (lambda totals: totals.longest, env._("Longest (min)"), "minutes"),
        (lambda totals: totals.late, env._("Overdue"), "count"),
        (lambda totals: totals.errors, env._("Errors"), "count"),
    ]


def sorted_groups(groups):
    """Return groups and their totals, the largest first.

    :param dict groups: ``{group: Totals}``
    :rtype: list[tuple]
    """
    return sorted(groups.items(), key=lambda item: (-item[1].runs, str(item[0] or "")))
