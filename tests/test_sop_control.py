"""Control of documents on a live server: many clients, many connections."""

import threading
import uuid
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

import psycopg2
import pytest
from psycopg2 import errors

ROUNDS = 5
MANAGER = "qms_error_code.group_qms_manager"


class Rpc:
    """Calls methods of SOP documents as one user, over XML-RPC."""

    def __init__(self, server, user):
        self.url, self.db, self.user = server.url, server.db, user

    def __call__(self, method, *args, credential=None):
        # A ServerProxy keeps one connection, which threads cannot share.
        proxy = xmlrpc.client.ServerProxy(f"{self.url}/xmlrpc/2/object")
        return proxy.execute_kw(
            self.db,
            self.user.id,
            credential or self.user.api_key,
            "qms.sop.document",
            method,
            args,
        )

    def approve(self, sop_id):
        """Sign with the password, which is no matter for a key."""
        password = self.user.password
        return self("sign_and_approve", [sop_id], password, credential=password)

    def answer(self, method, *args):
        """Return ``(True, answer)`` or ``(False, message of the refusal)``."""
        try:
            if method == "approve":
                return True, self.approve(*args)
            return True, self(method, *args)
        except xmlrpc.client.Fault as fault:
            assert "Traceback" not in fault.faultString
            return False, fault.faultString

    def refused(self, method, *args):
        """Return the message of a call that has to be refused."""
        accepted, message = self.answer(method, *args)
        assert not accepted, message
        return message


@pytest.fixture(scope="module")
def author(odoo_server, make_user):
    return Rpc(odoo_server, make_user("qms_error_code.group_qms_author"))


@pytest.fixture(scope="module")
def managers(odoo_server, make_user):
    return [
        Rpc(odoo_server, make_user(MANAGER, password=uuid.uuid4().hex))
        for _number in range(2)
    ]


@pytest.fixture
def new_sop(author):
    """Make a revision: `new_sop(code, version)` -> its id, in review."""

    def make(code, version, submit=True):
        sop_id = author(
            "create",
            {
                "code": code,
                "version": version,
                "name": "Tried at once",
                "owner": "Test team",
                "purpose": "To be approved.",
                "step_ids": [(0, 0, {"name": "Look"})],
            },
        )
        if submit:
            author("action_submit", [sop_id])
        return sop_id

    return make


def new_code():
    return f"SOP-{uuid.uuid4().hex[:8].upper()}"


def states(author, code):
    revisions = author(
        "search_read",
        [("code", "=", code), ("active", "in", [True, False])],
        ["state", "version"],
    )
    return {revision["version"]: revision["state"] for revision in revisions}


def approve_at(barrier, manager, sop_id):
    """Approve when everybody at the barrier does."""
    barrier.wait(timeout=30)
    return manager.answer("approve", sop_id)


@pytest.mark.parametrize("with_effective", [True, False])
def test_two_approvals_at_once(author, managers, new_sop, with_effective):
    for _round in range(ROUNDS):
        code = new_code()
        if with_effective:
            managers[0].approve(new_sop(code, "1.0.0"))
        drafts = [new_sop(code, "1.1.0"), new_sop(code, "1.2.0")]
        barrier = threading.Barrier(2)

        with ThreadPoolExecutor(2) as pool:
            (old_accepted, said), (new_accepted, reason) = pool.map(
                approve_at, [barrier] * 2, managers, drafts
            )
        # The newer one is effective in the end, whoever came first; the older one
        # was either effective for a moment, or came too late and was told so.
        assert new_accepted, reason
        found = states(author, code)
        assert found.pop("1.0.0", "superseded") == "superseded"
        assert found["1.2.0"] == "approved"
        if old_accepted:
            assert found["1.1.0"] == "superseded"
        else:
            assert found["1.1.0"] == "in_review"
            assert "older than the effective revision 1.2.0" in said


