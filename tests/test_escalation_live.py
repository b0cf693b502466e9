"""Escalation with several workers, one of which is killed: everybody is told once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

WORKERS = Path(__file__).with_name("escalation_workers.py")


def test_two_workers_and_one_that_dies_tell_everybody_once(database_copy):
    with database_copy("escalation") as db:
        done = subprocess.run(
            [sys.executable, str(WORKERS), db],
            capture_output=True,
            text=True,
            env=os.environ,
            timeout=180,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["killed"] == [signal.SIGKILL, False, False], done.stderr[-3000:]
    assert report["exits"][1:] == [0, 0], done.stderr[-3000:]
    # What the killed worker had its hands on was undone, and done by others.
    assert report["events"] == report["runs"]
    assert report["most_events"] == 1
    # Two people, each by an activity and by mail
    assert report["outbox"] == 4 * report["runs"]
    assert report["most_in_outbox"] == 1
    assert report["activities"] == 2 * report["runs"]
