"""What a handler is given: one authenticated request, and the services it may call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..domain.body import Body
from ..domain.checksums import SIZES
from ..domain.conditions import NO_CONDITIONS, Conditions, tells
from ..domain.errors import (
    AccessDenied,
    AccountDisabled,
    InvalidArgument,
    InvalidRequest,
    MethodNotAllowed,
    MustWait,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
)
from ..domain.policy.evaluate import Reason, Verdict
from ..http.message import Headers, Request
from ..meta.records import BucketRecord
from ..services.access import owner_of
from ..services.buckets import Buckets
from ..services.decisions.recorder import Decisions
from ..services.decisions.records import Occasion
from ..services.identity.ldap_login import LdapLogin
from ..services.identity.sts import Sts
from ..services.listing import Listing
from ..services.multipart import Multipart
from ..services.objects import Objects
from ..services.purge import Purge
from .auth.body import BodyLimits, open_body, read_document
from .auth.identity import Identity, KeyLookup
from .circumstances import Circumstances, TagsWanted
from .identifiers import read_version
from .patience import Wait, no_wait, patiently
from .xml.documents import Who, root_account

PARSED_AT_ONCE_BYTES_MAX = 64 * 1024
Parsed = TypeVar("Parsed")
Authorise = Callable[[Identity, str, str, bytes, Circumstances], object]
"""(who, IAM action, bucket, key, what the request says) → something true when it is allowed (a ``Verdict``). Called before
anything is told of a bucket or an object. Raises MustWait and TagsWanted."""

Ids = Callable[[str], tuple[str, ...]]
"""Account → its number, and the id that documents show."""


def number_only(account: str) -> tuple[str, ...]:
    return (account,)


def signed_only(identity: Identity, action: str, bucket: str, key: bytes, values: Circumstances) -> bool:
    """A rule for tests of everything else: whoever has a key may do everything."""
    return not identity.anonymous


#: Requests under way in one worker unless a setting says otherwise.
REQUESTS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Settings:
    """What the surface needs to know of the configuration.

    :param region: empty accepts every region in a signature
    :param domains: names under which buckets are sub-domains
    :param host_id: id of this node in replies
    :param document_bytes_max: largest request document (a full DeleteObjects or CompleteMultipartUpload fits)
    :param origins: from which browsers may send requests
    :param requests_max: under way at once; a further one is refused
    :param wait_s: a copy or completion that takes longer gets its status at once and white space until it ends
    """

    region: str = ""
    domains: tuple[str, ...] = ()
    host_id: str = ""
    origins: tuple[str, ...] = ("*",)
    document_bytes_max: int = 8 * 1024 * 1024
    wait_s: float = 10.0
    requests_max: int = REQUESTS_MAX
    limits: BodyLimits = field(default_factory=BodyLimits)


@dataclass(frozen=True, slots=True)
class Services:
    """:param known: account → how documents show it
    :param decisions: remembers what is decided
    :param sts: None on a surface without it, as with ``ldap``
    """

    buckets: Buckets
    objects: Objects
    multipart: Multipart
    listing: Listing
    purge: Purge
    known: Who = root_account
    sts: Sts | None = None
    decisions: Decisions = field(default_factory=Decisions)
    ldap: LdapLogin | None = None
    ids: Ids = number_only


@dataclass(slots=True)
class Call:
    """One request on its way through a handler.

    :param name: the operation's name
    :param action: the IAM action that was authorised
    :param query: decoded query, first value of each name
    :param location: where CreateBucket is asked to make the bucket, once that is known
    """

    request: Request
    name: str
    action: str
    bucket: str
    key: bytes
    query: dict[str, str]
    identity: Identity
    services: Services
    settings: Settings
    authorise: Authorise
    keys: KeyLookup
    wait: Wait = no_wait
    location: str = ""

    async def bucket_record(self) -> BucketRecord:
        """:raises NoSuchBucket, AccessDenied"""
        return await self.bucket_of(self.bucket, "x-amz-expected-bucket-owner")

    async def bucket_of(self, name: str, expected: str) -> BucketRecord:
        """A bucket that the request may look at, once its owner is the one that the client expects.

        :param expected: the header that says whom: by account number or canonical id
        :raises NoSuchBucket, AccessDenied
        """
        record = await self.services.buckets.get(name)
        if expected in self.request.headers:
            given = self.request.headers.all(expected)
            ids = await patiently(lambda: self.services.ids(owner_of(record)), self.wait)
            if any(one.strip() not in ids for one in given):
                raise AccessDenied()
        return record

    def known(self, account: str) -> str:
        """How documents show an account."""
        return self.services.known(account)

    def version(self) -> bytes | None:
        """The version named by ``versionId``.

        :raises InvalidArgument:
        """
        return read_version(self.query.get("versionId", ""))

    async def require(self, action: str, bucket: str, key: bytes, version: str = "") -> None:
        """Authorise a resource: that of the request, the source of a copy, each key of a batch.

        :param version: the version named, empty without one
        :raises AccessDenied:
        """
        values = self._values(version)
        verdict = await self._verdict(action, bucket, key, values)
        if isinstance(verdict, Verdict):
            self._remember(verdict, values)
        if not verdict:
            raise refusal_of(verdict)

    async def require_to_tell(self, conditions: Conditions, key: bytes, version: str = "") -> None:
        """Authorise the conditions of a write or deletion: who names an entity tag learns whether it is the right one, and
        may do so as a reader only. That something is there is told to writers too.

        :raises AccessDenied:
        """
        if tells(conditions):
            await self.require("s3:GetObjectVersion" if version else "s3:GetObject", self.bucket, key, version)

    async def allows(self, action: str, bucket: str, key: bytes, *, remember: bool = False) -> bool:
        """Whether the identity may do something, where it is no denial of the request if it may not.

        :param remember: that it was allowed
        """
        values = self._values("")
        verdict = await self._verdict(action, bucket, key, values)
        if remember and isinstance(verdict, Verdict) and verdict.allowed:
            self._remember(verdict, values)
        return bool(verdict)

    def _values(self, version: str) -> Circumstances:
        values = Circumstances(self.request, self.identity, self.query, version)
        values.location = self.location
        return values

    async def _verdict(self, action: str, bucket: str, key: bytes, values: Circumstances) -> object:
        try:
            return await self._decide(action, bucket, key, values)
        except TagsWanted:
            values.tags = await self._tags(bucket, key, values.version)
            return await self._decide(action, bucket, key, values)

    async def _decide(self, action: str, bucket: str, key: bytes, values: Circumstances) -> object:
        try:
            return self.authorise(self.identity, action, bucket, key, values)
        except MustWait:
            return await patiently(lambda: self.authorise(self.identity, action, bucket, key, values), self.wait)

    def _remember(self, verdict: Verdict, values: Circumstances) -> None:
        decisions, request = self.services.decisions, self.request
        if verdict.allowed:
            decisions.allowed(verdict, values.facts(), request.received_ns)
        else:
            occasion = Occasion(request.request_id, request.received_ns, "s3", self.name)
            decisions.denied(occasion, self.identity.principal, verdict, values.get)

    async def _tags(self, bucket: str, key: bytes, version: str) -> dict[str, str]:
        """Tags of an object as it is; none where there is no such object."""
        try:
            record = await self.services.buckets.get(bucket)
            found = await self.services.objects.head(record, key, read_version(version), NO_CONDITIONS, None)
        except (NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed, InvalidArgument):
            return {}
        return found.record.tags

    def body(self, algorithm: str = "") -> Body:
        """The payload, with framing, signatures and digests taken care of.

        :param algorithm: checksum that is to be computed whatever the client declares
        :raises InvalidRequest: the client declares another one
        """
        request = self.request
        if algorithm:
            request = replace(request, headers=_with_checksum(request.headers, algorithm))
        return open_body(request, self.identity, self.settings.limits)

    async def document(self, *, object_checksums: bool = True) -> bytes:
        """The whole body, verified.

        :param object_checksums: False where ``x-amz-checksum-*`` speaks of an object, not of this body
        :raises EntityTooLarge: more than a request document may have
        """
        most = self.settings.document_bytes_max
        return await read_document(self.request, self.identity, most, object_checksums=object_checksums)

    async def parsed(self, parse: Callable[[bytes], Parsed], *, object_checksums: bool = True) -> Parsed:
        """The body as a request document. A long one (10,000 parts are a megabyte, parsed in 0.1 s) is parsed in a
        thread, so that other requests go on.
        """
        document = await self.document(object_checksums=object_checksums)
        if len(document) <= PARSED_AT_ONCE_BYTES_MAX:
            return parse(document)
        return await asyncio.to_thread(parse, document)


def refusal_of(verdict: object) -> AccessDenied:
    """What a denial tells the one who was denied: not why, but that it is no matter of policies."""
    closed = isinstance(verdict, Verdict) and verdict.reason is Reason.ACCOUNT_DISABLED
    return AccountDisabled(decided=True) if closed else AccessDenied(decided=True)


def _with_checksum(headers: Headers, algorithm: str) -> Headers:
    """The headers of a part, declaring at least the checksum of its upload."""
    declared = headers.get("x-amz-sdk-checksum-algorithm").upper()
    for name in SIZES:
        value = f"x-amz-checksum-{name.lower()}"
        if value in headers or headers.get("x-amz-trailer").strip().lower() == value:
            declared = name
    if not declared:
        return Headers([*headers.items, ("x-amz-sdk-checksum-algorithm", algorithm)])
    if declared != algorithm:
        raise InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, "
            f"actual checksum Type: {declared.lower()[:32]}"
        )
    return headers
