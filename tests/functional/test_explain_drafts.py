"""The simulator answers as the server does, whoever asks for whatever; a replay finds precisely the requests that change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sos.services.identity.access_keys import Issued
from tests.kit.decisions import ANONYMOUS, MAIN, ROOT, Bench, allow, deny, policy
from tests.kit.server import USER, Server

HERE = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
CONTEXT = {"aws:SourceIp": "127.0.0.1", "aws:SecureTransport": "false"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of its own: everybody may list some of its buckets, and its requests are counted."""
    with Server(tmp_path_factory.mktemp("drafts")) as running:
        yield running


# -- the simulator and the server --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def buckets(bench: Bench) -> dict[str, str]:
    _, theirs = bench.account()
    everyone = {"Principal": "*"}
    return {
        "plain": bench.bucket(),
        "public": bench.bucket(
            allow("s3:GetObject", "BUCKET/*", **everyone), allow("s3:ListBucket", "BUCKET", **everyone)
        ),
        "closed": bench.bucket(deny("s3:*", "BUCKET/*", "BUCKET", Sid="Closed", **everyone)),
        "theirs": bench.bucket(owner=theirs),
        "shared": bench.bucket(allow("s3:GetObject s3:PutObject", "BUCKET/*", **everyone), owner=theirs),
        "absent": "there-is-no-such-bucket",
    }


@pytest.fixture(scope="module")
def people(bench: Bench, buckets: dict[str, str]) -> dict[str, Issued]:
    own = f"{buckets['plain']}/*"
    other, other_root = bench.account()
    mixed = bench.user(allow("s3:*", own, Condition=HERE), deny("s3:DeleteObject", "*"))
    paths = bench.user(allow("s3:ListBucket", "*", Condition={"StringLike": {"s3:prefix": "home/${aws:username}/*"}}))
    return {
        "root": ROOT,
        "anonymous": ANONYMOUS,
        "none": bench.user(),
        "readonly": bench.user(attach="readonly"),
        "readwrite": bench.user(attach="readwrite"),
        "console": bench.user(attach="consoleAdmin"),
        "mixed": mixed,
        "paths": paths,
        "child": bench.service(mixed.access_key),
        "narrow": bench.service(mixed.access_key, allow("s3:GetObject", "*")),
        "temporary": bench.temporary(mixed.access_key, deny("s3:GetObject", own), allow("s3:*", "*")),
        "child of root": bench.service("", allow("s3:GetObject s3:ListBucket", "*")),
        "other root": other_root,
        "other user": bench.user(allow("s3:*", "*"), account=other),
        "other unwilling": bench.user(account=other),
    }


REQUESTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "s3:GetObject": ("GET", "/{bucket}/key", {}),
    "s3:PutObject": ("PUT", "/{bucket}/new", {}),
    "s3:DeleteObject": ("DELETE", "/{bucket}/nothing", {}),
    "s3:GetObjectVersion": ("GET", "/{bucket}/key", {"versionId": "null"}),
    "s3:ListBucket": ("GET", "/{bucket}", {"list-type": "2", "prefix": "home/x/"}),
    "s3:GetBucketPolicy": ("GET", "/{bucket}", {"policy": ""}),
    "s3:GetBucketLocation": ("GET", "/{bucket}", {"location": ""}),
    "s3:CreateBucket": ("PUT", "/{bucket}", {}),
}
ADMIN = {
    "admin:ListUsers": "list-users",
    "admin:ServerInfo": "info",
    "admin:StorageInfo": "storageinfo",
    "admin:ListUserPolicies": "list-canned-policies",
}


