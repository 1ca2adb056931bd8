"""Every call of the admin API, by the table, for who has no valid key and for who has no right (A04). What each right opens
is in ``test_every_operation.py``.
"""

from __future__ import annotations

import re

import pytest

from sos.admin.operations import OPERATIONS, Operation
from tests.kit.admin_wire import AdminWire
from tests.kit.server import Client, Server

SECRET = "a-secret-of-hers"
DENIED = (403, "AccessDenied")
#: What stands for the variable parts of paths.
PARTS = {"type": "openid", "way": "attach", "provider": "builtin", "path*": "no-such-bucket"}


def named(row: Operation) -> str:
    return f"{row.name}-{row.method}-{row.path}"


def target(row: Operation) -> tuple[str, str, dict[str, str]]:
    """A request for a row that asks for nothing that there is."""
    path = re.sub(r"\{([^}]+)\}", lambda part: PARTS.get(part[1], "absent"), row.path)
    query = {name: "no-such-bucket" if name == "bucket" else "absent" for name in row.query}
    return row.method, f"/minio/{path}", query


@pytest.fixture(scope="module")
def plain(server: Server) -> str:
    """A user without any right."""
    made = AdminWire(server).ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey="plain-user")
    assert made.status == 200
    return "plain-user"


@pytest.mark.parametrize("row", OPERATIONS, ids=named)
def test_nobody_calls_without_a_secret(wire: Client, row: Operation) -> None:
    method, path, query = target(row)
    assert wire.be("").outcome(method, path, query) == DENIED
    assert wire.be("no-such-key", SECRET).outcome(method, path, query) == (403, "InvalidAccessKeyId")
    assert wire.be("operator", "not-the-secret").outcome(method, path, query) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("row", [row for row in OPERATIONS if not row.actions], ids=named)
def test_calls_that_decide_for_themselves_never_fail_of_it(wire: Client, plain: str, row: Operation) -> None:
    """About what is the caller's own, or refused."""
    method, path, query = target(row)
    status, _ = wire.be(plain, SECRET).outcome(method, path, query)
    assert status in (200, 204, 400, 403, 404)
