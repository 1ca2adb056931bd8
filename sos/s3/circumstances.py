"""What a request says of itself: the values of condition keys, made only when a policy asks for them.

Names are the canonical spellings of ``sos/domain/policy/keys.py``. The address is that of the connection: what a client
writes into ``X-Forwarded-For`` counts for nothing (A11). Of a header the value counts that handlers use, which is the first;
a parameter of the query is none, however it is called, but for those of a presigned request that are headers to them too
(``auth/hoisted.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from ..http.message import Request
from ..services.decisions.records import Facts
from .auth.identity import Identity, Scheme

NS_PER_S = 1_000_000_000
EXISTING_TAG, REQUEST_TAG = "s3:ExistingObjectTag/", "s3:RequestObjectTag/"
SIGNATURES = {4: "AWS4-HMAC-SHA256", 2: "AWS"}
Found = tuple[str, ...] | None


class TagsWanted(Exception):
    """A policy asks for the tags of an object that were not read yet: read them and decide again."""


class Circumstances:
    """The values of one request for one object (or bucket).

    :param version: the version named, empty for none
    :param tags: of the object as it is; None = not read yet
    :param location: what CreateBucket asks for, once its document is read
    """

    __slots__ = ("identity", "location", "query", "request", "tags", "version")

    def __init__(self, request: Request, identity: Identity, query: Mapping[str, str], version: str = "") -> None:
        self.request = request
        self.identity = identity
        self.query = query
        self.version = version
        self.tags: Mapping[str, str] | None = None
        self.location = ""

    def facts(self) -> Facts:
        """What is remembered of every request that is allowed."""
        request, query = self.request, self.query
        source = request.peer.removeprefix("::ffff:")
        return source, request.secure, query.get("prefix"), query.get("delimiter"), query.get("max-keys")

    def get(self, key: str) -> Found:
        """The values of a canonical condition key.

        :raises TagsWanted:
        """
        make = _MAKERS.get(key)
        if make is not None:
            return make(self)
        if key.startswith("s3:x-amz-"):
            return _one(self.request.headers.get(key[3:]))
        if key.startswith(EXISTING_TAG):
            if self.tags is None:
                raise TagsWanted()
            return _one(self.tags.get(key[len(EXISTING_TAG) :]))
        if key.startswith(REQUEST_TAG):
            return _one(_request_tags(self).get(key[len(REQUEST_TAG) :]))
        return None


def _one(text: str | None) -> Found:
    return None if text is None or text == "" else (text,)


def _asked(name: str) -> Callable[[Circumstances], Found]:
    """A parameter of the query; empty where it is given empty, nothing where it is not given."""
    return lambda self: (self.query[name],) if name in self.query else None


def _header(name: str) -> Callable[[Circumstances], Found]:
    return lambda self: _one(self.request.headers.get(name))


def _moment(self: Circumstances) -> datetime:
    return datetime.fromtimestamp(self.request.received_ns // NS_PER_S, UTC)


def _source(self: Circumstances) -> Found:
    return _one(self.request.peer.removeprefix("::ffff:"))


def _age(self: Circumstances) -> Found:
    """Milliseconds since a presigned request was signed."""
    signed = self.identity.signed_at_s
    return (str(max(0, self.request.received_ns // 1_000_000 - signed * 1000)),) if signed else None


def _payload(self: Circumstances) -> Found:
    """Presigned requests declare the hash of their body in the query."""
    name = "x-amz-content-sha256"
    asked = (value for key, value in self.query.items() if key.lower() == name)
    given = self.request.headers.get(name)
    return _one(given or (next(asked, None) if self.identity.scheme is Scheme.QUERY else None))


def _request_tags(self: Circumstances) -> dict[str, str]:
    return dict(parse_qsl(self.request.headers.get("x-amz-tagging"), keep_blank_values=True))


def _remaining(self: Circumstances) -> Found:
    """Whole days until the retention date that the request asks for."""
    text = self.request.headers.get("x-amz-object-lock-retain-until-date")
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (str((until.replace(tzinfo=until.tzinfo or UTC) - _moment(self)).days),)


_MAKERS: dict[str, Callable[[Circumstances], Found]] = {
    "aws:SourceIp": _source,
    "aws:SecureTransport": lambda self: ("true" if self.request.secure else "false",),
    "aws:UserAgent": _header("user-agent"),
    "aws:Referer": _header("referer"),
    "aws:CurrentTime": lambda self: (_moment(self).strftime("%Y-%m-%dT%H:%M:%SZ"),),
    "aws:EpochTime": lambda self: (str(self.request.received_ns // NS_PER_S),),
    "s3:prefix": _asked("prefix"),
    "s3:delimiter": _asked("delimiter"),
    "s3:max-keys": _asked("max-keys"),
    "s3:x-amz-content-sha256": _payload,
    "s3:versionid": lambda self: _one(self.version),
    "s3:signatureversion": lambda self: _one(SIGNATURES.get(self.identity.version)),
    "s3:authType": lambda self: _one(str(self.identity.scheme)),
    "s3:signatureAge": _age,
    "s3:LocationConstraint": lambda self: _one(self.location),
    "s3:RequestObjectTagKeys": lambda self: tuple(_request_tags(self)) or None,
    "s3:object-lock-mode": _header("x-amz-object-lock-mode"),
    "s3:object-lock-retain-until-date": _header("x-amz-object-lock-retain-until-date"),
    "s3:object-lock-legal-hold": _header("x-amz-object-lock-legal-hold"),
    "s3:object-lock-remaining-retention-days": _remaining,
}