@pytest.mark.parametrize("action", REQUESTS)
def test_the_simulator_answers_as_the_server_does(
    bench: Bench, people: dict[str, Issued], buckets: dict[str, str], action: str
) -> None:
    method, path, query = REQUESTS[action]
    outcomes = set()
    for who, keys in people.items():
        for kind, bucket in buckets.items():
            if action == "s3:CreateBucket" and kind == "absent":
                continue  # would make it
            resource = path.format(bucket=bucket)[1:]
            context = {**CONTEXT, "s3:prefix": query["prefix"]} if "prefix" in query else CONTEXT
            told = bench.simulate(keys, action, resource, context=context)
            reply = bench.ask(keys, method, f"/{resource}", query)
            assert told["allowed"] is (reply.status != 403), (who, kind, reply.status, reply.body, told)
            outcomes.add(told["allowed"])
            if reply.status == 403 and reply.body:
                why = bench.why(reply)
                same = ("reason", "summary", "statement", "missed", "grants")
                assert [told[name] for name in same] == [why[name] for name in same], (who, kind)
    assert outcomes == {True, False}


@pytest.mark.parametrize("action", ADMIN)
def test_and_for_calls_of_the_admin_api(bench: Bench, people: dict[str, Issued], action: str) -> None:
    for who, keys in people.items():
        reply = bench.call("GET", ADMIN[action], who=keys)
        told = bench.simulate(keys, action, context=CONTEXT)
        assert told["allowed"] is (reply.status == 200), (who, reply.status, told)


def test_nothing_is_done_and_nothing_is_remembered(bench: Bench, buckets: dict[str, str]) -> None:
    plain = buckets["plain"]
    assert bench.simulate(ROOT, "s3:DeleteObject", f"{plain}/key")["allowed"]
    assert bench.simulate(ROOT, "s3:CreateBucket", "made-by-nobody")["allowed"]
    assert bench.ask(ROOT, "GET", f"/{plain}/key").status == 200
    assert bench.ask(ROOT, "HEAD", "/made-by-nobody").status == 404


def test_what_policies_ask_for_and_nobody_gave(
    bench: Bench, people: dict[str, Issued], buckets: dict[str, str]
) -> None:
    told = bench.simulate(people["mixed"], "s3:GetObject", f"{buckets['plain']}/key")
    assert (told["allowed"], told["notGiven"]) == (False, ["aws:SourceIp"])
    told = bench.simulate(
        people["mixed"], "s3:GetObject", f"{buckets['plain']}/key", context={"AWS:sourceip": "127.9.9.9"}
    )
    assert (told["allowed"], told["notGiven"]) == (True, [])


def test_own_keys(bench: Bench, people: dict[str, Issued]) -> None:
    reader = people["readonly"]
    assert not bench.simulate(reader, "admin:CreateServiceAccount")["allowed"]
    assert bench.simulate(reader, "admin:CreateServiceAccount", own=True)["reason"] == "not-forbidden"


def test_drafts(bench: Bench, buckets: dict[str, str]) -> None:
    plain = buckets["plain"]
    who = bench.user(allow("s3:GetObject", f"{plain}/*"))
    name = bench.names[who.access_key]
    wider, silent = policy(allow("s3:PutObject", f"{plain}/*")), policy(allow("s3:GetObject", "elsewhere/*"))

    def allowed(action: str, **draft: Any) -> bool:
        return bool(bench.simulate(who, action, f"{plain}/key", **draft)["allowed"])

    assert (allowed("s3:GetObject"), allowed("s3:PutObject")) == (True, False)
    assert allowed("s3:PutObject", policy=wider) and allowed("s3:GetObject", policy=wider)
    assert allowed("s3:PutObject", policy=wider, insteadOf=name) and not allowed(
        "s3:GetObject", policy=wider, insteadOf=name
    )
    assert allowed("s3:GetObject", policy=silent, insteadOf="not-attached")
    shut = policy(deny("s3:GetObject", f"{plain}/*", Principal="*"))
    assert not allowed("s3:GetObject", policy=shut, bucket=plain)
    assert allowed(
        "s3:GetObject", policy=policy(deny("s3:*", f"{buckets['public']}/*", Principal="*")), bucket=buckets["public"]
    )
    assert (allowed("s3:GetObject"), allowed("s3:PutObject")) == (True, False), "a draft is nowhere in force"


