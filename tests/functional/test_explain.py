"""Why a request was denied: told rightly for each kind of denial, to those alone who may ask; and the smallest grant is one
with which the same request passes."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from sos.services.identity.access_keys import Issued, ServiceUpdate
from tests.kit.decisions import ANONYMOUS, MAIN, ROOT, SECRET, Bench, allow, deny, document, policy
from tests.kit.server import Reply, Server

HERE = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
ELSEWHERE = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of its own: everybody may list some of its buckets."""
    with Server(tmp_path_factory.mktemp("explain")) as running:
        yield running


@pytest.fixture(scope="module")
def photos(bench: Bench) -> str:
    return bench.bucket()


def get(bench: Bench, who: Issued, bucket: str, key: str = "key") -> Reply:
    return bench.ask(who, "GET", f"/{bucket}/{key}")


# -- each kind of denial -----------------------------------------------------------------------------------


def test_nothing_is_attached(bench: Bench, photos: str) -> None:
    """A19."""
    who = bench.user()
    why = bench.why(get(bench, who, photos))
    assert (why["reason"], why["statement"], why["missed"]) == ("no-policy", None, [])
    assert why["identity"]["user"] == who.access_key
    assert (why["action"], why["resource"]) == ("s3:GetObject", f"arn:aws:s3:::{photos}/key")
    assert why["context"]["aws:SourceIp"] == ["127.0.0.1"]
    assert who.access_key in why["summary"]
    assert why["grants"][0]["policy"] == policy(allow("s3:GetObject", f"{photos}/key"))
    assert (why["policiesChanged"], why["now"]["allowed"]) == (False, False)


def test_no_statement_allows_it(bench: Bench, photos: str) -> None:
    who = bench.user(allow("s3:PutObject", f"{photos}/*"), allow("s3:GetObject", "other/*", Sid="Other"))
    why = bench.why(get(bench, who, photos))
    assert why["reason"] == "no-allow"
    (missed,) = why["missed"]
    assert (missed["why"], missed["statement"]["sid"], missed["statement"]["index"]) == ("resource", "Other", 1)
    assert missed["statement"]["policy"] == bench.names[who.access_key]


def test_a_condition_fails_and_with_which_value(bench: Bench, photos: str) -> None:
    who = bench.user(allow("s3:GetObject", f"{photos}/*", Condition={**HERE, "Bool": {"aws:SecureTransport": "true"}}))
    why = bench.why(get(bench, who, photos))
    (missed,) = why["missed"]
    assert missed["why"] == "condition"
    assert missed["tests"] == [
        {"key": "aws:SecureTransport", "operator": "Bool", "expected": ["true"], "actual": ["false"], "held": False}
    ]


def test_a_key_that_a_condition_asks_for_is_not_there(bench: Bench, photos: str) -> None:
    who = bench.user(allow("s3:GetObject", f"{photos}/*", Condition={"StringLike": {"aws:Referer": "https://x/*"}}))
    (missed,) = bench.why(get(bench, who, photos))["missed"]
    assert missed["tests"][0]["actual"] is None


def test_tags_of_the_object_count(bench: Bench, photos: str) -> None:
    """A13: they are loaded, and told."""
    bench.ask(ROOT, "PUT", f"/{photos}/tagged", headers={"x-amz-tagging": "class=secret"})
    tag = {"StringEquals": {"s3:ExistingObjectTag/class": "open"}}
    who = bench.user(allow("s3:GetObject", f"{photos}/*", Condition=tag))
    (missed,) = bench.why(get(bench, who, photos, "tagged"))["missed"]
    assert missed["tests"][0]["actual"] == ["secret"]


def test_the_identity_is_denied_explicitly(bench: Bench, photos: str) -> None:
    who = bench.user(allow("s3:*", "*"), deny("s3:Get*", f"{photos}/*", Sid="NoReading", Condition=HERE))
    why = bench.why(get(bench, who, photos))
    assert why["reason"] == "explicit-deny"
    assert (why["statement"]["side"], why["statement"]["sid"], why["statement"]["index"]) == (
        "identity",
        "NoReading",
        1,
    )
    assert [(one["key"], one["actual"], one["held"]) for one in why["conditions"]] == [
        ("aws:SourceIp", ["127.0.0.1"], True)
    ]
    assert why["grants"] == []


