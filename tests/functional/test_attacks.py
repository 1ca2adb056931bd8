"""What somebody with few rights tries in order to have more, to learn more, or to stop a worker."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import io
import json
import threading
import zipfile
from typing import Any
from unittest.mock import AsyncMock, Mock
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from sos.admin.handlers import transfer_iam
from sos.domain.errors import BadDocument
from tests.functional.test_posting import BOUNDARY, Fields, form, signed
from tests.functional.test_presigned import hoisted
from tests.kit.admin_wire import AdminWire
from tests.kit.identities import MAIN
from tests.kit.server import Client, Reply, Server
from tests.kit.sts import SECRET, client


def statement(actions: str, resource: str = "", **more: Any) -> dict[str, Any]:
    named = {"Resource": [f"arn:aws:s3:::{resource}"]} if resource else {}
    return {"Effect": "Allow", "Action": actions.split(), **named, **more}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def user(root: AdminWire, name: str, *statements: dict[str, Any]) -> str:
    """A user of root's account with a policy of its own."""
    assert root.ask("PUT add-user", {"secretKey": SECRET}, sealed=True, accessKey=name).status == 200
    if statements:
        assert root.ask("PUT add-canned-policy", document(*statements), name=name).status == 200
        given = root.ask("PUT set-user-or-group-policy", policyName=name, userOrGroup=name, isGroup="false")
        assert given.status == 200
    return name


@pytest.fixture(scope="module")
def root(server: Server) -> AdminWire:
    return AdminWire(server)


# -- what a signature covers -------------------------------------------------------------------------------


