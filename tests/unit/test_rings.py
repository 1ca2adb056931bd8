"""Rings of records in shared memory: order, what is lost and told, and a reader beside a writer in another process."""

from __future__ import annotations

import mmap
import os
import random

from sos.base.rings import Mark, Ring

BYTES_MAX = 1 << 20


def ring(length: int = 64 + 4096) -> tuple[Ring, memoryview]:
    memory = memoryview(mmap.mmap(-1, length))
    return Ring(memory), memory


def test_records_come_in_order_and_once() -> None:
    one, _ = ring()
    mark = one.now()
    for i in range(5):
        assert one.append(b"record %d" % i)
    first = one.read(mark, BYTES_MAX)
    assert first.records == [b"record %d" % i for i in range(5)]
    assert first.lost == 0
    assert one.read(first.mark, BYTES_MAX).records == []
    assert one.append(b"")
    assert one.read(first.mark, BYTES_MAX).records == [b""]


def test_what_was_overwritten_is_counted() -> None:
    one, _ = ring()
    mark = one.now()
    for i in range(1000):
        one.append(b"%d" % i * 10)
    found = one.read(mark, BYTES_MAX)
    assert found.lost + len(found.records) == 1000
    assert found.lost > 0
    assert found.records[-1] == b"999" * 10
    assert one.read(one.oldest(), BYTES_MAX)[0] == found.records


def test_too_long_a_record_is_refused_and_counted() -> None:
    one, _ = ring()
    mark = one.now()
    assert not one.append(b"x" * 4096)
    one.append(b"next")
    found = one.read(mark, BYTES_MAX)
    assert (found.records, found.lost) == ([b"next"], 1)


def test_a_reader_takes_as_much_as_it_asks_for() -> None:
    one, _ = ring()
    for i in range(20):
        one.append(b"%02d" % i)
    mark, got = Mark(), []
    while records := (found := one.read(mark, 6)).records:
        assert len(records) <= 3
        got += records
        mark = found.mark
    assert got == [b"%02d" % i for i in range(20)]


def test_random_records_agree_with_a_list() -> None:
    random.seed(7)
    one, memory = ring(64 + 1024)
    mark, written, got, lost = one.now(), [], [], 0
    for turn in range(2000):
        for _ in range(random.randrange(4)):
            written.append(random.randbytes(random.randrange(100)))
            one.append(written[-1])
        if turn % 500 == 499:
            one = Ring(memory)  # as the successor of the process that wrote
        if random.random() < 0.4 or turn == 1999:
            found = one.read(mark, 10_000)
            lost += found.lost
            got += [None] * found.lost + found.records
            mark = found.mark
    assert len(got) == len(written)
    assert all(a is None or a == b for a, b in zip(got, written, strict=True))
    assert 0 < lost < len(written)


def test_a_reader_beside_a_writer_never_gets_a_broken_record() -> None:
    one, memory = ring(64 + 2048)
    pid = os.fork()
    if not pid:
        other = Ring(memory)
        for i in range(30_000):
            other.append(b"%06d" % i * (1 + i % 20))
        os._exit(0)
    mark, count, last = Mark(), 0, -1
    ended = False
    while True:
        found = one.read(mark, 1 << 16)
        count += len(found.records) + found.lost
        for record in found.records:
            number = int(record[:6])
            assert record == b"%06d" % number * (1 + number % 20)
            assert number > last
            last = number
        mark = found.mark
        if ended and not found.records:
            break
        ended = ended or os.waitpid(pid, os.WNOHANG)[0] == pid
    assert (count, last) == (30_000, 29_999)
