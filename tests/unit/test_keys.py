"""Row keys: order, bounds and golden bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sos.meta import keys
from sos.meta.rows import seal
from sos.meta.walk import after, at, walk
from tests.kit.dict_view import DictView

GOLDEN = Path(__file__).parent / "golden" / "v1" / "keys.txt"
BUCKET = 7

short = st.binary(min_size=1, max_size=12)
narrow = st.lists(st.sampled_from([0, 1, 2, 255, 97]), min_size=1, max_size=8).map(bytes)


@st.composite
def near_cut(draw: st.DrawFn) -> bytes:
    """A key of many equal bytes whose length is around a multiple of the cut, with a few odd bytes in it."""
    fill = draw(st.sampled_from([b"a", b"\x00", b"\xff"]))
    length = draw(st.sampled_from([198, 199, 200, 201, 398, 399, 400, 401, 402, 799, 800, 801, 1022, 1023, 1024]))
    raw = bytearray(fill * length)
    for _ in range(draw(st.integers(0, 3))):
        where = draw(st.sampled_from([0, 1, 197, 199, 200, 398, 399, 400, 401, 799, 800, length - 1]))
        if where < length:
            raw[where] = draw(st.sampled_from([0, 1, 2, 97, 98, 255]))
    return bytes(raw)


any_key = st.one_of(short, narrow, near_cut(), st.binary(min_size=1, max_size=1024))


def stored(object_keys: list[bytes], tail: bytes = b"") -> DictView:
    view = DictView()
    for key in object_keys:
        place = keys.place(BUCKET, key)
        rows = [(link.row, link.child) for link in place.links] + [(place.row + tail, key)]
        for row, value in rows:
            assert len(row) <= 511
            view.apply([("current", row, seal(row, value))])  # type: ignore[list-item]
    return view


@settings(max_examples=150, deadline=None)
@given(st.lists(any_key, min_size=1, max_size=30, unique=True))
@example([b"a" * 400, b"a" * 401, b"a" * 399 + b"\x00", b"a" * 399, b"a" * 399 + b"\x00b", b"a" * 399 + b"b"])
@example([b"\x00" * 1024, b"\x00" * 200, b"\x00" * 201, b"\x00" * 199 + b"\x01"])
@pytest.mark.parametrize("tail", [b"", b"\x00\x02" * 4, bytes(16)])
def test_rows_walk_in_the_byte_order_of_their_keys(tail: bytes, object_keys: list[bytes]) -> None:
    """R06: keys of 1 to 1,024 bytes of any value, whatever follows them in the row key."""
    view = stored(object_keys, tail)
    assert [key for key, _, _ in walk(view, "current", BUCKET, b"", at(b""))] == sorted(object_keys)


@settings(max_examples=200, deadline=None)
@given(st.lists(any_key, min_size=1, max_size=25, unique=True), st.data())
def test_a_walk_starts_and_ends_where_it_is_told(object_keys: list[bytes], data: st.DataObject) -> None:
    """R06, R07: any prefix, from any key on, with and without that key, stored or not."""
    view = stored(object_keys)
    some = st.sampled_from(object_keys)
    cut = st.integers(0, 1024)
    prefix = data.draw(st.one_of(st.just(b""), st.tuples(some, cut).map(lambda pair: pair[0][: pair[1]]), any_key))
    start = data.draw(st.one_of(some, any_key, st.tuples(some, cut).map(lambda pair: pair[0][: pair[1]])))
    inside = sorted(key for key in object_keys if key.startswith(prefix))
    assert [k for k, _, _ in walk(view, "current", BUCKET, prefix, at(start))] == [k for k in inside if k >= start]
    assert [k for k, _, _ in walk(view, "current", BUCKET, prefix, after(start))] == [k for k in inside if k > start]


@settings(max_examples=300, deadline=None)
@given(any_key, any_key)
def test_row_keys_are_distinct_and_no_prefix_of_each_other(a: bytes, b: bytes) -> None:
    """R06 (K2): what follows a row key (a version order, an upload id) belongs to one object key only."""
    rows = keys.row_key(BUCKET, a), keys.row_key(BUCKET, b)
    assert (a == b) == (rows[0] == rows[1])
    if a != b:
        assert not rows[0].startswith(rows[1])


@pytest.mark.parametrize("key", ["a", "a/b", "a//b", "a/", "./x", "../x", "é☃𐀀", "x" * 1024, "𐀀" * 256])
def test_awkward_names_coexist(key: str) -> None:
    """R06: one long segment, every UTF-8 plane, dots and empty segments."""
    others = [b"a", b"a/b", b"a/c", b"x" * 1023, b"x" * 400]
    names = sorted({key.encode(), *others})
    assert [k for k, _, _ in walk(stored(names), "current", BUCKET, b"", at(b""))] == names


def test_buckets_do_not_overlap() -> None:
    view = DictView()
    for bucket in (1, 2, 255, 256):
        row = keys.row_key(bucket, b"k")
        view.apply([("current", row, seal(row, b""))])  # type: ignore[list-item]
    for bucket in (1, 2, 255, 256):
        assert len(list(walk(view, "current", bucket, b"", at(b"")))) == 1
        assert len(list(view.scan("current", *keys.of_bucket(bucket)))) == 1


@given(st.integers(0, keys.ORDER_MAX), st.integers(0, keys.ORDER_MAX))
def test_versions_sort_newest_first(a: int, b: int) -> None:
    """R23: by the set's sequence."""
    row = keys.row_key(BUCKET, b"k")
    assert (keys.version_row(row, a) < keys.version_row(row, b)) == (a > b)
    assert keys.order_of(keys.version_row(row, a)) == a


@given(st.binary(max_size=4), st.binary(max_size=5))
def test_after_prefix_is_above_everything_below_it(prefix: bytes, other: bytes) -> None:
    following = keys.after_prefix(prefix)
    if following is None:
        assert prefix.strip(b"\xff") == b""
    elif other.startswith(prefix):
        assert other < following
    elif other > prefix:
        assert other >= following


def forms() -> dict[str, bytes]:
    """Every form of row key, by name."""
    row = keys.row_key(0x0102030405060708, b"dir/a")
    long = keys.place(7, b"x" * 400 + b"y" * 400 + b"z")
    nul = keys.place(7, b"\x00" * 201)
    return {
        "current": row,
        "current, NUL bytes": keys.row_key(7, b"a\x00\x00b"),
        "link": long.links[0].row,
        "link in a child range": long.links[1].row,
        "end in a child range": long.row,
        "link id": long.links[0].child,
        "link, NUL bytes": nul.links[0].row,
        "end of NUL bytes": nul.row,
        "versions": keys.version_row(row, 5),
        "vids": keys.vid_row(row, bytes(range(16))),
        "vids, null version": keys.vid_row(row, b""),
        "uploads": keys.upload_row(row, bytes(range(16))),
        "parts": keys.part_row(7, bytes(range(16)), 10000),
        "extents": keys.extent_row(3 << 32 | 9, 4096),
        "counters": keys.counter_row(7, "STANDARD"),
        "fences": keys.fence_row(7),
        "oplog": keys.log_row(77),
        "undo": keys.undo_row(77, 5),
        "release": keys.release_row(77, 5),
        "buckets": keys.bucket_row("photos"),
    }


def test_golden_row_keys() -> None:
    """A released format is read by every later release."""
    lines = (line.split(": ") for line in GOLDEN.read_text().splitlines())
    assert {name: bytes.fromhex(value) for name, value in lines} == forms()
