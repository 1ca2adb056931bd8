"""Who an access key is, as fast as a dictionary once it is known, and never out of date.

What was put together for a key is kept with the rows that it was made of. One shared counter tells that some row of the
identity store changed: then, once for each key that is used, those rows are compared with what they are now, and only
where one differs everything is put together anew. So 100,000 users cost nothing until they ask, and a change of one user
costs the others a comparison.

Invariants:

Y1  What is given out was true at, or after, the last acknowledged change: the counter is read before the rows.
Y2  A child is looked at together with its parent: nothing of the parent is copied into the child's rows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...base.pages import GEN_IAM, Pages
from ...crypto.seal import NotSealedHere
from ...domain.errors import BadRecord
from ...domain.policy.builtin import builtin_json
from ...domain.policy.compiled import NO_POLICIES, Policy, PolicySet, compile_policy
from ...domain.policy.document import Kind
from ...domain.policy.document import read as read_document
from ...domain.policy.evaluate import Caller, Type
from ...erasure.handle import Snapshot
from ...meta import iam
from ...meta.iam import (
    ACCOUNT_CHARS,
    ROOT_ACCOUNT,
    AccountRecord,
    GroupRecord,
    KeyKind,
    KeyRecord,
    PolicyRecord,
    UserRecord,
)
from ...meta.rows import open_row
from ..anywhere import read_now
from . import rules
from .access_keys import ClaimValue, Parent, session_token
from .account_rows import account_now
from .accounts import ROOT_CANONICAL_ID, ROOT_NAME
from .context import Realm
from .principal import Principal, facts_of, root_principal

#: Keys that a worker remembers; each takes some 2 KiB besides what it shares with others.
KNOWN_MAX = 10_000
#: Compiled documents and sets of them; shared by all keys that have the same.
COMPILED_MAX = 2_000

Rows = tuple[tuple[bytes, "bytes | None"], ...]
"""Rows as they were stored."""

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A dictionary that forgets what was not used for longest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._items.get(key)
        if value is not None:
            self._items.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> V:
        self._items[key] = value
        if len(self._items) > self._most:
            self._items.popitem(last=False)
        return value

    def __len__(self) -> int:
        return len(self._items)


@dataclass(slots=True)
class Known:
    """An access key and who it is.

    :param enabled: it, its parent and its account
    :param expires_ns: 0 = never
    :param token: session token that each request must carry, empty for none
    """

    principal: Principal
    secret: str
    enabled: bool = True
    expires_ns: int = 0
    token: str = ""

    def __repr__(self) -> str:
        return f"Known({self.principal.access_key!r})"


@dataclass(slots=True)
class _Entry:
    """:param seen: rows that it was made of, as they were stored"""

    known: Known | None
    seen: Rows
    generation: int


class _Reader:
    """Reads rows and remembers them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.seen: dict[bytes, bytes | None] = {}

    def get(self, row: bytes, kind: type[T]) -> T | None:
        value = self.seen[row] = self._snapshot.get("sys", row)
        return None if value is None else iam.decode(open_row(row, value, bytes), kind)


