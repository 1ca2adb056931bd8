"""The configuration of one worker: what is in force, and how it is changed.

Rows of the configuration are read anew when the shared counter tells that some row of ``sys`` changed, and taken over
where one of them differs.

Invariants:

F1  What is given out was in force at, or after, the last look: the counter is read before the rows.
F2  ``follow`` is called at the start of every request, so a change is in force in every worker for every request that
    begins after the change was acknowledged.
F3  What is stored has passed the checks, together with everything else that is stored for its target at that moment.
F4  The environment beats what is stored.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...base.pages import GEN_CONFIG, Pages
from ...config.settings import Settings
from ...config.subsystems import DEFAULT_TARGET, ENABLE, ON, SUBSYSTEMS, Subsystem
from ...domain.errors import BadRow, Busy, DriveFault, InvalidSetting, MustWait, SettingNotFound, StoreError
from ...erasure.handle import Snapshot
from ...meta import configuration as rows
from ..identity.context import Realm
from ..identity.store import TRIES_MAX, Change, read, scan
from . import documents, lines
from .checks import Check, Checks, Rule, check_complete, in_use
from .layers import Layers, Place, Values
from .lines import Line
from .migrating import read_import

log = logging.getLogger("sos.configuration")

#: Changes that are remembered; the oldest goes when another comes.
HISTORY_MAX = 100
#: Targets of all subsystems together.
TARGETS_MAX = 200

#: Target and its values → what follows from them, for who asks (``roleARN``).
Facts = Callable[[str, Mapping[str, str]], Mapping[str, str]]
Edit = Callable[[dict[Place, Values]], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A change of the past: restoring it means to make it again.

    :param created_ns: wall clock
    :param text: as it was given, with its secrets
    """

    restore_id: str
    created_ns: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class _Stored:
    """Rows as they are stored, and what they say.

    :param bad: subsystems with a row that cannot be read
    """

    documents: dict[bytes, bytes]
    values: dict[Place, Values]
    bad: frozenset[str] = frozenset()


