"""Numbers of incidents under many creators at once, by real connections."""

import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

CREATORS = 16
EACH = 2
# A day of its own, so that no other test takes numbers of it.
DAY = "2024-02-29T12:00:00Z"
_LATER = "2999-01-01T00:00:00Z"


def test_no_gap_and_no_duplicate(odoo_workers, make_user):
    """Sixteen clients open incidents between two processes; every other attempt is
    refused after its number was taken, and has to leave no trace."""
    user = make_user("qms_error_code.group_qms_automation")
    together = Barrier(CREATORS)

    def create(number):
        rpc = xmlrpc.client.ServerProxy(f"{odoo_workers.url}/xmlrpc/2/object")
        names, refused = [], 0
        together.wait(timeout=60)
        for position in range(2 * EACH):
            values = {"title": f"{number}/{position}", "detected_at": DAY}
            if position % 2:
                values["occurred_at"] = _LATER
            try:
                answer = rpc.execute_kw(
                    odoo_workers.db,
                    user.id,
                    user.api_key,
                    "qms.incident",
                    "open_incident",
                    [],
                    values,
                )
                names.append(answer["name"])
            except xmlrpc.client.Fault as fault:
                assert "occurred_at" in fault.faultString, fault.faultString
                refused += 1
        return names, refused

    with ThreadPoolExecutor(CREATORS) as pool:
        done = list(pool.map(create, range(CREATORS)))
    assert [refused for _names, refused in done] == [EACH] * CREATORS
    names = sorted(name for made, _refused in done for name in made)
    assert names == [
        f"INC-20240229-{number:03d}" for number in range(1, CREATORS * EACH + 1)
    ]
