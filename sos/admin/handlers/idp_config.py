"""Identity providers as ``mc idp openid|ldap`` configures them: targets of two subsystems of the configuration."""

from __future__ import annotations

from typing import Any

from ...config.subsystems import DEFAULT_TARGET, ENABLE, OFF, ON, SUBSYSTEMS, Subsystem
from ...domain.errors import (
    BadDocument,
    InvalidRequest,
    NoSuchProvider,
    NoSuchProviderType,
    NoSuchTarget,
    OnlyOneDirectory,
    ProviderExists,
    SettingPinned,
)
from ...http.message import Reply
from ...services.configuration.checks import in_use
from ...services.configuration.lines import check_target
from ..call import Call, some
from .config import applied, text_of

TYPES = {"openid": SUBSYSTEMS["identity_openid"], "ldap": SUBSYSTEMS["identity_ldap"]}


def _subsystem(call: Call) -> Subsystem:
    """:raises NoSuchProviderType:"""
    found = TYPES.get(call.path["type"])
    if found is None:
        raise NoSuchProviderType()
    return found


def _exists(call: Call, subsystem: Subsystem, target: str) -> bool:
    """The default target always is there; it exists when something is said of it."""
    configuration = call.services.configuration
    if target != DEFAULT_TARGET:
        return target in configuration.targets(subsystem.name)
    return configuration.is_stored(subsystem.name, target) or bool(configuration.pins(subsystem.name, target))


async def add(call: Call) -> Reply:
    return await _put(call, update=False)


async def update(call: Call) -> Reply:
    return await _put(call, update=True)


async def _put(call: Call, *, update: bool) -> Reply:
    if call.request.headers.get("content-type") != "application/octet-stream":
        raise InvalidRequest("The body must be application/octet-stream.")
    text = await text_of(call)
    subsystem, target = _subsystem(call), call.path["name"]
    if not subsystem.many and target != DEFAULT_TARGET:
        raise OnlyOneDirectory()
    check_target(target)
    if "\n" in text.strip() or "\r" in text.strip():
        raise BadDocument("The keys of one configuration are one line.")
    if _exists(call, subsystem, target) != update:
        raise NoSuchProvider() if update else ProviderExists()
    await call.services.configuration.set(f"{_place(subsystem, target)} {text}")
    return applied()


def _place(subsystem: Subsystem, target: str) -> str:
    return subsystem.name if target == DEFAULT_TARGET else f"{subsystem.name}:{target}"


async def remove(call: Call) -> Reply:
    """What the environment says cannot be removed."""
    subsystem, target = _subsystem(call), call.path["name"]
    configuration = call.services.configuration
    if target not in configuration.targets(subsystem.name):
        raise NoSuchTarget()
    if configuration.pins(subsystem.name, target):
        raise SettingPinned()
    await configuration.delete(_place(subsystem, target))
    return applied()


async def info(call: Call) -> Reply:
    """madmin ``IDPConfig``: keys that are not as they are by default, without secrets, and what follows from them."""
    subsystem, target = _subsystem(call), call.path["name"]
    configuration = call.services.configuration
    values = configuration.targets(subsystem.name).get(target)
    if values is None:
        raise NoSuchTarget()
    pins = configuration.pins(subsystem.name, target)
    defaults = {key.name: key.default for key in subsystem.keys}
    secrets = {key.name for key in subsystem.keys if key.secret}
    shown = {name: value for name, value in values.items() if value != defaults.get(name, "") and name not in secrets}
    if subsystem.many and values.get(subsystem.essential):
        shown[ENABLE] = ON if in_use(subsystem, values) else OFF
    members = [_member(name, value, configured=True, pinned=name in pins) for name, value in shown.items()]
    facts = configuration.facts(subsystem.name, target, values)
    members += [_member(name, value, configured=False) for name, value in facts.items()]
    members.sort(key=lambda one: str(one["key"]))
    return await call.sealed({"type": call.path["type"], **some(name=target), "info": members})


def _member(key: str, value: str, *, configured: bool, pinned: bool = False) -> dict[str, Any]:
    return {"key": key, "value": value, "isCfg": configured, "isEnv": pinned}


async def list_all(call: Call) -> Reply:
    """madmin ``IDPListItem`` of every target, whether it is in use or not."""
    subsystem = _subsystem(call)
    configuration = call.services.configuration
    shown = []
    for target, values in configuration.targets(subsystem.name).items():
        enabled = in_use(subsystem, values)
        role = configuration.facts(subsystem.name, target, values).get("roleARN", "") if enabled else ""
        shown.append({"type": call.path["type"], "name": target, "enabled": enabled, **some(roleARN=role)})
    return await call.sealed(shown)
