"""What deciding costs: one warm identity with ten policies of twenty statements, by the kind of statements; and what many
users cost a server."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

from sos.domain.policy.compiled import PolicySet, compile_policy
from sos.domain.policy.document import Kind, parse
from sos.domain.policy.evaluate import Caller, Context, Type, evaluate
from sos.services.identity.identity import Identity
from tests.kit.operator import Operator
from tests.kit.server import Server

POLICIES, STATEMENTS = 10, 20
ACCOUNT = "000000000000"
CALLER = Caller(Type.USER, ACCOUNT, "alice", "alice", ("staff",))
ASKED = "arn:aws:s3:::bucket/team9/x/19/y"
VALUES = {"aws:SourceIp": ("192.0.2.1",), "aws:Referer": ("home/alice/x",), "aws:UserAgent": ("MinIO (linux; amd64)",)}

Shape = Callable[[int, int], dict[str, Any]]


def _allow(resource: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": ["s3:GetObject", "s3:Put*"], "Resource": resource, **more}


def _last(policy: int, index: int) -> bool:
    return (policy, index) == (POLICIES - 1, STATEMENTS - 1)


def _buckets(policy: int, index: int) -> dict[str, Any]:
    """A bucket each."""
    return _allow(f"arn:aws:s3:::{'bucket' if _last(policy, index) else f'b{policy}-{index}'}/*")


def _paths(policy: int, index: int) -> dict[str, Any]:
    """Wildcards inside a path of one bucket, and a variable."""
    return _allow(
        [f"arn:aws:s3:::bucket/team{policy}/*/{index}/*", f"arn:aws:s3:::other{index}/${{aws:username}}/*"],
        Effect="Deny" if index % 5 == 0 else "Allow",
        **({"Condition": {"IpAddress": {"aws:SourceIp": f"10.{policy}.0.0/16"}}} if index % 3 == 0 else {}),
    )


def _addresses(policy: int, index: int) -> dict[str, Any]:
    """Everything allowed from 200 networks, of which the last is the caller's."""
    network = "192.0.2.0/24" if _last(policy, index) else f"10.{policy}.{index}.0/24"
    return _allow("arn:aws:s3:::*", Condition={"IpAddress": {"aws:SourceIp": network}})


def _prefixes(policy: int, index: int) -> dict[str, Any]:
    """Everything allowed by 200 patterns of a condition key, of which the last fits."""
    like = "home/alice/*" if _last(policy, index) else f"home/{policy}/{index}/*"
    return _allow("arn:aws:s3:::*", Condition={"StringLike": {"aws:Referer": like}})


def _denials(policy: int, index: int) -> dict[str, Any]:
    """199 denials on a condition that does not hold, all to be looked at, and one permission."""
    if _last(policy, index):
        return _allow("arn:aws:s3:::*")
    test = {"StringLike": {"aws:UserAgent": f"*robot-{policy}-{index}*"}, "Bool": {"aws:SecureTransport": "true"}}
    return _allow("arn:aws:s3:::*", Effect="Deny", Condition=test)


def _inside(policy: int, index: int) -> dict[str, Any]:
    """200 patterns that begin with a wildcard."""
    word = "/19/" if _last(policy, index) else f"/{policy}-{index}/"
    return _allow(f"arn:aws:s3:::*{word}*")


def _variables(policy: int, index: int) -> dict[str, Any]:
    """200 resources with a variable, in one bucket."""
    return _allow(f"arn:aws:s3:::bucket/{'*' if _last(policy, index) else '${aws:username}'}/{index}-{policy}*")


SHAPES: tuple[Shape, ...] = (_buckets, _paths, _addresses, _prefixes, _denials, _inside, _variables)


def _set_of(shape: Shape) -> PolicySet:
    made = []
    for policy in range(POLICIES):
        document = {"Version": "2012-10-17", "Statement": [shape(policy, i) for i in range(STATEMENTS)]}
        made.append(compile_policy(f"p{policy}", parse(json.dumps(document).encode(), Kind.IDENTITY), Kind.IDENTITY))
    return PolicySet(made)


def _cpu_us(work: Callable[[], object], times: int = 2000, turns: int = 7) -> float:
    """Median over turns of the CPU of one call, in microseconds."""
    found = []
    for _ in range(turns):
        began = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - began) / times * 1e6)
    return statistics.median(found)


def decisions() -> Iterator[tuple[str, float]]:
    """Shape → CPU of one decision in microseconds; the caller's facts and the compiled set are warm."""
    for shape in SHAPES:
        given = _set_of(shape)
        context = Context("s3:GetObject", ASKED, CALLER, ACCOUNT, VALUES)
        evaluate(context, given)
        yield (shape.__doc__ or "").strip().rstrip("."), _cpu_us(lambda c=context, g=given: evaluate(c, g))  # type: ignore[misc]


USERS = 100_000
SECRET = "a-secret-of-theirs"


async def _add_users(identity: Identity, first: int, count: int) -> None:
    await asyncio.gather(*(identity.users.put(ACCOUNT, f"user-{i:06d}", SECRET) for i in range(first, first + count)))


def _first_answer_s(server: Server, name: str) -> float:
    """Seconds from the start of a stopped server to the first answer to a user: that it may do nothing."""
    began = time.monotonic()
    server.launch()
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException), server.client() as client:
            if client.be(name, SECRET).request("GET", "/").status == 403:
                return time.monotonic() - began
        time.sleep(0.01)


def _rate(server: Server, names: list[str], seconds: float = 3.0) -> float:
    """Requests per second of one connection, each of another user in turn."""
    done, began = 0, time.monotonic()
    with server.client() as client:
        while time.monotonic() - began < seconds:
            client.be(names[done % len(names)], SECRET).request("GET", "/")
            done += 1
    return done / (time.monotonic() - began)


def many_users(directory: str) -> Iterator[tuple[str, float]]:
    """What is measured → figure, on a server of its own with four drives in a directory."""
    with tempfile.TemporaryDirectory(dir=directory) as path, Server(Path(path)).start() as server:
        operator = Operator(server)
        operator.do(lambda identity: _add_users(identity, 0, 1))
        names = ["user-000000"]
        yield "one user, requests/s of one connection", _rate(server, names)
        server.stop()
        yield "one user, start to its first answer, s", _first_answer_s(server, names[0])
        server.wait_ready()
        operator = Operator(server)
        for first in range(1, USERS, 2000):
            operator.do(lambda identity, f=first: _add_users(identity, f, min(2000, USERS - f)))
        names = [f"user-{i:06d}" for i in random.Random(1).sample(range(USERS), 5000)]
        yield f"{USERS} users, 5,000 of them in turn, requests/s of one connection", _rate(server, names)
        yield "the same again", _rate(server, names)
        server.stop()
        yield f"{USERS} users, start to the first answer to one, s", _first_answer_s(server, names[0])


def report(directory: str) -> None:
    print(f"one decision, {POLICIES} policies of {STATEMENTS} statements, us of CPU")
    for name, cost in decisions():
        print(f"  {name:90} {cost:7.1f}")
    print("many users")
    for name, figure in many_users(directory):
        print(f"  {name:90} {figure:7.2f}", flush=True)
