"""Access keys as the identity store knows them."""

from __future__ import annotations

from collections.abc import Callable

from ...meta.iam import KeyKind
from ...services.identity.directory import Directory
from .errors import ExpiredToken
from .identity import Credentials, KeyLookup


def keys_of(directory: Directory, clock_ns: Callable[[], int]) -> KeyLookup:
    """Look-ups in a directory. They raise ExpiredToken for temporary credentials past their time, and what it raises."""

    def look(access_key: str) -> Credentials | None:
        known = directory.find(access_key)
        if known is None:
            return None
        if known.expires_ns and known.expires_ns <= clock_ns():
            if known.principal.kind == KeyKind.TEMPORARY:
                raise ExpiredToken()
            return None
        return Credentials(access_key, known.secret, known.enabled, known.token, known.principal)

    return look
