"""What the shell itself refuses, before or instead of a handler: the one table of its codes.

The texts follow the S3 list of errors; where S3 has no code (a transfer coding, an HTTP version) the nearest is used.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from .message import Reply

REFUSALS: dict[str, tuple[int, str]] = {
    "BadRequest": (400, "The request is not valid HTTP."),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "MissingHost": (400, "A request must have exactly one Host header."),
    "InvalidContentLength": (400, "The Content-Length header is not a valid length."),
    "RequestHeaderSectionTooLarge": (400, "Your request header and query parameters exceed the maximum allowed size."),
    "MetadataTooLarge": (400, "Your metadata headers exceed the maximum allowed metadata size."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed object size."),
    "MalformedFraming": (400, "The transfer coding of the request body is broken."),
    "RequestTimeout": (
        408,
        "Your socket connection to the server was not read from or written to within the timeout period.",
    ),
    "ExpectationFailed": (417, "The only expectation supported is 100-continue."),
    "InternalError": (500, "We encountered an internal error, please try again."),
    "NotImplemented": (501, "A header you provided implies functionality that is not implemented."),
    "SlowDown": (503, "Resource requested is unreadable, please reduce your request rate"),
    "HTTPVersionNotSupported": (505, "Only HTTP/1.0 and HTTP/1.1 are supported."),
}

PUBLIC_CODES = {"MissingHost": "BadRequest", "InvalidContentLength": "BadRequest", "MalformedFraming": "BadRequest"}
"""Names of ours that S3 clients do not know → what they are told."""

RenderError = Callable[[str, int, str, bytes], Reply]
"""(code, status, request id, resource as sent) → the reply."""


class Refused(Exception):
    """The shell refuses a request. ``code`` is a row of :data:`REFUSALS`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code

    @property
    def status(self) -> int:
        return REFUSALS[self.code][0]


def render_plain_error(code: str, status: int, request_id: str, resource: bytes) -> Reply:
    """The default rendering: S3's ``<Error>`` document. A reply to a HEAD loses its body later, its head says enough."""
    message = REFUSALS.get(code, (status, code))[1]
    public = PUBLIC_CODES.get(code, code)
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{public}</Code><Message>{escape(message, quote=False)}</Message>"
        f"<Resource>{_xml_text(resource)}</Resource><RequestId>{request_id}</RequestId></Error>"
    )
    headers = [
        ("Content-Type", "application/xml"),
        ("x-minio-error-code", public),
        ("x-minio-error-desc", f'"{message}"'),
    ]
    if status == 503:
        headers.append(("Retry-After", "60"))
    return Reply(status, headers, body.encode("utf-8"))


def _xml_text(raw: bytes) -> str:
    """Bytes as XML text; what XML 1.0 cannot carry becomes U+FFFD."""
    text = raw.decode("utf-8", "replace")
    kept = (c if c >= " " and c not in "\ufffe\uffff" else "\ufffd" for c in text)
    return escape("".join(kept), quote=False)