class Directory:
    """The cache of one worker.

    :param root_access: False refuses the root credentials; what root made goes on
    """

    def __init__(self, realm: Realm, pages: Pages, root_access: bool = True) -> None:
        self._realm = realm
        self._pages = pages
        self._entries: Recent[str, _Entry] = Recent(KNOWN_MAX)
        self._policies: Recent[tuple[str, bytes, Kind], Policy] = Recent(COMPILED_MAX)
        self._sets: Recent[tuple[tuple[str, bytes], ...], PolicySet] = Recent(COMPILED_MAX)
        self._accounts: Recent[str, AccountRecord] = Recent(KNOWN_MAX)
        self._accounts_of = -1
        root = realm.vault.root
        self._root_account = AccountRecord(ROOT_ACCOUNT, ROOT_NAME, ROOT_CANONICAL_ID, root.user, 0)
        self._root = Known(root_principal(root.user), root.password, root_access)

    def allow_root(self, allowed: bool) -> None:
        """Whether the root credentials may be used from now on."""
        self._root.enabled = allowed

    def find(self, access_key: str) -> Known | None:
        """Who an access key is; None for an unknown one. At once, on the event loop.

        Whether it has expired is for the caller to see: time passes without a change of any row.

        :raises IdentityClosed: the store is not open yet
        :raises MustWait: nothing can be read at this moment
        """
        self._realm.keyring  # noqa: B018 - raises while the store is closed
        if access_key == self._root.principal.access_key:
            return self._root
        generation = self._pages.generation(GEN_IAM)  # Y1
        entry = self._entries.get(access_key)
        if entry is not None and entry.generation == generation:
            return entry.known
        return self._look(access_key, entry, generation)

    def _look(self, access_key: str, entry: _Entry | None, generation: int) -> Known | None:
        made = read_now(self._realm.store.system, lambda snapshot: self._read(snapshot, access_key, entry))
        if made is None and entry is not None:
            entry.generation = generation
            return entry.known
        known, seen = made or (None, ())
        if known is not None or entry is not None:  # unknown keys are not remembered: there is no end to them
            self._entries.put(access_key, _Entry(known, seen, generation))
        return known

    def _read(self, snapshot: Snapshot, access_key: str, entry: _Entry | None) -> tuple[Known | None, Rows] | None:
        """Who a key is and of which rows; None when these are what they were."""
        if entry is not None and all(snapshot.get("sys", row) == value for row, value in entry.seen):
            return None
        reader = _Reader(snapshot)
        known = self._known(reader, access_key)
        return known, tuple(reader.seen.items())

    def account(self, account: str) -> AccountRecord | None:
        """An account by its id; None for one that is gone. What is no id stands for the root account: it was written
        before there were accounts.

        :raises MustWait: nothing can be read at this moment
        :raises DriveFault: its row is bad on every drive
        """
        if account == ROOT_ACCOUNT or len(account) != ACCOUNT_CHARS or not account.isdigit():
            return self._root_account
        generation = self._pages.generation(GEN_IAM)
        if generation != self._accounts_of:
            self._accounts = Recent(KNOWN_MAX)
            self._accounts_of = generation
        found = self._accounts.get(account)
        if found is None:
            found = account_now(self._realm.store.system, account)
            if found is not None:
                self._accounts.put(account, found)
        return found

    def closed(self, account: str) -> bool:
        """Whether the buckets of an account are out of bounds: it is disabled, or gone.

        :raises MustWait: nothing can be read at this moment
        :raises DriveFault: its row is bad on every drive
        """
        record = self.account(account)
        return record is None or record.disabled

    # -- putting together ------------------------------------------------------------------------------

    def _known(self, reader: _Reader, access_key: str) -> Known | None:
        if not 0 < len(access_key.encode()) <= 256:
            return None
        key = reader.get(iam.key_row(access_key), KeyRecord)
        if key is None:
            return None
        alive = self._alive(reader, key)
        if alive is None:
            return None
        try:
            secret = self._realm.secret_of(key)
        except NotSealedHere as error:
            raise BadRecord("a secret key is not sealed by this deployment", row=access_key) from error
        token = session_token(key.claims, self._realm.keyring) if key.kind == KeyKind.TEMPORARY else ""
        return Known(self._principal(reader, key), secret, alive, key.expires_ns, token)

    def _alive(self, reader: _Reader, key: KeyRecord) -> bool | None:
        """Whether a key is enabled with all that it hangs on; None where its parent is gone."""
        enabled = key.enabled
        if key.account != ROOT_ACCOUNT:
            account = reader.get(iam.account_row(key.account), AccountRecord)
            if account is None:
                return None
            enabled = enabled and not account.disabled
        if key.parent and key.provider == "builtin":
            user = reader.get(iam.user_row(key.account, key.parent), UserRecord)
            if user is None or user.uid != key.parent_uid:
                return None
            enabled = enabled and user.enabled
        return enabled

    def _principal(self, reader: _Reader, key: KeyRecord) -> Principal:
        names, groups = self._attached(reader, key)
        documents = tuple(document for document in (key.session_policy, *key.inherited) if document)
        claims = {claim: value for claim, value in key.claims.items() if ":" in claim}
        return Principal(
            caller=self._caller(reader, key, groups),
            kind=KeyKind(key.kind),
            user=key.parent,
            policies=self._set(self._documents(reader, key.account, names)),
            sessions=tuple(self.session(document) for document in documents),
            facts=_facts(key, claims),
            policy_names=names,
            # A01: what restricts the maker restricts what it makes
            origin=Parent(key.account, key.parent, key.provider, claims, key.policies, key.groups, documents),
        )

    def _caller(self, reader: _Reader, key: KeyRecord, groups: tuple[str, ...]) -> Caller:
        """A child speaks with its parent's name, as in MinIO; what root has made is root's."""
        kind = Type.ASSUMED if key.kind == KeyKind.TEMPORARY else Type.USER
        kind = kind if key.parent else Type.ROOT
        root, alias = self._realm.root_user, ROOT_CANONICAL_ID
        if key.account != ROOT_ACCOUNT:
            account = reader.get(iam.account_row(key.account), AccountRecord)
            root, alias = (account.root_key, account.canonical_id) if account is not None else ("", "")
        deployment = kind is Type.ROOT and key.account == ROOT_ACCOUNT
        return Caller(kind, key.account, key.parent or root, key.access_key, groups, (alias,), deployment)

    def _attached(self, reader: _Reader, key: KeyRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the policies that count for a key, and its enabled groups.

        For members of a disabled group no policy counts, as in MinIO: without those of the group alone, what one of them
        denies would be allowed.
        """
        if not key.parent:
            return (), ()
        user = reader.get(iam.user_row(key.account, key.parent), UserRecord)
        names: dict[str, None] = dict.fromkeys(key.policies)
        groups = dict.fromkeys(key.groups)
        if user is not None and user.provider == key.provider.partition(":")[0]:  # or a user of the same name
            names.update(dict.fromkeys(user.policies))
            groups.update(dict.fromkeys(user.groups))
        counted, disabled = [], False
        for name in groups:
            row = iam.group_row(key.account, name)
            # a directory may have groups whose names are longer than any row's: nothing is attached to them
            group = reader.get(row, GroupRecord) if len(row) <= rules.ROW_BYTES_MAX else None
            if group is not None:
                disabled = disabled or not group.enabled
                names.update(dict.fromkeys(group.policies))
            if group is None or group.enabled:
                counted.append(name)
        return () if disabled else tuple(names), tuple(counted)

    async def named(self, account: str, names: Iterable[str]) -> tuple[tuple[str, ...], PolicySet]:
        """Of some policies those that exist, and these compiled. :raises ReadQuorumLost:"""
        found = await self._realm.store.read(lambda snapshot: self._documents(_Reader(snapshot), account, names))
        return tuple(name for name, _ in found), self._set(found)

    def _documents(self, reader: _Reader, account: str, names: Iterable[str]) -> tuple[tuple[str, bytes], ...]:
        found = []
        for name in names:
            record = reader.get(iam.policy_row(account, name), PolicyRecord)
            document = record.document if record is not None else builtin_json().get(name)
            if document is not None:
                found.append((name, document))
        return tuple(found)

    # -- compiling -------------------------------------------------------------------------------------

    def _set(self, documents: tuple[tuple[str, bytes], ...]) -> PolicySet:
        if not documents:
            return NO_POLICIES
        made = self._sets.get(documents)
        if made is not None:
            return made
        policies = [self._policy(name, document, Kind.IDENTITY) for name, document in documents]
        return self._sets.put(documents, PolicySet(policies))

    def _policy(self, name: str, document: bytes, kind: Kind) -> Policy:
        made = self._policies.get((name, document, kind))
        if made is not None:
            return made
        return self._policies.put((name, document, kind), compile_policy(name, read_document(document, kind), kind))

    def session(self, document: bytes) -> PolicySet:
        """A session policy, compiled."""
        return PolicySet([self._policy("", document, Kind.SESSION)])


def _facts(key: KeyRecord, claims: dict[str, ClaimValue]) -> dict[str, tuple[str, ...]]:
    """What a provider vouched for, as values of condition keys; groups of a directory as they were seen last."""
    facts = facts_of(claims)
    if key.provider == "ldap" and key.groups:
        facts["ldap:groups"] = key.groups
    return facts
