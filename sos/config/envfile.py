"""Files of ``KEY=value`` lines, as systemd's EnvironmentFile and ``MINIO_CONFIG_ENV_FILE`` use them."""

from __future__ import annotations

import re

from .values import ConfigError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_env_file(path: str) -> dict[str, str]:
    """:raises ConfigError: the file cannot be read, or a line is not ``KEY=value``"""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    return parse_env(text, path)


def parse_env(text: str, path: str) -> dict[str, str]:
    """Values may stand in single or double quotes; ``export`` and comment lines are allowed; no expansion."""
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith(("#", ";")):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not _NAME.fullmatch(name):
            raise ConfigError(f"{path}, line {number}: expected KEY=value")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name] = value
    return values
