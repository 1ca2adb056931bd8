"""Replies of the STS API, as its clients know them. Source: AWS STS API reference; MinIO's ``cmd/sts-datatypes.go`` and
``cmd/sts-errors.go``."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..domain.errors import AccessDenied, Busy, IdentityClosed, MustWait, ReadQuorumLost, StoreError, WriteQuorumLost
from ..http.message import Reply
from ..services.identity import sts_errors as refused
from ..services.identity.access_keys import Issued
from .auth.errors import AuthError
from .xml.text import HEADER, XML, escape, iso_time

log = logging.getLogger("sos.s3")

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
Elements = Sequence[tuple[str, str]]

CODES: dict[type[Exception], tuple[int, str, str]] = {
    refused.NotAllowed: (403, "AccessDenied", "Generating temporary credentials not allowed for this request."),
    refused.MissingParameter: (
        400, "MissingParameter", "A required parameter for the specified action is not supplied.",
    ),
    refused.InvalidParameter: (
        400, "InvalidParameterValue", "An invalid or out-of-range value was supplied for the input parameter.",
    ),
    refused.ExpiredToken: (
        400, "ExpiredToken",
        "The token that was passed is expired or is not valid. Get a new token from the identity provider and then retry "
        "the request.",
    ),
    refused.InsecureConnection: (
        400, "InsecureConnection",
        "The request was made over a plain HTTP connection. A TLS connection is required.",
    ),
    refused.BadCertificate: (
        400, "InvalidClientCertificate",
        "The provided client certificate is invalid. Retry with a different certificate.",
    ),
    refused.LimitReached: (409, "LimitExceeded", "There are too many living temporary credentials."),
    refused.Disabled: (503, "STSNotInitialized", "STS API not initialized, please try again."),
    refused.UpstreamFailed: (
        500, "InternalError",
        "An upstream service required for this operation failed - please try again or contact an administrator.",
    ),
    AccessDenied: (403, "AccessDenied", "Access Denied."),
    AuthError: (403, "AccessDenied", "Access Denied."),
    StoreError: (
        500, "InternalError", "We encountered an internal error generating credentials, please try again.",
    ),
    **dict.fromkeys(
        (IdentityClosed, MustWait, Busy, ReadQuorumLost, WriteQuorumLost),
        (503, "STSIAMNotInitialized", "STS IAM not initialized, please try again."),
    ),
}  # fmt: skip
"""What is refused → status, code, and the text where the refusal has none."""


def granted(action: str, issued: Issued, more: Elements, request_id: str, *, role: bool) -> Reply:
    """The reply with credentials.

    :param more: elements after them
    :param role: with the element of an assumed role, which is always empty here
    """
    user = "<AssumedRoleUser><Arn></Arn><AssumeRoleId></AssumeRoleId></AssumedRoleUser>" if role else ""
    credentials = _elements(
        ("AccessKeyId", issued.access_key),
        ("SecretAccessKey", issued.secret),
        ("SessionToken", issued.token),
        ("Expiration", iso_time(issued.expires_ns).replace(".000Z", "Z")),
    )
    inner = f"{user}<Credentials>{credentials}</Credentials>{_elements(*more)}"
    return Reply(200, XML, _document(f"{action}Response", f"<{action}Result>{inner}</{action}Result>", request_id))


def _found(error: Exception) -> tuple[int, str, str]:
    status, code, text = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    if isinstance(error, refused.StsRefused):
        text = str(error) or text
    elif isinstance(error, AuthError):
        text = error.message or error.text
    return status, code, text


def described(error: Exception) -> tuple[str, str]:
    """Code and text of a refusal."""
    return _found(error)[1:]


def refusal(error: Exception, request_id: str) -> Reply:
    """The reply for a refusal; causes inside this server are not told."""
    if isinstance(error, StoreError) and not isinstance(error, (AuthError, AccessDenied)):
        log.error("no session could be made: %s %s %s", error.name, error.message, error.detail)
    status, code, text = _found(error)
    inner = f"<Error>{_elements(('Type', ''), ('Code', code), ('Message', text))}</Error>"
    body = f'{HEADER}<ErrorResponse xmlns="{NAMESPACE}">{inner}{_elements(("RequestId", request_id))}</ErrorResponse>'
    return Reply(status, XML, body.encode())


def _document(name: str, inner: str, request_id: str) -> bytes:
    metadata = f"<ResponseMetadata>{_elements(('RequestId', request_id))}</ResponseMetadata>"
    return f'{HEADER}<{name} xmlns="{NAMESPACE}">{inner}{metadata}</{name}>'.encode()


def _elements(*pairs: tuple[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in pairs)
