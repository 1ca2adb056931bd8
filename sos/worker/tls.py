"""TLS certificates, in MinIO's layout: ``public.crt`` and ``private.key`` in a directory, further pairs in sub-directories
named by their domain, chosen by the name that the client asks for (SNI); ``CAs`` holds certificates of authorities.

Authorities of ``CAs`` are trusted beside the system's where this server is the client. Who shows a client certificate must
have it from one of ``CAs``: its name is a name of this server's policies, which no public authority vouches for.
"""

from __future__ import annotations

import logging
import os
import ssl

from ..config.values import ConfigError

log = logging.getLogger("sos.worker")

CERTIFICATE, KEY, AUTHORITIES = "public.crt", "private.key", "CAs"


def has_certificates(directory: str) -> bool:
    """TLS is on where the default pair exists."""
    return bool(directory) and os.path.exists(os.path.join(directory, CERTIFICATE))


def client_context(directory: str) -> ssl.SSLContext:
    """What this server trusts where it is the client. It may block: files are read."""
    context = ssl.create_default_context()
    load_authorities(context, directory)
    return context


def load_authorities(context: ssl.SSLContext, directory: str) -> None:
    """Trust the authorities of a certificates' directory; a file that cannot be used is told of and left out."""
    place = os.path.join(directory, AUTHORITIES)
    if not directory or not os.path.isdir(place):
        return
    for entry in sorted(os.scandir(place), key=lambda e: e.name):
        if entry.is_file() and not entry.name.startswith("."):
            try:
                context.load_verify_locations(entry.path)
            except (OSError, ssl.SSLError) as error:
                log.warning("certificates of authorities in %s cannot be used: %s", entry.path, error)


class Certificates:
    """The server's contexts; :meth:`reload` takes new files over for connections made from then on."""

    def __init__(self, directory: str) -> None:
        """:raises ConfigError: a pair cannot be used"""
        self._directory = directory
        self.context = _context()
        self._default = self.context
        self._by_name: dict[str, ssl.SSLContext] = {}
        self.context.sni_callback = self._choose
        self.reload()

    def reload(self) -> None:
        """Read all pairs again. Where one is bad the old ones stay.

        :raises ConfigError: names the file
        """
        default = self._pair(self._directory)
        found: dict[str, ssl.SSLContext] = {}
        for entry in sorted(os.scandir(self._directory), key=lambda e: e.name):
            # names that begin with ".." are how mounted secrets swap their content
            if entry.is_dir() and not entry.name.startswith("..") and has_certificates(entry.path):
                found[entry.name.lower()] = self._pair(entry.path)
        _load(self.context, self._directory)
        self._default, self._by_name = default, found

    def _pair(self, path: str) -> ssl.SSLContext:
        context = _load(_context(), path)
        load_authorities(context, self._directory)
        return context

    def ask_clients(self, ask: bool) -> None:
        """Whether clients are asked for a certificate, from the next connection on. Who shows none is served all the same;
        one that no authority of ours has given ends the handshake."""
        self.context.verify_mode = ssl.CERT_OPTIONAL if ask else ssl.CERT_NONE

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        # always another one than the listening one: that would trust authorities that were taken away since
        connection.context = self._by_name.get((name or "").lower(), self._default)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, directory: str) -> ssl.SSLContext:
    certificate, key = os.path.join(directory, CERTIFICATE), os.path.join(directory, KEY)
    try:
        context.load_cert_chain(certificate, key, os.environ.get("MINIO_CERT_PASSWD") or _no_password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"certificate {certificate} with {key}: {error}") from error
    return context


def _no_password() -> str:
    """Without it OpenSSL would ask on the terminal of an encrypted key."""
    raise ConfigError("the private key is encrypted: set MINIO_CERT_PASSWD")
