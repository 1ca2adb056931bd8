"""Cross-origin requests of browsers (Fetch standard, "CORS protocol"), answered for every path alike, as MinIO does.

One difference: replies never allow credentials, and so may name ``*`` instead of the asking origin. Requests are
authorised by their signature alone; no cookie of a browser means anything here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..http.message import Headers, Reply

METHODS = frozenset({"GET", "PUT", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH"})
ANY = "*"
EXPOSED = (
    "Date, Etag, Server, Connection, Accept-Ranges, Content-Range, Content-Encoding, Content-Length, Content-Type, "
    "Content-Disposition, Last-Modified, Content-Language, Cache-Control, Retry-After, X-Amz-Bucket-Region, Expires, *"
)
"""Header names that scripts may read. ``*`` stands for all others; old browsers take it for a name."""


def allowed(origin: str, origins: Sequence[str]) -> str:
    """What ``Access-Control-Allow-Origin`` says to an origin; empty when it is not allowed.

    :param origins: each may hold one ``*``, which stands for any text
    """
    for pattern in origins:
        if pattern == ANY:
            return ANY
        head, star, tail = pattern.partition("*")
        fits = origin.startswith(head) and origin.endswith(tail) and len(origin) >= len(head) + len(tail)
        if origin == pattern or (star and fits):
            return origin
    return ""


def preflight(headers: Headers, origins: Sequence[str]) -> Reply:
    """The reply to OPTIONS: 204 with what is allowed, or 204 without, which a browser takes for a refusal."""
    method = headers.get("access-control-request-method")
    if "origin" not in headers or not method:
        return Reply(200)
    vary = ("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
    origin = allowed(headers.get("origin"), origins)
    if not origin or method.upper() not in METHODS:
        return Reply(204, [vary])
    fields = [vary, ("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Methods", method.upper())]
    if wanted := headers.get("access-control-request-headers"):
        fields.append(("Access-Control-Allow-Headers", wanted))
    return Reply(204, fields)


def share(reply: Reply, headers: Headers, origins: Sequence[str]) -> None:
    """Let a script of the asking origin read a reply."""
    if origin := allowed(headers.get("origin"), origins):
        more = [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", EXPOSED)]
        reply.headers = [*reply.headers, *more]  # the list may be a constant of a handler
