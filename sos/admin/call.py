"""What a handler of the admin API is given: one authorised call, and the services that it may use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..config.settings import Settings
from ..domain.errors import (
    AccessDenied,
    AccountDisabled,
    BadDocument,
    DocumentTooLarge,
    EntityTooLarge,
    InvalidAdminArgument,
    MustWait,
    NoSuchBucket,
    NotImplementedHere,
)
from ..domain.policy.evaluate import Reason, Verdict
from ..http.message import Reply, Request
from ..http.signed import Signed
from ..meta.iam import ROOT_ACCOUNT, AccountRecord
from ..meta.records import BucketRecord
from ..services.access import Access, owner_of
from ..services.buckets import Buckets
from ..services.configuration import Configuration
from ..services.decisions.insight import Insight
from ..services.decisions.recorder import Decisions
from ..services.decisions.records import Occasion
from ..services.identity.identity import Identity
from ..services.identity.ldap import Ldap
from ..services.identity.openid import OpenId
from ..services.identity.principal import Principal
from ..services.usage import Usage
from .cluster import Cluster
from .crypto import Envelopes
from .observing import Observing

if TYPE_CHECKING:
    from .operations import Operation

T = TypeVar("T")
#: Of an encrypted document, and of a plain one.
SEALED_BYTES_MAX = 256 * 1024 + 128
PLAIN_BYTES_MAX = 1024 * 1024
JSON = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class Services:
    """:param settings: as they are now
    :param decisions: remembers what is decided
    :param ldap: None where no directory can be configured
    :param openid: None where no provider can be
    """

    identity: Identity
    access: Access
    buckets: Buckets
    usage: Usage
    cluster: Cluster
    settings: Callable[[], Settings]
    configuration: Configuration
    envelopes: Envelopes = field(default_factory=Envelopes)
    observing: Observing = field(default_factory=Observing)
    decisions: Decisions = field(default_factory=Decisions)
    insight: Insight | None = None
    ldap: Ldap | None = None
    openid: OpenId | None = None


@dataclass(slots=True)
class Call:
    """One call on its way through a handler.

    :param path: what the variable parts of its path are
    :param query: each name with all its values
    :param facts: values of condition keys that its document brings
    :param other: the account that the deployment's root speaks of, where it is not its own (``account=`` in the query)
    """

    request: Request
    operation: Operation
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    signed: Signed
    services: Services
    facts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    other: AccountRecord | None = None

    # -- who -------------------------------------------------------------------------------------------

    @property
    def who(self) -> Principal:
        return self.signed.principal

    @property
    def account(self) -> str:
        """Whose users, groups, policies and keys are administered."""
        return self.other.account if self.other is not None else self.who.account

    @property
    def user(self) -> str:
        """The user that calls, or whose key calls; empty for the root of an account."""
        return self.who.user

    async def address(self) -> None:
        """Take the account that the query names for the one that is administered: only the deployment's root may.

        :raises AccessDenied, NoSuchAccount
        """
        named = self.get("account")
        if not named:
            return
        if not self.who.root:
            raise AccessDenied()
        record = await self.services.identity.accounts.get(named)
        self.other = None if record.account == self.who.account else record

    @property
    def insight(self) -> Insight:
        """:raises NotImplementedHere: nothing is remembered here"""
        if self.services.insight is None:
            raise NotImplementedHere(what=self.operation.name)
        return self.services.insight

    def names_self(self, name: str) -> bool:
        """Whether a name is that of the caller: its access key, or the user that this belongs to; of another account,
        that of its root, for which the deployment's root speaks then."""
        if self.other is not None:
            return name == self.other.root_key
        return name in (self.who.access_key, self.who.caller.user)

    async def require(self, *actions: str, own: bool = False, account: str = "") -> None:
        """One of some actions must be allowed; with ``own`` it is enough that it is not forbidden.

        :param account: that the call is about, where it is not that of its row
        :raises AccessDenied:
        """
        self._settle([await self._verdict(action, own=own, account=account) for action in actions])

    async def allows(self, action: str, *, own: bool = False, account: str = "", bucket: str = "") -> bool:
        """Asked by the way, so nothing is remembered of it."""
        return bool(await self._verdict(action, own=own, account=account, bucket=bucket))

    async def _verdict(self, action: str, *, own: bool = False, account: str = "", bucket: str = "") -> Verdict:
        record = await self._record(bucket) if bucket else None
        about = account or (ROOT_ACCOUNT if self.operation.about == "server" else self.account)

        def attempt() -> Verdict:
            decide = self.services.access.decide
            return decide(self.who, action, bucket, record, b"", self._values, account=about, deny_only=own)

        try:
            return attempt()
        except MustWait:
            await self.services.identity.wait()
            return attempt()

    def _settle(self, verdicts: Sequence[Verdict]) -> None:
        """One of them must allow. Remember that, or all of them. :raises AccessDenied:"""
        request, decisions = self.request, self.services.decisions
        allowed = next((verdict for verdict in verdicts if verdict.allowed), None)
        if allowed is not None:
            source = request.peer.removeprefix("::ffff:")
            return decisions.allowed(allowed, (source, request.secure, None, None, None), request.received_ns)
        occasion = Occasion(request.request_id, request.received_ns, "admin", self.operation.name)
        for verdict in verdicts:
            decisions.denied(occasion, self.who, verdict, self._values)
        closed = any(verdict.reason is Reason.ACCOUNT_DISABLED for verdict in verdicts)
        raise AccountDisabled(decided=True) if closed else AccessDenied(decided=True)

    def _values(self, key: str) -> tuple[str, ...] | None:
        return self.facts.get(key) or self.signed.values(key)

    async def _record(self, bucket: str) -> BucketRecord | None:
        with contextlib.suppress(NoSuchBucket):
            return await self.services.buckets.get(bucket)
        return None

    async def authorise(self) -> None:
        """The rule of the operation's row. :raises AccessDenied:"""
        operation = self.operation
        bucket = self.get("bucket") if operation.about == "bucket" else ""
        if bucket and self.other is not None:
            record = await self._record(bucket)
            if record is None or owner_of(record) != self.account:
                raise NoSuchBucket(bucket=bucket)
        self._settle([await self._verdict(action, bucket=bucket) for action in operation.actions])

    # -- what ------------------------------------------------------------------------------------------

    def get(self, name: str) -> str:
        """The first value of a parameter, empty without one."""
        return self.query.get(name, [""])[0]

    def switch(self, name: str) -> bool:
        return self.get(name).lower() == "true"

    def status(self) -> bool:
        """``status=enabled|disabled``. :raises InvalidAdminArgument:"""
        return enabled(self.get("status"))

    async def document(self, most: int = PLAIN_BYTES_MAX) -> bytes:
        """The plain body. :raises DocumentTooLarge:"""
        try:
            return await self.signed.read(most)
        except EntityTooLarge:
            raise DocumentTooLarge() from None

    async def parsed(self, kind: type[T]) -> T:
        """The plain body as JSON. :raises BadDocument, DocumentTooLarge"""
        return decode(await self.document(), kind)

    async def opened(self) -> bytes:
        """The encrypted body. :raises BadDocument, DocumentTooLarge"""
        body = await self.document(SEALED_BYTES_MAX)
        return await self.services.envelopes.open(self.signed.secret, body)

    async def sealed_document(self, kind: type[T]) -> T:
        """The encrypted body as JSON. :raises BadDocument, DocumentTooLarge"""
        return decode(await self.opened(), kind)

    async def sealed(self, value: Any) -> Reply:
        """The reply with a value as encrypted JSON; bytes are taken as they are."""
        text = value if isinstance(value, bytes) else encode(value)
        return Reply(200, [JSON], await self.services.envelopes.seal(self.signed.secret, text))


def decode(text: bytes, kind: type[T]) -> T:
    """:raises BadDocument:"""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadDocument(f"JSON configuration provided is of incorrect format: {error}") from None


encode = msgspec.json.Encoder(order="deterministic").encode


def plain(value: Any) -> Reply:
    """The reply with a value as JSON."""
    return Reply(200, [JSON], encode(value))


def done(status: int = 200) -> Reply:
    """A reply without a document."""
    return Reply(status)


def enabled(word: str) -> bool:
    """:raises InvalidAdminArgument: neither of the two words"""
    if word not in ("enabled", "disabled"):
        raise InvalidAdminArgument("The status must be enabled or disabled.")
    return word == "enabled"


def some(**members: Any) -> dict[str, Any]:
    """Members of a document without the empty ones."""
    return {name: value for name, value in members.items() if value not in ("", None, (), [], {}, b"")}
