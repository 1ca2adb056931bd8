"""Calls of the admin API over HTTP, encrypted as ``madmin`` does."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from sos.admin import crypto

from .server import PASSWORD, USER, Reply, Server
from .signed_requests import sign_v4

ADMIN = "/minio/admin/v3/"


@dataclass(frozen=True, slots=True)
class Told:
    """The reply to an admin call."""

    reply: Reply
    secret: str

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def json(self) -> Any:
        assert self.reply.status < 300, self.reply
        return json.loads(self.reply.body)

    @property
    def opened(self) -> Any:
        """The encrypted document."""
        assert self.reply.status < 300, self.reply
        return json.loads(crypto.decrypt(self.secret, self.reply.body))

    @property
    def code(self) -> str:
        return "" if self.reply.status < 300 else str(json.loads(self.reply.body)["Code"])


@dataclass(frozen=True, slots=True)
class AdminWire:
    """One caller."""

    server: Server
    access_key: str = USER
    secret: str = PASSWORD
    token: str = ""

    def ask(self, route: str, document: Any = b"", *, sealed: bool = False, **query: str) -> Told:
        """One call.

        :param route: method, and the path below ``/minio/admin/v3/``
        :param document: bytes, or what is sent as JSON
        """
        method, path = route.split(" ")
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        if sealed:
            body = crypto.encrypt(self.secret, body, crypto.Algorithm.PBKDF2_AES)
        headers = {"x-amz-content-sha256": ""} if len(body) >= 1 << 16 else {}
        with self.server.client() as client:
            client.be(self.access_key, self.secret, self.token)
            reply = client.request(method, f"{ADMIN}{path}", query, body, headers)
        return Told(reply, self.secret)


@contextmanager
def opened(server: Server, method: str, call: str, **query: str) -> Iterator[http.client.HTTPResponse]:
    """A call of the admin API whose reply is read as it comes."""
    text = urlencode(sorted(query.items()))
    digest, stamp = hashlib.sha256(b"").hexdigest(), datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    fields = {"host": f"127.0.0.1:{server.port}", "x-amz-date": stamp, "x-amz-content-sha256": digest}
    fields["authorization"] = sign_v4(
        method, ADMIN + call, text, fields, digest, access=USER, secret=PASSWORD, stamp=stamp
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, f"{ADMIN}{call}?{text}", headers=fields)
        yield connection.getresponse()
    finally:
        connection.close()
