"""Users and their keys over S3: in force, and gone, in every worker the moment the change is acknowledged."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator

import pytest

from sos.services.identity.access_keys import Issued, NewService, Parent
from sos.services.identity.policies import Target
from tests.kit.operator import Operator
from tests.kit.server import PASSWORD, USER, Client, Reply, Server

MAIN = "000000000000"
SECRET = "a-secret-of-hers"


def document(*statements: dict[str, object]) -> bytes:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}).encode()


def allow(actions: str, resource: str, **more: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": actions.split(), "Resource": [f"arn:aws:s3:::{resource}"], **more}


@pytest.fixture(scope="module")
def operator(server: Server) -> Operator:
    return Operator(server)


@pytest.fixture
def workers(server: Server) -> Iterator[tuple[Client, Client]]:
    """A connection to each worker."""
    with server.client_of(0) as first, server.client_of(1) as second:
        yield first, second


@pytest.fixture
def photos(wire: Client, bucket: str) -> str:
    """A bucket with one object."""
    assert wire.request("PUT", f"/{bucket}/key", body=b"data").status == 200
    return bucket


def both(workers: tuple[Client, Client], who: Issued, path: str) -> list[tuple[int, str]]:
    replies: list[Reply] = [w.be(who.access_key, who.secret, who.token).request("GET", path) for w in workers]
    return [(reply.status, reply.code) for reply in replies]


def test_a_user_its_children_and_their_end(operator: Operator, workers: tuple[Client, Client], photos: str) -> None:
    path, name = f"/{photos}/key", f"user-{photos}"
    alice = Issued(name, SECRET)
    assert both(workers, alice, path) == [(403, "InvalidAccessKeyId")] * 2
    operator.do(lambda i: i.users.put(MAIN, name, SECRET))
    assert both(workers, alice, path) == [(403, "AccessDenied")] * 2, "A19: nothing is attached"
    operator.do(lambda i: i.policies.attach(MAIN, ["readonly"], Target(name)))
    assert both(workers, alice, path) == [(200, "")] * 2
    child = operator.do(lambda i: i.access_keys.create(Parent(MAIN, name), NewService()))
    session = operator.do(lambda i: i.access_keys.issue(Parent(MAIN, name), 900))
    every = (alice, child, session)
    assert [both(workers, who, path) for who in every] == [[(200, "")] * 2] * 3
    operator.do(lambda i: i.users.set_enabled(MAIN, name, False))
    assert [both(workers, who, path) for who in every] == [[(403, "InvalidAccessKeyId")] * 2] * 3
    operator.do(lambda i: i.users.set_enabled(MAIN, name, True))
    assert [both(workers, who, path) for who in every] == [[(200, "")] * 2] * 3
    operator.do(lambda i: i.policies.detach(MAIN, ["readonly"], Target(name)))
    assert [both(workers, who, path) for who in every] == [[(403, "AccessDenied")] * 2] * 3, "child ⊆ parent"
    operator.do(lambda i: i.users.remove(MAIN, name))
    assert [both(workers, who, path) for who in every] == [[(403, "InvalidAccessKeyId")] * 2] * 3


def test_the_session_token_must_come_and_be_ours(operator: Operator, wire: Client, photos: str) -> None:
    """A06."""
    session = operator.do(lambda i: i.access_keys.issue(Parent(MAIN, ""), 900))
    service = operator.do(lambda i: i.access_keys.create(Parent(MAIN, ""), NewService()))
    forged = session.token[:-4] + ("AAAA" if not session.token.endswith("AAAA") else "BBBB")
    for token in ("", forged, "x"):
        reply = wire.be(session.access_key, session.secret, token).request("GET", f"/{photos}/key")
        assert (reply.status, reply.code) == (403, "InvalidTokenId")
    reply = wire.be(service.access_key, service.secret, session.token).request("GET", f"/{photos}/key")
    assert (reply.status, reply.code) == (403, "InvalidTokenId"), "another key's token"
    assert wire.be(session.access_key, session.secret, session.token).request("GET", f"/{photos}/key").status == 200


def test_a_session_policy_only_takes_away(operator: Operator, wire: Client, photos: str) -> None:
    """A01: a key that was made by a restricted key is restricted with it."""
    narrow = document(allow("s3:GetObject", f"{photos}/*"))
    made = operator.do(lambda i: i.access_keys.create(Parent(MAIN, ""), NewService(policy=narrow)))
    wider = document(allow("s3:*", "*"))
    child = operator.do(lambda i: i.access_keys.create(Parent(MAIN, "", inherited=(narrow,)), NewService(policy=wider)))
    for who in (made, child):
        wire.be(who.access_key, who.secret)
        assert wire.request("GET", f"/{photos}/key").status == 200
        assert wire.request("PUT", f"/{photos}/key", body=b"x").code == "AccessDenied"
        assert wire.request("GET", "/").code == "AccessDenied"


def test_conditions_of_requests(operator: Operator, wire: Client, photos: str) -> None:
    """A11: the address is that of the connection."""
    name = f"cond-{photos}"
    policy = document(
        allow("s3:ListBucket", photos, Condition={"StringLike": {"s3:prefix": ["home/*"]}}),
        allow("s3:GetObject", f"{photos}/*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        allow("s3:PutObject", f"{photos}/*", Condition={"StringEquals": {"s3:x-amz-storage-class": "STANDARD"}}),
        allow("s3:GetObjectTagging", f"{photos}/*", Condition={"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}),
    )
    wire.request("PUT", f"/{photos}/tagged", body=b"x", headers={"x-amz-tagging": "open=yes"})
    operator.do(lambda i: i.policies.put(MAIN, name, policy))
    operator.do(lambda i: i.users.put(MAIN, name, SECRET))
    operator.do(lambda i: i.policies.attach(MAIN, [name], Target(name)))
    wire.be(name, SECRET)
    listed = [
        wire.request("GET", f"/{photos}", {"list-type": "2", "prefix": p}).status for p in ("home/a", "other", "")
    ]
    assert listed == [200, 403, 403]
    forwarded = {"x-forwarded-for": "10.1.2.3", "x-real-ip": "10.1.2.3"}
    assert wire.request("GET", f"/{photos}/key", headers=forwarded).code == "AccessDenied"
    assert wire.request("PUT", f"/{photos}/new", body=b"x").code == "AccessDenied"
    assert wire.request("PUT", f"/{photos}/new", body=b"x", headers={"x-amz-storage-class": "STANDARD"}).status == 200
    tagged = [wire.request("GET", f"/{photos}/{key}", {"tagging": ""}).status for key in ("tagged", "key", "none")]
    assert tagged == [200, 403, 403], "A13"
    operator.do(lambda i: i.users.remove(MAIN, name))


def test_bucket_policies_and_anonymous_access(workers: tuple[Client, Client], photos: str) -> None:
    """In force in both workers at once, and gone at once."""
    first, second = workers
    wanted = document(allow("s3:GetObject", f"{photos}/pub*", Principal={"AWS": ["*"]}))
    first.request("PUT", f"/{photos}/public", body=b"open")

    def anonymous() -> list[int]:
        statuses = []
        for worker in workers:
            worker.be("")
            statuses += [worker.request("GET", f"/{photos}/{key}").status for key in ("public", "key")]
            statuses += [
                worker.request("GET", f"/{photos}").status,
                worker.request("PUT", f"/{photos}/pub", body=b"x").status,
            ]
        return statuses

    def root() -> tuple[Client, Client]:
        return first.be(USER, PASSWORD), second.be(USER, PASSWORD)

    assert anonymous() == [403] * 8
    root()
    assert first.request("GET", f"/{photos}", {"policy": ""}).code == "NoSuchBucketPolicy"
    assert first.request("GET", f"/{photos}", {"policyStatus": ""}).element("IsPublic") == "FALSE"
    assert first.request("PUT", f"/{photos}", {"policy": ""}, body=wanted).status == 204
    assert second.request("GET", f"/{photos}", {"policy": ""}).body == wanted
    assert second.request("GET", f"/{photos}", {"policyStatus": ""}).element("IsPublic") == "TRUE"
    assert anonymous() == [200, 403, 403, 403] * 2
    root()
    assert first.request("PUT", f"/{photos}", {"policy": ""}, body=b"{}").code == "MalformedPolicy"
    other = document(allow("s3:GetObject", "another/*", Principal="*"))
    assert first.request("PUT", f"/{photos}", {"policy": ""}, body=other).code == "MalformedPolicy"
    assert first.request("PUT", f"/{photos}", {"policy": ""}, body=b" " * 30_000).code == "PolicyTooLarge"
    assert first.request("DELETE", f"/{photos}", {"policy": ""}).status == 204
    assert anonymous() == [403] * 8
    root()


def test_batches_and_copies_are_authorised_one_by_one(operator: Operator, wire: Client, photos: str) -> None:
    """A14, A15, A18."""
    name = f"batch-{photos}"
    policy = document(allow("s3:DeleteObject s3:PutObject", f"{photos}/mine/*"), allow("s3:GetObject", f"{photos}/a"))
    for key in ("mine/1", "a", "b"):
        wire.request("PUT", f"/{photos}/{key}", body=b"x")
    operator.do(lambda i: i.policies.put(MAIN, name, policy))
    operator.do(lambda i: i.users.put(MAIN, name, SECRET))
    operator.do(lambda i: i.policies.attach(MAIN, [name], Target(name)))
    wire.be(name, SECRET)
    for source, status in (("a", 200), ("b", 403), ("a?versionId=null", 403)):
        reply = wire.request("PUT", f"/{photos}/mine/copy", headers={"x-amz-copy-source": f"/{photos}/{source}"})
        assert (source, reply.status) == (source, status)
    assert wire.request("GET", f"/{photos}/a", {"versionId": "null"}).code == "AccessDenied"
    assert wire.request("DELETE", f"/{photos}/mine/1", {"versionId": "null"}).code == "AccessDenied"
    body = b"<Delete><Object><Key>mine/1</Key></Object><Object><Key>a</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    reply = wire.request("POST", f"/{photos}", {"delete": ""}, body=body, headers={"content-md5": md5})
    assert reply.body.count(b"<Deleted>") == 1 and reply.body.count(b"AccessDenied") == 1
    operator.do(lambda i: i.users.remove(MAIN, name))


def test_accounts_are_apart(operator: Operator, wire: Client, photos: str) -> None:
    """Names are global, rights are not; across accounts both sides must allow."""
    name = f"tenant-{photos}"
    account = operator.do(lambda i: i.accounts.add(name, f"{name}-root", SECRET))
    user = f"{name}-user"
    operator.do(lambda i: i.users.put(account.account, user, SECRET))
    operator.do(lambda i: i.policies.attach(account.account, ["readwrite"], Target(user)))
    theirs = f"{name}-bucket"
    wire.be(f"{name}-root", SECRET)
    assert wire.request("PUT", f"/{theirs}").status == 200
    assert wire.request("PUT", f"/{photos}").code == "BucketAlreadyExists"
    assert wire.request("GET", f"/{photos}/key").code == "AccessDenied"
    assert wire.request("GET", f"/{theirs}-none/key").code == "NoSuchBucket"
    listed = wire.request("GET", "/")
    assert listed.body.count(b"<Name>") == 1
    assert (listed.element("ID"), listed.element("DisplayName")) == (account.canonical_id, name)
    wire.be(user, SECRET)
    assert wire.request("PUT", f"/{theirs}/key", body=b"x").status == 200
    assert wire.request("GET", f"/{photos}/key").code == "AccessDenied"
    wire.be(USER, PASSWORD)
    assert wire.request("GET", f"/{theirs}/key").status == 200, "the root of the deployment sees all"
    principal = {"AWS": [f"arn:aws:iam::{account.account}:user/{user}"]}
    granted = document(allow("s3:GetObject", f"{photos}/*", Principal=principal))
    assert wire.request("PUT", f"/{photos}", {"policy": ""}, body=granted).status == 204
    assert wire.be(user, SECRET).request("GET", f"/{photos}/key").status == 200
    assert wire.be(f"{name}-root", SECRET).request("GET", f"/{photos}/key").code == "AccessDenied"
    granted = document(
        allow("s3:PutObject s3:GetObject", f"{photos}/*", Principal={"CanonicalUser": account.canonical_id})
    )
    assert wire.be(USER, PASSWORD).request("PUT", f"/{photos}", {"policy": ""}, body=granted).status == 204
    assert wire.be(user, SECRET).request("PUT", f"/{photos}/theirs", body=b"x").status == 200
    owners = wire.be(USER, PASSWORD).request("GET", f"/{photos}").body
    assert owners.count(account.canonical_id.encode()) == 1 and owners.count(b"<Owner>") == 2
    operator.do(lambda i: i.accounts.update(name, disabled=True))
    assert wire.be(user, SECRET).request("GET", f"/{photos}/key").code == "InvalidAccessKeyId"
    assert wire.be(f"{name}-root", SECRET).request("GET", f"/{theirs}").code == "InvalidAccessKeyId"
    wire.be(USER, PASSWORD).request("DELETE", f"/{theirs}", headers={"x-minio-force-delete": "true"})
    operator.do(lambda i: i.users.remove(account.account, user))
    operator.do(lambda i: i.accounts.remove(name))


def test_listed_are_the_buckets_that_one_may_see(operator: Operator, wire: Client, photos: str) -> None:
    name = f"list-{photos}"
    operator.do(lambda i: i.users.put(MAIN, name, SECRET))
    wire.be(name, SECRET)
    assert wire.request("GET", "/").code == "AccessDenied"
    operator.do(lambda i: i.policies.put(MAIN, name, document(allow("s3:ListBucket", photos))))
    operator.do(lambda i: i.policies.attach(MAIN, [name], Target(name)))
    reply = wire.request("GET", "/")
    assert reply.body.count(b"<Name>") == 1 and f"<Name>{photos}</Name>".encode() in reply.body
    operator.do(lambda i: i.users.remove(MAIN, name))
