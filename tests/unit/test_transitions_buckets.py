"""Buckets, fences and their order in DeleteBucket."""

from __future__ import annotations

import msgspec
import pytest

from sos.meta import queries
from sos.meta.proposals import AbortUpload, CreateBucket, FenceBucket, Refused, RemoveBucket, UpdateBucket
from sos.meta.records import BucketRecord
from tests.kit.deciding import Deciding

NEW = BucketRecord(0, "photos", 5, "me")


def create(owner: Deciding, record: BucketRecord = NEW) -> CreateBucket:
    return CreateBucket(request_id=owner.id16(), bucket_id=0, record=record)


def fence(owner: Deciding, lift: bool = False) -> FenceBucket:
    return FenceBucket(request_id=owner.id16(), bucket_id=7, lift=lift)


def test_a_bucket_created_again_is_another_one() -> None:
    owner = Deciding()
    first = owner.done(create(owner)).bucket
    assert first is not None and first.bucket_id == owner.order
    deleting = msgspec.structs.replace(first, state="deleting")
    owner.done(UpdateBucket(request_id=b"", bucket_id=0, name="photos", expect=first, record=deleting))
    owner.done(RemoveBucket(request_id=b"", bucket_id=first.bucket_id, name="photos"))
    assert queries.bucket(owner.view, "photos") is None
    second = owner.done(create(owner)).bucket
    assert second is not None and second.bucket_id != first.bucket_id


@pytest.mark.parametrize(("asking", "owned"), [("me", True), ("you", False)])
def test_a_name_is_taken_once(asking: str, owned: bool) -> None:
    owner = Deciding()
    owner.done(create(owner))
    outcome = owner.submit(create(owner, msgspec.structs.replace(NEW, owner=asking)))
    assert isinstance(outcome, Refused)
    assert (outcome.name, outcome.detail["owned"]) == ("BucketExists", owned)


def test_update_is_compare_and_swap() -> None:
    owner = Deciding()
    first = owner.done(create(owner)).bucket
    assert first is not None
    second = msgspec.structs.replace(first, versioning="Enabled")
    swap = UpdateBucket(request_id=b"", bucket_id=0, name="photos", expect=first, record=second)
    assert owner.done(swap).bucket == second == queries.bucket(owner.view, "photos")
    assert owner.refused(swap) == "ConditionalConflict"
    renamed = msgspec.structs.replace(second, bucket_id=99)
    wrong = UpdateBucket(request_id=b"", bucket_id=0, name="photos", expect=second, record=renamed)
    assert owner.refused(wrong) == "InvalidRequest"
    assert owner.refused(msgspec.structs.replace(swap, name="other")) == "NoSuchBucket"


def test_only_a_bucket_being_deleted_is_removed() -> None:
    owner = Deciding()
    owner.done(create(owner))
    assert owner.refused(RemoveBucket(request_id=b"", bucket_id=0, name="photos")) == "ConditionalConflict"
    assert owner.refused(RemoveBucket(request_id=b"", bucket_id=99, name="photos")) == "NoSuchBucket"
    assert owner.refused(RemoveBucket(request_id=b"", bucket_id=0, name="other")) == "NoSuchBucket"


def test_a_fence_refuses_writes_until_lifted() -> None:
    owner = Deciding()
    for _ in range(2):
        owner.done(fence(owner))
    assert owner.refused(owner.put(b"k")) == "NoSuchBucket"
    assert owner.refused(owner.create_upload(b"k")) == "NoSuchBucket"
    for _ in range(2):
        owner.done(fence(owner, lift=True))
    owner.done(owner.put(b"k"))


@pytest.mark.parametrize("key", [b"k", b"x" * 900])
def test_a_bucket_that_holds_anything_is_not_fenced(key: bytes) -> None:
    """An object, a delete marker, a noncurrent version, an upload, an empty object."""
    owner = Deciding(versioning="Enabled")
    empty = owner.done(owner.put(key, 0))
    assert owner.refused(fence(owner)) == "BucketNotEmpty"
    marker = owner.done(owner.delete(key))
    assert owner.refused(fence(owner)) == "BucketNotEmpty"
    owner.done(owner.delete(key, empty.version_id))
    assert owner.refused(fence(owner)) == "BucketNotEmpty"
    owner.done(owner.delete(key, marker.version_id))
    upload = owner.create_upload(key)
    owner.done(upload)
    assert owner.refused(fence(owner)) == "BucketNotEmpty"
    owner.done(AbortUpload(request_id=b"", bucket_id=7, key=key, upload_id=upload.record.upload_id))
    owner.done(fence(owner))