def test_an_account_asks_about_its_own(bench: Bench, buckets: dict[str, str]) -> None:
    number, their_root = bench.account()
    theirs, ours = bench.user(attach="readwrite", account=number), bench.user(attach="readwrite")
    bucket = bench.bucket(owner=their_root)
    assert bench.simulate(theirs, "s3:GetObject", f"{bucket}/key", as_=their_root)["allowed"]
    question = {"action": "s3:GetObject", "resource": f"{bucket}/key"}
    for asked in ({"user": ours.access_key}, {"user": "nobody-at-all"}):
        assert bench.call("POST", "sos/policy/simulate", made={**asked, **question}, who=their_root).status == 404
    foreign = {"user": theirs.access_key, **question, "resource": f"{buckets['public']}/key"}
    assert bench.call("POST", "sos/policy/simulate", made=foreign, who=their_root).status == 403, (
        "not its policy to try"
    )
    draft = {"policy": policy(deny("s3:*", f"{buckets['plain']}/*", Principal="*")), "bucket": buckets["plain"]}
    assert bench.call("POST", "sos/policy/replay", made=draft, who=their_root).status == 404


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"user": "a", "anonymous": True, "action": "s3:GetObject", "resource": "b/k"},
        {"anonymous": True, "action": "s3:Nonsense", "resource": "b/k"},
        {"anonymous": True, "action": "s3:Get*", "resource": "b/k"},
        {"anonymous": True, "action": "s3:GetObject", "resource": "b"},
        {"anonymous": True, "action": "s3:ListBucket", "resource": "b/k"},
        {"anonymous": True, "action": "s3:ListAllMyBuckets", "resource": "b"},
        {"anonymous": True, "action": "s3:GetObject", "resource": ""},
        {"anonymous": True, "action": "s3:GetObject", "resource": "arn:aws:sqs:::b/k"},
        {"anonymous": True, "action": "s3:GetObject", "resource": "b/k", "context": {"aws:Nonsense": "1"}},
        {"anonymous": True, "action": "s3:GetObject", "resource": "b/k", "context": {"aws:SourceIp": 7}},
        {"anonymous": True, "action": "s3:GetObject", "resource": "b/k", "policy": {"Statement": []}},
        {"anonymous": True, "action": "s3:GetObject", "resource": "b/k", "policy": "text"},
        {"anonymous": True, "action": "s3:GetObject", "resource": "b/k", "insteadOf": "x"},
        {"anonymous": True, "action": "s3:GetObject", "resource": "b/k", "unknown": 1},
        [],
        "text",
    ],
)
def test_what_is_no_question(bench: Bench, question: Any) -> None:
    assert bench.call("POST", "sos/policy/simulate", made=question).status == 400


@pytest.mark.parametrize(
    ("draft", "status"),
    [
        ({}, 400),
        ({"policy": policy(allow("s3:*", "*"))}, 400),
        ({"user": USER}, 400),
        ({"policy": policy(allow("s3:*", "*")), "user": "nobody-at-all"}, 404),
        ({"policy": policy(allow("s3:*", "*")), "group": "nobodies"}, 404),
        ({"policy": policy(allow("s3:*", "*")), "insteadOf": "no-such-policy"}, 404),
        ({"policy": policy(allow("s3:*", "x/*", Principal="*")), "bucket": "x"}, 404),
        ({"policy": policy(allow("s3:*", "x/*", Principal="*")), "bucket": "y"}, 400),
        ({"policy": policy({"Effect": "Perhaps"}), "insteadOf": "readonly"}, 400),
    ],
)
def test_what_is_no_draft(bench: Bench, draft: Any, status: int) -> None:
    assert bench.call("POST", "sos/policy/replay", made=draft).status == status


# -- replay ------------------------------------------------------------------------------------------------


def _brief(changes: list[dict[str, Any]]) -> set[tuple[str, str, str, str, int]]:
    return {
        (one["action"], one["resource"].rpartition("/")[2], one["now"], one["draft"], one["requests"])
        for one in changes
    }


