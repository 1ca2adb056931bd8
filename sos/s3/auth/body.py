"""The body of a request as its payload: framing taken off, signatures and declared digests verified on the way.

Nothing may be made of a payload before ``finish`` has returned.
"""

from __future__ import annotations

from functools import partial

import msgspec

from ...domain.body import Body, Digests
from ...domain.errors import EntityTooLarge, ExcessBody, IncompleteBody, InvalidRequest
from ...http.message import RawBody, Request
from .chain import Chain, Signed, Unsigned
from .digests import Digester, MalformedContentHash, by_name, declared
from .errors import MissingContentLength, SignatureDoesNotMatch
from .framing import LINE_BYTES_MAX, TAIL_BYTES_MAX, Deframer, parse_tail
from .identity import (
    SIGNED_CHUNKS,
    SIGNED_CHUNKS_TRAILER,
    UNSIGNED,
    UNSIGNED_CHUNKS_TRAILER,
    Identity,
)

WHOLE_BYTES_MAX = 64 * 1024
HEAD_BYTES = 512
SCRATCH_BYTES = 256 * 1024
CHUNKED = frozenset({SIGNED_CHUNKS, SIGNED_CHUNKS_TRAILER, UNSIGNED_CHUNKS_TRAILER})


class BodyLimits(msgspec.Struct, frozen=True):
    """:param size_max: payload bytes"""

    size_max: int = 5 * 1024**4


def open_body(request: Request, identity: Identity, limits: BodyLimits, *, object_checksums: bool = True) -> Body:
    """The payload of a request. Nothing is read before the first ``fill``.

    :param object_checksums: False where ``x-amz-checksum-*`` speaks of an object, not of this body
    :raises AuthError, InvalidRequest, InvalidDigest, EntityTooLarge: what the headers declare cannot be
    """
    payload = _framing(request, identity)
    if not payload:
        raise MalformedContentHash()
    framed = payload in CHUNKED
    literal = "" if framed or payload == UNSIGNED else payload
    digester = Digester(declared(by_name(request.headers), literal, object_checksums))
    if framed:
        size = _decoded_length(request)
        chain = _chain(payload, identity, digester.trailer)
    elif digester.trailer or "x-amz-decoded-content-length" in request.headers:
        raise InvalidRequest("x-amz-trailer and x-amz-decoded-content-length need a streaming x-amz-content-sha256.")
    elif request.body.length is None:
        raise MissingContentLength()
    else:
        size = request.body.length
    if size > limits.size_max:
        raise EntityTooLarge()
    return FramedBody(request.body, size, digester, chain) if framed else PlainBody(request.body, size, digester)


async def read_document(request: Request, identity: Identity, most: int, *, object_checksums: bool = True) -> bytes:
    """The whole payload of at most ``most`` bytes, verified like any other.

    :raises EntityTooLarge: it is longer; and all that ``open_body``, ``fill`` and ``finish`` raise
    """
    body = open_body(request, identity, BodyLimits(most), object_checksums=object_checksums)
    data = bytearray(body.size)
    if data:
        await body.fill(memoryview(data))
    await body.finish()
    return bytes(data)


def _framing(request: Request, identity: Identity) -> str:
    """The payload declaration that governs. SDKs that sign with V2 send trailers without ``x-amz-content-sha256``."""
    if "x-amz-content-sha256" in request.headers or "x-amz-trailer" not in request.headers:
        return identity.payload
    codings = [c.strip().lower() for c in request.headers.get("content-encoding").split(",")]
    return UNSIGNED_CHUNKS_TRAILER if "aws-chunked" in codings and identity.payload == UNSIGNED else identity.payload


def _decoded_length(request: Request) -> int:
    given = request.headers.all("x-amz-decoded-content-length")
    if not given:
        raise MissingContentLength()
    text = given[0].strip(" \t")
    if len(given) > 1 or not (text.isascii() and text.isdigit()):
        raise InvalidRequest("x-amz-decoded-content-length is not a number.")
    if len(text) > 19:
        raise EntityTooLarge()
    size, length = int(text), request.body.length
    if length is not None and size > length:
        raise IncompleteBody()
    return size


def _chain(payload: str, identity: Identity, trailer: str) -> Chain:
    if payload == UNSIGNED_CHUNKS_TRAILER:
        return Unsigned()
    if trailer and payload == SIGNED_CHUNKS:
        raise InvalidRequest("x-amz-trailer needs a trailer in x-amz-content-sha256.")
    if identity.seed is None:
        raise SignatureDoesNotMatch()
    return Signed(identity.seed, payload == SIGNED_CHUNKS_TRAILER)