def test_the_policy_of_the_bucket_denies(bench: Bench) -> None:
    bucket = bench.bucket(deny("s3:GetObject", "BUCKET/*", Sid="Closed", Principal="*"))
    why = bench.why(get(bench, bench.user(allow("s3:*", "*")), bucket))
    statement = why["statement"]
    assert (why["reason"], statement["side"], statement["policy"], statement["sid"]) == (
        "explicit-deny", "bucket", bucket, "Closed",
    )  # fmt: skip


def test_the_session_policy_denies_or_is_silent(bench: Bench, photos: str) -> None:
    """A01."""
    user = bench.user(allow("s3:*", "*")).access_key
    denied = bench.service(user, allow("s3:*", "*"), deny("s3:GetObject", "*", Sid="Not"))
    why = bench.why(get(bench, denied, photos))
    assert (why["reason"], why["statement"]["side"], why["statement"]["sid"]) == ("explicit-deny", "session", "Not")
    for silent in (bench.service(user, allow("s3:PutObject", "*")), bench.temporary(user, allow("s3:PutObject", "*"))):
        why = bench.why(get(bench, silent, photos))
        assert why["reason"] == "no-allow-session"
        assert [grant["side"] for grant in why["grants"]] == ["session"]
    assert [why["identity"][name] for name in ("user", "accessKey", "keyKind")] == [
        user,
        silent.access_key,
        "temporary",
    ]


def test_root_is_bound_by_a_session_policy_alone(bench: Bench, photos: str) -> None:
    why = bench.why(get(bench, bench.service("", allow("s3:PutObject", "*")), photos))
    assert (why["reason"], why["identity"]["type"]) == ("no-allow-session", "Account")


def test_across_accounts_the_side_that_is_missing_is_told(bench: Bench) -> None:
    number, their_root = bench.account()
    open_to_all = bench.bucket(allow("s3:GetObject", "BUCKET/*", Principal="*"))
    closed = bench.bucket()
    willing, unwilling = bench.user(allow("s3:*", "*"), account=number), bench.user(account=number)
    cases = [
        (willing, closed, "no-allow-bucket", ["bucket"]),
        (unwilling, open_to_all, "no-allow-identity", ["identity"]),
        (unwilling, closed, "no-allow", ["identity", "bucket"]),
        (their_root, closed, "no-allow-bucket", ["bucket"]),
    ]
    for who, bucket, reason, sides in cases:
        why = bench.why(get(bench, who, bucket))
        assert (why["reason"], [grant["side"] for grant in why["grants"]]) == (reason, sides), (reason, why)
        assert why["identity"]["account"] == number


def test_anonymous_callers(bench: Bench, photos: str) -> None:
    why = bench.why(get(bench, ANONYMOUS, photos))
    assert (why["identity"], [grant["side"] for grant in why["grants"]]) == ({"type": "Anonymous"}, ["bucket"])
    assert "Anonymous" in why["summary"]


def test_presigned_requests(bench: Bench, server: Server, photos: str) -> None:
    import boto3
    from botocore.config import Config

    condition = {"StringEquals": {"s3:authType": "REST-HEADER"}}
    who = bench.user(allow("s3:GetObject", f"{photos}/*", Condition=condition))
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    s3 = boto3.client(
        "s3", endpoint_url=server.url, region_name="us-east-1", config=config,
        aws_access_key_id=who.access_key, aws_secret_access_key=who.secret,
    )  # fmt: skip
    url = s3.generate_presigned_url("get_object", Params={"Bucket": photos, "Key": "key"})
    answer = urllib3.request("GET", url, retries=False)
    reply = Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)
    (missed,) = bench.why(reply)["missed"]
    assert missed["tests"][0]["actual"] == ["REST-QUERY-STRING"]
    text = json.dumps(bench.explain(reply))
    assert url.partition("X-Amz-Signature=")[2][:64] not in text and SECRET not in text


