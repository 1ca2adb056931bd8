"""Client certificates as proofs of identity: the common name of the subject names the policy.

That the certificate is one of a trusted authority, for clients, and valid now, was verified when the connection was made
(``sos/worker/tls.py``); what can change on a connection that lasts is looked at again here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ...domain.errors import SettingRefused
from .sts_errors import BadCertificate, InsecureConnection, MissingParameter

log = logging.getLogger("sos.identity")

SUBSYSTEM = "identity_tls"
_CLIENTS = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


@dataclass(frozen=True, slots=True)
class Certified:
    """What a certificate says.

    :param until_s: when it ends, seconds since the epoch
    """

    name: str
    organizations: tuple[str, ...]
    issuer: str
    until_s: int


async def check(values: Mapping[str, str]) -> None:
    """:raises SettingRefused: it asks for what would let anybody be anybody"""
    if values.get("skip_verify", "").lower() not in ("", "off"):
        raise SettingRefused("certificates of clients are always verified: skip_verify cannot be on")


def asked_for(targets: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether clients are asked for certificates.

    :param targets: the enabled ones
    """
    if any(values.get("skip_verify", "").lower() not in ("", "off") for values in targets.values()):
        # it can still come from the environment
        log.warning("skip_verify of %s does nothing: certificates of clients are always verified", SUBSYSTEM)
    return bool(targets)


def read_certificate(der: bytes, secure: bool, now: datetime) -> Certified:
    """:param der: empty where the client has shown none
    :raises InsecureConnection, MissingParameter, BadCertificate
    """
    if not secure:
        raise InsecureConnection("No TLS connection attempt")
    if not der:
        raise MissingParameter("No client certificate provided")
    try:
        certificate = x509.load_der_x509_certificate(der)
        if _is_authority(certificate):
            raise MissingParameter("No client certificate provided")
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc or not _for_clients(
            certificate
        ):
            raise BadCertificate("the certificate is not valid now, or not for clients")
        name = _first(certificate.subject, NameOID.COMMON_NAME)
        organizations = tuple(
            str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        )
        issuer = _first(certificate.issuer, NameOID.COMMON_NAME)
    except ValueError:
        raise BadCertificate("the certificate cannot be read") from None
    if not name:
        raise MissingParameter("certificate subject CN cannot be empty")
    return Certified(name, organizations, issuer, int(certificate.not_valid_after_utc.timestamp()))


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _for_clients(certificate: x509.Certificate) -> bool:
    """A certificate that names no use is for any."""
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not _CLIENTS.isdisjoint(uses)
