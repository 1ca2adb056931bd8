"""What a target must be before it is stored."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from ...config.settings import BY_NAME
from ...config.subsystems import ENABLE, OFF, ON, SUBSYSTEMS, Subsystem
from ...config.values import ConfigError, from_text
from ...domain.errors import InvalidSetting, SettingRefused
from .layers import Layers, Place, Values

#: Looks at the values of a target as they would be in force. Raises ``SettingRefused`` (or one of its kinds) with a text
#: for the operator; must take a bounded time.
Check = Callable[[Mapping[str, str]], Awaitable[None]]
#: Looks at target → values of all that are in use.
Rule = Callable[[Mapping[str, Mapping[str, str]]], None]

#: Of a refusal.
TEXT_CHARS_MAX = 200
_SWITCHES = {
    **dict.fromkeys(("1", "t", "true", "on", "enabled"), True),
    **dict.fromkeys(("0", "f", "false", "off", "disabled"), False),
}
_REGION = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]+")
_SITE = re.compile(r"[a-z][a-z0-9-]+")


def in_use(subsystem: Subsystem, values: Mapping[str, str]) -> bool:
    """Whether a target is configured and not switched off."""
    if subsystem.essential and not values.get(subsystem.essential, ""):
        return False
    word = values.get(ENABLE, "")
    return not word or bool(_SWITCHES.get(word.lower()))


def check_complete(subsystem: Subsystem, values: Mapping[str, str]) -> None:
    """:raises InvalidSetting: a key that is needed is empty though the target is on"""
    if subsystem.switched and values.get(ENABLE, "") != ON:
        return
    for key in subsystem.keys:
        if not key.optional and not values.get(key.name, ""):
            raise InvalidSetting(
                f"'{key.name}' is not optional for '{subsystem.name}' sub-system, please check '{subsystem.name}' "
                "documentation"
            )


def check_forms(subsystem: Subsystem, values: Mapping[str, str]) -> None:
    """Switches are switches, and the mirror of a setting is what the setting can be. :raises SettingRefused:"""
    for key in subsystem.keys:
        value = values.get(key.name, "")
        if not value:
            continue
        # what was given is not repeated: after a misspelt key it may hold a secret
        if key.kind == "on|off" and value.lower() not in _SWITCHES:
            raise SettingRefused(f"'{key.name}' of sub-system '{subsystem.name}' is neither '{ON}' nor '{OFF}'")
        if key.setting:
            try:
                from_text(BY_NAME[key.setting].kind, value, f"{subsystem.name} {key.name}")
            except ConfigError as error:
                raise SettingRefused(str(error)[:TEXT_CHARS_MAX]) from None
    if subsystem.name == "site":
        _check_site(values.get("name", ""), values.get("region", ""))
    elif subsystem.name == "region":
        _check_site("", values.get("name", ""))


def _check_site(name: str, region: str) -> None:
    if region and not _REGION.fullmatch(region):
        raise SettingRefused(
            f"region '{region[:64]}' is invalid, expected simple characters such as [us-east-1, myregion...]"
        )
    if name and not _SITE.fullmatch(name):
        raise SettingRefused(
            f"site name '{name[:64]}' is invalid, expected simple characters such as [cal-rack0, myname...]"
        )


class Checks:
    """Everything that has a say in what is stored."""

    def __init__(self) -> None:
        self._of: dict[str, list[Check]] = {name: [] for name in SUBSYSTEMS}
        self._rules: dict[str, Rule] = {}

    def add(self, subsystem: str, check: Check) -> None:
        self._of[subsystem].append(check)

    def add_rule(self, subsystem: str, rule: Rule) -> None:
        self._rules[subsystem] = rule

    async def run(self, layers: Layers, before: Mapping[Place, Values], after: Mapping[Place, Values]) -> None:
        """Look at what changes: each target alone, then all that are in use beside each other.

        :raises SettingRefused:
        """
        places = [place for place in sorted({*before, *after}) if before.get(place) != after.get(place)]
        for name, target in places:
            if name in SUBSYSTEMS:
                await self._look(layers, SUBSYSTEMS[name], target, after.get((name, target), {}))
        for name in dict.fromkeys(name for name, _ in places if name in self._rules):
            every = layers.every(SUBSYSTEMS[name], after).items()
            self._rules[name]({target: values for target, values in every if in_use(SUBSYSTEMS[name], values)})

    async def _look(self, layers: Layers, subsystem: Subsystem, target: str, stored: Values) -> None:
        check_forms(subsystem, layers.kept(subsystem, stored))
        values = layers.in_force(subsystem, target, stored)
        if in_use(subsystem, values):
            for check in self._of[subsystem.name]:
                await check(values)
