"""Frames between workers: length-prefixed, over a stream of a unix socket.

A frame is 4 bytes length (little-endian, of what follows), 8 bytes call id, 1 byte topic, then the payload. A reply has
the call's id and the topic ``REPLY`` or ``FAILURE``. Payloads are opaque here.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEAD = struct.Struct("<IQB")
#: A commit message carries at most a few inline objects; anything larger is a bug of the peer.
FRAME_BYTES_MAX = 64 * 1024 * 1024

REPLY = 0
FAILURE = 255


class Frame(NamedTuple):
    call: int
    topic: int
    payload: bytes


def encode(call: int, topic: int, payload: bytes) -> bytes:
    return HEAD.pack(HEAD.size - 4 + len(payload), call, topic) + payload


class Splitter:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes.

        :raises ValueError: a length out of bounds; the connection is of no more use
        """
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        at = 0
        while len(buffer) - at >= HEAD.size:
            length, call, topic = HEAD.unpack_from(buffer, at)
            if not HEAD.size - 4 <= length <= FRAME_BYTES_MAX:
                raise ValueError(f"frame of {length} bytes")
            end = at + 4 + length
            if len(buffer) < end:
                break
            frames.append(Frame(call, topic, bytes(memoryview(buffer)[at + HEAD.size : end])))
            at = end
        if at:
            del buffer[:at]
        return frames
