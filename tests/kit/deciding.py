"""A set's owner reduced to its decisions: proposals are decided and applied to a ``DictView`` at once."""

from __future__ import annotations

import hashlib
import random

import msgspec

from sos.domain.conditions import NO_CONDITIONS, Conditions
from sos.drive.engine import Row
from sos.meta.proposals import (
    AnyProposal,
    CompleteUpload,
    CreateUpload,
    DeleteObject,
    Done,
    Outcome,
    PutObject,
    PutPart,
    Refused,
)
from sos.meta.records import BucketRecord, DataRef, Kind, ObjectRecord, PartRecord, UploadRecord
from sos.meta.transitions import Decision, decide
from tests.kit.dict_view import DictView

SECOND = 1_000_000_000


class Deciding:
    """:param seed: of the ids that a proposer would draw"""

    def __init__(self, seed: int = 0, **bucket: object) -> None:
        self.view = DictView()
        self.random = random.Random(seed)
        self.bucket = msgspec.structs.replace(BucketRecord(7, "photos", 0), **bucket)
        self.order = 0
        self.now_ns = 1000 * SECOND
        self.undo_ns = 0
        self.term = 0
        self.last: Decision | None = None
        self._offset = 0

    def id16(self) -> bytes:
        return self.random.randbytes(16)

    def submit(self, proposal: AnyProposal) -> Outcome:
        self.order += 1
        self.now_ns += SECOND
        self.last = decide(self.view, self.bucket, proposal, self.order, self.now_ns, undo_ns=self.undo_ns, term=self.term)
        rows = list(self.last.rows)
        if self.last.inline_id:
            rows.append(Row("inline", self.last.inline_id, self.last.inline[0]))
        self.view.apply(rows)
        return self.last.outcome

    def done(self, proposal: AnyProposal) -> Done:
        outcome = self.submit(proposal)
        assert isinstance(outcome, Done), outcome
        return outcome

    def refused(self, proposal: AnyProposal) -> str:
        before = {table: dict(rows) for table, rows in self.view.tables.items()}
        outcome = self.submit(proposal)
        assert isinstance(outcome, Refused), outcome
        assert self.view.tables == before, "T1: a refusal changes nothing"
        return outcome.name

    # -- proposals ---------------------------------------------------------------------------------

    def payload(self, size: int) -> DataRef | None:
        """A staged payload: none, inline, or in a volume, by its size."""
        if not size:
            return None
        data = DataRef(self.id16(), size, 2, 2, 1 << 20, have=15)
        if size <= 10:
            return data
        self._offset += 8192
        return msgspec.structs.replace(data, volume=1 << 32, offset=self._offset)

    def put(
        self,
        key: bytes,
        size: int = 5,
        conditions: Conditions = NO_CONDITIONS,
        version_id: bytes = b"",
        **record: object,
    ) -> PutObject:
        data = self.payload(size)
        etag = hashlib.md5(self.id16()).hexdigest()
        made = ObjectRecord(0, b"", Kind.OBJECT, size, 0, etag, data)
        return PutObject(
            request_id=self.id16(),
            bucket_id=7,
            key=key,
            record=msgspec.structs.replace(made, **record),
            inline=(b"shard",) if data is not None and not data.volume else (),
            extent=8192 if data is not None and data.volume else 0,
            conditions=conditions,
            version_id=version_id,
        )

    def delete(self, key: bytes, version: bytes | None = None, **more: object) -> DeleteObject:
        proposal = DeleteObject(request_id=self.id16(), bucket_id=7, key=key, version=version, owner="me")
        return msgspec.structs.replace(proposal, **more)

    def create_upload(self, key: bytes, algorithm: str = "", kind: str = "", **record: object) -> CreateUpload:
        template = msgspec.structs.replace(ObjectRecord(0, b"", Kind.OBJECT, 0, 0, ""), **record)
        upload = UploadRecord(
            self.order.to_bytes(8, "big") + self.random.randbytes(8), self.now_ns, template, algorithm, kind
        )
        return CreateUpload(request_id=self.id16(), bucket_id=7, key=key, record=upload)

    def put_part(self, key: bytes, upload_id: bytes, number: int, size: int = 20, **part: object) -> PutPart:
        data = self.payload(size)
        made = PartRecord(number, size, hashlib.md5(self.id16()).hexdigest(), self.now_ns, data)
        return PutPart(
            request_id=self.id16(),
            bucket_id=7,
            key=key,
            upload_id=upload_id,
            part=msgspec.structs.replace(made, **part),
            inline=(b"shard",) if data is not None and not data.volume else (),
            extent=8192 if data is not None and data.volume else 0,
        )

    def complete(self, key: bytes, upload_id: bytes, parts: list[PartRecord], **more: object) -> CompleteUpload:
        proposal = CompleteUpload(
            request_id=self.id16(),
            bucket_id=7,
            key=key,
            upload_id=upload_id,
            parts=tuple((part.number, part.etag, {}) for part in parts),
            part_bytes_min=10,
        )
        return msgspec.structs.replace(proposal, **more)
