"""The configuration as the subsystems and keys that clients know. It is read here; it is changed where it comes from (flags,
environment, file), never through the API."""

from __future__ import annotations

from typing import Any

from ...config.settings import BY_NAME, Settings
from ...domain.errors import NoSuchSetting, NotEnabled
from ...http.message import Reply
from ..call import Call, plain

SUBSYSTEMS: dict[str, tuple[str, dict[str, str]]] = {
    "site": ("label the server and its location", {"region": "region"}),
    "api": (
        "manage global HTTP API call specific features",
        {"requests_max": "requests_max", "cors_allow_origin": "cors_allow_origin", "root_access": "root_access"},
    ),
    "storage_class": (
        "define object level redundancy",
        {"standard": "storage_class_standard", "rrs": "storage_class_rrs"},
    ),
    "drive": ("enable drive specific settings", {"max_timeout": "drive_deadline_s"}),
}
"""Subsystem → what it is, and its keys → the setting that each is."""


def _value(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}s" if name.endswith("_s") else str(value)


def _quoted(value: str) -> str:
    return f'"{value}"' if not value or " " in value else value


def _line(settings: Settings, subsystem: str) -> str:
    """The text form: ``subsystem key=value …``."""
    pairs = (f"{key}={_quoted(_value(settings, name))}" for key, name in SUBSYSTEMS[subsystem][1].items())
    return f"{subsystem} {' '.join(pairs)} \n"


def _require(subsystem: str) -> None:
    """:raises NoSuchSetting:"""
    if subsystem not in SUBSYSTEMS:
        raise NoSuchSetting(f"unknown sub-system {subsystem[:64]}")


async def get_config_kv(call: Call) -> Reply:
    """One subsystem as text, encrypted."""
    subsystem = call.get("key").partition(":")[0].strip()
    _require(subsystem)
    return await call.sealed(_line(call.services.settings(), subsystem).encode())


async def export_config(call: Call) -> Reply:
    """All subsystems as text, encrypted."""
    settings = call.services.settings()
    return await call.sealed("".join(_line(settings, subsystem) for subsystem in SUBSYSTEMS).encode())


async def help_config_kv(call: Call) -> Reply:
    """madmin ``Help``. Clients refuse members that they do not know."""
    subsystem, key, names = call.get("subSys"), call.get("key"), "env" in call.query
    if not subsystem:
        entries = [_help(name, text, "") for name, (text, _) in SUBSYSTEMS.items()]
        return plain(_shown("", "", entries))
    _require(subsystem)
    text, keys = SUBSYSTEMS[subsystem]
    if key and key not in keys:
        raise NoSuchSetting(f"unknown key {key[:64]} of sub-system {subsystem}")
    entries = []
    for name, setting in keys.items():
        option = BY_NAME[setting]
        shown = f"MINIO_{option.names[0]}" if names else name
        if key in ("", name):
            entries.append(_help(shown, option.help, option.kind.name))
    return plain(_shown(subsystem, text, entries))


def _shown(subsystem: str, text: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"subSys": subsystem, "description": text, "multipleTargets": False, "keysHelp": entries}


def _help(key: str, text: str, kind: str) -> dict[str, Any]:
    return {"key": key, "description": text, "optional": True, "type": kind, "multipleTargets": False}


async def list_history(call: Call) -> Reply:
    """None: nothing is changed through the API."""
    return await call.sealed([])


async def no_ldap(call: Call) -> Reply:
    """:raises NotEnabled:"""
    raise NotEnabled(what="ldap")


async def no_openid(call: Call) -> Reply:
    """:raises NotEnabled:"""
    raise NotEnabled(what="openid")
