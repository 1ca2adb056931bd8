"""Who asks: what authentication found, and what it needs to know of the accounts."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from ...services.identity.principal import ANONYMOUS, Principal

UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Credentials(msgspec.Struct, frozen=True):
    """The keys of one account.

    :param enabled: False refuses every request
    :param session_token: temporary credentials: the token that each request must carry
    :param principal: whose keys they are
    """

    access_key: str
    secret_key: str
    enabled: bool = True
    session_token: str = ""
    principal: Principal = ANONYMOUS

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r})"


KeyLookup = Callable[[str], Credentials | None]
"""Access key → credentials, or None for an unknown one. Raises MustWait where that cannot be told at this moment."""


class Scheme(StrEnum):
    """How a request was authenticated; the values are those of the policy condition ``s3:authType``."""

    ANONYMOUS = ""
    HEADER = "REST-HEADER"
    QUERY = "REST-QUERY-STRING"
    FORM = "POST"


class Seed(msgspec.Struct, frozen=True):
    """What the signatures of chunks and trailers are chained to.

    :param key: the signing key of the scope
    :param stamp: the request's time, ``YYYYMMDDTHHMMSSZ``
    :param scope: ``date/region/service/aws4_request``
    :param signature: the request's signature, 64 hex digits
    """

    key: bytes
    stamp: str
    scope: str
    signature: str

    def __repr__(self) -> str:
        return f"Seed({self.scope!r})"


class Identity(msgspec.Struct, frozen=True):
    """The result of authentication.

    :param access_key: whose signature was verified; empty when anonymous
    :param version: signature version, 4 or 2, 0 when anonymous (``s3:signatureversion``)
    :param payload: the declared hash or framing of the body (``x-amz-content-sha256``), as covered by the signature
    :param seed: for signed chunks; None unless version 4
    :param signed_at_s: when it was signed, seconds since the epoch (``s3:signatureAge``); 0 when not known
    :param principal: who that is, and what counts for it
    """

    access_key: str = ""
    anonymous: bool = False
    scheme: Scheme = Scheme.ANONYMOUS
    version: int = 0
    payload: str = UNSIGNED
    seed: Seed | None = None
    signed_at_s: int = 0
    principal: Principal = ANONYMOUS

    @property
    def account(self) -> str:
        """Who owns what this identity makes; empty when anonymous."""
        return self.principal.account
