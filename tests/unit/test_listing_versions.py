"""Listings of versions and of uploads, page by page, against what was done."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from sos.meta.records import BucketRecord
from sos.services.listing import Listing, Scope, list_uploads, list_versions
from tests.kit.deciding import Deciding
from tests.kit.dict_view import DictView

KEYS = [b"a", b"a/b", b"a/b/c", b"b", b"dir/x", b"dir/y", b"x" * 401, b"x" * 401 + b"/y", b"z" * 900]
Version = tuple[bytes, bytes, bool]


def history(sets: int) -> tuple[list[DictView], list[Version]]:
    """Several versions and markers of each key, each key in one set; all versions as they must be listed."""
    owners = [Deciding(i, versioning="Enabled") for i in range(sets)]
    made: dict[bytes, list[Version]] = {}
    for turn in range(5):
        for i, key in enumerate(KEYS):
            owner = owners[i % sets]
            suspended = turn == 3
            owner.bucket = msgspec.structs.replace(owner.bucket, versioning="Suspended" if suspended else "Enabled")
            gone = (i + turn) % 3 == 0
            done = owner.done(owner.delete(key) if gone else owner.put(key))
            made.setdefault(key, []).insert(0, (key, done.version_id, gone))
    return [owner.view for owner in owners], [version for key in sorted(made) for version in made[key]]


@pytest.mark.parametrize("sets", [1, 3])
@pytest.mark.parametrize("most", [1, 2, 3, 7, 1000])
def test_pages_of_versions_together_are_the_whole(sets: int, most: int) -> None:
    """R07: newest first within a key, each version once, the latest marked, the null version too."""
    views, want = history(sets)
    got: list[Version] = []
    latest: list[bool] = []
    key, version = b"", None
    while True:
        page = list_versions(Scope(7, b"", b""), key, version, most, views)
        got += [(each, found.version_id, found.is_marker) for each, found in page.entries]
        latest += page.latest or []
        if not page.truncated:
            break
        key, version = page.next_key, page.next_version
    assert got == want
    assert latest == [i == 0 or want[i - 1][0] != each[0] for i, each in enumerate(want)]


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_versions_fold_like_keys(most: int) -> None:
    views, want = history(2)
    shown = []
    key, version = b"", None
    while True:
        page = list_versions(Scope(7, b"", b"/"), key, version, most, views)
        shown += sorted([each for each, _ in page.entries] + page.prefixes)
        if not page.truncated:
            break
        key, version = page.next_key, page.next_version
    plain = [each for each, _, _ in want if b"/" not in each]
    assert shown == sorted([*plain, b"a/", b"dir/", b"x" * 401 + b"/"])


def test_a_key_marker_alone_goes_past_all_its_versions() -> None:
    views, want = history(2)
    page = list_versions(Scope(7, b"", b""), b"a/b", None, 1000, views)
    assert [each for each, _ in page.entries] == [each for each, _, _ in want if each > b"a/b"]


def test_a_prefix_bounds_versions() -> None:
    views, want = history(2)
    page = list_versions(Scope(7, b"dir/", b""), b"", None, 1000, views)
    assert [each for each, _ in page.entries] == [each for each, _, _ in want if each.startswith(b"dir/")]


def test_a_marker_that_was_deleted_hides_nothing() -> None:
    """A client that deletes each page as it lists: what is left of the key still comes."""
    owner = Deciding(versioning="Enabled")
    ids = [owner.done(owner.put(b"k")).version_id for _ in range(6)][::-1]
    page = list_versions(Scope(7, b"", b""), b"", None, 2, [owner.view])
    for key, found in page.entries:
        owner.done(owner.delete(key, found.version_id))
    page = list_versions(Scope(7, b"", b""), page.next_key, page.next_version, 100, [owner.view])
    assert [found.version_id for _, found in page.entries] == ids[2:]
    assert page.latest == [True, False, False, False]


def test_a_deep_history_is_resumed_by_a_seek() -> None:
    owner = Deciding(versioning="Enabled")
    ids = [owner.done(owner.put(b"k", 0)).version_id for _ in range(300)][::-1]
    owner.view.steps = 0
    page = list_versions(Scope(7, b"", b""), b"k", ids[250], 5, [owner.view])
    assert [found.version_id for _, found in page.entries] == ids[251:256]
    assert owner.view.steps < 20


@pytest.mark.parametrize("most", [1, 2, 5, 100])
@pytest.mark.parametrize("delimiter", [b"", b"/"])
def test_pages_of_uploads_together_are_the_whole(most: int, delimiter: bytes) -> None:
    """R17: by key, then by start."""
    owners = [Deciding(i) for i in range(2)]
    made = []
    for _ in range(3):
        for i, key in enumerate(KEYS):
            proposal = owners[i % 2].create_upload(key)
            owners[i % 2].done(proposal)
            made.append((key, proposal.record.upload_id))
    views = [owner.view for owner in owners]
    got: list[tuple[bytes, bytes]] = []
    prefixes: list[bytes] = []
    key = upload = b""
    while True:
        page = list_uploads(Scope(7, b"", delimiter), key, upload, most, views)
        got += [(each, found.upload_id) for each, found in page.uploads]
        prefixes += page.prefixes
        assert len(page.uploads) + len(page.prefixes) <= most
        if not page.truncated:
            break
        key, upload = page.next_key, page.next_upload
    assert got == sorted(each for each in made if not delimiter or b"/" not in each[0])
    assert prefixes == ([b"a/", b"dir/", b"x" * 401 + b"/"] if delimiter else [])


class Handle:
    def __init__(self, view: DictView) -> None:
        self.view = view

    def snapshot_now(self) -> DictView:
        return self.view


def test_the_service_lists_versions_and_uploads() -> None:
    owner = Deciding(versioning="Enabled")
    owner.done(owner.put(b"k"))
    owner.done(owner.create_upload(b"u"))
    listing, bucket = Listing([Handle(owner.view)]), BucketRecord(7, "photos", 0)  # type: ignore[list-item]
    versions = asyncio.run(listing.versions(bucket, b"", b"", b"", None, 10))
    assert [key for key, _ in versions.entries] == [b"k"]
    uploads = asyncio.run(listing.uploads(bucket, b"", b"", b"", b"", 10))
    assert [key for key, _ in uploads.uploads] == [b"u"]
    assert list_versions(Scope(7, b"", b""), b"", None, 0, [owner.view]).truncated is False
    assert list_uploads(Scope(7, b"", b""), b"", b"", 0, [owner.view]).truncated is False
