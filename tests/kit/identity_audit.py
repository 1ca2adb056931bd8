"""Whether the rows of the identity store agree with each other."""

from __future__ import annotations

from sos.domain.policy.builtin import BUILTIN
from sos.meta import iam
from sos.meta.iam import ChildRecord, GroupRecord, KeyKind, KeyRecord, PolicyRecord, UserRecord
from sos.meta.rows import open_row
from sos.meta.walk import View


def audit(view: View) -> None:
    """I1, I2: every index has one row for each thing that it indexes, and no other."""
    rows = {key: open_row(key, value, bytes) for key, value in view.scan("sys", b"iam/", b"iam0")}
    keys = [iam.decode(d, KeyRecord) for r, d in rows.items() if r.startswith(b"iam/key/")]
    users = [iam.decode(d, UserRecord) for r, d in rows.items() if r.startswith(b"iam/user/")]
    groups = [iam.decode(d, GroupRecord) for r, d in rows.items() if r.startswith(b"iam/group/")]
    policies = {
        (p.account, p.name) for p in (iam.decode(d, PolicyRecord) for r, d in rows.items() if b"iam/policy/" in r)
    }
    children = {
        iam.child_row(k.account, k.parent, k.access_key): ChildRecord(k.kind, k.expires_ns)
        for k in keys
        if k.kind in (KeyKind.SERVICE, KeyKind.TEMPORARY)
    }
    found = {row: iam.decode(d, ChildRecord) for row, d in rows.items() if row.startswith(b"iam/child/")}
    assert found == children
    members = {iam.member_row(u.account, g, u.name) for u in users for g in u.groups}
    assert {row for row in rows if row.startswith(b"iam/member/")} == members
    uses = {iam.use_row(u.account, p, False, u.name) for u in users for p in u.policies}
    uses |= {iam.use_row(g.account, p, True, g.name) for g in groups for p in g.policies}
    assert {row for row in rows if row.startswith(b"iam/use/")} == uses
    known = {(u.account, u.name): u.uid for u in users}
    for key in keys:
        if key.parent and key.provider == "builtin":
            assert known[key.account, key.parent] == key.parent_uid, key.access_key
    assert {k.access_key for k in keys if k.kind == KeyKind.USER} == {u.name for u in users if u.provider == "builtin"}
    assert {(u.account, g) for u in users for g in u.groups} <= {(g.account, g.name) for g in groups}
    for record in (*users, *groups):
        for name in record.policies:
            assert name in BUILTIN or (record.account, name) in policies
