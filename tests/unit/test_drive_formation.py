"""Which drive is which at start."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from sos.domain.errors import DriveFault
from sos.drive.formation import Formation, FormationRefused, Found, Step, Unreachable, Unusable, form
from sos.drive.identity import Identity, read_identity, write_identity
from sos.drive.mapped import MappedEngine
from sos.drive.survey import carry_out, examine, survey, without_unmounted

PATHS = ["/a", "/b", "/c", "/d"]
POOL = [PATHS[:2], PATHS[2:]]
GONE = Unreachable("does not answer")
ABSENT = Unreachable("does not exist", absent=True)


def decide(pools: list[list[list[str]]], found: dict[str, Found], prefix: str = "id") -> Formation:
    count = itertools.count()
    return form(pools, found, lambda: f"{prefix}-{next(count)}", lambda: b"k" * 32)


def after(found: dict[str, Found], steps: tuple[Step, ...]) -> dict[str, Found]:
    """What is on the drives once some steps are made."""
    return {**found, **{step.path: step.identity for step in steps}}


def formed(pools: list[list[list[str]]] | None = None) -> dict[str, Found]:
    pools = pools or [POOL]
    found: dict[str, Found] = {path: None for pool in pools for one in pool for path in one}
    return after(found, decide(pools, found).steps)


def test_all_blank_forms_a_deployment_with_votes() -> None:
    decision = decide([POOL], dict.fromkeys(PATHS))
    assert decision.layout == [POOL]
    assert [step.voting for step in decision.steps if step.initialise] == [True] * 4
    assert [step.identity.forming for step in decision.steps] == [True] * 4 + [False] * 4
    assert {(i.deployment, i.key, i.pools, i.sets, i.drives) for i in decision.identities.values()} == {
        ("id-0", b"k" * 32, 1, 2, 2)
    }
    assert [decision.identities[path].slot for path in PATHS] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)]
    assert len({i.drive for i in decision.identities.values()}) == 4


def test_an_empty_directory_among_mounted_drives_is_a_drive_that_is_not_mounted() -> None:
    found = {**formed(), "/b": None}
    assert without_unmounted(found, set()) == found, "where no drive has a file system of its own, it is a blank one"
    looked = without_unmounted(found, {"/a", "/c", "/d"})
    assert looked["/b"] == Unreachable("is not mounted")
    assert {path: looked[path] for path in ("/a", "/c", "/d")} == {path: found[path] for path in ("/a", "/c", "/d")}
    decision = decide([POOL], looked)
    assert (decision.steps, decision.joining, decision.unreachable) == ((), (), {"/b": "is not mounted"})
    with pytest.raises(FormationRefused, match="/b: is not mounted"):
        decide([POOL], without_unmounted(dict.fromkeys(PATHS), {"/a"}))


def test_formed_drives_are_used_as_they_are() -> None:
    decision = decide([POOL], formed())
    assert (decision.layout, decision.steps, decision.messages, decision.joining) == ([POOL], (), (), ())


@pytest.mark.parametrize("done", range(9))
def test_interrupted_forming_goes_on(done: int) -> None:
    blank: dict[str, Found] = dict.fromkeys(PATHS)
    first = decide([POOL], blank)
    found = after(blank, first.steps[:done])
    second = decide([POOL], found, "other")
    end = after(found, second.steps)
    assert {item.forming for item in end.values() if isinstance(item, Identity)} == {False}
    assert len({item.deployment for item in end.values() if isinstance(item, Identity)}) == 1
    assert second.joining == ()
    assert all(step.voting for step in second.steps if step.initialise)


def test_every_order_of_the_paths_gives_the_same_places() -> None:
    """R20: drives in another order are recognised."""
    found = formed()
    for order in itertools.permutations(PATHS):
        decision = decide([[list(order[:2]), list(order[2:])]], found)
        assert decision.layout == [POOL]
        assert bool(decision.messages) == (list(order) != PATHS)
        assert decision.steps == ()


def test_drive_of_another_deployment_is_refused() -> None:
    found = formed()
    found["/d"] = replace(found["/d"], deployment="foreign")  # type: ignore[type-var]
    with pytest.raises(FormationRefused, match=r"several deployments.*foreign: /d"):
        decide([POOL], found)


def test_two_copies_of_a_drive_are_refused() -> None:
    found = formed()
    found["/d"] = found["/c"]
    with pytest.raises(FormationRefused, match="/c and /d are copies of one drive"):
        decide([POOL], found)


def test_two_drives_in_one_place_are_refused() -> None:
    found = formed()
    found["/d"] = replace(found["/c"], drive="new")  # type: ignore[type-var]
    with pytest.raises(FormationRefused, match="/c and /d are both pool 1, set 2, drive 1"):
        decide([POOL], found)


def test_path_named_twice_is_refused() -> None:
    with pytest.raises(FormationRefused, match="named twice: /a"):
        decide([[["/a", "/a"]]], {"/a": None})


def test_blank_among_formatted_gets_the_free_place_and_no_vote() -> None:
    found = {**formed(), "/b": None}
    decision = decide([POOL], found, "new")
    assert decision.joining == ("/b",)
    [step] = decision.steps
    assert (step.path, step.initialise, step.voting, step.identity.slot) == ("/b", True, False, (0, 0, 1))
    assert step.identity.deployment == "id-0"
    # also where the others moved: /b's configured place is taken
    moved = decide([[["/b", "/a"], ["/c", "/d"]]], found, "new")
    assert moved.identities["/b"].slot == (0, 0, 1)
    assert moved.layout == [POOL]


def test_unreachable_drives_are_tolerated_once_formed() -> None:
    found = {**formed(), "/b": GONE, "/c": ABSENT}
    decision = decide([POOL], found)
    assert decision.unreachable == {"/b": "does not answer", "/c": "does not exist"}
    assert decision.layout == [POOL]
    assert decision.steps == ()


def test_nothing_is_formed_while_a_drive_is_unreachable() -> None:
    with pytest.raises(FormationRefused, match=r"/b: does not answer"):
        decide([POOL], {**dict.fromkeys(PATHS), "/b": GONE})
    assert decide([POOL], {**dict.fromkeys(PATHS), "/b": ABSENT}).unreachable == {}


def test_other_peoples_data_is_refused() -> None:
    with pytest.raises(FormationRefused, match="/c: is not empty"):
        decide([POOL], {**formed(), "/c": Unusable("is not empty")})


def test_other_geometry_is_refused() -> None:
    with pytest.raises(FormationRefused, match=r"2 sets of 2 drives, the configuration makes 1 of 4"):
        decide([[PATHS]], formed())


NEW = [["/e", "/f"]]


def test_added_pool_joins_the_deployment_with_votes() -> None:
    found = {**formed(), "/e": None, "/f": None}
    decision = decide([POOL, NEW], found, "new")
    assert decision.deployment == "id-0"
    assert decision.identities["/e"].slot == (1, 0, 0)
    assert [step.voting for step in decision.steps if step.initialise] == [True, True]
    end = after(found, decision.steps)
    assert {item.pools for item in end.values() if isinstance(item, Identity)} == {2}
    assert decide([POOL, NEW], end).steps == ()
    for done in range(len(decision.steps)):
        resumed = decide([POOL, NEW], after(found, decision.steps[:done]), "later")
        assert resumed.joining == ()
        assert after(found, resumed.steps).keys() == end.keys()


def test_pools_in_another_order_keep_their_numbers() -> None:
    found = formed([POOL, NEW])
    decision = decide([NEW, POOL], found)
    assert decision.layout == [POOL, NEW]
    assert "another order" in decision.messages[0]


def test_missing_pool_is_refused() -> None:
    """R20: a forgotten pool would hide its objects."""
    found = formed([POOL, NEW])
    with pytest.raises(FormationRefused, match="pool 2 of this deployment is missing"):
        decide([POOL], found)
    with pytest.raises(FormationRefused, match="pool 1 of this deployment is missing"):
        decide([NEW], found)


def test_lost_pool_is_not_formed_anew() -> None:
    found = {**formed([POOL, NEW]), "/e": None, "/f": None}
    decision = decide([POOL, NEW], found, "new")
    assert decision.joining == ("/e", "/f")
    assert [step.voting for step in decision.steps] == [False, False]


def test_mixed_pools_are_refused() -> None:
    found = formed([POOL, [["/e", "/f"], ["/g", "/h"]]])
    with pytest.raises(FormationRefused, match="holds drives of the pools 1, 2"):
        decide([[["/a", "/b"], ["/g", "/h"]], [["/e", "/f"], ["/c", "/d"]]], found)


# -- with directories ------------------------------------------------------------------------------


def test_examine_tells_what_a_directory_is(tmp_path: Path) -> None:
    assert examine(str(tmp_path)) is None
    (tmp_path / "lost+found").mkdir()
    assert examine(str(tmp_path)) is None
    (tmp_path / "letters").mkdir()
    assert isinstance(examine(str(tmp_path)), Unusable)
    (tmp_path / ".minio.sys").mkdir()
    assert "MinIO" in examine(str(tmp_path)).reason  # type: ignore[union-attr]
    assert examine(str(tmp_path / "missing")) == ABSENT
    (tmp_path / "file").touch()
    assert isinstance(examine(str(tmp_path / "file")), Unusable)


def test_damaged_format_is_an_unreachable_drive_a_newer_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".sos").mkdir()
    target = tmp_path / ".sos" / "format.json"
    target.write_text("{")
    assert isinstance(examine(str(tmp_path)), Unreachable)
    target.write_text('{"version": 99, "check": ""}')
    assert isinstance(examine(str(tmp_path)), Unusable)


def test_deployment_is_made_reopened_and_a_blank_drive_has_no_vote(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in "abcd"]
    pools = [[paths]]
    decision = form(pools, survey(paths))
    assert carry_out(decision) == {}
    assert form(pools, survey(paths)).steps == ()
    (tmp_path / "c").rename(tmp_path / "old")
    (tmp_path / "c").mkdir()
    again = form(pools, survey(paths))
    assert carry_out(again) == {}
    votes = []
    for path in paths:
        engine = MappedEngine(path, writer=True)
        votes.append(engine.voting())
        assert engine.identity == replace(again.identities[path], index_map_bytes=engine.identity.index_map_bytes)
        engine.close()
    assert votes == [True, True, False, True]


def test_pool_that_cannot_be_made_whole_is_refused_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(tmp_path / name) for name in "ab"]

    def fail(path: str, *rest: object) -> None:
        raise DriveFault("broken")

    with monkeypatch.context() as patch:
        patch.setattr("sos.drive.survey.initialise", fail)
        with pytest.raises(FormationRefused, match="broken"):
            carry_out(form([[paths]], survey(paths)))
    assert carry_out(form([[paths]], survey(paths))) == {}


def test_drive_swapped_during_start_is_left_out(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    carry_out(form([[[path]]], survey([path])))
    identity = read_identity(path)
    assert identity is not None
    decision = form([[[path]]], {path: replace(identity, forming=True)})
    write_identity(path, replace(identity, drive="swapped"))
    assert list(carry_out(decision)) == [path]
