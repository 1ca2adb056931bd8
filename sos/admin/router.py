"""Which call a request is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from ..domain.errors import UnknownCall, UnsupportedCall
from .operations import OPERATIONS, Operation

PREFIX, KMS = b"/minio/", b"/minio/kms/"
VERSION = "v3"
_VARIABLE = re.compile(r"\{(\w+)(\*?)\}")


class Route(NamedTuple):
    """:param path: what the variable parts of the path are"""

    operation: Operation
    path: Mapping[str, str]


def _pattern(path: str) -> re.Pattern[str]:
    form = _VARIABLE.sub(lambda part: f"(?P<{part[1]}>{'.*' if part[2] else '[^/]+'})", path)
    return re.compile(form)


_EXACT: dict[tuple[str, str], list[Operation]] = {}
_PATTERNS: list[tuple[Operation, re.Pattern[str]]] = []
for _row in OPERATIONS:
    if "{" in _row.path:
        _PATTERNS.append((_row, _pattern(_row.path)))
    else:
        _EXACT.setdefault((_row.method, _row.path), []).append(_row)


def route(method: str, path: bytes, query: Mapping[str, list[str]]) -> Route:
    """:raises UnknownCall, UnsupportedCall"""
    text = unquote(path.removeprefix(PREFIX).decode("latin-1"))
    for row in _EXACT.get((method, text), ()):
        if all(name in query for name in row.query):
            return Route(row, {})
    for row, pattern in _PATTERNS:
        if row.method == method and (found := pattern.fullmatch(text)) and all(name in query for name in row.query):
            return Route(row, found.groupdict())
    if path.startswith(KMS):
        shown = path.decode("utf-8", "replace")
        raise UnsupportedCall(f"An unsupported API call for method: {method} at '{shown}'")
    raise UnknownCall(_mismatch(text))


def _mismatch(text: str) -> str:
    """Why there is no such call: clients of other versions read it."""
    version = text.removeprefix("admin/").partition("/")[0]
    if version == VERSION:
        return "This 'admin' API is not supported by this server."
    return f"Server expects client requests with 'admin' API version '{VERSION}', found '{version[:16]}'."
