"""The target of a request: path and query, decoded exactly once.

Authentication and storage see the same key because both come from here. A key is any UTF-8 of up to 1,024 bytes:
``..``, ``//``, NUL and backslash are bytes like all others, and nothing is normalised. A ``+`` in a path is a plus;
in a query it is a blank, as browsers and the other S3 servers have it.
"""

from __future__ import annotations

from operator import itemgetter
from urllib.parse import quote_from_bytes, unquote_to_bytes

from .errors import InvalidURI

HEX = frozenset(b"0123456789abcdefABCDEF")


def percent_decode(raw: bytes) -> bytes:
    """``raw`` with every ``%XX`` taken off once. :raises InvalidURI: an escape is broken"""
    if b"%" not in raw:
        return raw
    for piece in raw.split(b"%")[1:]:
        if len(piece) < 2 or piece[0] not in HEX or piece[1] not in HEX:
            raise InvalidURI()
    return unquote_to_bytes(raw)


def decode_key(raw: bytes) -> bytes:
    """The key that a raw path (after the bucket's slash) names.

    :raises InvalidURI: a broken escape, or bytes that are not UTF-8
    """
    key = percent_decode(raw)
    _text(key)
    return key


def split_path(path: bytes) -> tuple[str, bytes]:
    """Bucket and key of a path-style request target. The bucket ends at the first slash *as sent*, so an escaped
    slash never moves the border; it then makes the bucket name invalid. ``/`` gives ``("", b"")``.

    :raises InvalidURI: no leading slash, a broken escape, bytes that are not UTF-8
    """
    if path[:1] != b"/":
        raise InvalidURI()
    bucket, _, key = path[1:].partition(b"/")
    return _text(percent_decode(bucket)), decode_key(key)


def parse_query(raw: bytes) -> list[tuple[str, str]]:
    """Names and values in the order sent, blanks and duplicates kept; a name without ``=`` has the value ``""``.

    :raises InvalidURI: a broken escape, or bytes that are not UTF-8
    """
    if not raw:
        return []
    pairs = []
    for piece in raw.replace(b"+", b" ").split(b"&"):
        if piece:
            name, _, value = piece.partition(b"=")
            pairs.append((_text(percent_decode(name)), _text(percent_decode(value))))
    return pairs


def encode_query(pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    """The canonical query string of signature V4: names and values encoded, sorted by both; and where that is another
    one, what minio-go and madmin-go sign: sorted by name, the values of one name in the order sent."""
    if not pairs:
        return ("",)
    encoded = [(uri_encode(n.encode(), ""), uri_encode(v.encode(), "")) for n, v in pairs]
    whole = sorted(encoded)
    by_name = sorted(encoded, key=itemgetter(0)) if len(encoded) > 1 else whole
    return tuple("&".join([f"{n}={v}" for n, v in one]) for one in ((whole,) if by_name == whole else (whole, by_name)))


def uri_encode(raw: bytes, safe: str = "/") -> str:
    """AWS UriEncode: all but unreserved characters (RFC 3986) and ``safe`` as upper-case ``%XX``."""
    return quote_from_bytes(raw, safe)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidURI() from None
