"""Every operation of S3 and of the admin API by every kind of caller, over the wire: who is refused is refused with the
code that says why and nothing else, and who is allowed gets exactly what root gets.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from sos.admin.operations import OPERATIONS as ADMIN_OPERATIONS
from sos.domain.policy.actions import ACTIONS
from sos.s3.operations import OPERATIONS, Level
from sos.services.identity.access_keys import Issued, NewService, Parent
from sos.services.identity.identity import Identity
from sos.services.identity.policies import Target
from tests.kit.operator import Operator
from tests.kit.server import PASSWORD, USER, Client, Server

MAIN = "000000000000"
SECRET = "a-secret-of-theirs"
BUCKET = "table"
FORBIDDEN = (403, "AccessDenied")
NOT_VALID = (403, "InvalidAccessKeyId")


@dataclass(frozen=True)
class Case:
    """One request, and the actions that it takes to be allowed.

    :param actions: one of them suffices; the first is tried
    :param needs: actions that are needed beside it
    """

    name: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    actions: tuple[str, ...]
    needs: tuple[str, ...] = ()


# -- the requests ------------------------------------------------------------------------------------------

BY_HANDLER = {"DeleteObjects", "PostObject", "AssumeRole"}
"""Not one action for the whole request: the tests at the end, and those of temporary credentials, are about them."""

ELSEWHERE = {"ForceDeleteBucket", "DeleteBucket"}
"""What would change the bucket for all others is asked of a bucket that is not there."""

MORE: dict[str, dict[str, Any]] = {
    "ListBuckets": {"actions": ("s3:ListAllMyBuckets", "s3:ListBucket", "s3:GetBucketLocation")},
    "CreateBucket": {"body": b""},
    "ForceDeleteBucket": {"needs": ("s3:DeleteBucket",)},
    "GetObjectAttributes": {"needs": ("s3:GetObject",)},
    "CopyObject": {"headers": {"x-amz-copy-source": f"/{BUCKET}/key"}, "needs": ("s3:GetObject",)},
    "UploadPartCopy": {
        "headers": {"x-amz-copy-source": f"/{BUCKET}/key"},
        "query": {"partNumber": "1", "uploadId": "bm9uZQ"},
        "needs": ("s3:GetObject",),
    },
}


def _s3_cases() -> Iterator[Case]:
    for row in OPERATIONS:
        if row.name in BY_HANDLER:
            continue
        bucket = "not-there" if row.name in ELSEWHERE else BUCKET
        path = {Level.SERVICE: "/", Level.BUCKET: f"/{bucket}", Level.OBJECT: f"/{bucket}/key"}[row.level]
        query = {name: value or "1" for name, _, value in (part.partition("=") for part in row.query)}
        headers = {name: value or "1" for name, _, value in (part.partition("=") for part in row.headers)}
        body = b"<X/>" if row.method in ("PUT", "POST") else b""
        case = Case(row.name, row.method, path, query, headers, body, (row.action,))
        case = replace(case, **MORE.get(row.name, {}))
        yield case
        if row.version_action != row.action:
            versioned = {**case.query, "versionId": "null"}
            needs = tuple("s3:GetObjectVersion" if need == "s3:GetObject" else need for need in case.needs)
            name = f"{row.name} of a version"
            yield replace(case, name=name, query=versioned, actions=(row.version_action,), needs=needs)


ADMIN_QUERY: dict[str, dict[str, str]] = {
    "Speedtest": {"duration": "none"},
    "SpeedtestClientDevnull": {"duration": "none"},
}
"""Parameters that keep a call from doing what takes long: it is refused after it is authorised."""


def _admin_cases() -> Iterator[Case]:
    for row in ADMIN_OPERATIONS:
        if not row.actions:
            continue  # a rule of its own, each tested where it is handled
        path = "/minio/" + re.sub(r"\{way\}", "attach", row.path)
        path = re.sub(r"\{.*?\}", "absent", path)
        query = {name: BUCKET if name == "bucket" else "absent" for name in row.query} | ADMIN_QUERY.get(row.name, {})
        body = b"{" if row.method in ("PUT", "POST", "DELETE") else b""
        for action in row.actions:
            name = f"{row.name} {row.method} {row.path}" + (f" {action}" if action != row.actions[0] else "")
            others = (other for other in row.actions if other != action)
            yield Case(name, row.method, path, query, {}, body, (action, *others))


CASES = [*_s3_cases(), *_admin_cases()]

# -- the callers -------------------------------------------------------------------------------------------


def _document(*statements: tuple[str, Iterable[str]]) -> bytes:
    """:param statements: effect and actions; a statement for each name space, as policies must have it"""
    made = []
    for effect, actions in statements:
        spaces: dict[str, list[str]] = {}
        for action in actions:
            spaces.setdefault(action.partition(":")[0], []).append(action)
        for space, named in spaces.items():
            about = {"Resource": ["arn:aws:s3:::*"]} if space == "s3" else {}
            made.append({"Effect": effect, "Action": named, **about})
    return json.dumps({"Version": "2012-10-17", "Statement": made}).encode()


def policies_of(case: Case) -> dict[str, bytes]:
    """One that allows the action, one that allows every other, one that allows everything and denies the action."""
    every = ("s3:*", "admin:*", "kms:*")
    return {
        "right": _document(("Allow", (case.actions[0], *case.needs))),
        "rest": _document(("Allow", sorted(set(ACTIONS) - set(case.actions)))),
        "deny": _document(("Allow", every), ("Deny", case.actions)),
    }


class Callers:
    """Users ``right``, ``rest``, ``deny`` with a policy of the same name each, and others that need none."""

    def __init__(self, server: Server) -> None:
        self._operator = Operator(server)
        self.keys: dict[str, Issued] = {}
        self._operator.do(self._make)

    async def _make(self, identity: Identity) -> None:
        await self._put(identity, policies_of(CASES[0]))
        for name in ("right", "rest", "deny"):
            await identity.users.put(MAIN, name, SECRET)
            await identity.policies.attach(MAIN, [name], Target(name))
            self.keys[name] = Issued(name, SECRET)
        for name in ("none", "disabled"):
            await identity.users.put(MAIN, name, SECRET)
            self.keys[name] = Issued(name, SECRET)
        await identity.policies.attach(MAIN, ["consoleAdmin"], Target("disabled"))
        self.keys["disabled service"] = await identity.access_keys.create(Parent(MAIN, "disabled"), NewService())
        await identity.users.set_enabled(MAIN, "disabled", False)
        self.keys["service"] = await identity.access_keys.create(Parent(MAIN, "right"), NewService())
        self.keys["temporary"] = await identity.access_keys.issue(Parent(MAIN, "right"), 3600)
        self.keys["expired"] = await identity.access_keys.issue(Parent(MAIN, ""), -60)
        self.keys["root"] = Issued(USER, PASSWORD)
        self.keys["anonymous"] = Issued("", "")

    @staticmethod
    async def _put(identity: Identity, documents: Mapping[str, bytes]) -> None:
        await asyncio.gather(*(identity.policies.put(MAIN, name, text) for name, text in documents.items()))

    def arrange(self, case: Case) -> None:
        """Give the three users the policies of a case."""
        self._operator.do(lambda identity: self._put(identity, policies_of(case)))


OUTCOMES = {
    "right": None,
    "service": None,
    "temporary": None,
    "rest": FORBIDDEN,
    "deny": FORBIDDEN,
    "none": FORBIDDEN,
    "anonymous": FORBIDDEN,
    "disabled": NOT_VALID,
    "disabled service": NOT_VALID,
    "expired": (400, "ExpiredToken"),
}
"""Caller → what it gets; None: what root gets."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """At the end its workers must be those of the start, with nothing odd in the log."""
    with Server(tmp_path_factory.mktemp("every")) as running:
        before = running.worker_pids()
        yield running
        assert running.worker_pids() == before
        assert [
            line for line in running.log().splitlines() if "Traceback" in line or "unexpected failure" in line
        ] == []


@pytest.fixture(scope="module")
def line(own: Server) -> Iterator[Client]:
    with own.client() as client:
        assert client.request("PUT", f"/{BUCKET}").status == 200
        yield client


@pytest.fixture(scope="module")
def callers(own: Server) -> Callers:
    return Callers(own)


def outcome(line: Client, who: Issued, case: Case) -> tuple[int, str]:
    line.be(who.access_key, who.secret, who.token)
    return line.outcome(case.method, case.path, case.query, case.body, case.headers)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace("/", "."))
def test_it_is_decided_by_the_policies(line: Client, callers: Callers, case: Case) -> None:
    """A02, A14, A17, A19, A21: one table, one evaluator, for every operation there is."""
    callers.arrange(case)
    assert line.be(USER, PASSWORD).request("PUT", f"/{BUCKET}/key", body=b"1").status == 200
    expected = outcome(line, callers.keys["root"], case)
    assert expected not in (FORBIDDEN, NOT_VALID)
    found = {name: outcome(line, callers.keys[name], case) for name in OUTCOMES}
    assert found == {name: told or expected for name, told in OUTCOMES.items()}


# of an upload that is not there the source is not looked at
SEVERAL = [case for case in CASES if case.needs and "uploadId" not in case.query]


@pytest.mark.parametrize("case", SEVERAL, ids=lambda case: case.name)
def test_one_of_several_rights_is_not_enough(line: Client, callers: Callers, case: Case) -> None:
    callers.arrange(replace(case, needs=()))
    assert line.be(USER, PASSWORD).request("PUT", f"/{BUCKET}/key", body=b"1").status == 200
    assert outcome(line, callers.keys["right"], case) == FORBIDDEN


# -- what is decided key by key, and by a form ---------------------------------------------------------------


def _sdk(own: Server, who: Issued) -> Any:
    return boto3.client(
        "s3", endpoint_url=own.url, region_name="us-east-1", aws_access_key_id=who.access_key,
        aws_secret_access_key=who.secret, aws_session_token=who.token or None,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )  # fmt: skip


def _deleted(own: Server, who: Issued, key: str) -> tuple[int, str]:
    try:
        reply = _sdk(own, who).delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key}]})
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return 200, "".join(failed["Code"] for failed in reply.get("Errors", ()))


def _posted(own: Server, who: Issued, key: str) -> tuple[int, str]:
    made = _sdk(own, who).generate_presigned_post(BUCKET, key)
    reply = urllib3.request("POST", made["url"], fields={**made["fields"], "file": ("name", b"1")})
    code = re.search(rb"<Code>(\w+)</Code>", reply.data)
    return reply.status, code[1].decode() if code else ""


@pytest.mark.parametrize(
    ("action", "ask", "refused", "granted"),
    [("s3:DeleteObject", _deleted, (200, "AccessDenied"), (200, "")), ("s3:PutObject", _posted, FORBIDDEN, (204, ""))],
)
def test_batches_and_forms(
    own: Server,
    line: Client,
    callers: Callers,
    action: str,
    ask: Any,
    refused: tuple[int, str],
    granted: tuple[int, str],
) -> None:
    """A batch of deletions is decided key by key, a form by who signed it; neither does what it refuses."""
    callers.arrange(Case("", "", "", {}, {}, b"", (action,)))
    for name, told in OUTCOMES.items():
        if name == "anonymous":
            continue  # SDKs sign what these two send; unsigned ones are refused as every request is
        key = f"{action[3:]}-{name}"
        line.be(USER, PASSWORD)
        if ask is _deleted:
            line.request("PUT", f"/{BUCKET}/{key}", body=b"1")
        expected = {None: granted, FORBIDDEN: refused}.get(told, told)
        assert (name, ask(own, callers.keys[name], key)) == (name, expected)
        exists = line.request("HEAD", f"/{BUCKET}/{key}").status == 200
        assert exists == ((ask is _deleted) != (expected == granted)), name