def sent(url: str, method: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """A link as somebody uses it to whom it was given, with headers added."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request(method, f"{parts.path}?{parts.query}", headers=headers)
    reply = connection.getresponse()
    return reply.status, reply.read()


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_link_to_delete_one_thing_deletes_no_more(server: Server, s3: Any, bucket: str, version: str) -> None:
    """A header that makes another operation of a request must be signed, or cannot be sent with a link."""
    for key in ("tree", "tree/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"kept")
    signer, forced = client("s3", server, version=version), {"x-minio-force-delete": "true"}
    one = signer.generate_presigned_url("delete_object", Params={"Bucket": bucket, "Key": "tree"})
    all_ = signer.generate_presigned_url("delete_bucket", Params={"Bucket": bucket})
    assert [sent(url, "DELETE", forced)[0] for url in (one, all_)] == [403, 403]
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2
    assert sent(one, "DELETE", {})[0] == 204
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["tree/a"]


def test_a_forced_deletion_that_is_signed_goes_through(server: Server, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="tree/a", Body=b"gone")
    with server.client() as root:
        assert root.request("DELETE", f"/{bucket}/tree", headers={"x-minio-force-delete": "true"}).status == 204
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("added", ["policyStatus", "publicAccessBlock", "ownershipControls", "replication-check"])
def test_a_link_to_list_tells_nothing_else(server: Server, bucket: str, added: str) -> None:
    """Version 2 signs some names of the query only: others make no other operation of a link."""
    url = client("s3", server, version="s3").generate_presigned_url("list_objects", Params={"Bucket": bucket})
    assert sent(url, "GET", {})[0] == sent(f"{url}&list-type=2", "GET", {})[0] == 200
    status, body = sent(f"{url}&{added}", "GET", {})
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)


def test_a_signature_of_version_2_in_a_header_covers_what_is_asked_for(server: Server, bucket: str) -> None:
    old, new = (client("s3", server, version=version) for version in ("s3", "s3v4"))
    assert told(old.get_bucket_policy_status, Bucket=bucket) == "AccessDenied"
    assert new.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    assert old.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


# -- what conditions look at -------------------------------------------------------------------------------


def test_a_parameter_of_the_query_is_no_header(root: AdminWire, wire: Client, s3: Any, shared: str) -> None:
    """Conditions see what the handler does: nobody writes what he likes where only copies are allowed."""
    s3.put_object(Bucket=shared, Key="good/a", Body=b"good")
    source, only = f"{shared}/good/a", {"StringLike": {"s3:x-amz-copy-source": f"{shared}/good/*"}}
    user(
        root,
        "attacks-copier",
        statement("s3:PutObject", f"{shared}/copies/*", Condition=only),
        statement("s3:GetObject", f"{shared}/good/*"),
    )
    wire.be("attacks-copier", SECRET)
    assert wire.request("PUT", f"/{shared}/copies/a", None, b"bad").status == 403
    assert wire.request("PUT", f"/{shared}/copies/a", {"x-amz-copy-source": source}, b"bad").status == 403
    assert wire.request("PUT", f"/{shared}/copies/a", headers={"x-amz-copy-source": source}).status == 200
    assert s3.get_object(Bucket=shared, Key="copies/a")["Body"].read() == b"good"


def test_a_header_in_the_query_of_a_link_is_one_for_conditions_too(
    root: AdminWire, server: Server, s3: Any, shared: str
) -> None:
    """What handlers take for a header is one for policies, and what grants something is done."""
    name, only = "attacks-hoister", {"StringEquals": {"s3:x-amz-storage-class": "REDUCED_REDUNDANCY"}}
    user(root, name, statement("s3:PutObject", f"{shared}/*", Condition=only))
    for given, status in (({}, 403), ({"x_amz_storage_class": "STANDARD"}, 403), (
        {"x_amz_storage_class": "REDUCED_REDUNDANCY"}, 200,
    )):  # fmt: skip
        url = hoisted(server, "PUT", f"/{shared}/small", (name, SECRET), **given)
        assert sent(url, "PUT", {})[0] == status
    assert s3.head_object(Bucket=shared, Key="small")["StorageClass"] == "REDUCED_REDUNDANCY"


def post(server: Server, bucket: str, fields: Fields, headers: dict[str, str] | None = None, query: str = "") -> int:
    """A form as a browser sends it; the status."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    given = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **(headers or {})}
    connection.request("POST", f"/{bucket}{query}", form(fields, b"data"), given)
    return connection.getresponse().status


TAGGED = "<Tagging><TagSet><Tag><Key>class</Key><Value>secret</Value></Tag></TagSet></Tagging>"


@pytest.mark.parametrize(
    "field",
    [("x-amz-storage-class", "REDUCED_REDUNDANCY"), ("tagging", TAGGED), ("x-amz-tagging", "class=secret")],
)
def test_what_a_form_asks_for_is_held_against_policies(
    root: AdminWire, server: Server, s3: Any, shared: str, field: tuple[str, str]
) -> None:
    """A22: a Deny of a storage class or of a tag holds for the fields of a form as for headers."""
    name = user(
        root,
        f"attacks-forms-{field[0]}",
        statement("s3:PutObject", f"{shared}/forms/*"),
        *(
            statement("s3:PutObject", f"{shared}/*", Condition={"StringEquals": {key: value}}) | {"Effect": "Deny"}
            for key, value in (
                ("s3:x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ("s3:RequestObjectTag/class", "secret"),
            )
        ),
    )
    keys = {"access": name, "secret": SECRET}
    assert post(server, shared, signed(shared, [("key", "forms/a"), field], **keys)) == 403
    assert post(server, shared, signed(shared, [("key", "forms/a")], **keys)) == 204
    assert s3.head_object(Bucket=shared, Key="forms/a").get("TagCount") is None


def test_what_no_form_says_grants_nothing(root: AdminWire, server: Server, shared: str) -> None:
    """A22: a header or a parameter beside a form is covered by no signature."""
    name = user(
        root,
        "attacks-tagger",
        statement("s3:PutObject", f"{shared}/*", Condition={"StringEquals": {"s3:RequestObjectTag/class": "open"}}),
    )
    keys, field = {"access": name, "secret": SECRET}, [("key", "tagged")]
    for headers, query in (({"x-amz-tagging": "class=open"}, ""), ({}, "?x-amz-tagging=class%3Dopen")):
        assert post(server, shared, signed(shared, field, **keys), headers, query) == 403
    opened = [*field, ("tagging", TAGGED.replace("secret", "open"))]
    assert post(server, shared, signed(shared, opened, **keys)) == 204


# -- what is told ------------------------------------------------------------------------------------------


def deletion(wire: Client, bucket: str) -> Reply:
    body = b"<Delete><Object><Key>key</Key></Object></Delete>"
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    return wire.request("POST", f"/{bucket}", {"delete": ""}, body, {"content-md5": digest})


def test_who_may_delete_nothing_learns_of_no_bucket(root: AdminWire, wire: Client, shared: str) -> None:
    """A24: the reply is the same whether there is a bucket or not."""
    wire.be(user(root, "attacks-nobody"), SECRET)
    found, none = deletion(wire, shared), deletion(wire, "there-is-no-such-bucket")
    assert (found.status, found.code, none.status, none.code) == (200, "AccessDenied", 200, "AccessDenied")
    assert found.body == none.body


def test_a_name_that_changed_hands_tells_nothing_of_its_new_owner(
    root: AdminWire, server: Server, wire: Client
) -> None:
    """Who asks why a user was denied who is gone is not told what a user of the name in another account may do."""
    before, after = (AdminWire(server, f"attacks{name}", SECRET) for name in ("before", "after"))
    for one in (before, after):
        account = {"name": f"{one.access_key}-account", "accessKey": one.access_key, "secretKey": SECRET}
        assert root.ask("PUT add-account", account, sealed=True).status == 200
    wire.be(user(before, "attacks-moved", statement("s3:GetObject", "theirs/*")), SECRET)
    denied = wire.request("PUT", "/theirs-not/key", body=b"x").headers["x-amz-request-id"]
    assert before.ask("GET sos/explain", requestId=denied).json["denials"][0]["now"]["allowed"] is False
    assert before.ask("DELETE remove-user", accessKey="attacks-moved").status == 200
    user(after, "attacks-moved", statement("s3:*", "theirs-not/*"))
    assert before.ask("GET sos/explain", requestId=denied).json["denials"][0]["now"] is None


# -- keys ----------------------------------------------------------------------------------------------------


def test_a_bound_key_makes_bound_keys_in_other_accounts_too(root: AdminWire, server: Server) -> None:
    """A01: the deployment's root, bound to making keys, cannot make one that is free where it speaks for another."""
    account = {"name": "attacks-tenant", "accessKey": "attackstenant", "secretKey": SECRET}
    assert root.ask("PUT add-account", account, sealed=True).status == 200
    bound = {"policy": document(statement("admin:CreateServiceAccount"))}
    maker = made_of(server, root.ask("PUT add-service-account", bound, sealed=True).opened)
    free = made_of(server, root.ask("PUT add-service-account", {}, sealed=True, account="attacks-tenant").opened)
    assert free.ask("GET list-users").status == 200
    child = made_of(server, maker.ask("PUT add-service-account", {}, sealed=True, account="attacks-tenant").opened)
    assert child.ask("GET list-users").code == "AccessDenied"
    with server.client() as wire:
        assert wire.be(child.access_key, child.secret).request("GET", "/").status == 403


def test_nobody_names_a_key_as_a_policy_calls_somebody_else(
    root: AdminWire, server: Server, s3: Any, bucket: str
) -> None:
    """Principals without an account are users: a pattern, or the name of one who is gone, fits no key that a user made."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"data")
    user(root, "attacks-backup-1")
    granted = statement("s3:GetObject", f"{bucket}/*", Principal={"AWS": ["attacks-backup*", "attacks-gone"]})
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document(granted)))
    maker = AdminWire(server, user(root, "attacks-maker", statement("s3:GetObject", "nothing/*")), SECRET)
    for name in ("attacks-backup-2", "attacks-gone"):
        made = maker.ask("PUT add-service-account", {"accessKey": name, "secretKey": SECRET}, sealed=True)
        assert made.status == 200
    names = ("attacks-backup-1", "attacks-maker", "attacks-backup-2", "attacks-gone")
    with server.client() as wire:
        found = [wire.be(name, SECRET).request("GET", f"/{bucket}/key").status for name in names]
    assert found == [200, 403, 403, 403]


def told(call: Any, **arguments: Any) -> str:
    """The code with which something is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_who_only_writes_guesses_no_entity_tag(root: AdminWire, server: Server, s3: Any, shared: str) -> None:
    """AWS, "How to prevent object overwrites with conditional writes": If-Match needs s3:GetObject too."""
    name = user(root, "attacks-writer", statement("s3:PutObject s3:DeleteObject", f"{shared}/*"))
    guesser = client("s3", server, name, SECRET)
    etag = s3.put_object(Bucket=shared, Key="guessed", Body=b"secret")["ETag"]
    upload = guesser.create_multipart_upload(Bucket=shared, Key="guessed")["UploadId"]
    part = guesser.upload_part(Bucket=shared, Key="guessed", UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}}
    calls = (
        (guesser.put_object, {"Body": b"mine"}),
        (guesser.complete_multipart_upload, parts),
        (guesser.delete_object, {}),
    )
    for call, more in calls:
        for tag in (etag, '"0123456789abcdef0123456789abcdef"'):
            assert told(call, Bucket=shared, Key="guessed", IfMatch=tag, **more) == "AccessDenied"
    for tag in (etag, '"0123456789abcdef0123456789abcdef"'):
        assert told(guesser.put_object, Bucket=shared, Key="guessed", Body=b"x", IfNoneMatch=tag) == "AccessDenied"
        doomed = {"Objects": [{"Key": "guessed", "ETag": tag}]}
        errors = guesser.delete_objects(Bucket=shared, Delete=doomed)["Errors"]
        assert [one["Code"] for one in errors] == ["AccessDenied"]
    assert told(guesser.put_object, Bucket=shared, Key="guessed", Body=b"x", IfNoneMatch="*") == "PreconditionFailed"
    assert s3.get_object(Bucket=shared, Key="guessed")["Body"].read() == b"secret"
    guesser.put_object(Bucket=shared, Key="fresh", Body=b"x", IfNoneMatch="*")
    user(root, name, statement("s3:GetObject s3:PutObject", f"{shared}/*"))
    guesser.put_object(Bucket=shared, Key="guessed", Body=b"known", IfMatch=etag)


def made_of(server: Server, reply: dict[str, Any]) -> AdminWire:
    return AdminWire(server, reply["credentials"]["accessKey"], reply["credentials"]["secretKey"])


def test_a_tenant_does_not_learn_the_name_of_root(root: AdminWire, server: Server) -> None:
    """A user of another account who may list keys sees its own root as the parent of its root's keys."""
    account = {"name": "attacks-other", "accessKey": "attacksother", "secretKey": SECRET}
    assert root.ask("PUT add-account", account, sealed=True).status == 200
    owner = AdminWire(server, "attacksother", SECRET)
    key = made_of(server, owner.ask("PUT add-service-account", {}, sealed=True).opened)
    looker = AdminWire(server, user(owner, "attacks-looker", statement("admin:ListServiceAccounts")), SECRET)
    shown = looker.ask("GET info-service-account", accessKey=key.access_key).opened
    assert shown["parentUser"] == "attacksother"


def test_a_tenant_learns_of_no_other_account(root: AdminWire, server: Server) -> None:
    assert root.ask("GET account-info", name="there-is-no-such-account").status == 404
    asking = AdminWire(server, user(root, "attacks-curious", statement("s3:*", "*")), SECRET)
    codes = {asking.ask("GET account-info", name=name).code for name in ("minio", "there-is-no-such-account")}
    assert codes == {"AccessDenied"}


def test_an_import_makes_no_bucket_that_is_forbidden(root: AdminWire, server: Server, s3: Any) -> None:
    """A Deny upon some names holds for an import too."""
    name = user(
        root,
        "attacks-importer",
        statement("admin:ImportBucketMetadata", "*"),
        statement("s3:CreateBucket", "attacks-*"),
        statement("s3:CreateBucket", "attacks-vip*") | {"Effect": "Deny"},
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for bucket in ("attacks-vip", "attacks-any", "other-any"):
            archive.writestr(f"{bucket}/quota.json", b'{"quota":1048576,"quotatype":"hard"}')
    told = AdminWire(server, name, SECRET).ask("PUT import-bucket-metadata", packed.getvalue()).json["buckets"]
    assert {bucket for bucket in told if "error" in told[bucket]["quota"]} == {"attacks-vip", "other-any"}
    names = {one["Name"] for one in s3.list_buckets()["Buckets"]}
    assert names & set(told) == {"attacks-any"}


def token_of(name: str) -> str:
    """As ``mc admin prometheus generate`` makes it."""
    parts = (b'{"alg":"HS512","typ":"JWT"}', json.dumps({"iss": "prometheus", "sub": name}).encode())
    signed = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    tag = hmac.digest(SECRET.encode(), signed.encode(), "sha512")
    return f"{signed}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def test_conditions_hold_for_metrics_too(root: AdminWire, wire: Client) -> None:
    """Who may read metrics over TLS only, or not by a name that a client gives itself, is refused."""
    read = statement("admin:Prometheus")
    plain = read | {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    agent = read | {"Effect": "Deny", "Condition": {"StringLike": {"aws:UserAgent": "curl*"}}}
    names = [user(root, "attacks-scraper", read), user(root, "attacks-tls", read, plain)]
    names.append(user(root, "attacks-agent", read, agent))
    found = [
        wire.be("").request(
            "GET",
            "/minio/v2/metrics/node",
            headers={"authorization": f"Bearer {token_of(name)}", "user-agent": "curl/8"},
        )
        for name in names
    ]
    assert [reply.status for reply in found] == [200, 403, 403]


# -- documents that cost more than they should -----------------------------------------------------------------

DEEP = b'{"group":"g","new":' + b"[" * 50_000


@pytest.mark.parametrize(
    ("route", "sealed", "query"),
    [
        ("PUT update-group-members", False, {}),
        ("PUT add-user", True, {"accessKey": "attacks-deep"}),
        ("PUT add-service-account", True, {}),
        ("POST sos/policy/simulate", False, {}),
        ("POST sos/policy/replay", False, {}),
    ],
)
def test_deep_documents_are_bad_documents(root: AdminWire, route: str, sealed: bool, query: dict[str, str]) -> None:
    """P07."""
    assert root.ask(route, DEEP, sealed=sealed, **query).status == 400


def test_deep_policies_in_an_import_fail_by_themselves(root: AdminWire) -> None:
    """P07: also one of the name of a built-in policy, with which it is compared."""
    deep = '{"Statement":' * 600 + "1" + "}" * 600
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("iam-assets/policies.json", f'{{"readonly":{deep},"attacks-deep-policy":{deep}}}')
    failed = root.ask("PUT import-iam-v2", packed.getvalue()).json["failed"]["policies"]
    assert {one["name"] for one in failed} == {"readonly", "attacks-deep-policy"}


def test_a_member_of_an_import_may_not_be_endless(root: AdminWire) -> None:
    """P07: some kilobytes become no document that takes seconds and gigabytes to read."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("iam-assets/users.json", b"{" + b" " * 32 * 1024 * 1024 + b"}")
    reply = root.ask("PUT import-iam-v2", packed.getvalue())
    assert (reply.status, b"users.json has more than" in reply.reply.body) == (400, True)


def test_an_import_is_not_read_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """P07."""
    threads: list[threading.Thread] = []

    def look(content: bytes, kind: Any) -> Any:
        threads.append(threading.current_thread())
        raise BadDocument("seen")

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("iam-assets/users.json", "{}")
    monkeypatch.setattr(transfer_iam, "decode", look)
    call = Mock(signed=Mock(read=AsyncMock(return_value=packed.getvalue())))
    with pytest.raises(BadDocument):
        asyncio.run(transfer_iam.import_iam_v2(call))
    assert len(threads) == 1 and threads[0] is not threading.main_thread()


@pytest.mark.parametrize("size", [2**63, 2**70, -1])
def test_quotas_that_no_drive_can_hold(root: AdminWire, bucket: str, size: int) -> None:
    """P07."""
    assert root.ask("PUT set-bucket-quota", {"quota": size}, bucket=bucket).status == 400
    account = {"name": f"attacks-{size}", "accessKey": f"attacks{size}", "secretKey": SECRET, "quota": size}
    assert root.ask("PUT add-account", account, sealed=True).status == 400


def test_deep_tokens_are_no_tokens(wire: Client) -> None:
    """P07: before anybody is known."""
    head, claims = (
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS512"}', b'{"x":' + b"[" * 5000)
    )
    reply = wire.be("").request(
        "GET", "/minio/v2/metrics/cluster", headers={"authorization": f"Bearer {head}.{claims}.AAAA"}
    )
    assert (reply.status, json.loads(reply.body)["Code"]) == (403, "AccessDenied")


def test_patterns_of_many_stars_hold_up_nobody(root: AdminWire, s3: Any, bucket: str) -> None:
    """P07: a regular expression takes years for this."""
    s3.put_object(Bucket=bucket, Key="a" * 500, Body=b"")
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"")
    asked = {"volume": bucket}
    assert root.ask("GET inspect-data", file="**a" * 40 + "b", **asked).status == 404
    assert root.ask("GET inspect-data", file="*a" * 40 + "*", **asked).status == 200
    assert root.ask("GET inspect-data", file="**/b", **asked).status == 200
    assert root.ask("GET inspect-data", file="a?b", **asked).status == 404
    assert root.ask("POST inspect-data", b"&".join(b"x=1" for _ in range(200))).status == 400


# -- whose a bucket is -------------------------------------------------------------------------------------


def test_a_bucket_of_somebody_else_than_expected(s3: Any, wire: Client, shared: str) -> None:
    """A client that names the owner of a bucket is not given another's of that name."""
    main = s3.list_buckets()["Owner"]["ID"]
    s3.put_object(Bucket=shared, Key="owned", Body=b"data")
    for right in (MAIN, main):
        owner = {"ExpectedBucketOwner": right}
        s3.put_object(Bucket=shared, Key="owned", Body=b"data", **owner)
        assert s3.get_object(Bucket=shared, Key="owned", **owner)["Body"].read() == b"data"
        copy = {"Bucket": shared, "Key": "copied", "CopySource": f"{shared}/owned"}
        s3.copy_object(**copy, **owner, ExpectedSourceBucketOwner=right)
    for wrong in ("123456789012", "0" * 64, MAIN[1:]):
        owner = {"x-amz-expected-bucket-owner": wrong}
        for method, path in (("GET", "/owned"), ("PUT", "/owned"), ("DELETE", "/owned"), ("GET", ""), ("DELETE", "")):
            reply = wire.request(method, f"/{shared}{path}", headers=owner)
            assert (reply.status, reply.code) == (403, "AccessDenied")
        sources = {"x-amz-copy-source": f"{shared}/owned", "x-amz-source-expected-bucket-owner": wrong}
        assert wire.request("PUT", f"/{shared}/copied", headers=sources).code == "AccessDenied"
    assert s3.get_object(Bucket=shared, Key="owned")["Body"].read() == b"data"