def test_every_key_of_a_batch_and_the_source_of_a_copy(bench: Bench, photos: str) -> None:
    """A15, A18."""
    who = bench.user(allow("s3:DeleteObject", f"{photos}/mine/*"), allow("s3:PutObject", f"{photos}/*"))
    keys = "".join(f"<Object><Key>{key}</Key></Object>" for key in ("mine/a", "theirs/b", "theirs/c"))
    body = f"<Delete>{keys}</Delete>".encode()
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    reply = bench.ask(who, "POST", f"/{photos}", {"delete": ""}, body=body, headers={"content-md5": digest})
    assert reply.status == 200
    refused = [one["resource"].rpartition(":")[2] for one in bench.explain(reply)]
    assert refused == [f"{photos}/theirs/b", f"{photos}/theirs/c"]
    reply = bench.ask(who, "PUT", f"/{photos}/copy", headers={"x-amz-copy-source": f"/{photos}/key"})
    assert bench.why(reply)["resource"] == f"arn:aws:s3:::{photos}/key"


def test_listing_buckets(bench: Bench) -> None:
    why = bench.why(bench.ask(bench.user(allow("s3:GetObject", "nothing/*")), "GET", "/"))
    assert (why["action"], why["resource"], why["reason"]) == ("s3:ListAllMyBuckets", "", "no-allow")


def test_calls_of_the_admin_api(bench: Bench) -> None:
    """Each of the actions would do, so each is told."""
    who = bench.user(allow("s3:*", "*"))
    why = bench.why(bench.call("GET", "list-users", who=who))
    assert (why["surface"], why["call"], why["action"]) == ("admin", "ListUsers", "admin:ListUsers")
    actions = [one["action"] for one in bench.explain(bench.call("GET", "pools/list", who=who))]
    assert actions == ["admin:ServerInfo", "admin:Decommission"]


def test_what_no_policy_decided(bench: Bench, photos: str) -> None:
    who = bench.user(allow("s3:*", "*"))
    wrong = bench.why(get(bench, Issued(who.access_key, "another-secret"), photos))
    assert (wrong["code"], wrong["claims"]["user"]) == ("SignatureDoesNotMatch", who.access_key)
    unknown = bench.why(get(bench, Issued("SOMETHING-SECRET", "another-secret"), photos))
    assert unknown["code"] == "InvalidAccessKeyId"
    assert "SOMETHING-SECRET" not in json.dumps(unknown), "what is no access key may be a secret"
    bench.operator.do(lambda i: i.users.set_enabled(MAIN, who.access_key, False))
    assert bench.why(get(bench, who, photos))["claims"]["user"] == who.access_key
    assert bench.simulate(who, "s3:GetObject", f"{photos}/key")["reason"] == "key-disabled"


def test_an_account_that_is_disabled(bench: Bench) -> None:
    number, their_root = bench.account()
    bucket = bench.bucket(owner=their_root)
    bench.operator.do(lambda i: i.accounts.update(number, disabled=True))
    assert bench.why(get(bench, their_root, bucket))["claims"]["account"] == number


# -- afterwards --------------------------------------------------------------------------------------------


def test_a_denial_is_explained_though_the_policies_changed_since(bench: Bench, photos: str) -> None:
    who = bench.user(allow("s3:GetObject", f"{photos}/*", Condition=ELSEWHERE))
    reply = get(bench, who, photos)
    before = bench.why(reply)
    assert not before["policiesChanged"]
    bench.put_policy(bench.names[who.access_key], allow("s3:GetObject", f"{photos}/*"))
    after = bench.why(reply)
    assert after["missed"] == before["missed"] and after["missed"][0]["tests"][0]["actual"] == ["127.0.0.1"]
    assert (after["policiesChanged"], after["now"]["allowed"]) == (True, True)
    bench.operator.do(lambda i: i.users.remove(MAIN, who.access_key))
    gone = bench.why(reply)
    assert (gone["policiesChanged"], gone["now"], gone["missed"]) == (True, None, before["missed"])


