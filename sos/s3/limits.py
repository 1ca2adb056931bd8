"""Headers that are refused on every operation, before anything else is done with the request."""

from __future__ import annotations

from ..domain.errors import KmsNotConfigured
from ..http.message import Headers
from .codes import Code
from .errors import Refusal

INTERNAL = ("x-minio-internal-", "x-amz-meta-x-minio-internal-")
"""Names that only the server itself may use. ``x-minio-source-*`` and ``x-minio-replication-*`` are never read."""

UNAVAILABLE = (
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption-",
    "x-amz-grant-",
)
"""Names that ask for what this server does not offer."""

KEYS_OF_SERVICE = frozenset({"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"})
"""Names that ask for encryption with keys of a service."""

_REFUSED = INTERNAL + UNAVAILABLE


def check_headers(headers: Headers) -> None:
    """:raises Refusal: InvalidArgument or NotImplemented for a name that is not accepted from a client
    :raises KmsNotConfigured:
    """
    for name, _ in headers.items:
        if name.startswith(_REFUSED):
            if name.startswith(INTERNAL):
                raise Refusal(Code.InvalidArgument, "Your metadata headers are not supported.", ArgumentName=name)
            if name in KEYS_OF_SERVICE:
                raise KmsNotConfigured()
            raise Refusal(Code.NotImplemented, f"The header {name} is not implemented by this server.")
