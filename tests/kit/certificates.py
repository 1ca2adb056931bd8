"""A certificate authority made for a test, and the certificates that it signs."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=2)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """:param path: where its certificate and those that it signs are written"""

    def __init__(self, path: Path, name: str = "Authority of a test") -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._key, self._subject = ec.generate_private_key(ec.SECP256R1()), _name(name)
        self.certificate = path / "authority.crt"
        made = self._build(self._subject, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.certificate.write_bytes(self._sign(made))

    def _build(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + LIFE)
        )

    def _sign(self, made: x509.CertificateBuilder) -> bytes:
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def pair(self, directory: Path, name: str, *addresses: str) -> Path:
        """``public.crt`` and ``private.key`` for a host name and addresses, in a directory."""
        key = ec.generate_private_key(ec.SECP256R1())
        others: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
        names = x509.SubjectAlternativeName([x509.DNSName(name), *others])
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "public.crt").write_bytes(
            self._sign(self._build(_name(name), key.public_key()).add_extension(names, critical=False))
        )
        form = serialization.PrivateFormat.PKCS8
        plain = serialization.NoEncryption()
        (directory / "private.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        return directory