class PlainBody:
    """A payload without framing."""

    __slots__ = ("_digester", "_left", "_raw", "size")

    def __init__(self, raw: RawBody, size: int, digester: Digester) -> None:
        self.size = self._left = size
        self._raw = raw
        self._digester = digester

    async def fill(self, view: memoryview) -> None:
        """See ``Body.fill``."""
        if len(view) > self._left:
            raise IncompleteBody()
        self._left -= len(view)
        await self._raw.fill([view], partial(self._digester.update, view))

    async def finish(self) -> Digests:
        """See ``Body.finish``."""
        if self._left:
            raise IncompleteBody()
        return self._digester.conclude({})


class FramedBody:
    """A payload in aws-chunked framing.

    Long bodies are received straight into the target where the chunks are predicted to lie (``Deframer.plan``), and
    checked in the thread that received them; what was predicted wrongly goes through the parser.
    """

    __slots__ = ("_chain", "_deframer", "_digester", "_left", "_pending", "_raw", "size")

    def __init__(self, raw: RawBody, size: int, digester: Digester, chain: Chain) -> None:
        self.size = self._left = size
        self._raw = raw
        self._digester = digester
        self._chain = chain
        self._deframer = Deframer(size, chain)
        self._pending = memoryview(b"")

    async def fill(self, view: memoryview) -> None:
        """See ``Body.fill``."""
        if len(view) > self._left:
            raise IncompleteBody()
        self._left -= len(view)
        at = self._drain(view)
        while at < len(view):
            at += await self._receive(view[at:])

    async def finish(self) -> Digests:
        """See ``Body.finish``."""
        if self._left:
            raise IncompleteBody()
        rest = await self._rest()
        if not rest and not self.size and self._raw.length == 0 and not self._digester.trailer:
            return self._digester.conclude({})  # minio-go announces an empty upload as an empty body
        used, _ = self._deframer.parse(memoryview(rest), memoryview(b""))
        if not self._deframer.at_tail:
            raise IncompleteBody()
        trailers = parse_tail(rest[used:], self._digester.trailer, self._chain)
        return self._digester.conclude(trailers)

    async def _receive(self, view: memoryview) -> int:
        """Get some more payload into the front of ``view``; the bytes made."""
        plan = None if self._pending else self._deframer.plan(view, self._raw_left())
        if plan is None:
            return await self._receive_parsed(view)
        made = [0]

        def settle() -> None:
            made[0], rest = self._deframer.settle(plan)
            self._digester.update(view[: made[0]])
            self._pending = memoryview(rest)
            made[0] += self._drain(view[made[0] :])

        await self._raw.fill(plan.views, settle)
        return made[0]

    async def _receive_parsed(self, view: memoryview) -> int:
        """The same through the parser."""
        most, known = self._wanted(len(view)), self._raw_left()
        if known is None or most == HEAD_BYTES:
            data = await self._raw.read_some(most)
            if not data:
                raise IncompleteBody()
            return self._parse(memoryview(data), view)
        if not known:
            raise IncompleteBody()
        scratch = memoryview(bytearray(min(most, known)))
        made = [0]

        def parse() -> None:
            made[0] = self._parse(scratch, view)

        await self._raw.fill([scratch], parse)
        return made[0]

    def _wanted(self, need: int) -> int:
        """Raw bytes worth asking for: a short body whole, of a long one the header alone, so that the prediction can
        start; without a prediction as much as is needed."""
        length = self._raw.length
        if length is not None and length <= WHOLE_BYTES_MAX:
            return WHOLE_BYTES_MAX
        if self._deframer.predicting and not self._deframer.in_chunk:
            return HEAD_BYTES
        return min(need + HEAD_BYTES, SCRATCH_BYTES)

    def _raw_left(self) -> int | None:
        return None if self._raw.length is None else self._raw.left

    def _drain(self, view: memoryview) -> int:
        return self._parse(memoryview(b""), view) if self._pending else 0

    def _parse(self, data: memoryview, view: memoryview) -> int:
        """Parse what is pending and ``data``; payload bytes put into the front of ``view``, and digested."""
        joined = memoryview(b"".join((self._pending, data))) if self._pending else data
        used, made = self._deframer.parse(joined, view)
        self._pending = joined[used:]
        if made:
            self._digester.update(view[:made])
        return made

    async def _rest(self) -> bytes:
        """All that follows the payload."""
        most = LINE_BYTES_MAX + TAIL_BYTES_MAX
        pieces, total = [bytes(self._pending)], len(self._pending)
        while total <= most and (data := await self._raw.read_some(most)):
            pieces.append(data)
            total += len(data)
        if total > most:
            raise ExcessBody()
        return b"".join(pieces)
