"""The configuration that is changed while the server runs, as the subsystems and keys that ``mc admin config`` knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...config.subsystems import DEFAULT_TARGET, ENABLE, SUBSYSTEMS, Key, Subsystem
from ...domain.errors import BadDocument, InvalidAdminArgument, InvalidRequest, NoSuchSetting
from ...http.message import Reply
from ...services.configuration.checks import in_use
from ...services.configuration.configuration import Configuration
from ...services.configuration.lines import NAME_CHARS_MAX, show_line, subsystem_of
from .. import moments
from ..call import Call, done, plain

APPLIED = ("x-minio-config-applied", "true")
_COUNT = re.compile(r"-?\d{1,9}")


def applied() -> Reply:
    """Everything that can be set is in force in every worker when the reply is sent; clients ask for no restart."""
    return Reply(200, [APPLIED])


async def text_of(call: Call) -> str:
    """The encrypted body as text. :raises BadDocument:"""
    try:
        return (await call.opened()).decode()
    except UnicodeDecodeError:
        raise BadDocument() from None


def _shown(configuration: Configuration, subsystem: Subsystem, target: str, *, secrets: bool, off: bool) -> str:
    values, pins = configuration.kept(subsystem.name, target), configuration.pins(subsystem.name, target)
    return show_line(subsystem, target, values, pins, secrets=secrets, off=off and not in_use(subsystem, values))


async def get_config_kv(call: Call) -> Reply:
    """One subsystem as text, encrypted: all its targets, or one of them. Without secrets."""
    configuration = call.services.configuration
    name, colon, wanted = call.get("key").strip().partition(":")
    subsystem = subsystem_of(name)
    targets: Sequence[str] = list(configuration.targets(name))
    if colon:
        wanted = wanted or DEFAULT_TARGET
        if wanted not in targets:
            raise NoSuchSetting(f"there is no target `{wanted[:NAME_CHARS_MAX]}` for subsystem `{name}`")
        targets = [wanted]
    text = "".join(_shown(configuration, subsystem, target, secrets=False, off=False) for target in targets)
    return await call.sealed(text.encode())


async def set_config_kv(call: Call) -> Reply:
    await call.services.configuration.set(await text_of(call))
    return applied()


async def del_config_kv(call: Call) -> Reply:
    await call.services.configuration.delete(await text_of(call))
    return applied()


async def export_config(call: Call) -> Reply:
    """All of it as text that can be imported, secrets included, encrypted; what is not in use stands in comments."""
    configuration = call.services.configuration
    text = "".join(
        _shown(configuration, subsystem, target, secrets=True, off=True)
        for name, subsystem in SUBSYSTEMS.items()
        for target in configuration.targets(name)
        if not subsystem.legacy or configuration.is_stored(name, target)
    )
    return await call.sealed(text.encode())


async def import_config(call: Call) -> Reply:
    """What an export wrote, here or of MinIO; what it does not name goes."""
    await call.services.configuration.set(await text_of(call), whole=True)
    return applied()


# -- history ---------------------------------------------------------------------------------------------


async def list_history(call: Call) -> Reply:
    """The last changes, with what was given then."""
    if not _COUNT.fullmatch(call.get("count")):
        raise InvalidAdminArgument("The count is no number.")
    entries = await call.services.configuration.history(int(call.get("count")))
    return await call.sealed(
        [
            {"restoreId": entry.restore_id, "createTime": moments.show(entry.created_ns), "data": entry.text}
            for entry in entries
        ]
    )


def _restore_id(call: Call) -> str:
    restore_id = call.get("restoreId")
    if not 0 < len(restore_id) <= NAME_CHARS_MAX:
        raise InvalidRequest("The id of an entry of the history is needed.")
    return restore_id


async def clear_history(call: Call) -> Reply:
    """One entry, or ``all``."""
    await call.services.configuration.forget(_restore_id(call))
    return done()


async def restore_history(call: Call) -> Reply:
    await call.services.configuration.restore(_restore_id(call))
    return applied()


# -- help ------------------------------------------------------------------------------------------------


async def help_config_kv(call: Call) -> Reply:
    """madmin ``Help``. Clients refuse members that they do not know."""
    name, key, variables = call.get("subSys").partition(":")[0], call.get("key"), "env" in call.query
    if not name:
        entries = [_help(one.name, one.help, "", optional=True, many=one.many) for one in SUBSYSTEMS.values() if not one.legacy]
        return plain({"subSys": "", "description": "", "multipleTargets": False, "keysHelp": entries})
    subsystem = subsystem_of(name)
    keys = [one for one in subsystem.keys if one.helped and key in ("", one.name)]
    if not keys:
        raise NoSuchSetting(f"unknown key {key[:NAME_CHARS_MAX]} for sub-system {name}")
    if subsystem.many:
        keys.insert(0, Key(ENABLE, f"enable {name} target, default is 'off'", "on|off", optional=False))
    entries = [
        _help(subsystem.variable(one.name) if variables else one.name, one.described, one.kind, optional=one.optional)
        for one in keys
    ]
    facts = {"subSys": name, "description": subsystem.help, "multipleTargets": subsystem.many}
    return plain({**facts, "keysHelp": entries})


def _help(key: str, text: str, kind: str, *, optional: bool, many: bool = False) -> dict[str, Any]:
    return {"key": key, "description": text, "optional": optional, "type": kind, "multipleTargets": many}


# -- what is not configured --------------------------------------------------------------------------------
