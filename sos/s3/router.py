"""Which operation a request asks for. Pure; by the table of operations.

Where several operations fit, the one with most selectors wins, then the earlier one. A query name that selects an
operation for another method is refused instead of being ignored: ``DELETE /bucket/key?retention`` is no DeleteObject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..domain.errors import MethodNotAllowed
from ..http.message import Headers
from .auth.query import decode_key, split_path
from .codes import Code
from .errors import Refusal
from .operations import OPERATIONS, Level, Operation

PARAMETERS = {("GET", "partNumber"), ("HEAD", "partNumber"), ("GET", "id")}
"""Query names that select an operation for one method and are mere parameters for this one."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    operation: Operation
    query: tuple[tuple[str, str | None], ...]
    headers: tuple[tuple[str, str], ...]

    def fits(self, query: Mapping[str, str], headers: Headers) -> bool:
        for name, value in self.query:
            if name not in query or (value is not None and query[name] != value):
                return False
        return all(name in headers and headers.get(name).lower().startswith(start) for name, start in self.headers)


@dataclass(frozen=True, slots=True)
class _Routes:
    """The operations of one method and level.

    :param names: query names that make a difference at this level
    :param headers: header names that make a difference here
    """

    names: frozenset[str]
    headers: tuple[str, ...]
    candidates: tuple[_Candidate, ...]
    plain: Operation | None


def _split(selector: str) -> tuple[str, str | None]:
    name, equals, value = selector.partition("=")
    return name, value if equals else None


def _compile(method: str, level: Level, operations: Iterable[Operation]) -> _Routes:
    peers = [op for op in operations if op.level == level]
    own = [op for op in peers if op.method == method]
    candidates = [
        _Candidate(op, tuple(map(_split, op.query)), tuple((n, v or "") for n, v in map(_split, op.headers)))
        for op in own
    ]
    candidates.sort(key=lambda c: -len(c.query) - len(c.headers))
    names = {_split(selector)[0] for op in peers for selector in op.query} - {"x-id"}
    names |= {_split(selector)[0] for op in own for selector in op.query}
    names -= {name for m, name in PARAMETERS if m == method}
    plain = next((op for op in own if not op.query and not op.headers), None)
    header_names = tuple({_split(h)[0] for op in own for h in op.headers})
    return _Routes(frozenset(names), header_names, tuple(candidates), plain)


def _table(operations: Iterable[Operation]) -> dict[tuple[str, Level], _Routes]:
    listed = list(operations)
    return {(op.method, op.level): _compile(op.method, op.level, listed) for op in listed}


ROUTES = _table(OPERATIONS)


def route(method: str, bucket: str, key: bytes, query: Mapping[str, str], headers: Headers) -> Operation:
    """The operation.

    :param query: decoded names and values
    :raises Refusal: BadRequest where there is none
    :raises MethodNotAllowed: the sub-resource named by the query does not take this method
    """
    level = Level.OBJECT if key else Level.BUCKET if bucket else Level.SERVICE
    routes = ROUTES.get((method, level))
    if routes is None:
        raise Refusal(Code.BadRequest, f"An error occurred when parsing the HTTP request {method[:16]}")
    selected = not routes.names.isdisjoint(query) if query else False
    if not selected and routes.plain is not None and not any(name in headers for name in routes.headers):
        return routes.plain
    return _search(routes, query, headers)


def _search(routes: _Routes, query: Mapping[str, str], headers: Headers) -> Operation:
    found = next((c for c in routes.candidates if c.fits(query, headers)), None)
    if found is None:
        raise Refusal(Code.BadRequest, "An error occurred when parsing the HTTP request: no such operation")
    named = {name for name, value in found.query}
    others = [c for c in (routes.names & query.keys()) - named if c not in _VALUED and not found.query]
    if others:
        raise MethodNotAllowed()
    return found.operation


_VALUED = frozenset({_split(s)[0] for op in OPERATIONS for s in op.query if "=" in s})
"""Names that select only with a certain value; another value is no sub-resource."""


def target(path: bytes, host: str, domains: tuple[str, ...]) -> tuple[str, bytes, str]:
    """Bucket and key of a request, and the bucket when it came in the host name.

    :param domains: a host ``bucket.domain`` of one of these is virtual-host style
    :raises InvalidURI:
    """
    if domains and host:
        name = host.lower().rpartition(":")[0] if _has_port(host) else host.lower()
        for domain in domains:
            bucket = name.removesuffix("." + domain)
            if bucket != name:
                return bucket, decode_key(path[1:]), bucket
    bucket, key = split_path(path)
    if not bucket and not key.strip(b"/"):
        key = b""  # "//" is the service too
    return bucket, key, ""


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdigit()
