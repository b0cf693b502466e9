"""What the end-to-end tests stand on: a live Odoo, and a way to prepare data in it.

`make test` starts the server on a database of its own and says where it is in
QMS_TEST_URL, QMS_TEST_DB, QMS_TEST_LOGIN, QMS_TEST_PASSWORD (an administrator),
QMS_TEST_RC (Odoo's configuration), QMS_TEST_LOG, QMS_PG_HOST and QMS_PG_USER;
QMS_TEST_TEMPLATE is a database that nobody uses, to make further copies of.
Tests that use none of these fixtures also run alone, with any Python and pytest.
"""

import json
import os
import subprocess
import sys
import textwrap
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
import pytest
from odoo_process import OdooProcess
from psycopg2 import sql

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class OdooServer:
    """A live Odoo server.

    :param str url: its address, without a slash at the end
    :param str db: its database
    :param str login: login of an administrator
    :param str password: the administrator's password
    :param Path log: the server's log
    :param str pg_host: folder of PostgreSQL's socket
    :param str pg_user: PostgreSQL user who may create databases
    """

    url: str
    db: str
    login: str
    password: str
    log: Path
    pg_host: str
    pg_user: str


@dataclass(frozen=True)
class OdooUser:
    """A user of the live server, with what is needed to log in.

    :param int id: id of the `res.users`
    :param str login: login
    :param password: the password, or None when the user has none
    :param api_key: an API key of scope `rpc`, or None when none was asked for
    """

    id: int
    login: str
    password: str | None
    api_key: str | None


class Orm:
    """Runs code on the live server's database, in a process that has Odoo's ORM."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "orm_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def __call__(self, code, /, **values):
        """Run code in a transaction that is committed.

        :param str code: Python with `env` (superuser) and `values` as names
        :param values: what JSON can carry
        :return: what the code assigned to `result`
        :raise AssertionError: when the code raised
        """
        request = {"code": textwrap.dedent(code), "values": values}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process with Odoo's ORM ended; its last words are above"
        answer = json.loads(line)
        assert "error" not in answer, answer.get("traceback")
        return answer["result"]

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait(timeout=30)


@pytest.fixture(scope="session")
def odoo_server():
    """The live OdooServer that `make test` started."""
    if not os.environ.get("QMS_TEST_URL"):
        pytest.fail(
            "This test needs a live Odoo: make test ARGS='tests/…'", pytrace=False
        )
    return OdooServer(
        url=os.environ["QMS_TEST_URL"],
        db=os.environ["QMS_TEST_DB"],
        login=os.environ["QMS_TEST_LOGIN"],
        password=os.environ["QMS_TEST_PASSWORD"],
        log=Path(os.environ["QMS_TEST_LOG"]),
        pg_host=os.environ["QMS_PG_HOST"],
        pg_user=os.environ["QMS_PG_USER"],
    )


@pytest.fixture(scope="session")
def odoo_workers(odoo_server, tmp_path_factory):
    """A second OdooServer on the same database, with two worker processes.

    What has to hold between processes (locks, keys, counters) is tested here.
    """
    process = OdooProcess(
        tmp_path_factory.mktemp("workers"),
        os.environ["QMS_TEST_RC"],
        odoo_server.db,
    )
    process.start()
    yield replace(odoo_server, url=process.url, log=process.log)
    process.stop()


@pytest.fixture(scope="session")
def database_copy(odoo_server):
    """Copy the database that `make test` made, for as long as a block lasts:
    `with database_copy("prefix") as name:`."""

    @contextmanager
    def copy(prefix):
        name = f"{prefix}_{uuid.uuid4().hex[:8]}"
        template = os.environ["QMS_TEST_TEMPLATE"]
        with closing(
            psycopg2.connect(
                host=odoo_server.pg_host, user=odoo_server.pg_user, dbname="postgres"
            )
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                        sql.Identifier(name), sql.Identifier(template)
                    )
                )
                yield name
                cursor.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(
                        sql.Identifier(name)
                    )
                )

    return copy


@pytest.fixture(scope="session")
def orm(odoo_server):
    """Run ORM code on the live database: `orm("result = env[…]…", name=value)`."""
    worker = Orm()
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def api_key(orm):
    """Make an API key of scope `rpc` for a user: `api_key("admin")`."""

    def make(login):
        return orm(
            """
            user = env["res.users"].search([("login", "=", login)])
            assert user, f"there is no user {login}"
            keys = env["res.users.apikeys"].with_user(user).sudo()
            result = keys._generate("rpc", "end-to-end test", None)
            """,
            login=login,
        )

    return make


@pytest.fixture(scope="session")
def make_user(orm, api_key):
    """Make a user of some groups, by default with an API key and no password:
    `make_user("qms_error_code.group_qms_operator")` -> OdooUser."""

    def make(*groups, login=None, password=None, key=True, company_id=None):
        login = login or f"user-{uuid.uuid4().hex[:8]}"
        user_id = orm(
            """
            groups = env["res.groups"]
            for xml_id in names:
                groups |= env.ref(xml_id)
            values = {"name": login, "login": login, "group_ids": [(6, 0, groups.ids)]}
            if password:
                values["password"] = password
            if company_id:
                values["company_id"] = company_id
                values["company_ids"] = [(6, 0, [company_id])]
            result = env["res.users"].create(values).id
            """,
            names=groups,
            login=login,
            password=password,
            company_id=company_id,
        )
        return OdooUser(user_id, login, password, api_key(login) if key else None)

    return make
