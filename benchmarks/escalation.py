"""What a pass of the job that tells people costs, among few and many open runs."""

import contextlib

import psycopg2
from measures import MeasureError, Spread

DUE, OPEN = 1_000, 100_000
# Pairs of passes, after one that warms the caches up
PAIRS = 4

# Runs that are open, and due at once or in a day; those that are due have steps.
_ADD_RUNS = """
INSERT INTO qms_sop_run (name, sop_id, state, active, trigger, user_id, company_id,
                         start_time, detected_at, next_escalation_at, lock_version,
                         create_date, write_date)
     SELECT %(kind)s || n, sop.id, 'in_progress', true, 'automated', 2, 1, at, at,
            at + %(wait)s::interval, 1, at, at
       FROM generate_series(1, %(count)s) n,
            (SELECT date_trunc('second', now() AT TIME ZONE 'UTC') AS at) AS clock,
            (SELECT id FROM qms_sop_document
              WHERE code = %(sop)s AND state = 'approved') sop;
INSERT INTO qms_sop_run_step (run_id, step_id, sequence, state)
     SELECT run.id, step.id, step.sequence, 'pending'
       FROM qms_sop_run run
       JOIN qms_sop_step step ON step.document_id = run.sop_id
      WHERE run.name LIKE 'DUE-%%' AND %(kind)s = 'DUE-'
"""
_REMOVE_RUNS = """
DELETE FROM qms_notification;
DELETE FROM qms_escalation_event event USING qms_sop_run run
 WHERE run.id = event.run_id AND run.name ~ '^(DUE|OPEN)-';
DELETE FROM qms_sop_run_step step USING qms_sop_run run
 WHERE run.id = step.run_id AND run.name LIKE 'DUE-%%';
DELETE FROM qms_sop_run WHERE name ~ '^(DUE|OPEN)-'
"""


def measure(post, database, sop_code):
    """Run passes with as many open runs as are due, and with many more.

    :param post: function from the path of a route to the JSON that POST gives
    :param dict database: how psycopg2 gets at the scratch database
    :param str sop_code: of the SOP that is run
    :return: the ratios of time; the passes with many open runs, and with few: dicts
        with ``seconds``, ``queries``, ``told`` and ``megabytes``
    :rtype: tuple[Spread, list[dict], list[dict]]
    :raise MeasureError: when a pass did not tell of all that was due
    """
    post("/bench/v1/escalation-policies")
    many, few = [], []
    with contextlib.closing(psycopg2.connect(**database)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        # What other measurements left open would become due meanwhile.
        cursor.execute("UPDATE qms_sop_run SET next_escalation_at = NULL")
        for number in range(PAIRS + 1):
            for count, passes in ((DUE, few), (OPEN, many)):
                cursor.execute(_REMOVE_RUNS, {})
                for kind, size, wait in (
                    ("OPEN-", count - DUE, "1 day"),
                    ("DUE-", DUE, "0"),
                ):
                    values = {"kind": kind, "count": size, "wait": wait}
                    cursor.execute(_ADD_RUNS, {**values, "sop": sop_code})
                cursor.execute("VACUUM ANALYZE")
                found = post("/bench/v1/escalation-passes")
                if found["told"] != DUE:
                    raise MeasureError(f"a pass with {count} open runs: {found}")
                passes += [found] if number else []
        cursor.execute(_REMOVE_RUNS, {})
    pairs = zip(many, few, strict=True)
    return (
        Spread.of([one["seconds"] / other["seconds"] for one, other in pairs]),
        many,
        few,
    )