def test_any_worker_tells_what_another_denied(server: Server, bench: Bench, photos: str) -> None:
    who = bench.user()
    for asked in (0, 1):
        with server.client_of(asked) as client:
            reply = Bench(server, client, bench.operator).ask(who, "GET", f"/{photos}/key")
        for teller in (0, 1):
            with server.client_of(teller) as client:
                told = Bench(server, client, bench.operator)
                assert told.why(reply)["reason"] == "no-policy"
                recording = told.told("GET", "sos/explain", {"requestId": "0"})["recording"]
    assert [one["worker"] for one in recording] == [0, 1]
    assert all(one["since"] and one["droppedDenials"] == 0 for one in recording)


# -- who may ask -------------------------------------------------------------------------------------------


def test_who_was_denied_is_told_nothing(bench: Bench, photos: str) -> None:
    """A04."""
    who = bench.user(allow("s3:*", "*"), deny("s3:GetObject", f"{photos}/*", Sid="Hidden"))
    reply = get(bench, who, photos)
    assert b"Hidden" not in reply.body
    query = {"requestId": reply.headers["x-amz-request-id"]}
    for path, method, made in (
        ("sos/explain", "GET", None),
        (
            "sos/policy/simulate",
            "POST",
            {"user": who.access_key, "action": "s3:GetObject", "resource": f"{photos}/key"},
        ),
        ("sos/policy/replay", "POST", {"policy": policy(allow("s3:*", "*")), "user": who.access_key}),
    ):
        for caller in (who, bench.service(who.access_key), ANONYMOUS):
            refused = bench.call(method, path, query if method == "GET" else None, made, caller)
            assert refused.status == 403, path
            assert b"Hidden" not in refused.body
    allowed = bench.user(allow("admin:ExplainDecision"))
    assert bench.explain(reply, allowed)[0]["statement"]["sid"] == "Hidden"
    assert bench.explain(reply, bench.user(attach="consoleAdmin"))[0]["statement"]["sid"] == "Hidden"


def test_an_account_sees_its_own_alone(bench: Bench) -> None:
    number, their_root = bench.account()
    _, other_root = bench.account()
    secret = deny("s3:GetObject", "BUCKET/*", Sid="TheirRule", Principal="*", Condition=HERE)
    bucket = bench.bucket(secret)
    theirs = get(bench, bench.user(allow("s3:*", "*"), account=number), bucket)
    ours = get(bench, bench.user(allow("s3:*", "*")), bucket)
    anonymous = get(bench, ANONYMOUS, bucket)
    (whole,) = bench.explain(theirs)
    assert whole["statement"]["sid"] == "TheirRule"
    (part,) = bench.explain(theirs, their_root)
    assert (part["reason"], part["statement"]["side"], part["conditions"]) == ("explicit-deny", "bucket", [])
    assert "TheirRule" not in json.dumps(part), "the policy of another account's bucket"
    for reply in (theirs, ours, anonymous):
        assert bench.explain(reply, other_root) == []
    assert bench.explain(ours, their_root) == bench.explain(anonymous, their_root) == []
    in_main = bench.user(allow("admin:*"))
    assert bench.explain(theirs, in_main) == [], "a user of the first account is not root"
    assert bench.explain(anonymous, in_main)[0]["statement"]["sid"] == "TheirRule", "the bucket is its account's"
    narrowed = bench.told("GET", "sos/explain", {"requestId": ours.headers["x-amz-request-id"], "account": number})
    assert narrowed["denials"] == []


@pytest.mark.parametrize("request_id", ["", "x" * 65, "ü", "a\nb"])
def test_what_is_no_request_id(bench: Bench, request_id: str) -> None:
    assert bench.call("GET", "sos/explain", {"requestId": request_id}).status == 400


def test_an_unknown_request(bench: Bench) -> None:
    assert bench.told("GET", "sos/explain", {"requestId": "0000000000000000"})["denials"] == []
    assert bench.call("GET", "sos/explain").status == 426


# -- the smallest grant ------------------------------------------------------------------------------------

