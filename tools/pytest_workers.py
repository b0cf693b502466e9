"""Pytest plugin: share the tests among processes with pytest-xdist.

pytest-odoo gives each worker process a database of its own for the add-ons' tests. What
talks to the one live server stays together and in order, in one worker.
"""

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

LIVE = "live"
# They bring servers of their own; being the longest, they begin first.
APART = ("test_api_schemathesis.py", "test_reliability.py")


class FileScheduling(LoadScopeScheduling):
    """Hands out groups of tests instead of single ones."""

    def _split_scope(self, nodeid):
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config, log):
    """Have pytest-xdist ask for the groups here."""
    return FileScheduling(config, log)


def pytest_collection_modifyitems(items):
    """Begin with what takes longest."""
    items.sort(key=lambda item: _turn(_file_of(item.nodeid)))


def group_of(nodeid):
    """Return what has to run in one process with a test, and in its order.

    :param str nodeid: pytest's name of the test, from the root of the checkout
    :return: name of the group
    :rtype: str
    """
    file = _file_of(nodeid)
    alone = file.parts[0] != "tests" or file.name in APART
    return str(file) if alone else LIVE


def _file_of(nodeid):
    return PurePath(nodeid.partition("::")[0])


def _turn(file):
    if file.name in APART:
        return APART.index(file.name)
    return len(APART) + (file.parts[0] != "tests")
