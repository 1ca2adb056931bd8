"""Which scheme a request uses, and its verdict.

Order as in MinIO: V2 header, V2 presigned, V4 header, V4 presigned, anonymous. A form upload (POST policy) carries its
signature in the body and is anonymous here; ``form_policy`` decides it.
"""

from __future__ import annotations

from ...domain.errors import AccessDenied
from ...http.message import Request
from . import sigv2, sigv4
from .canonical import ALGORITHM
from .errors import AmbiguousCredentials, UnsupportedSignature
from .identity import EMPTY_SHA256, UNSIGNED, Identity, KeyLookup
from .query import parse_query


def authenticate(
    request: Request,
    keys: KeyLookup,
    region: str,
    now_s: float,
    *,
    service: str = "s3",
    host_bucket: str = "",
    body_sha256: str = EMPTY_SHA256,
) -> Identity:
    """Who sent a request.

    :param region: the only region accepted in a V4 scope; empty accepts any
    :param now_s: wall clock, seconds since the epoch
    :param service: ``s3`` or ``sts``
    :param host_bucket: the bucket when it came in the host name (signature V2 covers it)
    :param body_sha256: what a signature without ``x-amz-content-sha256`` covers; clients of STS send none
    :raises AuthError, AccessDenied: the request claims an identity that does not hold
    """
    pairs = parse_query(request.query)
    names = {name for name, _ in pairs} if pairs else frozenset()
    presigned_v2 = "AWSAccessKeyId" in names
    presigned_v4 = not names.isdisjoint(sigv4.PARAMETERS)
    header = request.headers.get("authorization")
    if bool(header) + presigned_v2 + presigned_v4 > 1:
        raise AmbiguousCredentials()
    place = sigv4.Place(region, service, "location" in names, body_sha256)
    if header:
        return _by_header(request, header, pairs, keys, place, now_s, host_bucket)
    if presigned_v2:
        return sigv2.verify_presigned(request, pairs, keys, now_s, host_bucket)
    if presigned_v4:
        return sigv4.verify_presigned(request, pairs, keys, place, now_s)
    if "x-amz-security-token" in request.headers:
        raise AccessDenied("A security token needs a signed request.")
    return Identity(anonymous=True, payload=request.headers.get("x-amz-content-sha256", UNSIGNED))


def _by_header(
    request: Request,
    header: str,
    pairs: list[tuple[str, str]],
    keys: KeyLookup,
    place: sigv4.Place,
    now_s: float,
    host_bucket: str,
) -> Identity:
    kind = header.strip(" \t").partition(" ")[0]
    if kind == ALGORITHM:
        return sigv4.verify_header(request, pairs, keys, place, now_s)
    if kind == "AWS":
        return sigv2.verify_header(request, pairs, keys, now_s, host_bucket)
    if kind == "Bearer":
        raise AccessDenied()
    raise UnsupportedSignature()
