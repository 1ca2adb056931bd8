"""Erasure codes: systematic Reed-Solomon over GF(2^8) as zfec defines it.

The format is zfec's. ISA-L, fed with zfec's own generator rows, computes the same bytes 10–25 times faster; it is used
when the system has it or the PyECLib wheel brings it, zfec otherwise. A test holds both identical for every geometry.
Both drop the GIL, except ISA-L on short blocks, where giving it up costs more than the work.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import zfec

from ..base.addresses import WRITABLE, PyBuffer, get_buffer, release_buffer
from .digest import Readable

Writable = bytearray | memoryview
Rows = tuple[bytes, ...]

#: Blocks shorter than this are coded without dropping the GIL.
_HOLD_GIL_BELOW = 32 * 1024
_SYSTEM_LIBRARY = "libisal.so.2"


class Codec(Protocol):
    """The code of one geometry. All blocks of a call have the same length; any length from 1 byte."""

    @property
    def name(self) -> str:
        """``isa-l`` or ``zfec``, for messages."""

    def encode(self, data: Sequence[Readable], parity: Sequence[Writable]) -> None:
        """Compute the ``m`` parity blocks of ``k`` data blocks into ``parity``."""

    def reconstruct(self, have: Mapping[int, Readable], wanted: Mapping[int, Writable]) -> None:
        """Compute blocks from others, both by shard number; ``have`` holds exactly ``k``, none of them wanted."""


# -- the field and its matrices -----------------------------------------------------------------------


def _field() -> tuple[bytes, bytes]:
    """Powers (twice over, so that sums need no modulo) and logarithms of GF(2^8) with polynomial 0x11D."""
    power, log, x = bytearray(510), bytearray(256), 1
    for i in range(255):
        power[i] = power[i + 255] = x
        log[x] = i
        x = x << 1 ^ (0x11D if x & 0x80 else 0)
    return bytes(power), bytes(log)


_POWER, _LOG = _field()


def _times(a: int, b: int) -> int:
    return _POWER[_LOG[a] + _LOG[b]] if a and b else 0


def _scaled(row: Sequence[int], factor: int) -> list[int]:
    return [_times(value, factor) for value in row]


@lru_cache(maxsize=256)
def generator(k: int, m: int) -> Rows:
    """Row ``i`` gives shard ``i`` as a combination of the ``k`` data shards. Taken from zfec by encoding unit vectors."""
    unit = tuple(bytes(1 if i == j else 0 for j in range(k)) for i in range(k))
    return unit if m == 0 else unit + tuple(zfec.Encoder(k, k + m).encode(unit, tuple(range(k, k + m))))


def _inverse(rows: Rows) -> Rows:
    """The inverse of a square matrix, by Gauss-Jordan. Any ``k`` rows of the generator are independent."""
    size = len(rows)
    left = [list(row) + [1 if i == j else 0 for j in range(size)] for i, row in enumerate(rows)]
    for column in range(size):
        pivot = next(i for i in range(column, size) if left[i][column])
        left[column], left[pivot] = left[pivot], left[column]
        left[column] = _scaled(left[column], _POWER[255 - _LOG[left[column][column]]])
        for i in range(size):
            if i != column and left[i][column]:
                scaled = _scaled(left[column], left[i][column])
                left[i] = [a ^ b for a, b in zip(left[i], scaled, strict=True)]
    return tuple(bytes(row[size:]) for row in left)


def _product(row: bytes, matrix: Rows) -> bytes:
    out = bytearray(len(matrix))
    for factor, other in zip(row, matrix, strict=True):
        for column, value in enumerate(other):
            out[column] ^= _times(factor, value)
    return bytes(out)


@lru_cache(maxsize=1024)
def decode_rows(k: int, m: int, have: tuple[int, ...], wanted: tuple[int, ...]) -> Rows:
    """Row ``j`` gives shard ``wanted[j]`` as a combination of the shards ``have``."""
    rows = generator(k, m)
    inverse = _inverse(tuple(rows[i] for i in have))
    return tuple(_product(rows[i], inverse) for i in wanted)


# -- ISA-L --------------------------------------------------------------------------------------------


@contextmanager
def _addresses(blocks: Sequence[Readable], length: int, flags: int) -> Iterator[ctypes.Array[ctypes.c_void_p]]:
    """The addresses of blocks, read-only ones too, pinned meanwhile.

    :raises ValueError: a block has another length
    """
    views = (PyBuffer * len(blocks))()
    base, step, pinned = ctypes.addressof(views), ctypes.sizeof(PyBuffer), 0
    try:
        for block in blocks:
            get_buffer(block, base + pinned * step, flags)
            pinned += 1
            if views[pinned - 1].len != length:
                raise ValueError(f"block of {views[pinned - 1].len} bytes among blocks of {length}")
        yield (ctypes.c_void_p * len(blocks))(*(view.buf for view in views))
    finally:
        for i in range(pinned):
            release_buffer(base + i * step)


class IsalLibrary:
    """The three functions of ISA-L that are used."""

    def __init__(self, path: str) -> None:
        """:raises OSError: there is no such library"""
        free, held = ctypes.CDLL(path), ctypes.PyDLL(path)
        self.path = path
        self._init = held.ec_init_tables
        self._encode = free.ec_encode_data
        self._encode_short = held.ec_encode_data
        self._init.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
        for function in (self._encode, self._encode_short):
            function.argtypes = [ctypes.c_int] * 3 + [ctypes.c_void_p] * 3
        for function in (self._init, self._encode, self._encode_short):
            function.restype = None

    def tables(self, rows: Rows) -> ctypes.Array[ctypes.c_char]:
        """Multiplication tables for a matrix."""
        k = len(rows[0])
        tables = ctypes.create_string_buffer(32 * k * len(rows))
        self._init(k, len(rows), b"".join(rows), tables)
        return tables

    def combine(self, tables: ctypes.Array[ctypes.c_char], sources: Sequence[Readable], outs: Sequence[Writable]) -> None:
        """``outs`` = matrix × ``sources``."""
        length = len(sources[0])
        encode = self._encode_short if length < _HOLD_GIL_BELOW else self._encode
        with _addresses(sources, length, 0) as read, _addresses(outs, length, WRITABLE) as written:
            encode(length, len(sources), len(outs), tables, read, written)


class IsalCodec:
    """Codes by ISA-L."""

    name = "isa-l"

    def __init__(self, k: int, m: int, library: IsalLibrary) -> None:
        self.k, self.m = k, m
        self._library = library
        self._encode_tables = library.tables(generator(k, m)[k:]) if m else None
        self._decode_tables = lru_cache(maxsize=256)(self._tables_for)

    def _tables_for(self, have: tuple[int, ...], wanted: tuple[int, ...]) -> ctypes.Array[ctypes.c_char]:
        return self._library.tables(decode_rows(self.k, self.m, have, wanted))

    def encode(self, data: Sequence[Readable], parity: Sequence[Writable]) -> None:
        _check(self.k, self.m, len(data), len(parity))
        if self._encode_tables is not None:
            self._library.combine(self._encode_tables, data, parity)

    def reconstruct(self, have: Mapping[int, Readable], wanted: Mapping[int, Writable]) -> None:
        _check(self.k, len(wanted), len(have), len(wanted))
        tables = self._decode_tables(tuple(have), tuple(wanted))
        self._library.combine(tables, tuple(have.values()), tuple(wanted.values()))


# -- zfec ---------------------------------------------------------------------------------------------


class ZfecCodec:
    """Codes by zfec: everywhere available, slower, with one copy per computed block."""

    name = "zfec"

    def __init__(self, k: int, m: int) -> None:
        self.k, self.m = k, m
        self._encoder = zfec.Encoder(k, k + m)
        self._decoder = zfec.Decoder(k, k + m)

    def encode(self, data: Sequence[Readable], parity: Sequence[Writable]) -> None:
        _check(self.k, self.m, len(data), len(parity))
        if self.m:
            numbers = tuple(range(self.k, self.k + self.m))
            for out, block in zip(parity, self._encoder.encode(tuple(data), numbers), strict=True):
                out[:] = block

    def reconstruct(self, have: Mapping[int, Readable], wanted: Mapping[int, Writable]) -> None:
        _check(self.k, len(wanted), len(have), len(wanted))
        data = tuple(self._decoder.decode(tuple(have.values()), tuple(have)))
        for number, out in wanted.items():
            out[:] = data[number] if number < self.k else self._encoder.encode(data, (number,))[0]


def _check(k: int, m: int, data: int, outs: int) -> None:
    if data != k or outs != m:
        raise ValueError(f"{data} blocks in and {outs} out where {k} and {m} are due")


# -- which one ----------------------------------------------------------------------------------------


def isal_candidates() -> list[str]:
    """Where ISA-L may be: the system's, then the copy that the PyECLib wheel ships beside the package."""
    spec = importlib.util.find_spec("pyeclib")
    found: list[str] = []
    if spec is not None and spec.origin is not None:
        libraries = Path(spec.origin).parent.parent / "pyeclib.libs"
        found = sorted(str(path) for path in libraries.glob("libisal*.so*"))
    return [_SYSTEM_LIBRARY, *found]


@lru_cache(maxsize=1)
def isal() -> IsalLibrary | None:
    """ISA-L, or None where there is none."""
    for path in isal_candidates():
        try:
            return IsalLibrary(path)
        except (OSError, AttributeError):
            continue
    return None


@lru_cache(maxsize=256)
def codec_for(k: int, m: int) -> Codec:
    """The fastest codec available. One object per geometry and process; safe to use from many threads."""
    library = isal()
    return ZfecCodec(k, m) if library is None else IsalCodec(k, m, library)
