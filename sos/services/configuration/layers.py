"""From where the value of a key comes: the environment, else what is stored, else the server's settings, else its default.

Pure; a value of the environment cannot be overridden by a stored one.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ...config.settings import BY_NAME, Settings
from ...config.subsystems import COMMENT, DEFAULT_TARGET, SUBSYSTEMS, Key, Subsystem, places_of
from ...config.values import ConfigError, from_text

Place = tuple[str, str]
Values = dict[str, str]


def setting_text(settings: Settings, name: str) -> str:
    """The value of a setting as the configuration shows it."""
    value: Any = getattr(settings, name)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}s" if name.endswith("_s") else str(value)


def pins_of(variables: Mapping[str, str]) -> dict[Place, Values]:
    """What the environment says, by place.

    :param variables: without their ``MINIO_`` or ``SOS_``
    """
    pins: dict[Place, Values] = {}
    for variable, value in variables.items():
        found = places_of(variable) if value else None
        if found is not None:
            name, key_name, target = found
            pins.setdefault((name, target), {})[key_name] = value
    for subsystem in SUBSYSTEMS.values():
        for key in subsystem.keys:
            for variable in BY_NAME[key.setting].names if key.setting else ():
                if variables.get(variable):
                    pins.setdefault((subsystem.name, DEFAULT_TARGET), {}).setdefault(key.name, variables[variable])
    return pins


class Layers:
    """:param settings: of the server, as its start (or its last reload) has them
    :param variables: of the environment
    """

    def __init__(self, settings: Settings, variables: Mapping[str, str]) -> None:
        self.settings = settings
        self.pins = pins_of(variables)

    def default(self, key: Key) -> str:
        return (setting_text(self.settings, key.setting) if key.setting else "") or key.default

    def kept(self, subsystem: Subsystem, stored: Mapping[str, str]) -> Values:
        """All keys with what is stored, or the default, whatever the environment says."""
        values = {}
        for key in subsystem.keys:
            value = stored.get(key.name)
            # an empty text of a mirrored setting is its default, as in MinIO
            values[key.name] = self.default(key) if value is None or (key.setting and not value) else value
        values[COMMENT] = stored.get(COMMENT, "")
        return values

    def in_force(self, subsystem: Subsystem, target: str, stored: Mapping[str, str]) -> Values:
        """All keys with their values in force."""
        return self.kept(subsystem, stored) | self.pins.get((subsystem.name, target), {})

    def every(self, subsystem: Subsystem, stored: Mapping[Place, Mapping[str, str]]) -> dict[str, Values]:
        """Target → all keys with their values in force."""
        return {
            target: self.in_force(subsystem, target, stored.get((subsystem.name, target), {}))
            for target in self.targets(subsystem, stored)
        }

    def settings_with(self, stored: Mapping[Place, Mapping[str, str]]) -> Settings:
        """The settings with the values in force of the keys that mirror them; one that cannot be read stays as it was."""
        new: dict[str, Any] = {}
        for subsystem in SUBSYSTEMS.values():
            values = stored.get((subsystem.name, DEFAULT_TARGET), {})
            pinned = self.pins.get((subsystem.name, DEFAULT_TARGET), {})
            for key in subsystem.keys:
                value = "" if key.name in pinned else values.get(key.name, "")
                if key.setting and value:
                    with suppress(ConfigError):
                        new[key.setting] = from_text(BY_NAME[key.setting].kind, value, key.setting)
        return replace(self.settings, **new)

    def targets(self, subsystem: Subsystem, stored: Mapping[Place, Mapping[str, str]]) -> list[str]:
        """The default one, then the others by name."""
        places = [*stored, *self.pins] if subsystem.many else []
        named = {target for name, target in places if name == subsystem.name}
        return [DEFAULT_TARGET, *sorted(named - {DEFAULT_TARGET})]