KEYS = ("key", "a/b/c", "with space", "ünï", "star*", "what?", "${aws:username}", "$", "a//b", "\U0001f600", "x" * 300)
ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketPolicy", "s3:*")
REQUESTS = (
    ("GET", "/{bucket}/{key}", {}),
    ("PUT", "/{bucket}/{key}", {}),
    ("DELETE", "/{bucket}/{key}", {}),
    ("GET", "/{bucket}", {"list-type": "2", "prefix": "a/"}),
    ("GET", "/{bucket}", {"policy": ""}),
    ("GET", "/", {}),
    ("GET", "/minio/admin/v3/list-users", {}),
    ("GET", "/minio/admin/v3/info", {}),
    ("GET", "/minio/admin/v3/get-bucket-quota", {"bucket": "{bucket}"}),
)
CONDITIONS: tuple[dict[str, Any], ...] = (
    {"Condition": ELSEWHERE},
    {"Condition": {"StringEquals": {"aws:username": "nobody"}}},
    {"Condition": {"DateLessThan": {"aws:CurrentTime": "2001-01-01T00:00:00Z"}}},
)


def _fruitless(rng: random.Random, bucket: str) -> list[dict[str, Any]]:
    """Statements that allow something else, or never."""
    made = []
    for _ in range(rng.randrange(3)):
        action = rng.choice(ACTIONS)
        if rng.random() < 0.5:
            made.append(allow(action, "elsewhere/*", "elsewhere"))
        else:
            made.append(allow(action, f"{bucket}/*", bucket, **rng.choice(CONDITIONS)))
    return made


@pytest.mark.parametrize("seed", range(24))
def test_with_the_smallest_grant_the_same_request_passes(bench: Bench, seed: int) -> None:
    """Whoever asks, for whatever: the grants, applied, are enough; and with one of them missing they are not."""
    rng = random.Random(seed)
    account, owner = (MAIN, ROOT) if rng.random() < 0.6 else bench.account()
    bucket = bench.bucket(owner=ROOT if rng.random() < 0.7 else owner)
    owned_by = ROOT if get(bench, owner, bucket).status == 403 or owner is ROOT else owner
    user = bench.user(*_fruitless(rng, bucket), account=account)
    kind = rng.choice(("user", "service", "session", "anonymous"))
    who = {
        "user": lambda: user,
        "service": lambda: bench.service(user.access_key, account=account),
        "session": lambda: bench.service(user.access_key, allow("s3:GetObject", "elsewhere/*"), account=account),
        "anonymous": lambda: ANONYMOUS,
    }[kind]()
    method, path, query = rng.choice(REQUESTS[:5] if kind == "anonymous" or account != MAIN else REQUESTS)
    path = path.format(bucket=bucket, key=rng.choice(KEYS))
    query = {name: value.format(bucket=bucket) for name, value in query.items()}

    def again() -> Reply:
        return bench.ask(who, method, path, query)

    reply = again()
    assert reply.status == 403, (kind, path)
    grants = bench.why(reply)["grants"]
    assert grants, (kind, path)
    for grant in grants:
        assert again().status == 403, "each of them is needed"
        _apply(bench, grant, user, who, bucket, account, owned_by)
    assert again().status != 403, (kind, path, grants, bench.explain(again()))
    assert bench.ask(who, "DELETE", "/another-bucket/key").status == 403, "and for nothing else"


def _apply(
    bench: Bench, grant: dict[str, Any], user: Issued, who: Issued, bucket: str, account: str, owner: Issued
) -> None:
    if grant["side"] == "identity":
        name = bench.put_policy(bench.name("grant"), *grant["policy"]["Statement"], account=account)
        bench.attach(name, user.access_key, account)
    elif grant["side"] == "bucket":
        bench.set_bucket_policy(bucket, grant["policy"], owner)
    else:
        wider = document(allow("s3:GetObject", "elsewhere/*"), *grant["policy"]["Statement"])
        bench.operator.do(lambda i: i.access_keys.update(who.access_key, ServiceUpdate(policy=wider)))
