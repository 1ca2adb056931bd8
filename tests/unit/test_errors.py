"""Errors of all layers and what they are on the wire."""

from __future__ import annotations

import pytest

import sos.s3.dispatch  # noqa: F401 - defines every class of refusals
from sos.domain import errors as domain
from sos.domain.errors import StoreError
from sos.s3.auth.errors import AuthError
from sos.s3.codes import Code
from sos.s3.errors import CODES, KINDS, Failure, Place, Refusal, describe, render

PLACE = Place("GET", "/bucket/key", "bucket", "key", "0" * 16, "node")
HEAD = Place("HEAD", "/bucket/key", "bucket", "key", "0" * 16, "node")


def every(cls: type[StoreError]) -> list[type[StoreError]]:
    return [cls, *(sub for direct in cls.__subclasses__() for sub in every(direct))]


def test_every_error_of_the_store_has_a_code() -> None:
    """Mapped by name, not by falling back to a base class."""
    # those of sos.drive end a start or take a drive out; whether they are imported here depends on other tests
    classes = {cls for cls in every(StoreError) if cls.__module__.startswith(("sos.domain.", "sos.s3."))}
    domain_classes = {cls for cls in classes if not issubclass(cls, AuthError)}
    assert domain_classes == set(CODES)
    for cls in classes - domain_classes:
        assert issubclass(cls, AuthError)
        assert cls.code in Code.__members__, cls
        assert 400 <= cls.status < 500


@pytest.mark.parametrize("cls", sorted(CODES, key=lambda c: c.__name__))
def test_every_error_renders(cls: type[StoreError]) -> None:
    error = cls("text", etag="e", mtime_ns=0, kind="policy")
    for place in (PLACE, HEAD):
        reply = render(describe(error), place)
        assert 300 <= reply.status <= 599
        assert (reply.body == b"") == (place is HEAD or reply.status == 304)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (domain.NoSuchBucket(), 404, "NoSuchBucket"),
        (domain.BucketExists(owned=True), 409, "BucketAlreadyOwnedByYou"),
        (domain.BucketExists(owned=False), 409, "BucketAlreadyExists"),
        (domain.ReadQuorumLost(), 503, "SlowDownRead"),
        (domain.WriteQuorumLost(), 503, "SlowDownWrite"),
        (domain.StorageFull(), 507, "XMinioStorageFull"),
        (domain.Busy(), 503, "ServerBusy"),
        (domain.ConditionalConflict(), 409, "ConditionalRequestConflict"),
        (domain.InvalidPartNumber(), 416, "InvalidPartNumber"),
        (domain.BodyTimeout(), 400, "RequestTimeout"),
        (domain.InternalFault("x"), 500, "InternalError"),
        (ValueError("x"), 500, "InternalError"),
        (Refusal(Code.MalformedXML), 400, "MalformedXML"),
        *[(domain.NoSuchConfiguration(kind=kind), code.status, code.name) for kind, code in KINDS.items()],
    ],
)
def test_statuses(error: Exception, status: int, code: str) -> None:
    failure = describe(error)
    assert (failure.status, failure.code.name) == (status, code)
    retry = ("Retry-After", "60") in render(failure, PLACE).headers
    assert retry == (status == 503)


def test_lost_quorum_is_never_a_missing_key() -> None:
    """R05 R12."""
    for cls in (domain.ReadQuorumLost, domain.WriteQuorumLost, domain.Busy, domain.DriveFault):
        assert describe(cls()).status >= 500


def test_inner_causes_stay_inside() -> None:
    """A26: no path of the server in a reply."""
    for error in (
        domain.InternalFault("/data1"),
        OSError("/data1"),
        domain.ReadQuorumLost("/data1"),
        domain.DriveFull("/data1"),
    ):
        body = render(describe(error), PLACE).body
        assert isinstance(body, bytes)
        assert b"/data1" not in body


def test_locked_objects_use_the_text_that_mc_compares() -> None:
    failure = describe(domain.ObjectLocked())
    assert failure.message == "Object is WORM protected and cannot be overwritten"


def test_head_errors_are_headers() -> None:
    failure = Failure(Code.NoSuchKey, 'two\nlines "quoted" é', {}, 404)
    headers = dict(render(failure, HEAD).headers)
    assert headers["x-minio-error-code"] == "NoSuchKey"
    assert headers["x-minio-error-desc"] == "\"two lines 'quoted' ?\""


@pytest.mark.parametrize(
    ("version", "shown"), [("", "null"), ("00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff")]
)
def test_delete_markers_are_told(version: str, shown: str) -> None:
    for error in (
        domain.NoSuchKey(delete_marker=True, version_id=version),
        domain.MethodNotAllowed(delete_marker=True, version_id=version),
    ):
        headers = dict(render(describe(error), HEAD).headers)
        assert headers["x-amz-delete-marker"] == "true"
        assert headers["x-amz-version-id"] == shown


def test_details_are_shown() -> None:
    body = render(describe(domain.InvalidRange(size=7, range="bytes=<9")), PLACE).body
    assert isinstance(body, bytes)
    assert b"<ActualObjectSize>7</ActualObjectSize><RangeRequested>bytes=&lt;9</RangeRequested>" in body.replace(
        b"\n", b""
    )


def test_every_code_has_a_message_and_an_error_status() -> None:
    for code in Code:
        assert code.message
        assert code.status == 304 or 400 <= code.status < 600
    assert len({code.value for code in Code}) == len(Code)
