"""Documents compressed for clients that say they take them so."""

from __future__ import annotations

import asyncio
import gzip

from ..http.message import Reply, Request

#: A shorter document is sent as it is.
BYTES_MIN = 1000
#: A longer one is compressed in a thread.
ON_LOOP_BYTES_MAX = 64 * 1024
#: The fastest: of JSON it leaves an eighth.
LEVEL = 1


async def compressed(request: Request, reply: Reply) -> Reply:
    """The reply, compressed where that is worth it. What is encrypted, or no text, is left as it is."""
    body = reply.body
    if reply.status != 200 or not isinstance(body, bytes) or len(body) < BYTES_MIN or not _is_text(reply, body):
        return reply
    reply.headers.append(("Vary", "Accept-Encoding"))
    if _takes_gzip(request.headers.get("accept-encoding")):
        if len(body) > ON_LOOP_BYTES_MAX:
            reply.body = await asyncio.to_thread(gzip.compress, body, LEVEL)
        else:
            reply.body = gzip.compress(body, LEVEL)
        reply.headers.append(("Content-Encoding", "gzip"))
    return reply


def _is_text(reply: Reply, body: bytes) -> bool:
    kind = dict(reply.headers).get("Content-Type", "")
    return kind.startswith("text/") or (kind == "application/json" and body[:1] in (b"{", b"["))


def _takes_gzip(field: str) -> bool:
    """Whether an Accept-Encoding names gzip, and not to refuse it (RFC 9110, 12.5.3)."""
    for one in field.lower().split(","):
        name, _, weight = one.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" or not weight
    return False
