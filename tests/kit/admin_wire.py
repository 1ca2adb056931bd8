"""Calls of the admin API over HTTP, encrypted as ``madmin`` does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sos.admin import crypto

from .server import PASSWORD, USER, Reply, Server


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
            reply = client.request(method, f"/minio/admin/v3/{path}", query, body, headers)
        return Told(reply, self.secret)
