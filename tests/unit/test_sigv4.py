"""Signature V4 against AWS's published examples, and every way to get it wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from sos.domain.errors import AccessDenied
from sos.s3.auth import Credentials, Identity, KeyLookup, Scheme, authenticate
from sos.s3.auth import errors as e
from tests.kit.signed_requests import ACCESS, EMPTY, NOW_S, SECRET, STAMP, request, sign_v4

KEYS = {
    ACCESS: Credentials(ACCESS, SECRET),
    "off": Credentials("off", SECRET, enabled=False),
    "temp": Credentials("temp", SECRET, session_token="token"),
    "with/slash": Credentials("with/slash", SECRET),
}
PUBLISHED = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
SCOPE = f"{ACCESS}/20130524/us-east-1/s3/aws4_request"


def check(sent, region: str = "", now_s: float = NOW_S, keys: KeyLookup = KEYS.get) -> Identity:  # type: ignore[no-untyped-def]
    return authenticate(sent, keys, region, now_s)


def published(
    method: str, target: str, headers: list[tuple[str, str]], signed: str, signature: str, payload: str = EMPTY
):  # type: ignore[no-untyped-def]
    authorization = f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={signed},Signature={signature}"
    fixed = [
        ("Authorization".lower(), authorization),
        ("host", "examplebucket.s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-content-sha256", payload),
    ]
    return request(method, target, headers + fixed)


EXAMPLES = {
    "get object": published(
        "GET",
        "/test.txt",
        [("range", "bytes=0-9")],
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "put object": published(
        "PUT",
        "/test$file.text",
        [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
    ),
    "get lifecycle": published(
        "GET",
        "/?lifecycle",
        [],
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": published(
        "GET",
        "/?max-keys=2&prefix=J",
        [],
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}
PRESIGNED = (
    f"/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(SCOPE, safe='')}"
    "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_published_header_examples_are_accepted(name: str) -> None:
    found = check(EXAMPLES[name], "us-east-1", PUBLISHED)
    assert (found.access_key, found.anonymous, found.scheme, found.version) == (ACCESS, False, Scheme.HEADER, 4)
    assert found.signed_at_s == PUBLISHED


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("part", ["method", "path", "query"])
def test_changed_request_is_refused(name: str, part: str) -> None:
    sent = EXAMPLES[name]
    changed = {"method": "DELETE", "path": b"/other", "query": b"acl"}
    altered = request("GET", "/", sent.headers.items)
    altered.method, altered.path, altered.query = sent.method, sent.path, sent.query
    setattr(altered, part, changed[part])
    with pytest.raises(e.SignatureDoesNotMatch):
        check(altered, now_s=PUBLISHED)


@pytest.mark.parametrize("canonical", ["a=1&events=s3%3AB&events=s3%3AA", "a=1&events=s3%3AA&events=s3%3AB"])
def test_values_of_one_parameter_are_signed_sorted_or_as_sent(canonical: str) -> None:
    """minio-go and madmin-go (mc watch, mc admin policy entities) sort names alone."""
    headers = {"host": "h", "x-amz-date": STAMP, "x-amz-content-sha256": EMPTY}
    headers["authorization"] = sign_v4("GET", "/b", canonical, headers, EMPTY)
    for sent, accepted in (
        ("events=s3:B&a=1&events=s3:A", True),
        ("events=s3:A&a=1&events=s3:B", canonical.endswith("B")),
        ("events=s3:B&a=1", False),
    ):
        asked = request("GET", f"/b?{sent}", list(headers.items()))
        if accepted:
            assert check(asked).access_key == ACCESS
        else:
            with pytest.raises(e.SignatureDoesNotMatch):
                check(asked)


def published_presigned(target: str = PRESIGNED, headers: tuple[tuple[str, str], ...] = ()):  # type: ignore[no-untyped-def]
    return request("GET", target, [("host", "examplebucket.s3.amazonaws.com"), *headers])


def test_published_presigned_example_is_accepted() -> None:
    found = check(published_presigned(), "us-east-1", PUBLISHED + 86400)
    assert (found.access_key, found.scheme, found.payload) == (ACCESS, Scheme.QUERY, "UNSIGNED-PAYLOAD")


@pytest.mark.parametrize(
    ("now_s", "error"), [(PUBLISHED + 86401, e.RequestExpired), (PUBLISHED - 901, e.RequestNotYetValid)]
)
def test_presigned_outside_its_time_is_refused(now_s: float, error: type[Exception]) -> None:
    """S07: replay outside the window."""
    with pytest.raises(error):
        check(published_presigned(), now_s=now_s)


@pytest.mark.parametrize(
    "header", ["x-amz-copy-source", "x-amz-meta-a", "x-amz-content-sha256", "x-amz-security-token"]
)
def test_unsigned_amz_header_on_presigned_request_is_refused(header: str) -> None:
    """S06: a header that the signer never saw; S02: a framing slipped under a signature in the query."""
    with pytest.raises((e.UnsignedHeaders, e.SignatureDoesNotMatch, e.InvalidToken)) as caught:
        check(published_presigned(headers=((header, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),)), now_s=PUBLISHED)
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("X-Amz-Expires=86400", "X-Amz-Expires=604801", e.AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400", "X-Amz-Expires=0", e.AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400", "X-Amz-Expires=-1", e.AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400", "X-Amz-Expires=1e3", e.AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400", "X-Amz-Expires=%C2%B2", e.AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400", "X-Amz-Expires=9" + "9" * 5000, e.AuthorizationQueryParametersError),
        ("X-Amz-Expires=86400", "X-Amz-Expires=86401", e.SignatureDoesNotMatch),
        ("&X-Amz-Expires=86400", "", e.AuthorizationQueryParametersError),
        ("X-Amz-Algorithm=AWS4", "X-Amz-Algorithm=AWS5", e.AuthorizationQueryParametersError),
        ("X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130524", e.AuthorizationQueryParametersError),
        ("X-Amz-Date=20130524T000000Z", "X-Amz-Date=20130525T000000Z", e.RequestNotYetValid),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=range", e.UnsignedHeaders),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Brange", e.UnsignedHeaders),
        ("%2Fs3%2F", "%2Fec2%2F", e.AuthorizationParametersError),
        ("aws4_request", "aws4", e.AuthorizationQueryParametersError),
        ("%2Fus-east-1%2F", "%2Feu-west-1%2F", e.AuthorizationQueryParametersError),
        ("%2F20130524%2F", "%2F20130523%2F", e.AuthorizationQueryParametersError),
        (ACCESS, "nobody", e.InvalidAccessKeyId),
        (ACCESS, "off", e.AccountDisabled),
        (ACCESS, "temp", e.InvalidToken),
        ("aeeed", "beeed", e.SignatureDoesNotMatch),
        ("aeeed", "%C3%A9", e.SignatureDoesNotMatch),
        ("?", "?X-Amz-Date=20130524T000000Z&", e.AuthorizationQueryParametersError),
        ("?", "?partNumber=1&", e.SignatureDoesNotMatch),
        ("?", "?AWSAccessKeyId=a&", e.AmbiguousCredentials),
        ("?", "?a=%zz&", e.InvalidURI),
        ("?", "?a=%ff&", e.InvalidURI),
    ],
)
def test_presigned_refusals(old: str, new: str, error: type[Exception]) -> None:
    """S05, S07: scope, expiry, signed headers."""
    assert old in PRESIGNED
    with pytest.raises(error):
        check(published_presigned(PRESIGNED.replace(old, new, 1)), "us-east-1", PUBLISHED)


def signed(
    extra: dict[str, str] | None = None,
    unsigned: tuple[tuple[str, str], ...] = (),
    path: str = "/b/k",
    query: str = "",
    sent_path: str | None = None,
    **options: str,
):  # type: ignore[no-untyped-def]
    headers = {
        "host": "h",
        "x-amz-date": options.get("stamp", STAMP),
        "x-amz-content-sha256": EMPTY,
        **(extra or {}),
    }
    authorization = sign_v4("GET", path, query, headers, EMPTY, **options)
    target = (path if sent_path is None else sent_path) + ("?" + query if query else "")
    return request("GET", target, [*headers.items(), ("authorization", authorization), *unsigned])


def test_header_signature_of_own_signer_is_accepted() -> None:
    assert check(signed()).access_key == ACCESS
    assert check(signed(access="with/slash")).access_key == "with/slash"
    assert check(signed({"x-amz-security-token": "token"}, access="temp")).access_key == "temp"


def test_any_region_is_accepted_when_none_is_configured() -> None:
    assert check(signed(region="mars-1")).access_key == ACCESS
    assert check(signed(region="")).access_key == ACCESS


def test_location_may_be_asked_for_us_east_1() -> None:
    assert check(signed(query="location="), "eu-central-1").access_key == ACCESS
    with pytest.raises(e.AuthorizationHeaderMalformed) as caught:
        check(signed(query="acl="), "eu-central-1")
    assert caught.value.detail == {"Region": "eu-central-1"}
    assert caught.value.message.endswith("expecting 'eu-central-1'.")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"secret": "wrong"}, e.SignatureDoesNotMatch),
        ({"access": "nobody"}, e.InvalidAccessKeyId),
        ({"access": "off"}, e.AccountDisabled),
        ({"access": "temp"}, e.InvalidToken),
        ({"service": "ec2"}, e.AuthorizationParametersError),
    ],
)
def test_header_refusals(options: dict[str, str], error: type[e.AuthError]) -> None:
    """S07, S12."""
    with pytest.raises(error):
        check(signed(**options))


def test_token_with_permanent_key_is_refused() -> None:
    with pytest.raises(e.InvalidToken):
        check(signed({"x-amz-security-token": "token"}))


@pytest.mark.parametrize("offset_s", [-901, 901])
def test_skewed_clock_is_refused(offset_s: int) -> None:
    """S07: replay outside the window."""
    with pytest.raises(e.RequestTimeTooSkewed):
        check(signed(), now_s=NOW_S + offset_s)
    assert check(signed(), now_s=NOW_S + offset_s - (1 if offset_s > 0 else -1))


def test_unsigned_amz_header_is_refused() -> None:
    """S05, S06."""
    with pytest.raises(e.UnsignedHeaders) as caught:
        check(signed(unsigned=(("x-amz-copy-source", "/b/secret"),)))
    assert caught.value.detail == {"headers": "x-amz-copy-source"}


def test_second_value_of_a_signed_header_is_refused() -> None:
    """S06: a duplicate changes the joined value."""
    with pytest.raises(e.SignatureDoesNotMatch):
        check(signed({"x-amz-acl": "private"}, unsigned=(("x-amz-acl", "public-read"),)))
    for name in ("x-amz-date", "host", "x-amz-content-sha256"):
        with pytest.raises(e.AuthorizationHeaderMalformed):
            check(signed(unsigned=((name, "x"),)))


def test_host_must_be_signed() -> None:
    """S05."""
    headers = {"x-amz-date": STAMP, "x-amz-content-sha256": EMPTY}
    authorization = sign_v4("GET", "/", "", headers, EMPTY)
    with pytest.raises(e.UnsignedHeaders):
        check(request("GET", "/", [("host", "h"), *headers.items(), ("authorization", authorization)]))


def test_scope_of_another_day_is_refused() -> None:
    """S07: date and X-Amz-Date differ."""
    sent = signed(stamp="20231113T000000Z")
    items = [(n, STAMP if n == "x-amz-date" else v) for n, v in sent.headers.items]
    with pytest.raises(e.AuthorizationHeaderMalformed):
        check(request("GET", "/b/k", items))


@pytest.mark.parametrize("date", ["", "soon", "20231114T221320", "2023-11-14T22:13:20Z" * 4])
def test_missing_or_malformed_date_is_refused(date: str) -> None:
    items = [(n, v) for n, v in signed().headers.items if n != "x-amz-date"]
    with pytest.raises((e.MissingDate, e.MalformedDate, e.SignatureDoesNotMatch)):
        check(request("GET", "/b/k", [*items, ("x-amz-date", date)]))


def test_date_header_stands_in_for_x_amz_date() -> None:
    headers = {"host": "h", "date": "Tue, 14 Nov 2023 22:13:20 GMT", "x-amz-content-sha256": EMPTY}
    authorization = sign_v4("GET", "/b", "", headers, EMPTY)
    assert check(request("GET", "/b", [*headers.items(), ("authorization", authorization)])).signed_at_s == NOW_S


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256 ",
        "AWS4-HMAC-SHA256 Credential=a",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=host",
        f"AWS4-HMAC-SHA256 Credential=a/{STAMP[:8]}/r/s3/aws4_request,SignedHeaders=host,Signature=x,Signature=x",
        f"AWS4-HMAC-SHA256 Credential=/{STAMP[:8]}/r/s3/aws4_request,SignedHeaders=host,Signature=x",
        "AWS4-HMAC-SHA256 Credential=a/b/c,SignedHeaders=host,Signature=x",
        f"AWS4-HMAC-SHA256 Credential={ACCESS}/{STAMP[:8]}/r/s3/aws5,SignedHeaders=host,Signature=x",
    ],
)
def test_malformed_authorization_is_refused(authorization: str) -> None:
    with pytest.raises(e.AuthorizationHeaderMalformed):
        check(request("GET", "/", [("host", "h"), ("x-amz-date", STAMP), ("authorization", authorization)]))


@pytest.mark.parametrize("names", ["Host", "host;host", "host;;x-amz-date", ""])
def test_malformed_signed_headers_are_refused(names: str) -> None:
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS}/{STAMP[:8]}/r/s3/aws4_request, SignedHeaders={names}, Signature=x"
    )
    with pytest.raises((e.AuthorizationHeaderMalformed, e.UnsignedHeaders)):
        check(request("GET", "/", [("host", "h"), ("x-amz-date", STAMP), ("authorization", authorization)]))


def test_unknown_schemes_and_ambiguity_are_refused() -> None:
    with pytest.raises(e.UnsupportedSignature):
        check(request("GET", "/", [("authorization", "AWS4-ECDSA-P256-SHA256 Credential=x")]))
    with pytest.raises(AccessDenied):
        check(request("GET", "/", [("authorization", "Bearer x.y.z")]))
    sent = signed(query="X%2DAmz-Signature=x")  # the escape hides nothing
    with pytest.raises(e.AmbiguousCredentials):
        check(sent)


def test_anonymous_request() -> None:
    found = check(request("GET", "/b/k?prefix=x"))
    assert (found.anonymous, found.access_key, found.version) == (True, "", 0)
    with pytest.raises(AccessDenied):
        check(request("GET", "/", [("x-amz-security-token", "t")]))


@pytest.mark.parametrize("value", ["a  b", " a b ", "\ta \t b", "a b"])
def test_header_values_are_collapsed(value: str) -> None:
    sent = signed({"x-amz-meta-a": "a b"})
    items = [(n, value if n == "x-amz-meta-a" else v) for n, v in sent.headers.items]
    assert check(request("GET", "/b/k", items)).access_key == ACCESS


def test_non_ascii_header_bytes_are_signed_as_sent() -> None:
    value = "Gr\u00fc\u00dfe \u00a0x".encode().decode("latin-1")  # no-break space is no blank
    assert check(signed({"x-amz-meta-a": value})).access_key == ACCESS
    sent = signed({"x-amz-meta-a": value})
    items = [(n, v.replace("\u00a0", " ")) for n, v in sent.headers.items]
    with pytest.raises(e.SignatureDoesNotMatch):
        check(request("GET", "/b/k", items))


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("/b/a%2Fb", "/b/a/b"),
        ("/b/a%2fb", "/b/a%2fb"),
        ("/b/%2e%2e/x", "/b/../x"),
        ("/b/../x", "/b/../x"),
        ("/b/%252F", "/b/%252F"),
        ("/b/%00", "/b/%00"),
        ("/b/a%5Cb", "/b/a%5Cb"),
        ("/b/a+b", "/b/a%2Bb"),
        ("/b/a(b)!", "/b/a%28b%29%21"),
        ("/b/a(b)!", "/b/a(b)!"),
        ("/b//x//", "/b//x//"),
        ("/b/%C3%BC", "/b/%C3%BC"),
        ("/b/~-._", "/b/~-._"),
    ],
)
def test_path_is_accepted_as_sent_or_canonical(sent: str, canonical: str) -> None:
    """S11: the signature covers the one key that the path names."""
    assert check(signed(path=canonical, sent_path=sent)).access_key == ACCESS


@pytest.mark.parametrize(
    ("sent", "signed_path"),
    [
        ("/b/a%252Fb", "/b/a%2Fb"),
        ("/b/x", "/b/a/../x"),
        ("/b/a/x", "/b/a//x"),
        ("/b/a+b", "/b/a%20b"),
        ("/b/%2e", "/b/"),
    ],
)
def test_path_naming_another_key_is_refused(sent: str, signed_path: str) -> None:
    """S11: no second decoding, no normalisation."""
    with pytest.raises(e.SignatureDoesNotMatch):
        check(signed(path=signed_path, sent_path=sent))


def test_proxy_may_drop_expect() -> None:
    sent = signed({"expect": "100-continue", "content-length": "0"})
    items = [(n, v) for n, v in sent.headers.items if n not in ("expect", "content-length")]
    assert check(request("GET", "/b/k", items)).access_key == ACCESS


def test_secrets_are_not_shown() -> None:
    """A26."""
    found = check(signed())
    assert SECRET not in repr(KEYS) + repr(found)
    assert found.seed is not None and repr(found.seed.key) not in repr(found)
