"""A certificate authority for tests: certificates of servers and clients, good ones and others."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """:param directory: gets the authority's own certificate, ``ca.crt``, and a pair of files for each one made"""

    def __init__(self, directory: Path, name: str = "tests") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = directory / "ca.crt"
        self.certificate.write_bytes(self._sign(self._name, self._key, 10, authority=True))

    def make(
        self, name: str, *, server: bool = False, minutes: int = 60, authority: bool = False, stem: str = ""
    ) -> tuple[Path, Path]:
        """Files of a certificate and its key.

        :param name: common name of its subject, empty for none
        :param server: for a server on this machine, not for a client
        :param minutes: how long it is valid from now on; negative: it has ended so long ago
        """
        key = ec.generate_private_key(ec.SECP256R1())
        stem = stem or name
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests")]
        attributes += [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
        paths = (self._directory / f"{stem}.crt", self._directory / f"{stem}.key")
        paths[0].write_bytes(self._sign(x509.Name(attributes), key, minutes, authority=authority, server=server))
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        return paths

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        minutes: int,
        *,
        authority: bool = False,
        server: bool = False,
    ) -> bytes:
        now = datetime.now(UTC)
        ends = now + timedelta(days=1) if authority else now + timedelta(minutes=minutes)
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(authority, None), True)
        )
        if not authority:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), False)
        if server:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
