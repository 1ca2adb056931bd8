"""Parsing a request's head: byte-exact, strict where leniency lets two parsers disagree (RFC 9112).

The path and the query are handed on as sent: signatures are computed over them, and keys may hold anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .limits import Limits
from .message import Headers
from .refusals import Refused

# All patterns are possessive: one pass, no backtracking, whatever the input (P06).
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([\x21-\x7e\x80-\xff]++) HTTP/([0-9]\.[0-9])")
_FIELDS = re.compile(rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\x00\r\n]*+)*+")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+\-.]*+://[^/?#]*+")
_DIGITS = re.compile(r"[0-9]++")

LENGTH_MAX = 2**63 - 1


@dataclass(slots=True)
class Head:
    """One request head.

    :param path: as sent, undecoded, the absolute form stripped
    :param query: what follows the first ``?``, undecoded
    :param length: Content-Length, None when there is none or the body is chunked
    :param chunked: the body has the chunked transfer coding
    :param expects: the client waits for 100 Continue
    :param keep_alive: the client wants to keep the connection
    """

    method: str
    path: bytes
    query: bytes
    headers: Headers
    http10: bool
    length: int | None
    chunked: bool
    expects: bool
    keep_alive: bool


def parse_head(raw: bytes, limits: Limits) -> Head:
    """The head without its final empty line.

    :raises Refused: for everything that is not a well-formed, unambiguous head
    """
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise Refused("BadRequest")
    end = line.end()
    method, target, version = line.groups()
    if version != b"1.1" and version != b"1.0":
        raise Refused("HTTPVersionNotSupported")
    if len(raw) - end > limits.fields_bytes_max:
        raise Refused("MetadataTooLarge")
    # refuses a name with a blank (request smuggling), a folded line, a bare CR or LF, a NUL
    if _FIELDS.fullmatch(raw, end) is None:
        raise Refused("BadRequest")
    headers = _headers(raw[end:])
    path, query = _target(target)
    http10 = version == b"1.0"
    length, chunked = _framing(headers, http10)
    return Head(
        method.decode("ascii"),
        path,
        query,
        headers,
        http10,
        length,
        chunked,
        _expects(headers, http10),
        _keep_alive(headers, http10),
    )


def _headers(block: bytes) -> Headers:
    items: list[tuple[str, str]] = []
    for field in block.decode("latin-1").split("\r\n")[1:]:
        name, _, value = field.partition(":")
        items.append((name.lower(), value.strip(" \t")))
    return Headers(items)


def _target(target: bytes) -> tuple[bytes, bytes]:
    if target[0] != 0x2F and target != b"*":
        match = _ABSOLUTE.match(target)
        if match is None:
            raise Refused("InvalidURI")
        target = target[match.end() :]
    path, _, query = target.partition(b"?")
    return path or b"/", query


def _framing(headers: Headers, http10: bool) -> tuple[int | None, bool]:
    """(Content-Length, chunked). Two statements of length are never reconciled, even when they agree."""
    hosts = len(headers.all("host"))
    if hosts > 1 or (hosts == 0 and not http10):
        raise Refused("MissingHost")
    lengths = headers.all("content-length") if "content-length" in headers else ()
    if "transfer-encoding" in headers:
        if lengths or http10:
            raise Refused("BadRequest")
        codings = headers.all("transfer-encoding")
        if len(codings) != 1 or codings[0].lower() != "chunked":
            raise Refused("NotImplemented")
        return None, True
    if not lengths:
        return None, False
    if len(lengths) != 1 or not _DIGITS.fullmatch(lengths[0]):
        raise Refused("InvalidContentLength")
    if len(lengths[0]) > 32 or int(lengths[0]) > LENGTH_MAX:
        raise Refused("EntityTooLarge")
    return int(lengths[0]), False


def _expects(headers: Headers, http10: bool) -> bool:
    if "expect" not in headers or http10:  # RFC 9110 §10.1.1: ignored in HTTP/1.0
        return False
    if [value.lower() for value in headers.all("expect")] != ["100-continue"]:
        raise Refused("ExpectationFailed")
    return True


def _keep_alive(headers: Headers, http10: bool) -> bool:
    if "connection" not in headers:
        return not http10
    options = {option.strip().lower() for value in headers.all("connection") for option in value.split(",")}
    return "close" not in options and (not http10 or "keep-alive" in options)
