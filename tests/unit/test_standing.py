"""What is told of each drive: from what rows say, and on a drive that may lack more from the drive itself."""

from __future__ import annotations

import pytest

from sos.base.pages import Pages, SetState
from sos.domain.errors import DriveFault
from sos.erasure import standing
from sos.erasure.standing import Standing
from sos.erasure.view import SetView
from sos.meta.records import DataRef
from tests.kit.owned_set import OwnedSet


def ref(volume: int, have: int = 0b1111) -> DataRef:
    return DataRef(b"d" * 16, 100, 2, 2, 65536, volume, 0, have)


class Lacking:
    """A drive that is being healed: it lacks what is inline; its mark says that it was blank."""

    def __init__(self, view: SetView, key: bytes, drive: int) -> None:
        self.drive = drive

    def mark(self) -> object:
        if self.drive == 0:
            raise DriveFault("gone")
        return type("Mark", (), {"blank": True})()

    def lacks(self, one: DataRef, blank: bool) -> bool:
        assert blank
        return not one.volume


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> SetView:
    monkeypatch.setattr(standing, "Repair", Lacking)
    drives = OwnedSet()
    return SetView(drives.number, drives.open(), drives.pages)


def published(view: SetView, mask: int, healing: int = 0) -> Standing:
    pages: Pages = view._pages
    pages.publish(view.number, SetState(1, 1, mask))
    pages.set_healing(view.number, healing)
    return Standing(view, b"k" * 32)


def test_rows_tell_where_shards_are(view: SetView) -> None:
    found = published(view, 0b0111)
    assert found.drives() == ["ok", "ok", "ok", "offline"]
    assert found.of([ref(1, 0b1101)]) == ["ok", "missing", "ok", "offline"]
    assert found.of([ref(1), ref(2, 0b1110)]) == ["missing", "ok", "ok", "offline"], "all parts count"
    assert found.of([ref(0, 0)]) == ["ok", "ok", "ok", "offline"], "inline shards come with the row"
    assert found.of([]) == ["ok", "ok", "ok", "offline"]


def test_a_drive_that_is_healed_is_looked_at(view: SetView) -> None:
    found = published(view, 0b1111, 0b0011)
    assert found.of([ref(0)]) == ["offline", "missing", "ok", "ok"], "one that fails meanwhile cannot be seen"
    assert found.of([ref(1, 0b1101)]) == ["offline", "ok", "ok", "ok"]
