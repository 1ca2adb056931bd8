"""Rows of the identity store: golden bytes, names that never run into each other, changes all or none."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sos.domain.errors import BadRecord
from sos.meta import iam, queries
from sos.meta.proposals import ChangeSystem, SystemRow
from tests.kit.deciding import Deciding

GOLDEN = Path(__file__).parent / "golden" / "v1"
ACCOUNT = "123456789012"
SAMPLES: dict[str, msgspec.Struct] = {
    "iam-wrap": iam.WrapRecord(b"sealed", bytes(16), 65536, 3, 4, 2),
    "iam-account": iam.AccountRecord(ACCOUNT, "tenant", "ab" * 32, "tenant-root", 99, "a@example.org", 1 << 40, True),
    "iam-key": iam.KeyRecord(
        access_key="AKIA",
        kind=iam.KeyKind.TEMPORARY,
        account=ACCOUNT,
        parent="alice",
        parent_uid=bytes(range(16)),
        sealed=b"sealed",
        created_ns=99,
        enabled=False,
        expires_ns=1 << 62,
        session_policy=b"{}",
        name="ci",
        description="for the pipeline",
        claims={"jwt:sub": "s", "exp": 5, "groups": ["a", "b"]},
        provider="openid:one",
        policies=("readonly",),
        groups=("staff",),
        inherited=(b"{}",),
    ),
    "iam-child": iam.ChildRecord(iam.KeyKind.SERVICE, 7),
    "iam-user": iam.UserRecord("alice", ACCOUNT, bytes(range(16)), 99, False, ("readonly",), ("staff",), "ldap"),
    "iam-group": iam.GroupRecord("staff", ACCOUNT, 99, False, ("readonly",), "ldap"),
    "iam-policy": iam.PolicyRecord("mine", ACCOUNT, b'{"Version":"2012-10-17"}', 98, 99),
}
ROWS = {
    "account": iam.account_row(ACCOUNT),
    "account-name": iam.account_name_row("tenant"),
    "key": iam.key_row("AKIA"),
    "user": iam.user_row(ACCOUNT, "alice"),
    "group": iam.group_row(ACCOUNT, "staff"),
    "policy": iam.policy_row(ACCOUNT, "mine"),
    "child": iam.child_row(ACCOUNT, "alice", "AKIA"),
    "root's child": iam.child_row(ACCOUNT, "", "AKIA"),
    "member": iam.member_row(ACCOUNT, "staff", "alice"),
    "use": iam.use_row(ACCOUNT, "mine", True, "staff"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_golden_documents(name: str) -> None:
    """A released format is read by every later release, and written as it was."""
    golden = bytes.fromhex((GOLDEN / f"{name}.hex").read_text())
    assert iam.decode(golden, type(SAMPLES[name])) == SAMPLES[name]
    assert iam.encode(SAMPLES[name]) == golden


def test_every_record_has_golden_bytes() -> None:
    found = {each for each in vars(iam).values() if isinstance(each, type) and issubclass(each, msgspec.Struct)}
    assert found - {msgspec.Struct} == {type(sample) for sample in SAMPLES.values()}


def test_golden_names_of_rows() -> None:
    golden = dict(line.split("\t") for line in (GOLDEN / "iam-rows.txt").read_text().splitlines())
    assert {name: row.hex() for name, row in ROWS.items()} == golden


def test_no_name_is_the_beginning_of_another_s_children() -> None:
    """A17: ``tenant1`` is not ``tenant1234``; what ends a name cannot be in one."""
    assert not iam.child_row(ACCOUNT, "tenant1234", "K").startswith(iam.children_of(ACCOUNT, "tenant1"))
    assert not iam.member_row(ACCOUNT, "staff2", "u").startswith(iam.members_of(ACCOUNT, "staff"))
    assert not iam.use_row(ACCOUNT, "read2", False, "u").startswith(iam.uses_of(ACCOUNT, "read"))


def test_the_longest_names_fit_into_an_index_key() -> None:
    from sos.services.identity import rules

    name, policy = "n" * rules.NAME_BYTES_MAX, "p" * rules.POLICY_NAME_BYTES_MAX
    longest = [iam.use_row(ACCOUNT, policy, True, name), iam.member_row(ACCOUNT, name, name), iam.key_row(name)]
    assert max(map(len, longest)) <= 511


def test_another_document_is_a_bad_row() -> None:
    with pytest.raises(BadRecord):
        iam.decode(iam.encode(SAMPLES["iam-child"]), iam.UserRecord)
    with pytest.raises(BadRecord):
        iam.decode(b"\xc1", iam.UserRecord)


def change(*rows: tuple[bytes, bytes | None, bytes | None], vacant: tuple[bytes, ...] = ()) -> ChangeSystem:
    return ChangeSystem(request_id=b"", bucket_id=0, rows=tuple(SystemRow(*row) for row in rows), vacant=vacant)


def test_several_rows_change_together_or_not_at_all() -> None:
    owner = Deciding()
    owner.done(change((b"a", None, b"1"), (b"b", None, b"2")))
    assert (queries.system(owner.view, b"a"), queries.system(owner.view, b"b")) == (b"1", b"2")
    assert owner.refused(change((b"a", b"1", b"3"), (b"b", b"other", b"4"))) == "ConditionalConflict"
    assert owner.refused(change((b"a", None, b"3"))) == "ConditionalConflict"
    assert owner.refused(change((b"c", b"was there", None))) == "ConditionalConflict"
    owner.done(change((b"a", b"1", None), (b"b", b"2", b"5")))
    assert (queries.system(owner.view, b"a"), queries.system(owner.view, b"b")) == (None, b"5")


def test_a_row_that_is_only_held_is_not_written() -> None:
    owner = Deciding()
    owner.done(change((b"a", None, b"1")))
    owner.done(change((b"a", b"1", b"1"), (b"b", None, b"2"), (b"none", None, None)))
    assert owner.last is not None
    assert [row.key for row in owner.last.rows] == [b"b"]


def test_a_prefix_must_be_vacant() -> None:
    owner = Deciding()
    owner.done(change((b"use/x\0u", None, b"")))
    assert owner.refused(change((b"policy/x", None, b"1"), vacant=(b"use/x\0",))) == "ConditionalConflict"
    owner.done(change((b"policy/x", None, b"1"), vacant=(b"use/\0",)))
