"""Users, groups, policies, keys and accounts: what is kept, what is refused, and that a change is whole or not there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import msgspec
import pytest

from sos.base.pages import GEN_IAM
from sos.crypto import tokens
from sos.crypto.seal import NotSealedHere
from sos.domain import errors
from sos.domain.errors import InvalidAdminArgument, StoreError
from sos.drive.engine import Row
from sos.meta import iam
from sos.meta.iam import KeyKind, KeyRecord
from sos.meta.records import BucketRecord
from sos.meta.rows import seal
from sos.services.identity import allowance, store
from sos.services.identity.access_keys import NewService, Parent, ServiceUpdate
from sos.services.identity.policies import Target
from tests.kit.identities import MAIN, PASSWORD, ROOT, World, run
from tests.kit.identity_audit import audit

SECRET = "a-secret-of-hers"
DOCUMENT = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::photos/*"]}],
    }
).encode()
HOUR_NS = 3600 * 10**9


@pytest.fixture
def world() -> Iterator[World]:
    yield World()


def refused(world: World, error: type[StoreError], work: object) -> None:
    """The call raises and leaves every row as it was."""
    before = dict(world.system.view.tables["sys"])
    with pytest.raises(error):
        run(work)  # type: ignore[arg-type]
    assert world.system.view.tables["sys"] == before


# -- users ---------------------------------------------------------------------------------------------


def test_a_user_is_known_in_every_worker_at_once(world: World) -> None:
    other = world.worker()
    assert other.directory.find("alice") is None
    run(world.identity.users.put(MAIN, "alice", SECRET))
    known = other.directory.find("alice")
    assert known is not None
    assert (known.secret, known.enabled, known.principal.user) == (SECRET, True, "alice")
    run(world.identity.users.put(MAIN, "alice", "another-secret"))
    known = other.directory.find("alice")
    assert known is not None and known.secret == "another-secret"


def test_disable_enable_remove_are_in_force_at_once(world: World) -> None:
    other, users = world.worker(), world.identity.users
    run(users.put(MAIN, "alice", SECRET))
    child = run(world.identity.access_keys.create(Parent(MAIN, "alice"), NewService()))
    session = run(world.identity.access_keys.issue(Parent(MAIN, "alice"), 900))
    every = ("alice", child.access_key, session.access_key)
    assert [other.directory.find(key).enabled for key in every] == [True] * 3  # type: ignore[union-attr]
    run(users.set_enabled(MAIN, "alice", False))
    assert [other.directory.find(key).enabled for key in every] == [False] * 3  # type: ignore[union-attr]
    run(users.set_enabled(MAIN, "alice", True))
    assert [other.directory.find(key).enabled for key in every] == [True] * 3  # type: ignore[union-attr]
    run(users.remove(MAIN, "alice"))
    assert [other.directory.find(key) for key in every] == [None] * 3
    assert world.system.rows() == [iam.WRAP_ROW], "nothing of her is left"


def test_the_secret_is_not_on_the_drives(world: World) -> None:
    """A26, and a stolen drive."""
    run(world.identity.users.put(MAIN, "alice", SECRET))
    child = run(world.identity.access_keys.create(Parent(MAIN, "alice"), NewService()))
    stored = b"".join(world.system.view.tables["sys"].values())
    for secret in (SECRET, child.secret, PASSWORD):
        assert secret.encode() not in stored
    known = world.identity.directory.find("alice")
    shown = f"{known!r} {child!r} {world.identity.realm.vault.root!r} {world.identity.realm.keyring!r}"
    assert SECRET not in shown and child.secret not in shown and PASSWORD not in shown


def test_a_sealed_secret_does_not_open_under_another_key(world: World) -> None:
    run(world.identity.users.put(MAIN, "alice", SECRET))
    run(world.identity.users.put(MAIN, "mallory", "mallory-secret"))
    realm = world.identity.realm
    alice = run(realm.store.get(iam.key_row("alice"), KeyRecord))
    assert alice is not None and realm.secret_of(alice) == SECRET
    with pytest.raises(NotSealedHere):
        realm.secret_of(msgspec.structs.replace(alice, access_key="mallory"))


@pytest.mark.parametrize("name", ["", "ab", "a=b", "a,bc", " abc", "abc ", "a\0bc", "x" * 300, "new\nline"])
def test_names_of_users(world: World, name: str) -> None:
    refused(world, errors.InvalidAccessKey, world.identity.users.put(MAIN, name, SECRET))


@pytest.mark.parametrize("secret", ["", "1234567", "x" * 300, "a\nsecret\nof lines"])
def test_secrets_of_users(world: World, secret: str) -> None:
    refused(world, errors.InvalidSecretKey, world.identity.users.put(MAIN, "alice", secret))


def test_a_name_belongs_to_one(world: World) -> None:
    identity = world.identity
    account = run(identity.accounts.add("tenant", "tenant-root", SECRET))
    run(identity.users.put(MAIN, "alice", SECRET))
    child = run(identity.access_keys.create(Parent(MAIN, "alice"), NewService()))
    for name in (ROOT, child.access_key, "tenant-root"):
        refused(world, errors.CredentialsTaken, identity.users.put(MAIN, name, SECRET))
    refused(world, errors.CredentialsTaken, identity.users.put(account.account, "alice", SECRET))
    wanted = NewService(access_key="alice", secret=SECRET)
    refused(world, errors.CredentialsTaken, identity.access_keys.create(Parent(MAIN, ""), wanted))
    refused(world, errors.NoSuchUser, identity.users.set_enabled(account.account, "alice", False))
    refused(world, errors.NoSuchUser, identity.users.remove(account.account, "alice"))


def test_nothing_left_of_a_removed_user_revives(world: World) -> None:
    """I3: a key that the removal could not take along any more stays dead when a user of the name is made again."""
    identity = world.identity
    run(identity.users.put(MAIN, "alice", SECRET))
    child = run(identity.access_keys.create(Parent(MAIN, "alice"), NewService()))
    kept = {
        row: world.system.view.tables["sys"][row] for row in world.system.rows() if child.access_key.encode() in row
    }
    run(identity.users.remove(MAIN, "alice"))
    world.system.view.apply([Row("sys", row, value) for row, value in kept.items()])
    run(identity.users.put(MAIN, "alice", SECRET))
    assert identity.directory.find("alice") is not None
    assert identity.directory.find(child.access_key) is None


def test_a_user_with_very_many_keys_is_removed_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROWS_MAX", 12)
    identity = world.identity
    run(identity.users.put(MAIN, "alice", SECRET))
    keys = [run(identity.access_keys.create(Parent(MAIN, "alice"), NewService())).access_key for _ in range(20)]
    before = world.system.commits
    run(identity.users.remove(MAIN, "alice"))
    assert world.system.commits - before > 2
    assert world.system.rows() == [iam.WRAP_ROW]
    assert all(identity.directory.find(key) is None for key in keys)


# -- groups --------------------------------------------------------------------------------------------


def test_groups(world: World) -> None:
    identity = world.identity
    for name in ("alice", "bob"):
        run(identity.users.put(MAIN, name, SECRET))
    refused(world, errors.NoSuchUser, identity.groups.add(MAIN, "staff", ["alice", "nobody"]))
    refused(world, errors.InvalidGroupName, identity.groups.add(MAIN, "a,b", ["alice"]))
    run(identity.groups.add(MAIN, "staff", ["alice", "bob", "alice"]))
    assert run(identity.groups.get(MAIN, "staff")).members == ["alice", "bob"]
    assert run(identity.users.get(MAIN, "bob")).groups == ("staff",)
    refused(world, errors.GroupNotEmpty, identity.groups.remove(MAIN, "staff"))
    run(identity.users.remove(MAIN, "alice"))
    run(identity.groups.discard(MAIN, "staff", ["bob"]))
    assert run(identity.groups.get(MAIN, "staff")).members == []
    assert run(identity.users.get(MAIN, "bob")).groups == ()
    run(identity.groups.remove(MAIN, "staff"))
    refused(world, errors.NoSuchGroup, identity.groups.get(MAIN, "staff"))
    refused(world, errors.NoSuchGroup, identity.groups.remove(MAIN, "staff"))


def test_policies_of_groups_count_while_they_are_enabled(world: World) -> None:
    identity = world.identity
    run(identity.users.put(MAIN, "alice", SECRET))
    run(identity.groups.add(MAIN, "staff", ["alice"]))
    run(identity.policies.attach(MAIN, ["readonly"], Target("staff", group=True)))
    assert identity.directory.find("alice").principal.policy_names == ("readonly",)  # type: ignore[union-attr]
    run(identity.groups.set_enabled(MAIN, "staff", False))
    assert identity.directory.find("alice").principal.policy_names == ()  # type: ignore[union-attr]
    run(identity.groups.set_enabled(MAIN, "staff", True))
    run(identity.groups.discard(MAIN, "staff", ["alice"]))
    assert identity.directory.find("alice").principal.policy_names == ()  # type: ignore[union-attr]


def test_a_member_that_joins_while_its_group_goes(world: World) -> None:
    identity = world.identity
    run(identity.users.put(MAIN, "alice", SECRET))
    run(identity.groups.add(MAIN, "staff", []))

    async def join() -> None:
        await identity.groups.add(MAIN, "staff", ["alice"])

    world.system.before = join
    with pytest.raises(errors.GroupNotEmpty):
        run(identity.groups.remove(MAIN, "staff"))
    assert run(identity.groups.get(MAIN, "staff")).members == ["alice"]


# -- policies ------------------------------------------------------------------------------------------


def test_policies(world: World) -> None:
    policies = world.identity.policies
    run(world.identity.users.put(MAIN, "alice", SECRET))
    run(policies.put(MAIN, "mine", DOCUMENT))
    assert run(policies.get(MAIN, "mine")).document == DOCUMENT
    names = [record.name for record in run(policies.every(MAIN))]
    assert names == ["consoleAdmin", "diagnostics", "mine", "readonly", "readwrite", "writeonly"]
    attached = run(policies.attach(MAIN, ["mine", "readonly"], Target("alice")))
    assert attached.changed == ("mine", "readonly")
    refused(world, errors.PolicyUnchanged, policies.attach(MAIN, ["mine"], Target("alice")))
    refused(world, errors.NoSuchPolicy, policies.attach(MAIN, ["none"], Target("alice")))
    refused(world, errors.NoSuchPolicy, policies.detach(MAIN, ["none"], Target("alice")))
    refused(world, errors.NoSuchUser, policies.attach(MAIN, ["mine"], Target("nobody")))
    refused(world, errors.NoSuchGroup, policies.attach(MAIN, ["mine"], Target("nobody", group=True)))
    refused(world, errors.PolicyInUse, policies.remove(MAIN, "mine"))
    assert run(policies.uses(MAIN, "mine")).users == ["alice"]
    assert run(policies.detach(MAIN, ["mine"], Target("alice"))).policies == ("readonly",)
    refused(world, errors.PolicyUnchanged, policies.detach(MAIN, ["mine"], Target("alice")))
    run(policies.remove(MAIN, "mine"))
    refused(world, errors.NoSuchPolicy, policies.get(MAIN, "mine"))
    refused(world, errors.NoSuchPolicy, policies.remove(MAIN, "mine"))
    run(policies.set(MAIN, ["readwrite"], Target("alice")))
    assert run(policies.of(MAIN, Target("alice"))) == ("readwrite",)
    assert run(policies.uses(MAIN, "readonly")).users == []
    run(policies.set(MAIN, [], Target("alice")))
    assert run(policies.of(MAIN, Target("alice"))) == ()


@pytest.mark.parametrize("name", ["", "a,b", " a", "x" * 200])
def test_names_of_policies(world: World, name: str) -> None:
    refused(world, errors.InvalidPolicyName, world.identity.policies.put(MAIN, name, DOCUMENT))


def test_a_malformed_policy_is_not_stored(world: World) -> None:
    refused(world, errors.MalformedPolicy, world.identity.policies.put(MAIN, "mine", b'{"Version":"2012-10-17"}'))


def test_a_built_in_policy_cannot_be_lost(world: World) -> None:
    policies = world.identity.policies
    run(policies.put(MAIN, "readonly", DOCUMENT))
    assert run(policies.get(MAIN, "readonly")).document == DOCUMENT
    run(policies.remove(MAIN, "readonly"))
    with pytest.raises(InvalidAdminArgument):
        run(policies.remove(MAIN, "readonly"))
    assert b"GetBucketLocation" in run(policies.get(MAIN, "readonly")).document


def test_a_policy_attached_while_it_goes(world: World) -> None:
    policies = world.identity.policies
    run(world.identity.users.put(MAIN, "alice", SECRET))
    run(policies.put(MAIN, "mine", DOCUMENT))

    async def attach() -> None:
        await policies.attach(MAIN, ["mine"], Target("alice"))

    world.system.before = attach
    with pytest.raises(errors.PolicyInUse):
        run(policies.remove(MAIN, "mine"))

    async def remove() -> None:
        await policies.detach(MAIN, ["mine"], Target("alice"))
        await policies.remove(MAIN, "mine")

    run(policies.put(MAIN, "other", DOCUMENT))
    world.system.before = remove
    with pytest.raises(errors.NoSuchPolicy):
        run(policies.attach(MAIN, ["other", "mine"], Target("alice")))
    assert run(policies.of(MAIN, Target("alice"))) == ()


def test_names_of_a_directory_are_known_for_what_is_attached(world: World) -> None:
    policies, dn = world.identity.policies, "uid=alice,ou=people,dc=example,dc=org"
    run(policies.attach(MAIN, ["readonly"], Target(dn, provider="ldap")))
    assert [user.name for user in run(world.identity.users.external(MAIN))] == [dn]
    assert run(world.identity.users.every(MAIN)) == []
    issued = run(world.identity.access_keys.issue(Parent(MAIN, dn, "ldap", {"ldap:user": dn}), 900))
    known = world.identity.directory.find(issued.access_key)
    assert known is not None and known.principal.policy_names == ("readonly",)
    assert known.principal.facts == {"ldap:user": (dn,)}
    run(policies.detach(MAIN, ["readonly"], Target(dn, provider="ldap")))
    assert run(world.identity.users.external(MAIN)) == []


# -- keys ----------------------------------------------------------------------------------------------


def test_service_accounts(world: World) -> None:
    keys, parent = world.identity.access_keys, Parent(MAIN, "alice")
    run(world.identity.users.put(MAIN, "alice", SECRET))
    made = run(keys.create(parent, NewService("svc", "svc-secret", DOCUMENT, "ci", "text", world.now_ns + HOUR_NS)))
    assert (made.access_key, made.secret, made.token) == ("svc", "svc-secret", "")
    record = run(keys.get("svc"))
    assert (record.name, record.description, record.session_policy) == ("ci", "text", DOCUMENT)
    made_up = run(keys.create(parent, NewService()))
    assert (len(made_up.access_key), len(made_up.secret)) == (20, 40)
    assert {key.access_key for key in run(keys.of(MAIN, "alice"))} == {"svc", made_up.access_key}
    run(keys.update("svc", ServiceUpdate(enabled=False, secret="new-secret", name="cd")))
    known = world.identity.directory.find("svc")
    assert known is not None and (known.enabled, known.secret) == (False, "new-secret")
    assert run(keys.get("svc")).description == "text"
    run(keys.remove("svc"))
    assert world.identity.directory.find("svc") is None
    for name in ("svc", "alice", ROOT):
        refused(world, errors.NoSuchAccessKey, keys.remove(name))
        refused(world, errors.NoSuchAccessKey, keys.update(name, ServiceUpdate(enabled=True)))
        refused(world, errors.NoSuchAccessKey, keys.get(name))


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (NewService("ab", SECRET), errors.InvalidAccessKey),
        (NewService("x" * 21, SECRET), errors.InvalidAccessKey),
        (NewService("good", "short"), errors.InvalidSecretKey),
        (NewService("good", "x" * 41), errors.InvalidSecretKey),
        (NewService(name="1st"), errors.InvalidArgument),
        (NewService(name="x" * 33), errors.InvalidArgument),
        (NewService(description="x" * 257), errors.InvalidArgument),
        (NewService(expires_ns=1), errors.InvalidArgument),
        (NewService(expires_ns=1 << 62), errors.InvalidArgument),
        (NewService(policy=b"{}"), errors.MalformedPolicy),
        (NewService(policy=b"x" * 30_000), errors.SessionPolicyTooLarge),
    ],
)
def test_rules_of_service_accounts(world: World, wanted: NewService, error: type[StoreError]) -> None:
    refused(world, error, world.identity.access_keys.create(Parent(MAIN, ""), wanted))


def test_a_child_of_nobody_is_refused(world: World) -> None:
    keys = world.identity.access_keys
    refused(world, errors.NoSuchUser, keys.create(Parent(MAIN, "nobody"), NewService()))
    refused(world, errors.NoSuchAccount, keys.create(Parent("999999999999", ""), NewService()))


def test_a_key_made_while_its_parent_goes_is_refused(world: World) -> None:
    identity = world.identity
    run(identity.users.put(MAIN, "alice", SECRET))

    async def remove() -> None:
        await identity.users.remove(MAIN, "alice")

    world.system.before = remove
    with pytest.raises(errors.NoSuchUser):
        run(identity.access_keys.create(Parent(MAIN, "alice"), NewService()))
    assert world.system.rows() == [iam.WRAP_ROW]


def test_expired_keys_are_not_shown_and_go_in_time(world: World) -> None:
    keys = world.identity.access_keys
    for _ in range(10):
        run(keys.issue(Parent(MAIN, ""), 900))
    assert len(run(keys.of(MAIN, ""))) == 10
    world.now_ns += 901 * 10**9
    assert run(keys.of(MAIN, "")) == []
    for _ in range(60):
        run(keys.issue(Parent(MAIN, ""), 900))
    assert len(world.system.rows(b"iam/child/")) < 65


def test_session_tokens(world: World) -> None:
    """A06: the token is signed with a key that nobody outside has, not with the root secret or the session's own."""
    keys = world.identity.access_keys
    run(world.identity.users.put(MAIN, "alice", SECRET))
    issued = run(keys.issue(Parent(MAIN, "alice"), 3600, DOCUMENT, "app"))
    known = world.worker().directory.find(issued.access_key)
    assert known is not None and known.token == issued.token
    assert known.expires_ns == world.now_ns + HOUR_NS
    now_s = world.now_ns / 1e9
    claims = tokens.read(issued.token, world.identity.realm.keyring.tokens, now_s)
    assert (claims["accessKey"], claims["parent"], claims["tokenRevokeType"]) == (issued.access_key, "alice", "app")
    for key in (PASSWORD.encode(), issued.secret.encode(), SECRET.encode(), b""):
        with pytest.raises(tokens.BadToken):
            tokens.read(tokens.make(claims, key), world.identity.realm.keyring.tokens, now_s)
    with pytest.raises(tokens.BadToken):
        tokens.read(issued.token, world.identity.realm.keyring.tokens, now_s + 3601)
    none = "eyJhbGciOiJub25lIn0." + issued.token.split(".")[1] + "."
    with pytest.raises(tokens.BadToken):
        tokens.read(none, world.identity.realm.keyring.tokens, now_s)


