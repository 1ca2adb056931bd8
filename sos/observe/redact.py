"""Requests as people may see them: without anything that lets whoever reads a trace act in the sender's name."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "*REDACTED*"

#: Header fields that are hidden whole; so is every other whose name has one of ``_SECRET_WORDS`` in it.
_FIELDS = frozenset(
    {
        "cookie",
        "proxy-authorization",
        "set-cookie",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key",
    }
)
#: Names of query parameters and form fields that are hidden, in lower case.
_PARAMETERS = frozenset(
    {
        "awsaccesskeyid",
        "clientgrantstoken",
        "ldappassword",
        "token",
        "webidentityaccesstoken",
        "webidentityrefreshtoken",
        "webidentitytoken",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-server-side-encryption-customer-key",
    }
)
_SECRET_WORDS = ("password", "secret", "signature", "token", "api-key", "apikey", "credential")
_SIGNATURE = re.compile(r"(Signature=)[^,\s]+")
_PLAIN = frozenset({"continuation-token", "tokenrevoketype", "x-amz-signedheaders"})


def fields(items: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Header fields by name, in the spelling of Go's ``http.Header``."""
    found: dict[str, list[str]] = {}
    for name, value in items:
        found.setdefault(_spelled(name), []).append(_field(name.lower(), value))
    return found


def _spelled(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))


def _field(name: str, value: str) -> str:
    if name == "authorization":
        return _authorization(value)
    if name == "referer":
        address, mark, rest = value.partition("?")
        return address + mark + query(rest)
    if name in _FIELDS or any(word in name for word in _SECRET_WORDS):
        return HIDDEN
    return value


def _authorization(value: str) -> str:
    """Whose it is, but not what proves it: ``AWS4-HMAC-SHA256 …, Signature=…``, ``AWS key:signature``, ``Bearer token``."""
    scheme, _, rest = value.partition(" ")
    if scheme.upper().startswith("AWS4-"):
        shown, count = _SIGNATURE.subn(rf"\1{HIDDEN}", rest)
        return f"{scheme} {shown if count else HIDDEN}"
    if scheme == "AWS":
        return f"AWS {rest.partition(':')[0]}:{HIDDEN}"
    return f"{scheme} {HIDDEN}" if rest else HIDDEN


def query(text: str) -> str:
    """A query string; what is hidden keeps its name."""
    return "&".join(_parameter(part) for part in text.split("&")) if text else ""


def _parameter(part: str) -> str:
    name, _, value = part.partition("=")
    plain = _unescaped(name).lower()
    if value and plain not in _PLAIN and (plain in _PARAMETERS or any(word in plain for word in _SECRET_WORDS)):
        return f"{name}={HIDDEN}"
    return part


def _unescaped(name: str) -> str:
    """So that ``X-Amz-%53ignature`` hides nothing from us."""
    return re.sub("%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), name)
