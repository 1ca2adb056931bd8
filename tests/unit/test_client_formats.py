"""What the client reads and shows: sizes, durations, moments, names; and the comparing of trees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos.client import formats
from sos.client.attributes import read_attributes, read_tags
from sos.client.comparing import differs, pairs
from sos.client.console import visible
from sos.client.entries import Entry
from sos.client.errors import Failure
from sos.client.planning import Ages

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("5", 5),
        ("64MiB", 64 << 20),
        ("1gi", 1 << 30),
        ("1GB", 10**9),
        ("2k", 2000),
        ("1.5KiB", 1536),
        ("0", 0),
        ("1,000", 1000),
    ],
)
def test_sizes_are_read_as_mc_reads_them(text: str, count: int) -> None:
    assert formats.read_size(text) == count


@pytest.mark.parametrize("text", ["", "x", "5X", "-5", "MB", "5 M B", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        formats.read_size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (6, "6 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10240, "10 KiB"),
        (1 << 30, "1.0 GiB"),
    ],
)
def test_sizes_are_shown_as_mc_shows_them(count: int, text: str) -> None:
    assert formats.size(count) == text


@given(st.integers(0, 2**62))
def test_every_size_is_short(count: int) -> None:
    assert len(formats.size(count)) <= 8


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7d10h31s", 7 * 86400 + 36031), ("90d", 90 * 86400), ("1.5h", 5400), ("2w", 14 * 86400), ("1ms", 0.001)],
)
def test_durations(text: str, seconds: float) -> None:
    assert formats.read_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "7", "d", "7x", "-7d", "7 d", "99999999999y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|unit"):
        formats.read_duration(text)


@pytest.mark.parametrize("text", ["2024.01.31", "2024.01.31T10:30", "2024-01-31T10:30:00Z", "7d"])
def test_moments(text: str) -> None:
    assert formats.read_moment(text) < NOW


@pytest.mark.parametrize("text", ["", "soon", "2024.31.01", "99999999999y"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        formats.read_moment(text)


def test_a_moment_has_no_trailing_zeros() -> None:
    assert formats.moment(datetime(2024, 1, 31, 10, 0, 0, 470_000, UTC)).startswith("2024-01-31T")
    assert ".47" in formats.moment(datetime(2024, 1, 31, 10, 0, 0, 470_000, UTC))
    assert "." not in formats.moment(datetime(2024, 1, 31, 10, tzinfo=UTC))


def test_a_name_cannot_steer_a_terminal() -> None:
    assert visible("a\x1b[2Jb\u202ec\rd\x9be") == r"a\x1b[2Jb\x202ec\x0dd\x9be"
    assert visible("plain ü name") == "plain ü name"


def test_attributes_and_tags() -> None:
    assert read_attributes("Cache-Control=max-age=90,min=1;key=value;") == {
        "Cache-Control": "max-age=90,min=1", "X-Amz-Meta-Key": "value",
    }  # fmt: skip
    assert read_tags("a=1&b=two%20words") == {"a": "1", "b": "two words"}
    for refused in ("key", "=value"):
        with pytest.raises(Failure):
            read_attributes(refused)
    with pytest.raises(Failure):
        read_tags("a")


def test_ages() -> None:
    old, new = Entry("old", modified=NOW - timedelta(days=9)), Entry("new", modified=NOW)
    admitted = {
        given: [one.path for one in (old, new) if Ages.read(*given).admit(one)]
        for given in (("", ""), ("7d", ""), ("", "7d"), ("7d", "30d"))
    }
    assert list(admitted.values()) == [["old", "new"], ["old"], ["new"], ["old"]]


@given(st.sets(st.text(max_size=4)), st.sets(st.text(max_size=4)))
def test_pairs_are_a_full_join(left: set[str], right: set[str]) -> None:
    def side(names: set[str]) -> list[tuple[str, Entry]]:
        return [(name, Entry(name)) for name in sorted(names, key=str.encode)]

    names = left | right
    found = list(pairs(iter(side(left)), iter(side(right))))
    assert [pair.name for pair in found] == sorted(names, key=str.encode)
    assert {pair.name for pair in found if pair.source} == left
    assert {pair.name for pair in found if pair.target} == right


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (Entry("x", 1, NOW), Entry("x", 2, NOW), True),
        (Entry("x", 1, NOW), Entry("x", 1, NOW), False),
        (Entry("x", 1, NOW + timedelta(1)), Entry("x", 1, NOW), True),
        (Entry("x", 1, NOW), Entry("x", 1, NOW + timedelta(1)), False),
        (Entry("x", 1, NOW, "a" * 32), Entry("x", 1, NOW + timedelta(1), "b" * 32), True),
        (Entry("x", 1, NOW + timedelta(1), "a" * 32), Entry("x", 1, NOW, "a" * 32), False),
        (Entry("x", 1, NOW, "a" * 32 + "-2"), Entry("x", 1, NOW, "b" * 32), False),
    ],
)
def test_what_differs(source: Entry, target: Entry, expected: bool) -> None:
    assert differs(source, target) is expected