def test_revoking(world: World) -> None:
    keys = world.identity.access_keys
    run(world.identity.users.put(MAIN, "alice", SECRET))
    one, two, three = (run(keys.issue(Parent(MAIN, "alice"), 900, b"", kind)) for kind in ("a", "b", "b"))
    kept = run(keys.create(Parent(MAIN, "alice"), NewService()))
    assert run(keys.revoke(MAIN, "alice", "b")) == 2
    alive = [world.identity.directory.find(each.access_key) is not None for each in (one, two, three, kept)]
    assert alive == [True, False, False, True]
    assert run(keys.revoke(MAIN, "alice", every=True)) == 1
    assert world.identity.directory.find(kept.access_key) is not None


def test_nobody_has_keys_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user has as many living keys of a kind as one may have; what has expired, or is gone, leaves room."""
    monkeypatch.setattr(allowance, "OF_USER", {KeyKind.TEMPORARY: 20, KeyKind.SERVICE: 5})
    run(world.identity.users.put(MAIN, "alice", SECRET))
    run(world.identity.users.put(MAIN, "bob", SECRET))
    keys, alice = world.identity.access_keys, Parent(MAIN, "alice")
    made = [run(keys.create(alice, NewService())) for _ in range(5)]
    sessions = [run(keys.issue(alice, 900)) for _ in range(20)]
    assert len({one.access_key for one in (*made, *sessions)}) == 25
    refused(world, errors.TooManyAccessKeys, keys.create(alice, NewService()))
    refused(world, errors.TooManyAccessKeys, keys.issue(alice, 900))
    refused(world, errors.TooManyAccessKeys, world.worker().access_keys.issue(alice, 900))
    for other in (Parent(MAIN, "bob"), Parent(MAIN, "")):
        run(keys.issue(other, 900))
    run(keys.remove(made[0].access_key))
    run(keys.create(alice, NewService()))
    refused(world, errors.TooManyAccessKeys, keys.create(alice, NewService()))
    world.now_ns += HOUR_NS
    run(keys.issue(alice, 900))
    assert run(keys.revoke(MAIN, "alice", every=True)) >= 1
    run(keys.issue(alice, 900))


def test_who_has_few_keys_is_counted_seldom(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    monkeypatch.setattr(allowance, "_living", lambda *_: counted.append(1) or 0)
    for _ in range(30):
        run(world.identity.access_keys.issue(Parent(MAIN, ""), 900))
    assert counted == [1]


def test_a_child_inherits_what_restricts_its_maker(world: World) -> None:
    """A01: the key that a restricted key makes is restricted too, whatever its own policy says."""
    identity = world.identity
    run(identity.users.put(MAIN, "alice", SECRET))
    first = run(identity.access_keys.create(Parent(MAIN, "alice"), NewService(policy=DOCUMENT)))
    maker = identity.directory.find(first.access_key)
    assert maker is not None and maker.principal.origin is not None
    second = run(identity.access_keys.create(maker.principal.origin, NewService()))
    known = identity.directory.find(second.access_key)
    assert known is not None and len(known.principal.sessions) == 1
    assert known.principal.user == "alice"
    run(identity.access_keys.update(second.access_key, ServiceUpdate(policy=b"")))
    assert len(identity.directory.find(second.access_key).principal.sessions) == 1  # type: ignore[union-attr]


# -- accounts ------------------------------------------------------------------------------------------


def test_accounts(world: World) -> None:
    identity = world.identity
    account = run(identity.accounts.add("tenant", "tenant-root", SECRET, "a@example.org", 1 << 30))
    assert len(account.account) == 12 and len(account.canonical_id) == 64
    assert run(identity.accounts.get("tenant")) == run(identity.accounts.get(account.account)) == account
    assert run(identity.accounts.every()) == [account]
    refused(world, errors.AccountExists, identity.accounts.add("tenant", "another", SECRET))
    refused(world, errors.CredentialsTaken, identity.accounts.add("other", "tenant-root", SECRET))
    refused(world, errors.CredentialsTaken, identity.accounts.add("other", ROOT, SECRET))
    known = identity.directory.find("tenant-root")
    assert known is not None and known.principal.owner and not known.principal.root
    run(identity.users.put(account.account, "alice", SECRET))
    run(identity.policies.put(account.account, "mine", DOCUMENT))
    refused(world, errors.NoSuchPolicy, identity.policies.get(MAIN, "mine"))
    run(identity.accounts.update("tenant", disabled=True))
    assert [identity.directory.find(key).enabled for key in ("tenant-root", "alice")] == [False, False]  # type: ignore[union-attr]
    run(identity.accounts.update("tenant", disabled=False, secret="another-secret"))
    assert identity.directory.find("tenant-root").secret == "another-secret"  # type: ignore[union-attr]
    bucket = BucketRecord(1, "theirs", 1, account.account)
    world.system.view.apply([Row("buckets", b"theirs", seal(b"theirs", bucket))])
    refused(world, errors.AccountNotEmpty, identity.accounts.remove("tenant"))
    assert identity.directory.find("tenant-root").enabled  # type: ignore[union-attr]
    world.system.view.apply([Row("buckets", b"theirs", None)])
    run(identity.groups.add(account.account, "readers", ["alice"]))
    child = run(identity.access_keys.create(Parent(account.account, ""), NewService()))
    run(identity.accounts.remove("tenant"))
    assert identity.directory.find("tenant-root") is None
    assert identity.directory.find(child.access_key) is None
    assert world.system.rows() == [iam.WRAP_ROW]
    refused(world, errors.NoSuchAccount, identity.users.put(account.account, "alice", SECRET))


# -- the vault -----------------------------------------------------------------------------------------


def test_wrong_root_credentials_open_nothing_and_change_nothing(world: World) -> None:
    run(world.identity.users.put(MAIN, "alice", SECRET))
    before = dict(world.system.view.tables["sys"])
    for user, password in ((ROOT, "another-password"), ("another", PASSWORD)):
        with pytest.raises(errors.RootSecretWrong, match="Nothing was changed"):
            world.worker(user, password)
    with pytest.raises(errors.RootSecretWrong):
        world.worker(ROOT, "another-password", old_password="not-the-old-one")
    assert world.system.view.tables["sys"] == before


def test_root_credentials_are_changed_by_a_start(world: World) -> None:
    run(world.identity.users.put(MAIN, "alice", SECRET))
    run(world.identity.access_keys.create(Parent(MAIN, ""), NewService("of-root", "of-root-secret")))
    later = world.worker("new-root", "new-password", old_user=ROOT, old_password=PASSWORD)
    assert later.directory.find("alice").secret == SECRET  # type: ignore[union-attr]
    assert later.directory.find("of-root").principal.root  # type: ignore[union-attr]
    assert later.directory.find(ROOT) is None
    again = world.worker("new-root", "new-password", old_user=ROOT, old_password=PASSWORD)
    assert again.directory.find("alice") is not None
    with pytest.raises(errors.RootSecretWrong):
        world.worker()


def test_two_workers_make_one_data_key() -> None:
    world = World()
    world.system.view.tables["sys"].clear()
    world.system.view._order["sys"].clear()
    first = world.identity
    first.realm.vault.keyring = None

    async def other() -> None:
        await first.realm.vault.open()

    world.system.before = other
    second = world.worker()
    run(first.users.put(MAIN, "alice", SECRET))
    assert second.directory.find("alice").secret == SECRET  # type: ignore[union-attr]


def test_closed_means_nobody(world: World) -> None:
    world.identity.realm.vault.keyring = None
    for key in (ROOT, "alice"):
        with pytest.raises(errors.IdentityClosed):
            world.identity.directory.find(key)


# -- the directory -------------------------------------------------------------------------------------


def test_a_change_of_one_costs_the_others_a_comparison(world: World) -> None:
    identity = world.identity
    for name in ("alice", "bob"):
        run(identity.users.put(MAIN, name, SECRET))
    alice = identity.directory.find("alice")
    run(identity.users.set_enabled(MAIN, "bob", False))
    assert identity.directory.find("alice") is alice
    run(identity.policies.attach(MAIN, ["readonly"], Target("alice")))
    assert identity.directory.find("alice") is not alice


def test_nothing_stale_is_given_out_while_set_0_is_away(world: World) -> None:
    identity = world.identity
    run(identity.users.put(MAIN, "alice", SECRET))
    assert identity.directory.find("alice") is not None
    world.system.away = True
    assert identity.directory.find("alice") is not None, "nothing changed, so it still holds"
    world.pages.bump(GEN_IAM)
    with pytest.raises(errors.MustWait):
        identity.directory.find("alice")
    assert identity.directory.find(ROOT) is not None


def test_the_directory_is_bounded(world: World) -> None:
    directory = world.identity.directory
    directory._entries._most = 3
    for i in range(6):
        run(world.identity.users.put(MAIN, f"user{i}", SECRET))
        directory.find(f"user{i}")
        directory.find(f"unknown{i}")
    assert len(directory._entries) == 3


@pytest.mark.parametrize("stop_at", range(1, 12))
def test_killed_between_any_two_commits_leaves_the_indexes_whole(stop_at: int) -> None:
    """Every row of an index has what it indexes, and the other way round, wherever the work ends."""
    world = World()
    identity = world.identity
    world.system.stop_at = world.system.commits + stop_at

    async def work() -> None:
        await identity.users.put(MAIN, "alice", SECRET)
        await identity.users.put(MAIN, "bob", SECRET)
        await identity.groups.add(MAIN, "staff", ["alice", "bob"])
        await identity.policies.put(MAIN, "mine", DOCUMENT)
        await identity.policies.attach(MAIN, ["mine"], Target("alice"))
        await identity.policies.attach(MAIN, ["mine"], Target("staff", group=True))
        await identity.access_keys.create(Parent(MAIN, "alice"), NewService())
        await identity.access_keys.issue(Parent(MAIN, "alice"), 900)
        await identity.access_keys.create(Parent(MAIN, ""), NewService())
        await identity.groups.discard(MAIN, "staff", ["bob"])
        await identity.users.remove(MAIN, "alice")

    with contextlib.suppress(ConnectionError):
        run(work())
    audit(world.system.view)