def test_database_keeps_one_effective_revision(odoo_server, new_sop, author):
    """Two connections that know nothing of each other, and nothing of Odoo."""
    code = new_code()
    drafts = [new_sop(code, "1.0.0"), new_sop(code, "1.1.0")]
    approve = "UPDATE qms_sop_document SET state = 'approved' WHERE id = %s"
    first, second = (
        psycopg2.connect(
            host=odoo_server.pg_host, user=odoo_server.pg_user, dbname=odoo_server.db
        )
        for _number in range(2)
    )
    try:
        with first.cursor() as one, second.cursor() as two:
            one.execute(approve, [drafts[0]])
            two.execute("SET lock_timeout = '10s'")
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(two.execute, approve, [drafts[1]])
                with pytest.raises(FutureTimeoutError):
                    waiting.result(timeout=0.5)  # until it is known how the first ends
                first.commit()
                with pytest.raises(errors.UniqueViolation):
                    waiting.result(timeout=10)
    finally:
        first.close()
        second.close()
    assert states(author, code) == {"1.0.0": "approved", "1.1.0": "in_review"}


def test_author_does_not_approve(odoo_server, make_user):
    writer = Rpc(odoo_server, make_user(MANAGER))
    sop_id = writer(
        "create",
        {
            "code": new_code(),
            "name": "Mine",
            "owner": "Test team",
            "purpose": "To be approved.",
            "step_ids": [(0, 0, {"name": "Look"})],
        },
    )
    writer("action_submit", [sop_id])
    assert "cannot approve it" in writer.refused("action_approve", [sop_id])
    assert "cannot approve it" in writer.refused(
        "write", [sop_id], {"state": "approved"}
    )


def test_a_key_does_not_approve(managers, new_sop):
    sop_id = new_sop(new_code(), "1.0.0")
    for method, *args in (
        ("action_approve",),
        ("write", {"state": "approved"}),
        ("sign_and_approve", managers[0].user.password),
        ("sign_and_approve", managers[0].user.api_key),
    ):
        said = managers[0].refused(method, [sop_id], *args)
        assert "API key cannot sign" in said
    assert managers[0].approve(sop_id)["state"] == "approved"


def test_approved_is_not_edited(author, managers, new_sop, orm):
    sop_id = new_sop(new_code(), "1.0.0")
    managers[0].approve(sop_id)
    [step_id] = managers[0]("read", [sop_id], ["step_ids"])[0]["step_ids"]
    for values in (
        {"purpose": "Another."},
        {"active": False},
        {"step_ids": [(1, step_id, {"name": "Another"})]},
        {"step_ids": [(2, step_id)]},
    ):
        said = managers[0].refused("write", [sop_id], values)
        assert "can no longer be changed" in said
    orm(
        """
        env["ir.model.data"].create(
            {
                "module": "test",
                "name": f"sop_{sop_id}",
                "model": "qms.sop.document",
                "res_id": sop_id,
            }
        )
        """,
        sop_id=sop_id,
    )
    loaded = managers[0]("load", ["id", "purpose"], [[f"test.sop_{sop_id}", "Mine."]])
    assert loaded["ids"] is False
    assert "can no longer be changed" in loaded["messages"][0]["message"]
    assert managers[0]("read", [sop_id], ["purpose"])[0]["purpose"] == "To be approved."


def test_superseded_is_not_run(odoo_server, author, managers, new_sop):
    code = new_code()
    old, new = new_sop(code, "1.0.0"), new_sop(code, "1.1.0")
    managers[0].approve(old)
    managers[0].approve(new)
    proxy = xmlrpc.client.ServerProxy(f"{odoo_server.url}/xmlrpc/2/object")
    with pytest.raises(xmlrpc.client.Fault, match="only on approved revisions"):
        proxy.execute_kw(
            odoo_server.db,
            author.user.id,
            author.user.api_key,
            "qms.sop.run",
            "create",
            [{"sop_id": old}],
        )
