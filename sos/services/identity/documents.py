"""Policy documents as the identity store keeps them: checked before they are stored."""

from __future__ import annotations

from ...domain.policy.document import Kind, parse
from .rules import SERVICE_POLICY_BYTES_MAX


def check_identity_document(document: bytes) -> None:
    """:raises MalformedPolicy, PolicyTooLarge"""
    parse(document, Kind.IDENTITY, version_required=True)


def check_session_document(document: bytes) -> None:
    """The caller bounds its size. :raises MalformedPolicy:"""
    parse(document, Kind.SESSION, bytes_max=SERVICE_POLICY_BYTES_MAX)
