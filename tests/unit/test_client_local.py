"""Folders that the client writes into: nothing leaves them, and nothing half is seen in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sos.client.errors import Failure
from sos.client.local import Folder, Local, Skipped, Unsafe, safe_parts
from sos.client.remote import Listing

EVIL = [
    "../x", "a/../../x", "..", "a/..", "/etc/x", "//x", "a//b", "", "/", ".", "./x", "a/./b", "a/\0b", "\0",
    "n" * 256, "ü" * 128, "a/" * 600 + "b",
]  # fmt: skip


@pytest.mark.parametrize("key", EVIL)
def test_a_name_that_could_lead_out_is_refused(tmp_path: Path, key: str) -> None:
    root = tmp_path / "in"
    for attempt in (lambda: Folder(str(root)).write(key).__enter__(), lambda: Folder(str(root)).remove(key)):
        with pytest.raises(Unsafe):
            attempt()
    with pytest.raises(Unsafe):
        Folder(str(root)).make(key)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("key", ["x", "a/b/c", "..a", "a..", "...", "-rf", "a b", "ü", "n" * 255, "a\nb"])
def test_every_other_name_is_written(tmp_path: Path, key: str) -> None:
    with Folder(str(tmp_path / "in")).write(key) as draft:
        draft.file.write(b"text")
    assert (tmp_path / "in" / key).read_bytes() == b"text"


def test_a_trailing_slash_is_the_name_of_a_directory() -> None:
    assert safe_parts("a/b/") == ["a", "b"]


def test_a_link_below_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    (outside / "kept").write_text("kept")
    for name in ("link/x", "link/a/x"):
        with pytest.raises(Unsafe), Folder(str(inside)).write(name):
            pass
    with pytest.raises(Unsafe):
        Folder(str(inside)).remove("link/kept")
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_a_link_in_place_of_the_file_is_replaced_not_written_through(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "in"
    outside.write_text("kept")
    inside.mkdir()
    (inside / "x").symlink_to(outside)
    with Folder(str(inside)).write("x") as draft:
        draft.file.write(b"new")
    assert outside.read_text() == "kept"
    assert (inside / "x").read_text() == "new"
    assert not (inside / "x").is_symlink()


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with Folder(str(tmp_path / "link")).write("x") as draft:
        draft.file.write(b"new")
    assert (tmp_path / "real" / "x").read_text() == "new"


def test_a_file_is_not_seen_before_it_is_whole_and_never_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(OSError, match="broken"), Folder(str(tmp_path)).write("x") as draft:
        draft.file.write(b"half")
        draft.file.flush()
        assert (tmp_path / "x").read_text() == "old"
        raise OSError("broken")
    assert (tmp_path / "x").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_files_and_directories_do_not_replace_each_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "directory").mkdir()
    for name in ("file/x", "directory"):
        with pytest.raises(Failure), Folder(str(tmp_path)).write(name) as draft:
            draft.file.write(b"new")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_tree_is_read_in_the_order_of_its_keys_and_links_stay_in_it(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in ("a/x", "a-b/x", "b", "z/inner"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    (tmp_path / "secret").write_text("secret")
    (root / "c-inside").symlink_to(root / "b")
    (root / "d-outside").symlink_to(tmp_path / "secret")
    (root / "e-broken").symlink_to(tmp_path / "nothing")
    (root / "f-loop").symlink_to(root)
    os.mkfifo(root / "g-pipe")
    found = list(Local().walk(f"{root}/", Listing(recursive=True)))
    read = [one.path.removeprefix(f"{root}/") for one in found if not isinstance(one, Skipped)]
    assert read == ["a-b/x", "a/x", "b", "c-inside", "z/inner"]
    told = [str(one) for one in found if isinstance(one, Skipped)]
    assert [name for name in ("d-outside", "e-broken", "f-loop", "g-pipe") if any(name in text for text in told)] == [
        "d-outside", "e-broken", "f-loop", "g-pipe",
    ]  # fmt: skip


def test_removing_a_file_takes_the_directories_it_leaves_empty(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/d"):
        with Folder(str(tmp_path)).write(name) as draft:
            draft.file.write(b"")
    Folder(str(tmp_path)).remove("a/b/c")
    assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "d").exists()
