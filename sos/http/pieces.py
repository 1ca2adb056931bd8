"""Replies without an end that is known: pieces go out as they come, for as long as the client is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from .wire import Wire

Pieces = AsyncGenerator[bytes, None]
"""Gives a piece at least every few seconds: only by writing is it noticed that the client has left. It is closed then, and
what it has to tidy up stands in its ``finally``."""


async def send_pieces(wire: Wire, head: bytes, pieces: Pieces, http10: bool, stopping: Callable[[], bool]) -> None:
    """Send a head and what follows, in the chunked coding but to a client of HTTP/1.0.

    A client that is slow is waited for: what it does not take is not made. When the server stops, the reply ends.

    :raises ClientGone: it has left, or takes nothing
    """
    try:
        wire.write(head)
        await wire.flushed()
        async for piece in pieces:
            if piece:
                wire.write(piece if http10 else b"%x\r\n%b\r\n" % (len(piece), piece))
            await wire.flushed()
            if stopping():
                break
        if not http10:
            wire.write(b"0\r\n\r\n")
        await wire.flushed()
    finally:
        await pieces.aclose()
