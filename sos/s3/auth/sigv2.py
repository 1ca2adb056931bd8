"""Signature version 2 in the ``Authorization`` header and in the query.

Source: Amazon S3 Developer Guide, "Signing and authenticating REST requests" (HMAC-SHA1).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

from ...http.message import Request
from .accounts import find
from .canonical import same, trim
from .errors import (
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    RequestExpired,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
    UnsignedHeaders,
    UnsignedParameters,
)
from .identity import UNSIGNED, Credentials, Identity, KeyLookup, Scheme
from .moments import SKEW_S, header_time
from .query import percent_decode, uri_encode
from .sigv4 import EXTENSIONS, header_values

MINIO_RESOURCES = frozenset(
    {
        "acl",
        "cors",
        "delete",
        "encryption",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "partNumber",
        "policy",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "retention",
        "select",
        "select-type",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)
"""Query names that MinIO clients sign."""

RESOURCES = MINIO_RESOURCES | frozenset(
    {
        "accelerate",
        "analytics",
        "defaultObjectAcl",
        "intelligent-tiering",
        "inventory",
        "metrics",
        "object-lock",
        "replication",
        "restore",
        "storageClass",
    }
)
"""Query names that the AWS SDKs sign."""

SAME_ANSWER = frozenset({"list-type", "id", "x-id"})
"""Query names that no client signs, and that make no other thing of what is asked for."""

EXPIRES_DIGITS_MAX = 12


def verify_header(
    request: Request, pairs: list[tuple[str, str]], keys: KeyLookup, now_s: float, host_bucket: str = ""
) -> Identity:
    """Check ``Authorization: AWS access-key:signature``.

    :param host_bucket: the bucket when it came in the host name
    """
    values = header_values(request, trim)
    access_key, _, signature = values["authorization"][len("AWS ") :].strip(" ").rpartition(":")
    if not access_key or not signature or " " in access_key:
        raise AuthorizationHeaderMalformed()
    moment_s = _check_clock(values, now_s)
    found = find(keys, access_key, values.get("x-amz-security-token", ""))
    date = "" if "x-amz-date" in values else values.get("date", "")
    head = _head(request, values, date)
    sets = (RESOURCES, MINIO_RESOURCES)  # a header cannot be passed on like a presigned link: both may sign it
    forms = [head + r for names in sets for r in _resources(request, pairs, names, host_bucket)]
    _verify(found, forms, signature)
    return Identity(access_key, False, Scheme.HEADER, 2, _payload(values), None, moment_s, found.principal)


def verify_presigned(
    request: Request, pairs: list[tuple[str, str]], keys: KeyLookup, now_s: float, host_bucket: str = ""
) -> Identity:
    """Check ``?AWSAccessKeyId=…&Expires=…&Signature=…``. No ``x-minio-*`` header goes with it: it would be unsigned."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in ("AWSAccessKeyId", "Expires", "Signature"):
            if name in given:
                raise AuthorizationQueryParametersError(f"More than one {name}.")
            given[name] = value
    if len(given) != 3 or not all(given.values()):
        raise AuthorizationQueryParametersError("AWSAccessKeyId, Expires and Signature are required.")
    expires = given["Expires"]
    if not (expires.isascii() and expires.isdigit()) or len(expires) > EXPIRES_DIGITS_MAX:
        raise AuthorizationQueryParametersError("Expires should be a number.")
    if int(expires) < now_s:
        raise RequestExpired()
    values = header_values(request, trim)
    if added := next((name for name in values if name.startswith(EXTENSIONS)), ""):
        raise UnsignedHeaders(headers=added)
    token = next((v for n, v in pairs if n == "x-amz-security-token"), values.get("x-amz-security-token", ""))
    found = find(keys, given["AWSAccessKeyId"], token)
    # botocore signs the token as a header and then moves it into the query
    heads = [_head(request, values, expires), _head(request, values | {"x-amz-security-token": token}, expires)]
    resources = _resources(request, pairs, RESOURCES, host_bucket)
    _verify(found, [head + r for head in heads[: 2 if token else 1] for r in resources], given["Signature"])
    return Identity(found.access_key, False, Scheme.QUERY, 2, _payload(values), None, 0, found.principal)


def check_selectors(selectors: Iterable[str]) -> None:
    """Who has a link to list a bucket does not make one of it that tells its policy.

    :param selectors: what selects the operation: query names, or ``name=value``
    :raises UnsignedParameters: version 2 does not sign one of them
    """
    names = [name for one in selectors if (name := one.partition("=")[0]) not in RESOURCES | SAME_ANSWER]
    if names:
        raise UnsignedParameters(parameters=",".join(names))


def sign(secret: str, text: bytes) -> str:
    """Base64 of HMAC-SHA1."""
    return base64.b64encode(hmac.digest(secret.encode(), text, "sha1")).decode("ascii")


def _check_clock(values: dict[str, str], now_s: float) -> int:
    moment_s, _ = header_time(values)
    if abs(now_s - moment_s) > SKEW_S:
        raise RequestTimeTooSkewed()
    return moment_s


def _head(request: Request, values: dict[str, str], date: str) -> str:
    amz = "".join([f"{n}:{values[n]}\n" for n in sorted(values) if n.startswith("x-amz-")])
    md5, kind = values.get("content-md5", ""), values.get("content-type", "")
    return f"{request.method}\n{md5}\n{kind}\n{date}\n{amz}"


def _resources(request: Request, pairs: list[tuple[str, str]], names: frozenset[str], host_bucket: str) -> list[str]:
    """The resource line over the path as sent, over its canonical form, and for a bucket also with a slash at its end
    (as botocore signs it): all name the same thing."""
    listed = sorted((n, v) for n, v in pairs if n in names)
    query = "&".join(f"{n}={v}" if v else n for n, v in listed)
    query = ("?" + query if query else "").encode().decode("latin-1")
    prefix = "/" + host_bucket if host_bucket else ""
    paths = dict.fromkeys((request.path.decode("latin-1"), uri_encode(percent_decode(request.path))))
    slashed = [path + "/" for path in paths if path.count("/") == 1 and path != "/"]
    return [prefix + path + query for path in (*paths, *slashed)]


def _verify(found: Credentials, forms: list[str], signature: str) -> None:
    for form in dict.fromkeys(forms):
        if same(sign(found.secret_key, form.encode("latin-1", "replace")), signature):
            return
    raise SignatureDoesNotMatch()


def _payload(values: dict[str, str]) -> str:
    return values.get("x-amz-content-sha256", UNSIGNED)
