"""The figures of incidents as clients get them, and what the documentation says."""

import json
import urllib.request
import xmlrpc.client
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
_FAMILIES = ("qms_incidents_open", "qms_incident_updates_overdue")


def test_figures_over_rpc_rest_and_prometheus(odoo_server, make_user):
    """All three see the same two incidents; the documentation defines every figure."""
    user = make_user("qms_error_code.group_qms_automation")
    proxy = xmlrpc.client.ServerProxy(f"{odoo_server.url}/xmlrpc/2/object")

    def rpc(model, method, *args, **values):
        key = (odoo_server.db, user.id, user.api_key)
        return proxy.execute_kw(*key, model, method, args, values)

    def get(path):
        request = urllib.request.Request(
            f"{odoo_server.url}/api/v1/{path}",
            headers={"Authorization": f"Bearer {user.api_key}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    # A day that no other test uses
    period = {"since": "2023-02-28", "until": "2023-02-28"}
    query = "&".join(f"{name}={value}" for name, value in period.items())
    before = rpc("qms.incident.report", "get_metrics", **period)["incidents"]
    for began in ("2023-02-28T11:50:00Z", "2023-02-28T11:40:00Z"):
        rpc(
            "qms.incident",
            "open_incident",
            "Logins fail",
            severity="high",
            occurred_at=began,
            detected_at="2023-02-28T12:00:00Z",
        )
    told = rpc("qms.incident.report", "get_metrics", **period)
    assert told["incidents"] == before + 2
    assert told["durations"]["detect"]["mean"] == 15
    assert told["durations"]["resolve"]["mean"] is False

    served = json.loads(get(f"incident-metrics?{query}"))
    assert served["durations"]["resolve"]["mean"] is None
    assert served["incidents"] == told["incidents"]
    assert served["definitions"].keys() == told["definitions"].keys()

    scraped = get("metrics")
    for family in _FAMILIES:
        assert f"# TYPE {family} gauge" in scraped

    documented = DOCS.read_text(encoding="utf-8")
    for code, said in told["definitions"].items():
        row = f"| {said['name']} | {said['definition']} |"
        assert row in documented, f"docs/metrics.md does not say what {code} is: {row}"
    for line in scraped.splitlines():
        if line.startswith("# TYPE qms_incident"):
            assert f"`{line.split()[2]}`" in documented, line
