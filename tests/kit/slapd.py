"""A real OpenLDAP server for tests: private, on ports of its own, with TLS by an authority made for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ldap3
import pytest

from .certificates import Authority
from .server import until

BASE = "dc=example,dc=org"
PEOPLE, GROUPS, GUESTS = f"ou=people,{BASE}", f"ou=groups,{BASE}", f"ou=guests,{BASE}"
ROOT_DN, ROOT_PASSWORD = f"cn=admin,{BASE}", "directory-admin"
LOOKUP_DN, LOOKUP_PASSWORD = f"cn=lookup,{BASE}", "lookup-secret"
USER_FILTER, GROUP_FILTER = "(uid=%s)", "(&(objectClass=groupOfNames)(member=%d))"
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/libexec")
_MODULES = ("/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap")


def _program() -> str:
    found = shutil.which("slapd", path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES]))
    if found is None:
        pytest.skip("slapd is not installed (scripts/setup test)")
    return found


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


class Slapd:
    """One server with a small tree: people, guests and groups.

    :param authority: whose certificate for ``localhost`` it shows (and for no address)
    """

    def __init__(self, path: Path, authority: Authority) -> None:
        self.path, self._authority = path, authority
        self.port = self.tls_port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._program = path / "slapd"
        path.mkdir(parents=True, exist_ok=True)
        (path / "data").mkdir()
        # under another path: where programs are confined by theirs, slapd may only use the directories of its package
        shutil.copy(_program(), self._program)
        self._configure()
        self._fill()

    def _configure(self) -> None:
        pair = self._authority.pair(self.path / "pair", "localhost")
        modules = next((one for one in _MODULES if Path(one).is_dir()), "")
        schemas = [f"include /etc/ldap/schema/{name}.schema" for name in ("core", "cosine", "inetorgperson")]
        load = [f"modulepath {modules}", "moduleload back_mdb"] if modules else []
        lines = [
            *schemas,
            *load,
            f"pidfile {self.path}/slapd.pid",
            f"TLSCACertificateFile {self._authority.certificate}",
            f"TLSCertificateFile {pair / 'public.crt'}",
            f"TLSCertificateKeyFile {pair / 'private.key'}",
            # names and passwords are seen by who reads them at a login, and by the lookup account
            f'access to attrs=userPassword by dn.exact="{LOOKUP_DN}" none by anonymous auth by * none',
            f'access to * by dn.exact="{LOOKUP_DN}" read by * none',
            "database mdb",
            "maxsize 67108864",
            f'suffix "{BASE}"',
            f'rootdn "{ROOT_DN}"',
            f"rootpw {ROOT_PASSWORD}",
            f"directory {self.path}/data",
            "dbnosync",
        ]
        (self.path / "slapd.conf").write_text("\n".join(lines) + "\n")

    def _fill(self) -> None:
        self.start()
        self.add(BASE, ["dcObject", "organization"], dc="example", o="Example")
        for name in ("people", "groups", "guests"):
            self.add(f"ou={name},{BASE}", ["organizationalUnit"], ou=name)
        self.add(LOOKUP_DN, ["organizationalRole", "simpleSecurityObject"], cn="lookup", userPassword=LOOKUP_PASSWORD)

    # -- life ------------------------------------------------------------------------------------------

    def start(self) -> Slapd:
        """Start, on the ports of the last time."""
        for _ in range(5):
            if not self.port or not self._launch():
                self.port, self.tls_port = _free_ports(2)
                if not self._launch():
                    continue
            return self
        raise AssertionError(f"slapd does not start:\n{(self.path / 'log').read_text()[-2000:]}")

    def _launch(self) -> bool:
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        command = [str(self._program), "-d", "0", "-f", str(self.path / "slapd.conf"), "-h", urls]
        told = self.path / "slapd.pid"
        told.unlink(missing_ok=True)
        with open(self.path / "log", "ab") as log:
            self._process = process = subprocess.Popen(command, stdout=log, stderr=log)

        def listens() -> bool:
            if process.poll() is not None:
                return True
            if not told.exists():  # somebody else may have taken the port meanwhile
                return False
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls_port), 1):
                return True
            return False

        until(listens, "slapd to listen")
        return process.poll() is None

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Slapd:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- what is in it -----------------------------------------------------------------------------------

    def _as_root(self) -> ldap3.Connection:
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        return ldap3.Connection(server, ROOT_DN, ROOT_PASSWORD, raise_exceptions=True, check_names=False)

    def add(self, dn: str, classes: Sequence[str], **attributes: str | Sequence[str]) -> str:
        with self._as_root() as connection:
            connection.add(dn, list(classes), {name: value for name, value in attributes.items() if value})
        return dn

    def user(self, uid: str, password: str, below: str = PEOPLE, rdn: str = "", **more: str | Sequence[str]) -> str:
        """A user; its distinguished name as it is typed here.

        :param rdn: of its entry, where it is not ``uid=`` the uid
        """
        dn = f"{rdn or f'uid={uid}'},{below}"
        names: dict[str, Any] = {"cn": uid, "sn": uid, "uid": uid, **more}
        return self.add(dn, ["inetOrgPerson"], userPassword=password, **names)

    def group(self, name: str, *members: str, below: str = GROUPS) -> str:
        return self.add(f"cn={name},{below}", ["groupOfNames"], cn=name, member=list(members) or [ROOT_DN])

    def set_members(self, group: str, members: Iterable[str]) -> None:
        with self._as_root() as connection:
            connection.modify(group, {"member": [(ldap3.MODIFY_REPLACE, list(members))]})

    def remove(self, dn: str) -> None:
        with self._as_root() as connection:
            connection.delete(dn)

    # -- how a server is told of it ------------------------------------------------------------------------

    def values(self, **changed: str) -> dict[str, str]:
        """Keys of the subsystem, without TLS."""
        return {
            "server_addr": f"127.0.0.1:{self.port}",
            "server_insecure": "on",
            "lookup_bind_dn": LOOKUP_DN,
            "lookup_bind_password": LOOKUP_PASSWORD,
            "user_dn_search_base_dn": PEOPLE,
            "user_dn_search_filter": USER_FILTER,
            "group_search_base_dn": GROUPS,
            "group_search_filter": GROUP_FILTER,
        } | changed

    def environment(self, **changed: str) -> Mapping[str, str]:
        return {f"MINIO_IDENTITY_LDAP_{key.upper()}": value for key, value in self.values(**changed).items()}
