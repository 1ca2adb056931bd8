"""Patterns, pools and set sizes as MinIO's operators know them."""

from __future__ import annotations

import pytest

from sos.placement.ellipses import DRIVES_MAX, LayoutError, expand, layout, set_size


@pytest.mark.parametrize(
    ("argument", "paths"),
    [
        ("/d{1...4}", ["/d1", "/d2", "/d3", "/d4"]),
        ("/d{01...03}", ["/d01", "/d02", "/d03"]),
        ("/d{8...11}", ["/d8", "/d9", "/d10", "/d11"]),
        ("/d{08...11}", ["/d08", "/d09", "/d10", "/d11"]),
        ("/d{a...d}", ["/da", "/db", "/dc", "/dd"]),
        ("/d{E...11}", ["/dE", "/dF", "/d10", "/d11"]),
        ("/d{0...2}/x", ["/d0/x", "/d1/x", "/d2/x"]),
        ("/h{1...2}/d{1...2}", ["/h1/d1", "/h2/d1", "/h1/d2", "/h2/d2"]),
        ("{1...2}{1...2}", ["11", "21", "12", "22"]),
        ("/plain", ["/plain"]),
    ],
)
def test_expansion_keeps_padding_case_and_order(argument: str, paths: list[str]) -> None:
    assert expand(argument) == paths


@pytest.mark.parametrize(
    "argument",
    [
        "/d{4...1}",
        "/d{1...1}",
        "/d{1..4}",
        "/d{1....4}",
        "/d{1...}",
        "/d{g...z}",
        "/d{1...4",
        "/d1...4}",
        "/d{{1...4}}",
    ],
)
def test_malformed_range_is_refused(argument: str) -> None:
    with pytest.raises(LayoutError, match=r"range|pattern"):
        expand(argument)


@pytest.mark.parametrize("argument", ["/d{1...999999999}", "/a{1...200}/b{1...200}"])
def test_huge_range_is_refused_without_building_it(argument: str) -> None:
    with pytest.raises(LayoutError, match=str(DRIVES_MAX)):
        expand(argument)


@pytest.mark.parametrize(
    ("total", "lengths", "size"),
    [
        (2, [2], 2), (4, [4], 4), (5, [5], 5), (6, [6], 6), (16, [16], 16), (18, [18], 9), (20, [20], 10),
        (24, [24], 12), (32, [32], 16), (60, [60], 15), (64, [64], 16), (22, [22], 11),
        (32, [4, 8], 16), (24, [3, 8], 12), (20, [5, 4], 10), (18, [6, 3], 6), (33, [33], 11),
        (8, [], 8), (34, [], 2), (27, [], 9),
    ],
)  # fmt: skip
def test_set_size_is_the_largest_symmetric_divisor(total: int, lengths: list[int], size: int) -> None:
    assert set_size(total, lengths) == size


@pytest.mark.parametrize(("total", "lengths"), [(17, [17]), (19, []), (37, [37]), (34, [17, 2])])
def test_totals_that_no_size_divides_are_refused(total: int, lengths: list[int]) -> None:
    with pytest.raises(LayoutError, match="cannot be"):
        set_size(total, lengths)


def test_chosen_set_size_must_divide_and_lie_in_bounds() -> None:
    assert set_size(16, [16], 4) == 4
    for wanted in (1, 17, 5):
        with pytest.raises(LayoutError):
            set_size(16, [16], wanted)


def test_one_pattern_is_one_pool_of_equal_sets() -> None:
    made = layout(["/data{1...32}"])
    assert [len(s) for s in made.pools[0].sets] == [16, 16]
    assert made.pools[0].sets[1][0] == "/data17"
    assert made.set_count == 2


def test_several_patterns_are_several_pools() -> None:
    made = layout(["/a{1...4}", "/b{1...6}"])
    assert [pool.set_size for pool in made.pools] == [4, 6]
    assert made.set_count == 2
    assert len(made.drives) == 10


def test_plain_arguments_are_one_pool_and_one_path_is_one_drive() -> None:
    assert layout(["/a", "/b", "/c", "/d"]).pools[0].sets == (("/a", "/b", "/c", "/d"),)
    assert layout(["/a"]).pools[0].set_size == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "no drives"),
        (["/a{1...4}", "/b"], "/b has none"),
        (["/a", "/a/"], "named twice"),
        (["/a{1...4}", "/a{4...7}"], "named twice"),
        (["http://h{1...4}/d"], "one machine"),
        ([""], "empty"),
    ],
)
def test_wrong_arguments_say_what_to_change(arguments: list[str], text: str) -> None:
    with pytest.raises(LayoutError, match=text):
        layout(arguments)
