"""Every call of the admin API, by the table, for everybody who might try it (A04)."""

from __future__ import annotations

import re

import pytest

from sos.admin.operations import OPERATIONS, Operation
from tests.kit.admin_wire import AdminWire
from tests.kit.server import Client, Server

SECRET = "a-secret-of-hers"
WITH_ACTIONS = [row for row in OPERATIONS if row.actions]
EVERY_ACTION = {action for row in WITH_ACTIONS for action in row.actions}
#: With the right to do so they would go on for long, or measure the machine.
LONG = {"Trace", "ConsoleLog", "Metrics", "Speedtest", "Profile", "StartProfiling", "HealthInfo", "InspectData"}
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
def root(server: Server) -> AdminWire:
    return AdminWire(server)


@pytest.fixture(scope="module")
def turned(root: AdminWire) -> str:
    """A user whose rights a test chooses."""
    assert root.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey="turned").status == 200
    grant(root, {"admin:ListUsers"})
    given = root.ask("PUT set-user-or-group-policy", policyName="turn", userOrGroup="turned", isGroup="false")
    assert given.status == 200
    return "turned"


@pytest.fixture(scope="module")
def plain(root: AdminWire) -> str:
    """A user without any right."""
    assert root.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey="plain-user").status == 200
    return "plain-user"


def grant(root: AdminWire, actions: set[str]) -> None:
    statement = {"Effect": "Allow", "Action": sorted(actions)}
    kinds = {action.partition(":")[0] for action in actions}
    by_kind = [
        {**statement, "Action": sorted(a for a in actions if a.startswith(f"{kind}:"))} for kind in sorted(kinds)
    ]
    made = root.ask("PUT add-canned-policy", {"Version": "2012-10-17", "Statement": by_kind}, name="turn")
    assert made.status == 200, made.code


@pytest.mark.parametrize("row", OPERATIONS, ids=named)
def test_nobody_calls_without_a_secret(wire: Client, row: Operation) -> None:
    method, path, query = target(row)
    assert wire.be("").outcome(method, path, query) == DENIED
    assert wire.be("no-such-key", SECRET).outcome(method, path, query) == (403, "InvalidAccessKeyId")
    assert wire.be("operator", "not-the-secret").outcome(method, path, query) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("row", WITH_ACTIONS, ids=named)
def test_a_call_needs_its_own_right(wire: Client, root: AdminWire, plain: str, turned: str, row: Operation) -> None:
    """None is not enough, and all the others are not; it alone is."""
    method, path, query = target(row)
    assert wire.be(plain, SECRET).outcome(method, path, query) == DENIED
    grant(root, EVERY_ACTION - set(row.actions))
    assert wire.be(turned, SECRET).outcome(method, path, query) == DENIED
    if row.name in LONG:
        return
    for action in row.actions:
        grant(root, {action})
        status, code = wire.be(turned, SECRET).outcome(method, path, query)
        assert (status, code) != DENIED and status not in (500, 503), (action, status, code)


@pytest.mark.parametrize("row", [row for row in OPERATIONS if not row.actions], ids=named)
def test_calls_that_decide_for_themselves_never_fail_of_it(wire: Client, plain: str, row: Operation) -> None:
    """About what is the caller's own, or refused."""
    method, path, query = target(row)
    status, _ = wire.be(plain, SECRET).outcome(method, path, query)
    assert status in (200, 204, 400, 403, 404)