def test_a_replay_finds_precisely_the_requests_that_change(server: Server, bench: Bench) -> None:
    bucket = bench.bucket()
    for key in ("a", "b", "c"):
        bench.ask(ROOT, "PUT", f"/{bucket}/{key}", body=b"x")
    who, other = bench.user(allow("s3:GetObject", f"{bucket}/*")), bench.user(allow("s3:GetObject", f"{bucket}/*"))
    refused = []
    for slot in (0, 1):  # what both workers remember counts together
        with server.client_of(slot) as client:
            there = Bench(server, client, bench.operator)
            for keys in (who, other):
                for key in ("a", "a", "b"):
                    assert there.ask(keys, "GET", f"/{bucket}/{key}").status == 200
                reply = there.ask(keys, "PUT", f"/{bucket}/c", body=b"")
                assert reply.status == 403
                refused += [reply.headers["x-amz-request-id"]] if keys is who else []
                assert there.ask(keys, "DELETE", f"/{bucket}/c").status == 403
    draft = policy(allow("s3:GetObject s3:PutObject", f"{bucket}/a", f"{bucket}/c"))
    told = bench.replay(draft, insteadOf=bench.names[who.access_key])
    assert _brief(told["changes"]) == {
        ("s3:GetObject", "b", "allowed", "denied", 2),
        ("s3:PutObject", "c", "denied", "allowed", 2),
    }
    assert told["changed"] == 4 and told["unsureChanges"] == []
    assert {one["identity"]["user"] for one in told["changes"]} == {who.access_key}
    (granted,) = [one for one in told["changes"] if one["draft"] == "allowed"]
    assert sorted(granted["requestIds"]) == sorted(refused)
    assert told["requests"] == sum(told[kind] for kind in ("changed", "unchanged", "unsure", "gone"))
    assert bench.replay(policy(allow("s3:PutObject", f"{bucket}/*")), user=other.access_key)["changed"] == 2
    assert bench.replay(policy(deny("s3:GetObject", f"{bucket}/a")), user=who.access_key)["changed"] == 4
    assert (
        bench.replay(policy(allow("s3:GetObject", f"{bucket}/*")), insteadOf=bench.names[who.access_key])["changed"]
        == 0
    )
    assert bench.ask(who, "GET", f"/{bucket}/b").status == 200, "a draft is nowhere in force"


def test_a_draft_of_a_bucket_concerns_all_who_use_it(bench: Bench) -> None:
    bucket = bench.bucket()
    reader = bench.user(attach="readonly")
    assert bench.ask(reader, "GET", f"/{bucket}/key").status == 200
    assert bench.ask(ANONYMOUS, "GET", f"/{bucket}/key").status == 403
    told = bench.replay(policy(allow("s3:GetObject", f"{bucket}/*", Principal="*")), bucket=bucket)
    assert [(one["identity"]["type"], one["draft"]) for one in told["changes"]] == [("Anonymous", "allowed")]
    told = bench.replay(policy(deny("s3:GetObject", f"{bucket}/*", Principal="*")), bucket=bucket)
    assert [(one["identity"]["user"], one["draft"]) for one in told["changes"]] == [(reader.access_key, "denied")]
    assert "denies it" in told["changes"][0]["why"]


def test_the_children_of_a_user_are_concerned_and_bound(bench: Bench) -> None:
    bucket = bench.bucket()
    user = bench.user(allow("s3:GetObject", f"{bucket}/*"))
    free = bench.service(user.access_key)
    bound = bench.temporary(user.access_key, allow("s3:GetObject", f"{bucket}/*"))
    for keys in (free, bound):
        assert bench.ask(keys, "PUT", f"/{bucket}/x", body=b"").status == 403
    told = bench.replay(policy(allow("s3:PutObject", f"{bucket}/*")), user=user.access_key)
    assert [one["identity"]["accessKey"] for one in told["changes"]] == [free.access_key]


