"""How many keys one parent may have, so that nobody fills set 0 with them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from ...domain.errors import TooManyAccessKeys
from ...erasure.handle import Snapshot
from ...meta import iam, keys
from ...meta.iam import ChildRecord, KeyKind, KeyRecord
from .store import scan

NS_PER_S = 1_000_000_000
#: Living keys of a user, or of who comes from a provider, by kind.
OF_USER: dict[int, int] = {KeyKind.TEMPORARY: 10_000, KeyKind.SERVICE: 1_000}
#: The same for the root of an account, under which whole applications work.
OF_ROOT: dict[int, int] = {KeyKind.TEMPORARY: 50_000, KeyKind.SERVICE: 10_000}
#: Of what was left at a count, one in so many may be used up by this worker before it counts again.
SHARE = 8
#: A count that found no room is believed for so long.
FULL_NS = NS_PER_S
#: Parents remembered.
REMEMBERED_MAX = 4_096
WHAT = {KeyKind.TEMPORARY: "temporary credentials", KeyKind.SERVICE: "service accounts"}


@dataclass(slots=True)
class _Known:
    """What a count found.

    :param free: keys that may be made before the next count
    :param full_until_ns: until then there is no room; 0 = there is
    """

    free: int
    full_until_ns: int = 0


class Allowance:
    """The bound, for one worker. Counting is linear in the keys of a parent: who is far below the bound is counted seldom,
    and who is at it once a second. As workers count for themselves, and others make keys meanwhile, the bound may be
    exceeded by a few; with more than ``SHARE`` workers by a part.

    :param clock: nanoseconds since the epoch
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, str, int], _Known] = OrderedDict()

    def take(self, snapshot: Snapshot, record: KeyRecord) -> None:
        """Before a key is made. :raises TooManyAccessKeys:"""
        most, now = (OF_USER if record.parent else OF_ROOT)[record.kind], self._clock()
        name = (record.account, record.parent, int(record.kind))
        known = self._known.get(name)
        if known is None or (known.free < 1 and known.full_until_ns <= now):
            left = most - _living(snapshot, record, most, now)
            known = self._known[name] = _Known(-(-left // SHARE), 0 if left else now + FULL_NS)
            if len(self._known) > REMEMBERED_MAX:
                self._known.popitem(last=False)
        if known.free < 1:
            raise TooManyAccessKeys(f"There are {most} {WHAT[KeyKind(record.kind)]} already.")
        known.free -= 1

    def forget(self, account: str, parent: str) -> None:
        """Some of a parent's keys are gone."""
        for kind in OF_USER:
            self._known.pop((account, parent, int(kind)), None)


def _living(snapshot: Snapshot, record: KeyRecord, most: int, now: int) -> int:
    """How many keys of its kind the parent of a key has, at most ``most``. Few rows are told from their number alone."""
    prefix = iam.children_of(record.account, record.parent)
    rows = sum(1 for _ in islice(snapshot.scan("sys", prefix, keys.after_prefix(prefix)), most))
    if rows < most:
        return rows
    children = (iam.decode(document, ChildRecord) for _, document in scan(snapshot, prefix))
    alive = (one for one in children if one.kind == record.kind and not 0 < one.expires_ns <= now)
    return sum(1 for _ in islice(alive, most))
