"""Session tokens: JSON web tokens with HS512 (RFC 7515, 7518, 7519), made and read here only.

The header of a token that is accepted is byte for byte the one that is made here, so there is no algorithm to choose.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

import msgspec

HEADER = base64.urlsafe_b64encode(b'{"alg":"HS512","typ":"JWT"}').rstrip(b"=")
TOKEN_BYTES_MAX = 64 * 1024

Claims = Mapping[str, str | int | list[str]]


class BadToken(Exception):
    """Not a token of ours, or not any more."""


_encode = msgspec.json.Encoder(order="sorted").encode
_claims = msgspec.json.Decoder(dict[str, str | int | list[str]]).decode


def make(claims: Claims, key: bytes) -> str:
    """The token for some claims: a pure function of both."""
    signed = HEADER + b"." + _to_text(_encode(claims))
    return (signed + b"." + _to_text(hmac.digest(key, signed, "sha512"))).decode()


def read(token: str, key: bytes, now_s: float) -> dict[str, str | int | list[str]]:
    """The claims of a token.

    :raises BadToken: forged, malformed, expired, or without an expiry
    """
    raw = token.encode("utf-8", "replace")
    signed, _, signature = raw.rpartition(b".")
    header, _, payload = signed.partition(b".")
    expected = _to_text(hmac.digest(key, signed, "sha512"))
    if len(raw) > TOKEN_BYTES_MAX or header != HEADER or not hmac.compare_digest(expected, signature):
        raise BadToken()
    try:
        claims = _claims(_from_text(payload))
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        raise BadToken() from None
    expires = claims.get("exp")
    if not isinstance(expires, int) or expires <= now_s:
        raise BadToken()
    return claims


def _to_text(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _from_text(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
