"""TLS certificates, in MinIO's layout: ``public.crt`` and ``private.key`` in a directory, further pairs in sub-directories
named by their domain, chosen by the name that the client asks for (SNI).
"""

from __future__ import annotations

import os
import ssl

from ..config.values import ConfigError

CERTIFICATE, KEY = "public.crt", "private.key"


def has_certificates(directory: str) -> bool:
    """TLS is on where the default pair exists."""
    return bool(directory) and os.path.exists(os.path.join(directory, CERTIFICATE))


class Certificates:
    """The server's contexts; :meth:`reload` takes new files over for connections made from then on."""

    def __init__(self, directory: str) -> None:
        """:raises ConfigError: a pair cannot be used"""
        self._directory = directory
        self.context = _context()
        self._by_name: dict[str, ssl.SSLContext] = {}
        self.context.sni_callback = self._choose
        self.reload()

    def reload(self) -> None:
        """Read all pairs again. Where one is bad the old ones stay.

        :raises ConfigError: names the file
        """
        found: dict[str, ssl.SSLContext] = {}
        for entry in sorted(os.scandir(self._directory), key=lambda e: e.name):
            # names that begin with ".." are how mounted secrets swap their content
            if entry.is_dir() and not entry.name.startswith("..") and has_certificates(entry.path):
                found[entry.name.lower()] = _load(_context(), entry.path)
        _load(self.context, self._directory)
        self._by_name = found

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        context = self._by_name.get((name or "").lower())
        if context is not None:
            connection.context = context


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
