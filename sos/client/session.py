"""What one call of the client knows: its options, its aliases, and the servers it has talked to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .aliases import Alias, Aliases
from .connection import Admin, Connection, connect
from .console import Console
from .entries import Target
from .errors import Failure, Stop
from .local import Local
from .meter import Meter, on_terminal
from .remote import Remote


class Session:
    """Made before the options are read; they set its attributes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.console = Console()
        self.environ = environ
        self.directory = Path(environ.get("MC_CONFIG_DIR") or Path.home() / ".mc")
        self.insecure = False
        self.local = Local()
        self._connections: dict[str, Connection] = {}

    @property
    def aliases(self) -> Aliases:
        return Aliases(self.directory, self.environ)

    def target(self, text: str) -> Target:
        """What an argument names: a known alias first, else a path of this machine.

        :raises Stop: an empty one
        """
        if not text.strip():
            raise Stop("Unable to validate empty argument.")
        name, _, path = text.partition("/")
        if self._alias(name) is None:
            return Target(text, "", text)
        return Target(text, name, path.lstrip("/"))

    def remote_target(self, text: str) -> Target:
        """:raises Stop: one of this machine"""
        target = self.target(text)
        if not target.alias:
            raise Stop(f"No such alias `{text.partition('/')[0]}` found.", _unknown(text.partition("/")[0]))
        return target

    def place(self, target: Target) -> Remote | Local:
        return self.remote(target.alias) if target.alias else self.local

    def remote(self, name: str) -> Remote:
        return Remote(self._connect(name))

    def admin(self, text: str) -> Admin:
        """:param text: an alias; a slash and what follows do not matter
        :raises Stop:
        """
        name = text.partition("/")[0]
        if self._alias(name) is None:
            raise Stop(f"No such alias `{name}` found.", _unknown(name))
        return self._connect(name).admin

    def url(self, name: str) -> str:
        return self._connect(name).alias.url

    def meter(self) -> Meter:
        """With a bar, where somebody looks."""
        return Meter(on_terminal() and not self.console.as_json and not self.console.quiet)

    def connection(self, alias: Alias, timeout_s: float) -> Connection:
        """To a server that need not be among the aliases yet."""
        return connect(alias, self.directory, self.insecure, timeout_s)

    def _alias(self, name: str) -> Alias | None:
        if name in self._connections:
            return self._connections[name].alias
        try:
            return self.aliases.find(name) if name else None
        except Failure as failure:
            raise Stop("Unable to read the aliases.", failure) from None

    def _connect(self, name: str) -> Connection:
        if name not in self._connections:
            alias = self._alias(name)
            if alias is None:
                raise Stop(f"No such alias `{name}` found.", _unknown(name))
            try:
                self._connections[name] = connect(alias, self.directory, self.insecure)
            except Failure as failure:
                raise Stop(f"Unable to use alias `{name}`.", failure) from None
        return self._connections[name]


def _unknown(name: str) -> Failure:
    return Failure(f"Use `sos client alias set {name or 'NAME'} URL ACCESSKEY SECRETKEY` to add an alias.")
