"""Form uploads: the form as a stream, its signature, its policy."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from sos.domain import checksums, errors
from sos.domain.body import Digests
from sos.s3.auth import Credentials, Form, Granted, Scheme, check_form, open_file, parse_form
from sos.s3.auth import errors as e
from sos.s3.auth.form_policy import check_policy
from tests.kit.signed_requests import ACCESS, NOW_S, SECRET, STAMP, MemoryBody, request, v4_key

KEYS = {ACCESS: Credentials(ACCESS, SECRET), "temp": Credentials("temp", SECRET, session_token="t")}
BOUNDARY = "----WebKitFormBoundaryAbC"
BUCKET = "bucket"
Fields = list[tuple[str, str]]


def multipart(
    fields: Fields, file: bytes | None = b"content", name: str = "photo.jpg", end: bytes = b"--\r\n"
) -> bytes:
    out = bytearray()
    for field, value in fields:
        out += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
    if file is not None:
        out += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'.encode()
        out += b"Content-Type: image/jpeg\r\n\r\n" + file + b"\r\n"
    return bytes(out) + b"--" + BOUNDARY.encode() + end


def post(body: bytes | MemoryBody, content_type: str = f"multipart/form-data; boundary={BOUNDARY}"):  # type: ignore[no-untyped-def]
    return request("POST", "/" + BUCKET, [("content-type", content_type)], body)


def read(
    body: bytes | MemoryBody, step: int = 1 << 30, low: int = 0, high: int = 1 << 40
) -> tuple[Form, bytes, Digests]:
    async def run() -> tuple[Form, bytes, Digests]:
        sent = post(body)
        form = await parse_form(sent)
        file = open_file(sent, form, low, high)
        data = bytearray(file.size)
        view = memoryview(data)
        for at in range(0, file.size, step):
            await file.fill(view[at : at + step])
        return form, bytes(data), await file.finish()

    return asyncio.run(run())


# -- the form -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100, 16_384, 1_100_000, 2_500_000])
@pytest.mark.parametrize("step", [1 << 30, 65_536, 65_521])
@pytest.mark.parametrize("gulp", [1 << 30, 997])
def test_file_streams_behind_its_fields(size: int, step: int, gulp: int) -> None:
    data = (b"\r\n--" + BOUNDARY[:-1].encode() + b"x") * (size // 20 + 1)
    data = data[:size]
    form, got, digests = read(
        MemoryBody(multipart([("key", "k"), ("Acl", "private"), ("empty", "")], data), gulp=gulp), step
    )
    assert got == data
    assert form.fields == {"key": "k", "acl": "private", "empty": ""}
    assert (form.file_name, form.file_type, form.size) == ("photo.jpg", "image/jpeg", size)
    assert digests.md5 == hashlib.md5(data).digest()


def test_short_form_may_end_without_crlf() -> None:
    assert read(multipart([("key", "k")], b"x" * 1000, end=b"--"))[1] == b"x" * 1000


@pytest.mark.parametrize("size", [10, 1_500_000])
@pytest.mark.parametrize("step", [1 << 30, 65_536, 1_000_003])
def test_parts_behind_the_file_are_refused(size: int, step: int) -> None:
    body = multipart([("key", "k")], b"x" * size, end=b"\r\n")
    late = b'Content-Disposition: form-data; name="key"\r\n\r\nother\r\n--' + BOUNDARY.encode() + b"--\r\n"
    with pytest.raises(e.MalformedForm):
        read(body + late, step)


@pytest.mark.parametrize("cut", range(1, 30))
def test_delimiter_across_two_views_is_found(cut: int) -> None:
    """A delimiter inside the file is refused wherever the views meet."""
    inside = b"a" * 50 + b"\r\n--" + BOUNDARY.encode() + b"b" * 50
    with pytest.raises(e.MalformedForm):
        read(multipart([("key", "k")], inside), 50 + cut)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"--" + BOUNDARY.encode() + b"--\r\n",
        multipart([("key", "k")], None),
        multipart([("key", "k"), ("KEY", "other")]),
        multipart([("key", "k")])[:-10],
        multipart([("key", "k")])[:40],
        multipart([("key", "k")]) + b"x",
        multipart([("key", "k")]) + b"\r\n",
        multipart([("key", "k")]).replace(b"form-data;", b"attachment;"),
        multipart([("key", "k")]).replace(b'; name="key"', b""),
        multipart([("key", "k")]).replace(b'name="key"', b'name="key"; name="b"'),
        multipart([("key", "k")]).replace(b'name="key"', b'name="key'),
        multipart([("key", "k")]).replace(b"Content-Disposition", b"X" * 9000),
        multipart([("key", "k")]).replace(b"Content-Disposition:", b" Content-Disposition:"),
        multipart([("a", "x" * (1024 * 1024 + 1))]),
        multipart([(f"a{i}", "x" * 1_000_000) for i in range(22)]),
        multipart([(f"a{i}", "") for i in range(1001)]),
        b"preamble\r\n" + multipart([("key", "k")]),
    ],
)
def test_malformed_form_is_refused(body: bytes) -> None:
    """P07, A22: bounds, duplicates, truncation."""
    with pytest.raises(e.MalformedForm):
        read(body)


def test_field_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(e.MalformedForm):
        read(multipart([("key", "k")]).replace(b"\r\nk\r\n", b"\r\n\xff\r\n"))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 300,
    ],
)
def test_unusable_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(e.MalformedForm):
        asyncio.run(parse_form(post(multipart([]), content_type)))


def test_form_needs_a_length() -> None:
    """S08."""
    with pytest.raises(e.MissingContentLength):
        asyncio.run(parse_form(post(MemoryBody(multipart([]), known=False))))


def test_client_that_goes_away_is_noticed() -> None:
    """R29."""
    body = multipart([("key", "k")], b"x" * 2_000_000)
    with pytest.raises(errors.IncompleteBody):
        read(MemoryBody(body[:-100], length=len(body)), 65_536)


def test_checksum_fields_are_verified() -> None:
    good = checksums.encode(checksums.digest("CRC32", b"content"))
    assert read(multipart([("key", "k"), ("x-amz-checksum-crc32", good)]))[2].checksums.keys() == {"CRC32"}
    with pytest.raises(errors.ChecksumMismatch):
        read(multipart([("key", "k"), ("x-amz-checksum-crc32", "AAAAAA==")]))
    with pytest.raises(errors.BadDigest):
        read(multipart([("key", "k"), ("Content-MD5", base64.b64encode(bytes(16)).decode())]))


def test_size_range_is_known_before_the_file_is_read() -> None:
    """A22: size range."""
    with pytest.raises(errors.EntityTooLarge):
        read(multipart([("key", "k")]), high=6)
    with pytest.raises(errors.EntityTooSmall):
        read(multipart([("key", "k")]), low=8)
    assert read(multipart([("key", "k")]), low=7, high=7)[1] == b"content"


# -- signature and policy -------------------------------------------------------------------------------------

FAR = "2033-01-01T00:00:00.000Z"
CREDENTIAL = f"{ACCESS}/{STAMP[:8]}/us-east-1/s3/aws4_request"


def encode_policy(conditions: list[object], expiration: str = FAR, **extra: object) -> str:
    return base64.b64encode(json.dumps({"expiration": expiration, "conditions": conditions, **extra}).encode()).decode()


def v4_form(
    conditions: list[object] | None = None, fields: Fields | None = None, file_name: str = "f", **changes: str
) -> Form:
    """A form signed with V4, every field of the signature covered."""
    given = [["eq", "$key", "user/k"], {"bucket": BUCKET}] if conditions is None else conditions
    auth: list[object] = [
        {"x-amz-credential": CREDENTIAL},
        {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
        ["eq", "$x-amz-date", STAMP],
    ]
    policy = encode_policy([*given, *auth], changes.pop("expiration", FAR))
    all_fields = {
        "x-amz-credential": CREDENTIAL,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-date": STAMP,
        "policy": policy,
        "x-amz-signature": hmac.new(v4_key(), policy.encode(), hashlib.sha256).hexdigest(),
        **dict([("key", "user/k")] if fields is None else fields),
        **{n.replace("_", "-"): v for n, v in changes.items()},
    }
    return Form(all_fields, file_name, "", 7, b"", b"b")


def grant(form: Form, now_s: float = NOW_S, region: str = "", bucket: str = BUCKET) -> Granted:
    return check_form(form, bucket, KEYS.get, region, now_s)


def test_published_form_signature() -> None:
    """The example of the S3 API documentation, policy text and signature as printed there."""
    lines = [
        '{ "expiration": "2015-12-30T12:00:00.000Z",',
        '  "conditions": [',
        '    {"bucket": "sigv4examplebucket"},',
        '    ["starts-with", "$key", "user/user1/"],',
        '    {"acl": "public-read"},',
        '    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},',
        '    ["starts-with", "$Content-Type", "image/"],',
        '    {"x-amz-meta-uuid": "14365123651274"},',
        '    {"x-amz-server-side-encryption": "AES256"},',
        '    ["starts-with", "$x-amz-meta-tag", ""],',
        "",
        '    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},',
        '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
        '    {"x-amz-date": "20151229T000000Z" }',
        "  ]",
        "}",
    ]
    fields = {
        "key": "user/user1/${filename}",
        "acl": "public-read",
        "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
        "content-type": "image/jpeg",
        "x-amz-meta-uuid": "14365123651274",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-date": "20151229T000000Z",
        "x-amz-meta-tag": "",
        "policy": base64.b64encode("\r\n".join(lines).encode()).decode(),
        "x-amz-signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
    }
    at = datetime(2015, 12, 29, tzinfo=UTC).timestamp()
    found = grant(Form(fields, "C:\\photos\\me.jpg", "", 1, b"", b"b"), at, "us-east-1", "sigv4examplebucket")
    assert (found.identity.access_key, found.identity.scheme, found.identity.version) == (ACCESS, Scheme.FORM, 4)
    assert found.fields["key"] == "user/user1/me.jpg"


def v2_form(**changes: str) -> Form:
    policy = encode_policy([["starts-with", "$key", "user/"], {"bucket": BUCKET}])
    signature = base64.b64encode(hmac.new(SECRET.encode(), policy.encode(), hashlib.sha1).digest()).decode()
    fields = {"awsaccesskeyid": ACCESS, "policy": policy, "signature": signature, "key": "user/x", **changes}
    return Form(fields, "", "", 1, b"", b"b")


def test_v2_form_is_accepted_and_tampering_refused() -> None:
    """A22."""
    assert (grant(v2_form()).identity.access_key, grant(v2_form()).identity.version) == (ACCESS, 2)
    for changes in ({"signature": "x"}, {"signature": "é"}, {"policy": encode_policy([{"bucket": BUCKET}])}):
        with pytest.raises(e.SignatureDoesNotMatch):
            grant(v2_form(**changes))
    with pytest.raises(e.InvalidAccessKeyId):
        grant(v2_form(awsaccesskeyid="nobody"))
    with pytest.raises(e.PolicyRefused):
        grant(v2_form(key="other"))


def test_v4_form_is_accepted() -> None:
    assert grant(v4_form()).identity.access_key == ACCESS
    assert (grant(v4_form()).size_min, grant(v4_form()).size_max) == (0, 5 * 1024**4)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"x_amz_signature": "0" * 64}, e.SignatureDoesNotMatch),
        ({"x_amz_signature": "é"}, e.SignatureDoesNotMatch),
        ({"policy": encode_policy([])}, e.SignatureDoesNotMatch),
        ({"x_amz_credential": CREDENTIAL.replace(ACCESS, "nobody")}, e.InvalidAccessKeyId),
        ({"x_amz_credential": CREDENTIAL.replace(ACCESS, "temp")}, e.InvalidToken),
        ({"x_amz_credential": CREDENTIAL.replace("/s3/", "/sts/")}, e.AuthorizationParametersError),
        ({"x_amz_credential": CREDENTIAL.replace("aws4_request", "aws4")}, e.AuthorizationQueryParametersError),
        ({"x_amz_credential": "x"}, e.AuthorizationQueryParametersError),
        ({"x_amz_algorithm": "AWS4"}, e.AuthorizationQueryParametersError),
        ({"x_amz_date": "20231113T000000Z"}, e.MalformedDate),
        ({"x_amz_date": "x"}, e.MalformedDate),
        ({"awsaccesskeyid": ACCESS}, e.MissingFields),
        ({"key": "other"}, e.PolicyRefused),
        ({"key": "user/k/../../x"}, e.PolicyRefused),
        ({"bucket": "other"}, errors.AccessDenied),
        ({"acl": "public-read"}, errors.AccessDenied),
        ({"x_amz_meta_a": "b"}, errors.AccessDenied),
        ({"expiration": "2023-11-14T22:13:19Z"}, e.RequestExpired),
        ({"expiration": "soon"}, e.InvalidPolicyDocument),
        ({"key": ""}, errors.InvalidArgument),
    ],
)
def test_form_refusals(changes: dict[str, str], error: type[Exception]) -> None:
    """A22: bucket override, uncovered field, expiry, key."""
    with pytest.raises(error):
        grant(v4_form(**changes))


def test_form_without_policy_field_but_with_signature_is_refused() -> None:
    form = v4_form()
    fields = {n: v for n, v in form.fields.items() if n != "policy"}
    with pytest.raises(e.MissingFields):
        grant(Form(fields, "", "", 1, b"", b"b"))


def test_policy_for_another_bucket_is_refused() -> None:
    """A22: the form was made for one bucket and is posted to another."""
    with pytest.raises(e.PolicyRefused):
        grant(v4_form(), bucket="other")
    with pytest.raises(errors.AccessDenied):
        grant(v4_form([["eq", "$key", "user/k"]]))  # a policy must name the bucket


def test_wrong_region_is_refused() -> None:
    with pytest.raises(e.AuthorizationQueryParametersError) as caught:
        grant(v4_form(), region="eu-west-1")
    assert caught.value.detail == {"Region": "eu-west-1"}


def test_form_without_any_signature_is_anonymous() -> None:
    assert grant(Form({"key": "k"}, "", "", 1, b"", b"b")).identity.anonymous


def test_dots_in_a_key_are_only_characters() -> None:
    """A22, S11: ``..`` neither escapes a prefix nor is normalised."""
    form = v4_form([["starts-with", "$key", "user/"], {"bucket": BUCKET}], [("key", "user/../admin/x")])
    assert grant(form).fields["key"] == "user/../admin/x"
    form = v4_form([["starts-with", "$key", "user/"], {"bucket": BUCKET}], [("key", "${filename}")], "../../user/x")
    with pytest.raises(e.PolicyRefused):
        grant(form)


def test_file_name_is_filled_in_before_conditions_are_checked() -> None:
    form = v4_form([["eq", "$key", "a/b.jpg"], {"bucket": BUCKET}], [("key", "a/${filename}")], "/home/x/b.jpg")
    assert grant(form).fields["key"] == "a/b.jpg"


def policy(conditions: list[object], fields: dict[str, str]) -> tuple[int, int]:
    return check_policy(encode_policy(conditions), fields, NOW_S)


@pytest.mark.parametrize(
    ("condition", "field", "value", "holds"),
    [
        (["eq", "$acl", "private"], "acl", "private", True),
        (["EQ", "$Acl", "private"], "acl", "private", True),
        (["eq", "$acl", "private"], "acl", "Private", False),
        (["eq", "$acl", ""], "acl", "", True),
        (["starts-with", "$acl", "pri"], "acl", "private", True),
        (["starts-with", "$acl", ""], "acl", "anything", True),
        (["starts-with", "$acl", "pub"], "acl", "private", False),
        (["starts-with", "$Content-Type", "image/"], "content-type", "image/png,image/gif", True),
        (["starts-with", "$Content-Type", "image/"], "content-type", "image/png,text/html", False),
        ({"acl": "private"}, "acl", "private", True),
        ({"ACL": "private"}, "acl", "private", True),
        ({"acl": "private"}, "acl", "public-read", False),
        (["eq", "$other", "x"], "x-ignore-this", "1", False),
    ],
)
def test_conditions(condition: object, field: str, value: str, holds: bool) -> None:
    """A22: eq, starts-with, content-type."""
    if holds:
        policy([condition], {field: value})
    else:
        with pytest.raises(e.PolicyRefused):
            policy([condition], {field: value})


def test_every_condition_on_a_field_must_hold() -> None:
    conditions: list[object] = [["starts-with", "$key", "a"], ["starts-with", "$key", "ab"], ["eq", "$key", "abc"]]
    policy(conditions, {"key": "abc"})
    with pytest.raises(e.PolicyRefused):
        policy(conditions, {"key": "ab"})


@pytest.mark.parametrize(
    "name", ["x-ignore-a", "policy", "x-amz-signature", "x-amz-server-side-encryption-customer-key"]
)
def test_fields_that_need_no_condition(name: str) -> None:
    policy([], {name: "x"})


def test_size_ranges_narrow() -> None:
    ranges: list[object] = [["content-length-range", 10, 100], ["content-length-range", "0", "50"]]
    assert policy(ranges, {}) == (10, 50)


@pytest.mark.parametrize(
    "condition",
    [
        ["matches", "$key", "x"],
        ["eq", "key", "x"],
        ["eq", "$key", 1],
        ["eq", "$key"],
        ["eq", ["$key"], "x"],
        [1, "$key", "x"],
        ["content-length-range", -1, 5],
        ["content-length-range", 1.5, 5],
        ["content-length-range", True, 5],
        ["content-length-range", "1e3", 5],
        ["content-length-range", 1],
        {"key": ["x"]},
        {},
        "eq",
        None,
    ],
)
def test_unknown_or_malformed_condition_is_refused(condition: object) -> None:
    """A22: unknown condition."""
    with pytest.raises(e.InvalidPolicyDocument):
        policy([condition], {"key": "x"})


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "!",
        "é",
        base64.b64encode(b"\xff").decode(),
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b"{}").decode(),
        base64.b64encode(b"[" * 100_000).decode(),
        base64.b64encode(b'{"expiration":"2033-01-01T00:00:00Z"}').decode(),
        base64.b64encode(b'{"expiration":1,"conditions":[]}').decode(),
        base64.b64encode(b" " * 300_000).decode(),
        encode_policy([["eq", "$a", ""]] * 1001),
        encode_policy([], unknown=1),
    ],
)
def test_malformed_policy_is_refused(encoded: str) -> None:
    with pytest.raises(e.InvalidPolicyDocument):
        check_policy(encoded, {}, NOW_S)
