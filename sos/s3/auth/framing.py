"""The aws-chunked framing, taken off without I/O.

States: before a chunk header (``_chunk_left`` 0, the header of a chunk after the first is preceded by CRLF), inside a
chunk (``_chunk_left`` > 0), at the tail (the zero chunk was seen).

1. No size is believed: a chunk never exceeds the payload still expected, nor its bound.
2. A chunk is closed (its signature checked) when its last byte is there, and before anything behind it is looked at.
3. A prediction is only a guess of where the headers will lie. When it is wrong the same bytes are parsed one after the
   other; nothing is lost, since a prediction never asks for more bytes than the body still has.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...domain.errors import ExcessBody, IncompleteBody, MalformedFraming, MalformedTrailer
from .chain import Chain

LINE_BYTES_MAX = 4096
TAIL_BYTES_MAX = 16 * 1024
SIZE_DIGITS_MAX = 16
PREDICTED_CHUNK_MIN = 4096
PREDICTED_CHUNKS_MAX = 256
HEADER_BYTES_USUAL = 128
CHUNKS_FREE = 1024
CHUNK_BYTES_AVERAGE_MIN = 512
HEX = frozenset(b"0123456789abcdefABCDEF")
TRAILER_SIGNATURE = "x-amz-trailer-signature"


@dataclass(slots=True)
class Plan:
    """Where the next raw bytes are expected to belong.

    :param views: what to receive into, in order: payload slices, and small buffers for the bytes between two chunks
    :param out: the payload target; the payload slices are consecutive parts of it
    :param first: payload bytes of the current chunk
    :param gaps: (buffer, payload bytes of its chunk in ``out``, size of its chunk)
    """

    out: memoryview
    first: int
    views: list[memoryview] = field(default_factory=list)
    gaps: list[tuple[bytearray, int, int]] = field(default_factory=list)


class Deframer:
    """Takes the framing off one body.

    :param size: payload bytes declared in all
    """

    __slots__ = ("_chain", "_chunk_left", "_chunk_size", "_chunks_left", "_left", "_predict", "_started", "at_tail")

    def __init__(self, size: int, chain: Chain) -> None:
        self._chain = chain
        self._left = size
        self._chunk_left = 0
        self._chunk_size = 0
        self._chunks_left = CHUNKS_FREE + size // CHUNK_BYTES_AVERAGE_MIN
        self._started = False
        self._predict = True
        self.at_tail = False

    @property
    def in_chunk(self) -> bool:
        """Payload of a chunk comes next."""
        return self._chunk_left > 0

    @property
    def predicting(self) -> bool:
        """No prediction has failed so far."""
        return self._predict

    def parse(self, data: memoryview, out: memoryview) -> tuple[int, int]:
        """Parse from ``data`` until it or ``out`` is used up: (bytes of ``data`` used, bytes put into ``out``).

        With an empty ``out`` only what stands before the next payload byte is read.

        :raises MalformedFraming, IncompleteBody, ExcessBody, SignatureMismatch
        """
        used = made = 0
        while not self.at_tail:
            if self._chunk_left:
                count = min(self._chunk_left, len(out) - made, len(data) - used)
                if not count:
                    break
                out[made : made + count] = data[used : used + count]
                self._payload(out[made : made + count])
                used, made = used + count, made + count
            elif self._left and made == len(out):
                break
            else:
                length = self._header(data[used : used + LINE_BYTES_MAX + 4])
                if not length:
                    break
                used += length
        return used, made

    def plan(self, out: memoryview, raw_left: int | None) -> Plan | None:
        """Predict the framing of the bytes for ``out``: further chunks have the size of this one, the last one the
        rest. None where no guess is possible.

        :param raw_left: raw bytes of the body not yet received, None when not known
        """
        if not self._started or not self._predict:
            return None
        first = min(self._chunk_left, len(out))
        if raw_left is not None and first > raw_left:
            return None
        plan = Plan(out, first, [out[:first]])
        if raw_left is not None and self._chunk_size >= PREDICTED_CHUNK_MIN and first == self._chunk_left:
            self._plan_chunks(plan, raw_left - first)
        return plan if first or plan.gaps else None

    def _plan_chunks(self, plan: Plan, raw_left: int) -> None:
        at, left = plan.first, self._left - plan.first
        while at < len(plan.out) and len(plan.gaps) < PREDICTED_CHUNKS_MAX:
            size = min(self._chunk_size, left)
            gap = bytearray(2 + len(f"{size:x}") + self._chain.suffix_bytes + 2)
            count = min(size, len(plan.out) - at)
            raw_left -= len(gap) + count
            if raw_left < 0:
                return
            plan.views += [memoryview(gap), plan.out[at : at + count]]
            plan.gaps.append((gap, count, size))
            at, left = at + count, left - size

    def settle(self, plan: Plan) -> tuple[int, bytes]:
        """Check a plan whose views were filled: (payload bytes in ``out`` that stand, raw bytes still to be parsed).

        :raises SignatureMismatch: a chunk was tampered with
        """
        self._payload(plan.out[: plan.first])
        at = plan.first
        for index, (gap, count, size) in enumerate(plan.gaps):
            extension = self._expected(gap, size)
            if extension is None:
                self._predict = False
                return at, b"".join(plan.views[1 + 2 * index :])
            self._chain.begin(extension)
            self._chunk_left = self._chunk_size = size
            self._payload(plan.out[at : at + count])
            at += count
        return at, b""

    def _expected(self, gap: bytearray, size: int) -> bytes | None:
        """The extension of a predicted header, or None when something else is there."""
        start = b"\r\n%x" % size
        if not gap.startswith(start) or not gap.endswith(b"\r\n"):
            return None
        extension = bytes(gap[len(start) : -2])
        return None if extension and extension[:1] != b";" else extension

    def _payload(self, data: memoryview) -> None:
        self._chain.update(data)
        self._chunk_left -= len(data)
        self._left -= len(data)
        if not self._chunk_left and len(data):
            self._chain.close()

    def _header(self, data: memoryview) -> int:
        """Read a chunk header, with the CRLF before it; its length in bytes, or 0 while it is not complete."""
        head = bytes(data[:HEADER_BYTES_USUAL])
        start = 2 if self._started else 0
        if self._started and head[:2] != b"\r\n"[: len(head[:2])]:
            raise MalformedFraming("A chunk does not end with CRLF.")
        end = head.find(b"\r\n", start)
        if end < 0 and len(data) > len(head):
            head = bytes(data)
            end = head.find(b"\r\n", start)
        if end < 0:
            if len(head) >= LINE_BYTES_MAX:
                raise MalformedFraming("A chunk header is too long.")
            return 0
        size, extension = _size_line(head[start:end])
        self._open(size, extension)
        return end + 2

    def _open(self, size: int, extension: bytes) -> None:
        if size > self._chain.chunk_bytes_max:
            raise MalformedFraming("A chunk is too large.")
        if size > self._left:
            raise ExcessBody()
        if not size and self._left:
            raise IncompleteBody()
        self._chunks_left -= 1
        if self._chunks_left < 0:
            raise MalformedFraming("The chunks are too small.")
        self._chain.begin(extension)
        self._started = True
        self._chunk_left = self._chunk_size = size
        if not size:
            self._chain.close()
            self.at_tail = True


def _size_line(line: bytes) -> tuple[int, bytes]:
    digits, mark, rest = line.partition(b";")
    if not 0 < len(digits) <= SIZE_DIGITS_MAX or not HEX.issuperset(digits):
        raise MalformedFraming("A chunk size is malformed.")
    return int(digits, 16), mark + rest


def parse_tail(tail: bytes, awaited: str, chain: Chain) -> dict[str, str]:
    """The trailers behind the zero chunk: name → value.

    Lines end in CRLF or, as minio-go writes them, in LF; blank lines carry nothing and the last line is one.

    :param awaited: the one trailer announced, or empty; whether it came is for the digests to judge
    :raises MalformedTrailer, ExcessBody, IncompleteBody, SignatureMismatch
    """
    if tail.startswith(b"\r\n") and len(tail) > 2:
        raise ExcessBody()
    if not tail.endswith(b"\n\r\n") and tail != b"\r\n":
        raise IncompleteBody()
    found: dict[str, str] = {}
    for line in tail.split(b"\n"):
        line = line.removesuffix(b"\r")
        if line:
            name, mark, value = line.decode("latin-1").partition(":")
            name = name.lower()
            if not mark or name in found or name not in (awaited, TRAILER_SIGNATURE):
                raise MalformedTrailer()
            found[name] = value.strip(" \t")
    signature = found.pop(TRAILER_SIGNATURE, "")
    lines = "".join([f"{name}:{value}\n" for name, value in found.items()])
    chain.check_trailers(lines.encode("latin-1"), signature)
    return found