class Configuration:
    """:param settings: of the server, without what is stored here
    :param variables: of the environment, without their ``MINIO_`` or ``SOS_``
    """

    def __init__(self, realm: Realm, pages: Pages, settings: Settings, variables: Mapping[str, str]) -> None:
        self._realm = realm
        self._pages = pages
        self._layers = Layers(settings, variables)
        self._stored = _Stored({}, {})
        self._generation = -1
        self._watchers: dict[str, list[Callable[[], None]]] = {name: [] for name in SUBSYSTEMS}
        self._facts: dict[str, Facts] = {}
        self._checks = Checks()

    # -- what is in force ------------------------------------------------------------------------------

    def targets(self, subsystem: str) -> dict[str, Values]:
        """Target (``_`` is the default one, which always exists) → every key with its value in force; secrets in clear.

        :raises BadRow: what is stored for the subsystem is damaged
        :raises NoSuchSetting: there is no such subsystem
        """
        self._look()
        known = lines.subsystem_of(subsystem)
        if subsystem in self._stored.bad:
            raise BadRow("the stored configuration of the subsystem is damaged", subsystem=subsystem)
        return self._layers.every(known, self._stored.values)

    def enabled(self, subsystem: str) -> dict[str, Values]:
        """Of these targets those that are configured and not switched off."""
        known = lines.subsystem_of(subsystem)
        return {name: values for name, values in self.targets(subsystem).items() if in_use(known, values)}

    def pins(self, subsystem: str, target: str) -> Mapping[str, str]:
        """Key → value of what the environment says of a target."""
        return self._layers.pins.get((subsystem, target), {})

    def is_stored(self, subsystem: str, target: str) -> bool:
        """Whether something was set for a target."""
        self._look()
        return (subsystem, target) in self._stored.values

    def kept(self, subsystem: str, target: str) -> Values:
        """Every key of a target with what is stored, or the default; secrets in clear."""
        self._look()
        return self._layers.kept(lines.subsystem_of(subsystem), self._stored.values.get((subsystem, target), {}))

    def watch(self, subsystem: str, changed: Callable[[], None]) -> None:
        """Have a function called, in this worker's loop, after the values of a subsystem changed, whoever changed them.
        It is called in the middle of other requests: it must not block nor raise."""
        self._watchers[subsystem].append(changed)

    def register_check(self, subsystem: str, check: Check) -> None:
        """Have a function look at each target that is in use before it is stored; it refuses by ``SettingRefused``."""
        self._checks.add(subsystem, check)

    def register_rule(self, subsystem: str, rule: Rule) -> None:
        """Have a function look at all targets that would be in use beside each other; it refuses by ``SettingRefused``."""
        self._checks.add_rule(subsystem, rule)

    def register_facts(self, subsystem: str, facts: Facts) -> None:
        """Have a function tell what follows from the values of a target."""
        self._facts[subsystem] = facts

    def facts(self, subsystem: str, target: str, values: Mapping[str, str]) -> Mapping[str, str]:
        """What follows from the values of a target; nothing where nobody knows."""
        known = self._facts.get(subsystem)
        return known(target, values) if known is not None else {}

    def settings(self) -> Settings:
        """The server's settings with what is in force here."""
        self._look()
        return self._layers.settings_with(self._stored.values)

    # -- following -------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Take over what was changed. At once, on the event loop; a comparison of numbers when nothing was.

        :raises MustWait: nothing can be read at this moment
        """
        generation = self._pages.generation(GEN_CONFIG)  # F1
        if generation == self._generation or self._realm.vault.keyring is None:
            return
        snapshot = self._realm.store.system.snapshot_now()
        if snapshot is None:
            raise MustWait()
        try:
            found = self._read(snapshot)
        except DriveFault as error:
            self._realm.store.system.distrust(snapshot, error)
            raise MustWait() from error  # the next snapshot is another drive's
        finally:
            snapshot.close()
        self._generation = generation
        self._take(found)

    def _look(self) -> None:
        """Follow if that can be done at once; else what was in force when the request began."""
        try:
            self.follow()
        except MustWait:
            return

    def look(self) -> None:
        """For a worker without requests: called from time to time."""
        try:
            self._look()
        except StoreError as error:
            log.warning("the configuration cannot be read now: %s %s", error.name, error.message)

    def reload(self, settings: Settings, variables: Mapping[str, str]) -> None:
        """Take over settings and environment."""
        before = {name: self._values(name) for name in SUBSYSTEMS}
        self._layers = Layers(settings, variables)
        self._tell(before)

    def _read(self, snapshot: Snapshot) -> _Stored:
        found = {rows.VALUES + name: document for name, document in scan(snapshot, rows.VALUES)}
        if found == self._stored.documents:
            return self._stored
        return self._opened(found)

    def _opened(self, found: dict[bytes, bytes]) -> _Stored:
        values: dict[Place, Values] = {}
        bad = set()
        for row, document in found.items():
            place = rows.place_of(row)
            try:
                values[place] = documents.open_values(self._realm.keyring.secrets, row, document)
            except BadRow as error:
                log.error("the configuration of %s:%s cannot be read: %s", *place, error.message)
                bad.add(place[0])
                values[place] = {}  # it can be removed, or set anew
        return _Stored(found, values, frozenset(bad))

    def _take(self, found: _Stored) -> None:
        if found is self._stored:
            return
        before = {name: self._values(name) for name in SUBSYSTEMS}
        self._stored = found
        self._tell(before)

    def _values(self, subsystem: str) -> object:
        return self._layers.every(SUBSYSTEMS[subsystem], self._stored.values), subsystem in self._stored.bad

    def _tell(self, before: Mapping[str, object]) -> None:
        for name, values in before.items():
            if values != self._values(name):
                for changed in self._watchers[name]:
                    changed()

    # -- changing --------------------------------------------------------------------------------------

    async def set(self, text: str, *, whole: bool = False) -> list[Subsystem]:
        """Set keys, as lines of text; remembered in the history.

        :param whole: what the text does not name goes
        :return: the subsystems it names
        :raises NoSuchSetting, InvalidSetting, SettingRefused, Busy:
        """
        assigned = read_import(text) if whole else lines.read_assignments(text)
        if not assigned and not whole:
            raise InvalidSetting("input arguments cannot be empty")

        def edit(stored: dict[Place, Values]) -> None:
            if whole:
                stored.clear()
            for line in assigned:
                self._assign(stored, line)

        await self._change(edit, remember=text)
        return [line.subsystem for line in assigned]

    def _assign(self, stored: dict[Place, Values], line: Line) -> None:
        values = dict(line.values)
        if line.subsystem.switched:
            values.setdefault(ENABLE, ON)
        stored[line.place] = stored.get(line.place, {}) | values
        check_complete(line.subsystem, self._layers.kept(line.subsystem, stored[line.place]))

    async def delete(self, text: str) -> list[Subsystem]:
        """Reset targets, or some of their keys, to the defaults, as lines of text.

        :return: the subsystems it names
        :raises NoSuchSetting, SettingNotFound, SettingRefused, Busy:
        """
        removals = lines.read_removals(text)
        if not removals:
            raise InvalidSetting("input arguments cannot be empty")

        def edit(stored: dict[Place, Values]) -> None:
            for line in removals:
                _remove(stored, line)

        await self._change(edit)
        return [line.subsystem for line in removals]

    async def _change(self, edit: Edit, remember: str = "", forget: str = "") -> None:
        """Edit what is stored, check it, and commit it if nobody was faster; else do it again."""
        for _ in range(TRIES_MAX):
            before = await self._realm.store.read(self._read)
            after = {place: dict(values) for place, values in before.values.items()}
            edit(after)
            if len(after) > TARGETS_MAX:
                raise InvalidSetting(f"there are at most {TARGETS_MAX} targets")
            await self._checks.run(self._layers, before.values, after)
            if await self._commit(before, after, remember, forget):
                await self._after()
                return
        raise Busy("the configuration is being changed by too many at once")

    async def _commit(self, before: _Stored, after: Mapping[Place, Values], remember: str, forget: str) -> bool:
        """False when the rows are not any more what was looked at."""
        now_ns, sealer = self._realm.clock(), self._realm.keyring.secrets

        def plan(change: Change) -> bool:
            if self._read(change.snapshot).documents != before.documents:
                return False
            for place in {*before.values, *after}:
                row, values = rows.values_row(*place), after.get(place)
                if values is None:
                    change.drop(row)
                elif values != before.values.get(place):
                    change.put(row, documents.seal_values(sealer, *place, values, now_ns))
                else:
                    change.document(row)
            if remember:
                self._remember(change, remember, now_ns)
            if forget:
                change.drop(rows.history_row(forget))
            return True

        return await self._realm.store.change(plan)

    async def _after(self) -> None:
        """Take over in this worker what it has just committed."""
        found = await self._realm.store.read(self._read)
        self._take(found)

    # -- history ---------------------------------------------------------------------------------------

    def _remember(self, change: Change, text: str, now_ns: int) -> None:
        entries = sorted((documents.made_ns(one), name) for name, one in scan(change.snapshot, rows.HISTORY))
        for _, name in entries[: max(0, len(entries) - HISTORY_MAX + 1)]:
            change.drop(rows.HISTORY + name)
        restore_id = str(uuid.uuid4())
        sealed = documents.seal_history(self._realm.keyring.secrets, restore_id, text, now_ns)
        change.put(rows.history_row(restore_id), sealed)

    def _entries(self, snapshot: Snapshot) -> list[Entry]:
        sealer = self._realm.keyring.secrets
        found = []
        for name, document in scan(snapshot, rows.HISTORY):
            restore_id = name.decode()
            try:
                found.append(Entry(restore_id, *documents.open_history(sealer, restore_id, document)))
            except BadRow as error:
                log.error("entry %s of the history cannot be read: %s", restore_id, error)
        return sorted(found, key=lambda entry: (entry.created_ns, entry.restore_id))

    async def history(self, most: int = HISTORY_MAX) -> Sequence[Entry]:
        """The last changes, oldest first; their texts hold secrets."""
        entries = await self._realm.store.read(self._entries)
        return entries[-most:] if most > 0 else entries

    async def restore(self, restore_id: str) -> None:
        """Make a change of the history again, and drop it from there.

        :raises SettingNotFound: there is no such entry
        :raises NoSuchSetting, InvalidSetting, SettingRefused, Busy:
        """
        document = await self._realm.store.read(lambda snapshot: read(snapshot, rows.history_row(restore_id)))
        if document is None:
            raise SettingNotFound("config file not found")
        _, text = documents.open_history(self._realm.keyring.secrets, restore_id, document)
        assigned = read_import(text)  # it may have been one

        def edit(stored: dict[Place, Values]) -> None:
            for line in assigned:
                self._assign(stored, line)

        await self._change(edit, forget=restore_id)

    async def forget(self, restore_id: str) -> None:
        """Drop an entry of the history, or ``all``; nothing happens when there is none."""

        def plan(change: Change) -> None:
            for name in list(change.under(rows.HISTORY)):
                if restore_id in ("all", name.decode()):
                    change.drop(rows.HISTORY + name)

        await self._realm.store.change(plan)


def _remove(stored: dict[Place, Values], line: Line) -> None:
    """:raises SettingNotFound: nothing is stored for it, or it has no such key"""
    subsystem, target = line.place
    if line.place not in stored and target != DEFAULT_TARGET:
        raise SettingNotFound(f"sub-system {subsystem}:{target} already deleted or does not exist")
    for name in line.keys:
        if name not in line.subsystem.names:
            raise SettingNotFound(f"key {name[: lines.NAME_CHARS_MAX]} doesn't exist")
        stored.get(line.place, {}).pop(name, None)
    if not line.keys or not stored.get(line.place):
        stored.pop(line.place, None)