def test_conditions_are_decided_by_what_was_recorded(bench: Bench) -> None:
    bucket = bench.bucket()
    user = bench.user(allow("s3:GetObject s3:ListBucket", f"{bucket}/*", bucket))
    for prefix in ("one/", "two/", ""):
        assert bench.ask(user, "GET", f"/{bucket}", {"list-type": "2", "prefix": prefix}).status == 200
    assert bench.ask(user, "GET", f"/{bucket}/key", headers={"user-agent": "agent/1"}).status == 200
    name = bench.names[user.access_key]
    only = allow("s3:ListBucket", bucket, Condition={"StringEquals": {"s3:prefix": "one/"}})
    told = bench.replay(policy(allow("s3:GetObject", f"{bucket}/*", Condition=HERE), only), insteadOf=name)
    assert sorted(one["context"]["s3:prefix"] for one in told["changes"]) == [[""], ["two/"]]
    agent = {"StringLike": {"aws:UserAgent": "agent/*"}}
    told = bench.replay(
        policy(allow("s3:GetObject", f"{bucket}/*", Condition=agent), allow("s3:ListBucket", bucket)), insteadOf=name
    )
    assert (told["changes"], told["changed"]) == ([], 0), "nothing is claimed of what was not recorded"
    assert [(one["action"], one["notRecorded"]) for one in told["unsureChanges"]] == [
        ("s3:GetObject", ["aws:UserAgent"])
    ]


def test_what_was_not_recorded_matters_only_where_it_could_turn_the_decision(bench: Bench) -> None:
    bucket = bench.bucket()
    user = bench.user(allow("s3:GetObject", f"{bucket}/*"))
    assert bench.ask(user, "GET", f"/{bucket}/key").status == 200
    assert bench.ask(user, "PUT", f"/{bucket}/key", body=b"").status == 403
    agent = {"Condition": {"StringLike": {"aws:UserAgent": "agent/*"}}}

    def told(*statements: Any) -> tuple[int, list[str]]:
        answer = bench.replay(policy(*statements), insteadOf=bench.names[user.access_key])
        return answer["changed"], [one["action"] for one in answer["unsureChanges"]]

    plain = allow("s3:GetObject", f"{bucket}/*")
    assert told(plain, allow("s3:GetObject", f"{bucket}/*", **agent)) == (0, [])
    assert told(plain, deny("s3:GetObject", f"{bucket}/*", **agent)) == (0, ["s3:GetObject"])
    assert told(plain, deny("s3:GetObject", f"{bucket}/*"), allow("s3:GetObject", f"{bucket}/*", **agent)) == (1, [])
    assert told(plain, deny("s3:GetObject", f"{bucket}/other/*", **agent)) == (0, [])
    assert told(plain, allow("s3:PutObject", f"{bucket}/*", **agent)) == (0, []), "of a denial all is recorded"


def test_what_is_gone_and_what_changed_already(bench: Bench) -> None:
    bucket = bench.bucket()
    leaver, user = bench.user(attach="readonly"), bench.user(allow("s3:GetObject", f"{bucket}/*"))
    for keys in (leaver, user):
        assert bench.ask(keys, "GET", f"/{bucket}/key").status == 200
    before = bench.replay(policy(allow("s3:GetObject", "nothing/*")), user=user.access_key)
    assert before["changed"] == 0
    bench.operator.do(lambda i: i.users.remove(MAIN, leaver.access_key))
    bench.put_policy(bench.names[user.access_key], allow("s3:GetObject", "elsewhere/*"))
    told = bench.replay(policy(allow("s3:GetObject", f"{bucket}/*")), user=user.access_key)
    assert leaver.access_key in told["identitiesGone"] and told["gone"] == before["gone"] + 1
    assert told["drifted"] == before["drifted"] + 1
    assert [(one["recorded"], one["now"], one["draft"]) for one in told["changes"]] == [
        ("allowed", "denied", "allowed")
    ]


def test_an_account_replays_its_own_requests(bench: Bench) -> None:
    number, their_root = bench.account()
    bucket = bench.bucket(owner=their_root)
    assert bench.ask(bench.user(attach="readonly", account=number), "GET", f"/{bucket}/key").status == 200
    told = bench.replay(policy(deny("s3:GetObject", f"{bucket}/*", Principal="*")), as_=their_root, bucket=bucket)
    assert told["changed"] == 1
    # bucket and object made by its root, the GET, and this very call
    assert told["requests"] == 4
    everything = bench.replay(policy(deny("s3:GetObject", f"{bucket}/*", Principal="*")), bucket=bucket)
    assert everything["changed"] == 1 and everything["requests"] > 3
