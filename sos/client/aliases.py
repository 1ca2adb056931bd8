"""Names of servers with their credentials, kept where mc keeps them: ``~/.mc/config.json``, version 10.

The directory is ``MC_CONFIG_DIR`` or ``--config-dir``; ``MC_HOST_<alias>=https://KEY:SECRET[:TOKEN]@host`` beats the file.
What this client does not know in the file stays as it is. Source: mc's documentation and the files it writes.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import Failure

VERSION = "10"
NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*")
ENVIRONMENT = "MC_HOST_"
ACCESS_KEY_MIN, SECRET_KEY_MIN = 3, 8
FILE_BYTES_MAX = 16 << 20
_WITH_TOKEN = re.compile(r"(https?://)(.*?):(.*?):(.*)@(.*?)")
_WITH_KEYS = re.compile(r"(https?://)(.*?):(.*)@(.*?)")


@dataclass(frozen=True, slots=True)
class Alias:
    """One server.

    :param path: ``auto``, ``on`` (bucket in the path) or ``off`` (bucket in the host name); older files say ``dns``
    :param source: file or ``env``
    """

    name: str
    url: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    api: str = "S3v4"
    path: str = "auto"
    source: str = ""


class Aliases:
    """All that are known to one call of the client.

    :param environ: where ``MC_HOST_…`` is looked for
    """

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self.directory, self._environ = directory, environ

    @property
    def file(self) -> Path:
        return self.directory / "config.json"

    def find(self, name: str) -> Alias | None:
        """:raises Failure: a file or variable that cannot be read"""
        if given := self._environ.get(ENVIRONMENT + name):
            return _of_variable(name, given)
        entry = self._entries(self._read()).get(name)
        return None if entry is None else of_entry(name, entry, str(self.file))

    def every(self) -> list[Alias]:
        """By name; one from the environment hides that of the file."""
        found = {name: of_entry(name, entry, str(self.file)) for name, entry in self._entries(self._read()).items()}
        for variable, text in self._environ.items():
            if variable.startswith(ENVIRONMENT):
                name = variable.removeprefix(ENVIRONMENT)
                found[name] = _of_variable(name, text)
        return [found[name] for name in sorted(found)]

    def entry(self, name: str) -> dict[str, Any] | None:
        """As it stands in the file."""
        return self._entries(self._read()).get(name)

    def put(self, alias: Alias) -> None:
        """Into the file; members of an earlier entry that the client does not know stay."""
        known = {"url": alias.url, "accessKey": alias.access_key, "secretKey": alias.secret_key}
        known |= {"sessionToken": alias.token} if alias.token else {}
        with self._change() as document:
            old = {k: v for k, v in self._entries(document).get(alias.name, {}).items() if k != "sessionToken"}
            document["aliases"][alias.name] = {**old, **known, "api": alias.api, "path": alias.path}

    def remove(self, name: str) -> None:
        with self._change() as document:
            del document["aliases"][name]

    @contextmanager
    def _change(self) -> Iterator[dict[str, Any]]:
        """The document, written when the block ends well. Two clients at once do not undo each other."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            document = self._read()
            document.setdefault("aliases", {})
            yield document
            self._write(document)
        finally:
            os.close(handle)

    def _read(self) -> dict[str, Any]:
        try:
            with self.file.open("rb") as file:
                text = file.read(FILE_BYTES_MAX)
        except FileNotFoundError:
            return {"version": VERSION, "aliases": {}}
        try:
            document = json.loads(text)
        except ValueError:
            raise Failure(f"`{self.file}` is no JSON document.") from None
        if not isinstance(document, dict) or document.get("version") != VERSION:
            raise Failure(
                f"`{self.file}` is no mc configuration of version {VERSION}; run a current mc once to convert it."
            )
        return document

    def _entries(self, document: dict[str, Any]) -> dict[str, dict[str, Any]]:
        entries = document.get("aliases") or {}
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise Failure(f"The aliases in `{self.file}` cannot be read.")
        return entries

    def _write(self, document: dict[str, Any]) -> None:
        """Replaced as a whole, readable by its owner only."""
        document["aliases"] = dict(sorted(document["aliases"].items()))
        draft = self.directory / f".config.json.{secrets.token_hex(8)}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file, indent="\t", ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.file)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def checked(alias: Alias) -> Alias:
    """:raises Failure: what mc refuses, and what this client cannot speak"""
    if not NAME.fullmatch(alias.name):
        raise Failure(f"`{alias.name}` is no alias: a letter first, then letters, digits, - and _.")
    if not is_host(alias.url):
        raise Failure(f"URL `{alias.url}` is not of the form http[s]://HOST[:PORT].")
    if alias.access_key and len(alias.access_key) < ACCESS_KEY_MIN:
        raise Failure(f"Invalid access key `{alias.access_key}`: {ACCESS_KEY_MIN} characters at least.")
    if alias.secret_key and len(alias.secret_key) < SECRET_KEY_MIN:
        raise Failure(f"Invalid secret key: {SECRET_KEY_MIN} characters at least.")
    if alias.api.lower() != "s3v4":
        raise Failure("Unrecognized API signature. This client speaks `S3v4`.")
    if alias.path not in ("auto", "on", "off", "dns", "path"):
        raise Failure("Unrecognized path value. Valid options are `[auto, on, off]`.")
    return alias


def is_host(url: str) -> bool:
    """Whether it is scheme, host and port, and nothing else."""
    try:
        parts = urlsplit(url)
        ported = parts.port is None or parts.port > 0
    except ValueError:
        return False
    clean = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    return bool(parts.scheme in ("http", "https") and parts.hostname and ported and clean)


def of_entry(name: str, entry: dict[str, Any], source: str) -> Alias:
    """As the file has it."""

    def text(member: str, default: str = "") -> str:
        return str(entry.get(member) or default)

    token, api, path = text("sessionToken"), text("api", "S3v4"), text("path", "auto")
    return Alias(name, text("url").rstrip("/"), text("accessKey"), text("secretKey"), token, api, path, source)


def _of_variable(name: str, text: str) -> Alias:
    alias = Alias(name, text.rstrip("/"), source="env")
    if found := _WITH_TOKEN.fullmatch(text):
        scheme, key, secret, token, host = found.groups()
        alias = Alias(name, (scheme + host).rstrip("/"), key, secret, token, source="env")
    elif found := _WITH_KEYS.fullmatch(text):
        scheme, key, secret, host = found.groups()
        alias = Alias(name, (scheme + host).rstrip("/"), key, secret, source="env")
    if not is_host(alias.url):
        # the value may hold a secret: it is not repeated
        raise Failure(f"{ENVIRONMENT}{name} is not of the form http[s]://KEY:SECRET@HOST[:PORT].")
    return alias
