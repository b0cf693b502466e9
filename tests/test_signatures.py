"""Signing on a live server: what is refused stays known, whatever is rolled back."""

import uuid
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor

import pytest

OPERATOR = "qms_error_code.group_qms_operator"


@pytest.fixture
def signer(make_user):
    return make_user(OPERATOR, password=uuid.uuid4().hex)


@pytest.fixture
def run_id(orm):
    """A critical run that has been completed, and not been signed."""
    return orm(
        """
        run = env["qms.sop.run"].browse(
            env["qms.sop.run"].start_run("SOP-TRIAGE-001", severity="critical")["id"]
        )
        run.fail("A test of signatures")
        result = run.id
        """
    )


def sign(server, user, run_id, password, credential=None):
    """Return the signature, or the message of the refusal."""
    proxy = xmlrpc.client.ServerProxy(f"{server.url}/xmlrpc/2/object")
    try:
        return proxy.execute_kw(
            server.db,
            user.id,
            credential or user.password,
            "qms.sop.run",
            "sign",
            [[run_id], "closed", password],
        )
    except xmlrpc.client.Fault as fault:
        assert "Traceback" not in fault.faultString
        return fault.faultString


def attempts_of(orm, user):
    return orm(
        """
        attempts = env["qms.signature.attempt"].search(
            [("user_id", "=", user_id)], order="id"
        )
        result = attempts.mapped("outcome")
        """,
        user_id=user.id,
    )


def test_three_failures_lock(odoo_server, odoo_workers, orm, signer, run_id):
    for left in ("2 more", "1 more"):
        assert left in sign(odoo_server, signer, run_id, "wrong")
    assert "Signing is locked" in sign(odoo_server, signer, run_id, "wrong")
    # The lock holds for the right password, and in every process.
    for server in (odoo_server, odoo_workers, odoo_workers):
        said = sign(server, signer, run_id, signer.password)
        assert "Signing is locked" in said
    assert attempts_of(orm, signer) == ["wrong"] * 3 + ["locked"] * 3
    told = orm(
        """
        events = env["qms.audit.event"].search(
            [
                ("root_model", "=", "qms.sop.run"),
                ("root_id", "=", run_id),
                ("kind", "=", "signing_refused"),
            ]
        )
        result = [events.user_id.ids, sorted(events.mapped("reason"))]
        """,
        run_id=run_id,
    )
    assert told == [[signer.id], ["Locked"] * 3 + ["Wrong password"] * 3]


def test_guessing_at_once(odoo_server, orm, signer, run_id):
    with ThreadPoolExecutor(8) as pool:
        said = list(
            pool.map(
                lambda n: sign(odoo_server, signer, run_id, f"guess {n}"), range(8)
            )
        )
    refused = ("The password is wrong", "Signing is locked")
    assert all(any(words in text for words in refused) for text in said)
    assert attempts_of(orm, signer).count("wrong") <= 3


def test_a_person_signs_and_a_key_does_not(odoo_server, orm, signer, run_id):
    for password in (signer.password, signer.api_key):
        said = sign(odoo_server, signer, run_id, password, signer.api_key)
        assert "An API key cannot sign" in said
    said = sign(odoo_server, signer, run_id, signer.api_key)
    assert "An API key cannot sign" in said
    signature = sign(odoo_server, signer, run_id, signer.password)
    assert signature["meaning"] == "closed"
    assert signature["valid"] is True
    assert attempts_of(orm, signer) == ["key"] * 3 + ["verified"]


def test_the_password_is_not_in_the_log(odoo_server, signer, run_id):
    sign(odoo_server, signer, run_id, "a wrong but secret one")
    sign(odoo_server, signer, run_id, signer.password)
    log = odoo_server.log.read_text(errors="replace")
    assert "a wrong but secret one" not in log
    assert signer.password not in log
