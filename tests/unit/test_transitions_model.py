"""Random operations against a plain model of S3 versioning and multipart uploads."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from sos.domain.conditions import Conditions
from sos.domain.errors import InternalFault
from sos.meta import queries
from sos.meta.changes import draft, multipart, versions
from sos.meta.proposals import AbortUpload, Done, DropExtents, Refused, Release
from sos.meta.records import ExtentRecord, ObjectRecord, PartRecord
from sos.meta.rows import open_row
from sos.services.listing import Scope, list_uploads, list_versions
from tests.kit.audit import audit
from tests.kit.deciding import Deciding

KEYS = [b"a", b"a/b", b"a\x00", b"x" * 400, b"x" * 401, b"x" * 400 + b"y" * 500, b"x" * 400 + b"y" * 501, b"\x00" * 300]


@dataclass
class Model:
    """The versions of each key, newest first, and the uploads under way."""

    versioning: str = ""
    versions: dict[bytes, list[tuple[bytes, bool, str]]] = field(default_factory=dict)
    uploads: dict[tuple[bytes, bytes], dict[int, PartRecord]] = field(default_factory=dict)

    def latest(self, key: bytes) -> tuple[bytes, bool, str] | None:
        return next(iter(self.versions.get(key, [])), None)

    def etag(self, key: bytes) -> str:
        """Of the latest version when it is an object."""
        latest = self.latest(key)
        return latest[2] if latest is not None and not latest[1] else ""

    def add(self, key: bytes, version_id: bytes, marker: bool, etag: str) -> None:
        rest = [each for each in self.versions.get(key, []) if each[0] != version_id]
        self.versions[key] = [(version_id, marker, etag), *rest]

    def remove(self, key: bytes, version_id: bytes) -> bool:
        before = self.versions.get(key, [])
        self.versions[key] = [each for each in before if each[0] != version_id]
        return len(before) != len(self.versions[key])


class Run:
    def __init__(self, seed: int) -> None:
        self.owner = Deciding(seed)
        self.random = self.owner.random
        self.model = Model()

    def key(self) -> bytes:
        return self.random.choice(KEYS)

    def step(self) -> None:
        steps = [self.put] * 6 + [self.delete] * 3 + [self.delete_version] * 3 + [self.conditional_put] * 2
        steps += [self.create_upload, self.part, self.part, self.part, self.complete, self.complete, self.abort]
        steps += [self.switch_versioning, self.drop_extents, self.release]
        self.random.choice(steps)()
        audit(self.owner.view, [7])
        self.compare()

    def put(self) -> None:
        key, size = self.key(), self.random.choice([0, 5, 50])
        proposal = self.owner.put(key, size, storage_class=self.random.choice(["STANDARD", "REDUCED_REDUNDANCY"]))
        self._made(key, self.owner.done(proposal), proposal.record.etag)

    def _made(self, key: bytes, done: Done, etag: str) -> None:
        assert done.existed == bool(self.model.etag(key))
        assert done.etag == etag
        assert bool(done.version_id) == (self.model.versioning == "Enabled")
        assert done.versioned == (self.model.versioning != "")
        self.model.add(key, done.version_id, False, etag)

    def conditional_put(self) -> None:
        key = self.key()
        now = self.model.etag(key)
        wanted = self.random.choice([now, "other", "*"])
        only_new = self.random.random() < 0.5
        conditions = Conditions(if_none_match=("*",)) if only_new else Conditions(if_match=(wanted,))
        proposal = self.owner.put(key, 5, conditions)
        allowed = not now if only_new else bool(now) and wanted in (now, "*")
        if allowed:
            self._made(key, self.owner.done(proposal), proposal.record.etag)
        else:
            assert self.owner.refused(proposal) == ("PreconditionFailed" if now else "NoSuchKey")

    def delete(self) -> None:
        key = self.key()
        done = self.owner.done(self.owner.delete(key))
        assert done.marker == (self.model.versioning != "")
        if self.model.versioning:
            self.model.add(key, done.version_id, True, "")
        else:
            assert done.existed == self.model.remove(key, b"")

    def delete_version(self) -> None:
        key = self.key()
        ids = [each[0] for each in self.model.versions.get(key, [])]
        version_id = self.random.choice([*ids, b"", self.owner.id16()])
        was_marker = any(each[0] == version_id and each[1] for each in self.model.versions.get(key, []))
        done = self.owner.done(self.owner.delete(key, version_id))
        assert done.marker == was_marker
        assert done.existed == self.model.remove(key, version_id)

    def create_upload(self) -> None:
        key = self.key()
        proposal = self.owner.create_upload(key)
        self.owner.done(proposal)
        self.model.uploads[key, proposal.record.upload_id] = {}

    def _upload(self) -> tuple[bytes, bytes] | None:
        return self.random.choice(sorted(self.model.uploads)) if self.model.uploads else None

    def part(self) -> None:
        upload = self._upload()
        if upload is None:
            return
        number = self.random.choice([1, 2, 3, 10_000])
        proposal = self.owner.put_part(*upload, number, self.random.choice([3, 10, 40]))
        done = self.owner.done(proposal)
        assert done.existed == (number in self.model.uploads[upload])
        self.model.uploads[upload][number] = proposal.part

    def complete(self) -> None:
        upload = self._upload()
        if upload is None:
            return
        stored = self.model.uploads[upload]
        parts = [stored[number] for number in sorted(stored) if self.random.random() < 0.7]
        proposal = self.owner.complete(*upload, parts)
        wrong = next((part for part in parts[:-1] if part.size < 10), None)
        if not parts or wrong is not None:
            assert self.owner.refused(proposal) == ("EntityTooSmall" if parts else "InvalidRequest")
            return
        done = self.owner.done(proposal)
        assert done.record is not None
        self._made(upload[0], done, done.etag)
        del self.model.uploads[upload]
        again = self.owner.done(msgspec.structs.replace(proposal, request_id=self.owner.id16()))
        assert (again.etag, again.version_id) == (done.etag, done.version_id)

    def abort(self) -> None:
        upload = self._upload()
        if upload is None:
            return
        proposal = AbortUpload(request_id=self.owner.id16(), bucket_id=7, key=upload[0], upload_id=upload[1])
        self.owner.done(proposal)
        del self.model.uploads[upload]
        assert self.owner.refused(proposal) == "NoSuchUpload"
        assert self.owner.refused(self.owner.put_part(*upload, 1)) == "NoSuchUpload"

    def switch_versioning(self) -> None:
        choices = ["Enabled", "Suspended"] if self.model.versioning or self.random.random() < 0.5 else [""]
        self.model.versioning = self.random.choice(choices)
        self.owner.bucket = msgspec.structs.replace(self.owner.bucket, versioning=self.model.versioning)

    def drop_extents(self) -> None:
        rows = [(row, open_row(row, value, ExtentRecord)) for row, value in self.owner.view.scan("extents", b"", None)]
        freed = tuple(row for row, extent in rows if extent.freed_seq)
        live = tuple(row for row, extent in rows if not extent.freed_seq)[:1]
        if live:
            wrong = DropExtents(request_id=self.owner.id16(), bucket_id=0, keys=freed + live)
            assert self.owner.refused(wrong) == InternalFault.__name__
        self.owner.done(DropExtents(request_id=self.owner.id16(), bucket_id=0, keys=freed))

    def release(self) -> None:
        for row in sorted(self.owner.view.tables["undo"])[:1]:
            assert self.owner.done(Release(request_id=self.owner.id16(), bucket_id=0, row=row)).existed

    def compare(self) -> None:
        view, model = self.owner.view, self.model
        page = list_versions(Scope(7, b"", b""), b"", None, 10_000, [view])
        got = [(key, r.version_id, r.is_marker, r.etag) for key, r in page.entries]
        want = [(key, *each) for key in sorted(model.versions) for each in model.versions[key]]
        assert got == want
        assert page.latest == [i == 0 for key in sorted(model.versions) for i in range(len(model.versions[key]))]
        for key in KEYS:
            self.compare_key(key, queries.latest(view, 7, key, bool(model.versioning)))
        uploads = list_uploads(Scope(7, b"", b""), b"", b"", 10_000, [view]).uploads
        assert [(key, upload.upload_id) for key, upload in uploads] == sorted(model.uploads)
        for (_, upload_id), parts in model.uploads.items():
            assert list(queries.parts(view, 7, upload_id)) == [parts[number] for number in sorted(parts)]

    def compare_key(self, key: bytes, latest: ObjectRecord | None) -> None:
        want = self.model.latest(key)
        assert (latest and (latest.version_id, latest.is_marker, latest.etag)) == want
        for i, (version_id, _, etag) in enumerate(self.model.versions.get(key, [])):
            found = queries.version(self.owner.view, 7, key, version_id)
            assert found is not None
            assert (found[0].etag, found[1]) == (etag, i == 0)


@pytest.mark.parametrize("at_once", [256, 2, 1])
@pytest.mark.parametrize("seed", range(12))
def test_random_operations_agree_with_the_model(monkeypatch: pytest.MonkeyPatch, seed: int, at_once: int) -> None:
    """R11, R13, R17, R06: versions, latest pointers, uploads and parts, counters, extents; nothing leaks. Also where an
    operation leaves all but a few payloads to later ones.
    """
    for module in (draft, multipart, versions):
        monkeypatch.setattr(module, "RELEASE_PAYLOADS_MAX", at_once)
    run = Run(seed)
    for _ in range(120):
        run.step()
    for key, upload_id in list(run.model.uploads):
        run.owner.done(AbortUpload(request_id=run.owner.id16(), bucket_id=7, key=key, upload_id=upload_id))
    for key, found in run.model.versions.items():
        for version_id, _, _ in found:
            run.owner.done(run.owner.delete(key, version_id))
    while run.owner.view.tables["undo"]:
        audit(run.owner.view, [7])
        run.release()
    left = {table for table, rows in run.owner.view.tables.items() if rows}
    assert left <= {"extents"}, "everything is gone again"
    audit(run.owner.view, [7])


def test_the_same_decision_twice_gives_the_same_rows() -> None:
    """Decisions are pure: a replay after recovery must not differ."""
    owner = Deciding(versioning="Enabled")
    owner.done(owner.put(b"k", 50))
    proposal = owner.put(b"k", 5)
    from sos.meta.transitions import decide

    first = decide(owner.view, owner.bucket, proposal, 9, 5)
    assert first == decide(owner.view, owner.bucket, proposal, 9, 5)
    assert not isinstance(first.outcome, Refused)
