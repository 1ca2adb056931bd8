"""Signature version 4 in the ``Authorization`` header and in the query.

Rules beyond the signature itself: ``host`` and every ``x-amz-*`` and ``x-minio-*`` header must be signed, since such
headers can make another operation of a request (who has a link to delete one object would delete all below it); the
scope's date is the request's; clocks agree within 15 minutes; a presigned request lives for at most 7 days.
``Content-Type`` may be unsigned: minio-go leaves it out of streaming requests.

A signature is accepted over the canonical path (decoded, encoded again) or over the path exactly as sent. Both name
the same key, which is a pure function of what was sent. So it is with parameters of one name: sorted by value, or in
the order sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product

import msgspec

from ...http.message import Request
from .accounts import Scope, find, parse_scope
from .canonical import ALGORITHM, canonical_request, collapse, same, sign, signing_key, string_to_sign
from .errors import (
    AuthError,
    AuthorizationHeaderMalformed,
    AuthorizationParametersError,
    AuthorizationQueryParametersError,
    RequestExpired,
    RequestNotYetValid,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
    UnsignedHeaders,
)
from .identity import EMPTY_SHA256, UNSIGNED, Credentials, Identity, KeyLookup, Scheme, Seed
from .moments import SKEW_S, format_stamp, header_time, parse_stamp
from .query import encode_query, percent_decode, uri_encode

EXPIRES_MAX_S = 7 * 24 * 3600
EXTENSIONS = "x-minio-"
SINGLE = frozenset({"authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-decoded-content-length", "host"})
PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)


class Place(msgspec.Struct, frozen=True):
    """Where signatures are expected to be for.

    :param region: empty accepts any
    :param lax_region: accept ``us-east-1`` too (clients ask for a bucket's location with it)
    :param body_sha256: of the body, for requests that do not declare it
    """

    region: str
    service: str
    lax_region: bool = False
    body_sha256: str = EMPTY_SHA256


class Claim(msgspec.Struct, frozen=True):
    """What a request says of its own signature.

    :param queries: canonical query strings of which one must be signed
    """

    scope: Scope
    signed: tuple[str, ...]
    signature: str
    stamp: str
    payload: str
    queries: tuple[str, ...]
    scheme: Scheme
    signed_at_s: int


@lru_cache(maxsize=1024)
def split_signed(text: str) -> tuple[str, ...]:
    """The names of ``SignedHeaders``, sorted; empty when one is blank, upper case or repeated."""
    names = text.split(";")
    if not all(names) or len(set(names)) != len(names) or text != text.lower():
        return ()
    return tuple(sorted(names))


def header_values(request: Request, clean: Callable[[str], str] = collapse) -> dict[str, str]:
    """Lower-case name → value as signed, duplicates joined with commas.

    :param clean: what the signature version does to blanks
    :raises AuthorizationHeaderMalformed: a header that must be single is not
    """
    values: dict[str, str] = {}
    for name, value in request.headers.items:
        if name in values:
            if name in SINGLE:
                raise AuthorizationHeaderMalformed(f"More than one {name} header.")
            values[name] = f"{values[name]},{clean(value)}"
        else:
            values[name] = clean(value)
    return values


def verify_header(
    request: Request, pairs: list[tuple[str, str]], keys: KeyLookup, place: Place, now_s: float
) -> Identity:
    """Check a request signed in its ``Authorization`` header. :raises AuthError:"""
    values = header_values(request)
    scope, signed, signature = _parse_authorization(values["authorization"])
    moment_s, stamp = _request_time(values)
    if abs(now_s - moment_s) > SKEW_S:
        raise RequestTimeTooSkewed()
    _check_scope(scope, stamp, place, AuthorizationHeaderMalformed)
    payload = values.get("x-amz-content-sha256", place.body_sha256)
    claim = Claim(scope, signed, signature, stamp, payload, encode_query(pairs), Scheme.HEADER, moment_s)
    found = find(keys, scope.access_key, values.get("x-amz-security-token", ""))
    return _verify(request, values, claim, found)


def verify_presigned(
    request: Request, pairs: list[tuple[str, str]], keys: KeyLookup, place: Place, now_s: float
) -> Identity:
    """Check a request signed in its query. :raises AuthError:"""
    given = _single_parameters(pairs)
    values = header_values(request)
    scope = parse_scope(given["X-Amz-Credential"])
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise AuthorizationQueryParametersError("X-Amz-Algorithm only supports AWS4-HMAC-SHA256.")
    if scope is None:
        raise AuthorizationQueryParametersError()
    stamp, signed = given["X-Amz-Date"], split_signed(given["X-Amz-SignedHeaders"])
    moment_s = _check_lifetime(stamp, given["X-Amz-Expires"], now_s)
    _check_scope(scope, stamp, place, AuthorizationQueryParametersError)
    rest = encode_query([pair for pair in pairs if pair[0] != "X-Amz-Signature"])
    payload = _presigned_payload(pairs, values)
    claim = Claim(scope, signed, given["X-Amz-Signature"], stamp, payload, rest, Scheme.QUERY, moment_s)
    found = find(keys, scope.access_key, _presigned_token(pairs, values))
    return _verify(request, values, claim, found)


def check_region(region: str, place: Place) -> bool:
    """Whether a scope's region is one that is served."""
    return not place.region or region == place.region or (place.lax_region and region == "us-east-1")


def _parse_authorization(text: str) -> tuple[Scope, tuple[str, ...], str]:
    fields: dict[str, str] = {}
    for piece in text[len(ALGORITHM) :].split(","):
        name, _, value = piece.strip(" ").partition("=")
        if name in fields:
            raise AuthorizationHeaderMalformed()
        fields[name] = value
    scope = parse_scope(fields.get("Credential", ""))
    signed = fields.get("SignedHeaders")
    signature = fields.get("Signature")
    if len(fields) != 3 or scope is None or not signed or not signature:
        raise AuthorizationHeaderMalformed()
    return scope, split_signed(signed), signature


def _request_time(values: dict[str, str]) -> tuple[int, str]:
    moment_s, text = header_time(values)
    return moment_s, text if parse_stamp(text) is not None else format_stamp(moment_s)


def _check_scope(scope: Scope, stamp: str, place: Place, error: type[AuthError]) -> None:
    if scope.terminator != "aws4_request":
        raise error("The credential must end in aws4_request.")
    if scope.service != place.service:
        raise AuthorizationParametersError()
    if scope.date != stamp[:8]:
        raise error("The date in the credential is not that of the request.")
    if not check_region(scope.region, place):
        text = f"The authorization is malformed; the region is wrong; expecting '{place.region}'."
        raise error(text, Region=place.region)


def _single_parameters(pairs: list[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in PARAMETERS:
            if name in given:
                raise AuthorizationQueryParametersError(f"More than one {name}.")
            given[name] = value
    if len(given) != len(PARAMETERS) or not all(given.values()):
        raise AuthorizationQueryParametersError(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    return given


def _check_lifetime(stamp: str, expires: str, now_s: float) -> int:
    moment_s = parse_stamp(stamp)
    if moment_s is None:
        raise AuthorizationQueryParametersError("X-Amz-Date must be in the ISO8601 Long Format.")
    if not (expires.isascii() and expires.isdigit()) or len(expires) > 10:
        raise AuthorizationQueryParametersError("X-Amz-Expires should be a positive number.")
    if not 1 <= int(expires) <= EXPIRES_MAX_S:
        raise AuthorizationQueryParametersError("X-Amz-Expires must be between 1 and 604800 seconds.")
    if moment_s > now_s + SKEW_S:
        raise RequestNotYetValid()
    if now_s > moment_s + int(expires):
        raise RequestExpired()
    return moment_s


def _presigned_payload(pairs: list[tuple[str, str]], values: dict[str, str]) -> str:
    found = {value for name, value in pairs if name.lower() == "x-amz-content-sha256"}
    header = values.get("x-amz-content-sha256")
    if header is not None:
        found.add(header)
    if len(found) > 1:
        raise AuthorizationQueryParametersError("X-Amz-Content-Sha256 is given twice.")
    return found.pop() if found else UNSIGNED


def _presigned_token(pairs: list[tuple[str, str]], values: dict[str, str]) -> str:
    found = [value for name, value in pairs if name == "X-Amz-Security-Token"]
    if len(found) > 1:
        raise AuthorizationQueryParametersError("More than one X-Amz-Security-Token.")
    return found[0] if found else values.get("x-amz-security-token", "")


def _complete(request: Request, values: dict[str, str], signed: tuple[str, ...]) -> None:
    """All that must be signed is, and all that is signed is there; proxies may have taken some of it away."""
    if "host" not in signed:
        raise UnsignedHeaders(headers="host")
    for name in values:
        if name.startswith(("x-amz-", EXTENSIONS)) and name not in signed:
            raise UnsignedHeaders(headers=name)
    for name in signed:
        if name not in values:
            values[name] = _restored(request, name)


def _restored(request: Request, name: str) -> str:
    if name == "expect":
        return "100-continue"
    if name == "transfer-encoding":
        return "chunked"
    if name == "content-length" and request.body.length is not None:
        return str(request.body.length)
    raise UnsignedHeaders("A signed header is missing from the request.", headers=name)


def _paths(raw: bytes) -> list[str]:
    sent = raw.decode("latin-1")
    canonical = uri_encode(percent_decode(raw))
    return [canonical] if canonical == sent else [canonical, sent]


def _verify(request: Request, values: dict[str, str], claim: Claim, found: Credentials) -> Identity:
    _complete(request, values, claim.signed)
    scope, text = claim.scope, claim.scope.text
    key = signing_key(found.secret_key, scope.date, scope.region, scope.service)
    for path, query in product(_paths(request.path), claim.queries):
        canonical = canonical_request(request.method, path, query, values, claim.signed, claim.payload)
        if same(sign(key, string_to_sign(claim.stamp, text, canonical)), claim.signature):
            seed = Seed(key, claim.stamp, text, claim.signature)
            return Identity(
                scope.access_key, False, claim.scheme, 4, claim.payload, seed, claim.signed_at_s, found.principal
            )
    raise SignatureDoesNotMatch()
