"""Encrypted bodies of the admin API: the vector that madmin-go publishes, every algorithm, every fragment boundary."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sos.admin import crypto
from sos.admin.crypto import FRAGMENT_BYTES, HEAD_BYTES, TAG_BYTES, Algorithm, Envelopes, decrypt, encrypt
from sos.domain.errors import BadDocument

#: madmin-go ``encrypt_test.go``: the password is empty, and so is the text.
VECTOR = bytes.fromhex(
    "828aa81599df0651c0461adb82283e8b89956baee9f6e719947ef9cddc849028001dc9d3ac0938f66b07bacc9751437e1985f8a9763c240e81"
)


def test_the_published_vector_opens() -> None:
    assert decrypt("", VECTOR) == b""


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("size", [0, 1, FRAGMENT_BYTES - 1, FRAGMENT_BYTES, FRAGMENT_BYTES + 1, 3 * FRAGMENT_BYTES])
def test_what_is_sealed_opens(algorithm: Algorithm, size: int) -> None:
    text = bytes(i % 251 for i in range(size))
    body = encrypt("a-secret", text, algorithm)
    fragments = max(1, -(-size // FRAGMENT_BYTES))
    assert (body[32], len(body)) == (algorithm, HEAD_BYTES + size + fragments * TAG_BYTES)
    assert decrypt("a-secret", body) == text


def test_what_was_tampered_with_does_not_open() -> None:
    text = bytes(2 * FRAGMENT_BYTES + 5)
    body = encrypt("a-secret", text, Algorithm.PBKDF2_AES)
    piece = FRAGMENT_BYTES + TAG_BYTES
    first, second = body[HEAD_BYTES : HEAD_BYTES + piece], body[HEAD_BYTES + piece : HEAD_BYTES + 2 * piece]
    rest = body[HEAD_BYTES + 2 * piece :]
    broken = [
        body[:-1],
        body[: HEAD_BYTES + piece],  # cut off at a fragment's end
        body[:HEAD_BYTES] + second + first + rest,
        body + b"x",
        body[:40] + bytes([body[40] ^ 1]) + body[41:],
        body[:32] + b"\x03" + body[33:],
        b"{}",
        b"",
    ]
    for one in broken:
        with pytest.raises(BadDocument):
            decrypt("a-secret", one)
    with pytest.raises(BadDocument):
        decrypt("another-secret", body)


def test_many_at_once_take_turns() -> None:
    async def work() -> list[bytes]:
        envelopes = Envelopes()
        bodies = await asyncio.gather(*(envelopes.seal("s", bytes([i])) for i in range(5)))
        return await asyncio.gather(*(envelopes.open("s", body) for body in bodies))

    assert asyncio.run(work()) == [bytes([i]) for i in range(5)]


def test_who_asks_for_many_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """P07: a key without any right can have as many documents opened as it likes, one at a time."""
    go = threading.Event()

    def sealed(secret: str, text: bytes) -> bytes:
        assert secret == "few" or go.wait(30)
        return text

    monkeypatch.setattr(crypto, "encrypt", sealed)

    async def scenario() -> None:
        envelopes = Envelopes()
        many = [asyncio.create_task(envelopes.seal("many", b"m")) for _ in range(20)]
        try:
            await asyncio.sleep(0)
            assert await asyncio.wait_for(envelopes.seal("few", b"f"), 20) == b"f"
            assert not any(task.done() for task in many)
        finally:
            go.set()
            assert await asyncio.gather(*many) == [b"m"] * 20

    asyncio.run(scenario())
