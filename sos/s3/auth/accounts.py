"""Checks on the credentials that every scheme shares, and on the scope of a signature."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from .canonical import same
from .errors import AccountDisabled, InvalidAccessKeyId, InvalidToken
from .identity import Credentials, KeyLookup


class Scope(msgspec.Struct, frozen=True):
    """``access key/date/region/service/terminator``, taken apart."""

    access_key: str
    date: str
    region: str
    service: str
    terminator: str

    @property
    def text(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{self.terminator}"


@lru_cache(maxsize=1024)
def parse_scope(credential: str) -> Scope | None:
    """A credential taken apart from its end, since an access key may hold slashes; None when it has too few parts."""
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or not parts[0]:
        return None
    return Scope(*parts)


def find(keys: KeyLookup, access_key: str, token: str) -> Credentials:
    """The credentials of an access key, fit for use with the session token that came with it.

    :raises InvalidAccessKeyId, AccountDisabled, InvalidToken
    """
    found = keys(access_key)
    if found is None:
        raise InvalidAccessKeyId()
    if not found.enabled:
        raise AccountDisabled()
    if not same(found.session_token, token):
        raise InvalidToken()
    return found
