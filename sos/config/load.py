"""Settings from the command line, the environment and a TOML file; each value remembers its source.

Flag beats environment beats file beats default. ``SOS_X`` and ``MINIO_X`` mean the same; where both are set and
differ, ``SOS_X`` wins and a warning says so.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tomli

from .envfile import read_env_file
from .settings import BY_NAME, OPTIONS, Option, Settings
from .subsystems import places_of
from .values import ConfigError, from_text, from_toml

#: Variables with these prefixes are ours or MinIO's; they are read here and nowhere else.
PREFIXES = ("SOS_", "MINIO_")
#: Names that are read before any setting.
_PROCESS_NAMES = ("CONFIG", "CONFIG_ENV_FILE", "OPTS")
SECRET_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with where each came from.

    :param sources: name of the setting → text for people
    """

    settings: Settings
    sources: dict[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line said; kept, so that a reload can resolve everything again.

    :param flags: name of the setting → (text, source)
    :param volumes: positional arguments
    :param file: of ``--config``, empty for none
    """

    flags: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    volumes: Sequence[str] = ()
    file: str = ""


def load(given: Given, environ: Mapping[str, str]) -> Loaded:
    """:raises ConfigError: naming the value that cannot be used and where it stands"""
    warnings: list[str] = []
    env = _Environment(environ, warnings)
    path = given.file or env.process("CONFIG")
    table = _read_toml(path) if path else {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for option in OPTIONS:
        value, source = _resolve(option, given, env, table, path)
        values[option.name], sources[option.name] = value, source
    settings = Settings(**values)
    _check_credentials(settings, sources)
    env.warn_unknown()
    return Loaded(settings, sources, tuple(warnings))


def _resolve(option: Option, given: Given, env: _Environment, table: dict[str, Any], path: str) -> tuple[Any, str]:
    if option.name == "volumes" and given.volumes:
        return tuple(given.volumes), "command line"
    if option.name in given.flags:
        text, source = given.flags[option.name]
        return from_text(option.kind, text, source), source
    found = env.find(option)
    if found is not None:
        text, source = found
        return from_text(option.kind, text, source), source
    section = table.get(option.section, {})
    if option.name in section:
        where = f"{path}: {option.section}.{option.name}"
        return from_toml(option.kind, section[option.name], where), f"file {where}"
    return option.default, "default"


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the process and of the environment file, without ``MINIO_`` or ``SOS_``; ``SOS_X`` beats ``MINIO_X``.

    :raises ConfigError: the environment file cannot be read
    """
    values = _Environment(environ, []).values
    return {
        name.removeprefix(prefix): text
        for prefix in reversed(PREFIXES)
        for name, (text, _) in values.items()
        if name.startswith(prefix) and text
    }


class _Environment:
    """The variables of the process and of the environment file over them."""

    def __init__(self, environ: Mapping[str, str], warnings: list[str]) -> None:
        self.values = {k: (v, f"environment {k}") for k, v in environ.items() if k.startswith(PREFIXES)}
        self._credentials = environ.get("CREDENTIALS_DIRECTORY", "")
        self._warnings = warnings
        self._known = {prefix + name for name in _PROCESS_NAMES for prefix in PREFIXES}
        path = self.process("CONFIG_ENV_FILE")
        if path:
            over = read_env_file(path)
            self.values |= {k: (v, f"{path}: {k}") for k, v in over.items() if k.startswith(PREFIXES)}

    def process(self, name: str) -> str:
        """A variable that says where settings are."""
        for prefix in PREFIXES:
            value = self.values.get(prefix + name, ("", ""))[0]
            if value:
                if name == "CONFIG" and value.endswith((".yaml", ".yml")):
                    raise ConfigError(f"{prefix}{name}={value}: MinIO's YAML layout is not read, write a TOML file")
                return value
        return ""

    def find(self, option: Option) -> tuple[str, str] | None:
        """The text of a setting and where it stood."""
        found: list[tuple[str, str]] = []
        for name in option.names:
            for prefix in PREFIXES:
                self._known |= {prefix + name} | ({f"{prefix}{name}_FILE"} if option.file_twin else set())
                value = self._one(prefix + name, option)
                if value is not None:
                    found.append(value)
        if not found:
            return self._systemd_credential(option)
        first = found[0]
        for text, source in found[1:]:
            if text != first[0]:
                self._warnings.append(f"{first[1]} is used, {source} says something else and is ignored")
        return first

    def _one(self, name: str, option: Option) -> tuple[str, str] | None:
        if option.file_twin and (twin := self.values.get(f"{name}_FILE")) and twin[0]:
            path = os.path.join("/run/secrets", twin[0])  # an absolute path stays as it is
            return _read_secret(path, f"{name}_FILE"), f"file {path} ({name}_FILE)"
        value = self.values.get(name)
        # an empty variable is one that the operator left blank in the environment file
        return value if value and value[0] else None

    def _systemd_credential(self, option: Option) -> tuple[str, str] | None:
        if not (self._credentials and option.file_twin):
            return None
        path = os.path.join(self._credentials, option.name)
        if not os.path.exists(path):
            return None
        return _read_secret(path, "CREDENTIALS_DIRECTORY"), f"credential {option.name}"

    def warn_unknown(self) -> None:
        """Call after every setting was looked for."""
        unknown = sorted(name for name in self.values if name not in self._known and not _is_dynamic(name))
        for name in (n for n in unknown if n.startswith("SOS_")):
            close = difflib.get_close_matches(name, self._known, 1)
            self._warnings.append(f"unknown variable {name}" + (f", did you mean {close[0]}?" if close else ""))
        ignored = [name for name in unknown if name.startswith("MINIO_")]
        if ignored:
            self._warnings.append(f"MinIO settings that this release does not use: {', '.join(ignored)}")


def _is_dynamic(name: str) -> bool:
    """Whether a variable is about a subsystem that is configured while the server runs."""
    return places_of(name.partition("_")[2]) is not None


def _read_secret(path: str, name: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(SECRET_BYTES_MAX)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot read {path}: {error}") from None
    return text.strip("\r\n \t")


def _read_toml(path: str) -> dict[str, Any]:
    if path.endswith((".yaml", ".yml")):
        raise ConfigError(f"{path}: MinIO's YAML layout is not read, write a TOML file")
    try:
        with open(path, "rb") as file:
            table = tomli.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    sections = {option.section for option in OPTIONS}
    for name, section in table.items():
        if name not in sections or not isinstance(section, dict):
            raise ConfigError(
                f"{path}: unknown {'section' if isinstance(section, dict) else 'setting'} {name}{_hint(name, sections)}"
            )
        keys = {option.name for option in OPTIONS if option.section == name}
        for key in section:
            if key not in keys:
                raise ConfigError(f"{path}: unknown setting {name}.{key}{_hint(key, keys, name)}")
    return table


def _hint(name: str, known: set[str], section: str = "") -> str:
    """A suggestion for a misspelt name."""
    if section:
        elsewhere = BY_NAME.get(name)
        if elsewhere is not None:
            return f", it belongs to [{elsewhere.section}]"
    elif name in BY_NAME:
        return f", it belongs to [{BY_NAME[name].section}]"
    close = difflib.get_close_matches(name, known, 1)
    return f", did you mean {close[0]}?" if close else ""


def _check_credentials(settings: Settings, sources: dict[str, str]) -> None:
    by_default = [sources[name] == "default" for name in ("root_user", "root_password")]
    if by_default[0] != by_default[1]:
        raise ConfigError("set both MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, or neither")
    if len(settings.root_user) < 3:
        raise ConfigError(f"{sources['root_user']}: the root user needs 3 characters or more")
    if len(settings.root_password) < 8:
        raise ConfigError(f"{sources['root_password']}: the root password needs 8 characters or more")
    if any(c in settings.root_user for c in "=,") or not settings.root_user.isprintable():
        raise ConfigError(f"{sources['root_user']}: the root user must not contain '=' or ','")
