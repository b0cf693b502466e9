"""Pytest plugin: a browser test that is skipped has failed.

Odoo skips a test that drives the browser where there is none, which would let a machine
without Chromium call an untested web client good.
"""

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn the skipping of an HttpCase into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _is_http_case(item):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} must run, and was skipped: {reason}"
    return report


def _is_http_case(item):
    try:
        from odoo.tests import HttpCase
    except ImportError:
        return False
    return isinstance(getattr(item, "cls", None), type) and issubclass(
        item.cls, HttpCase
    )
