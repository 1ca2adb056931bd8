"""A dispatcher over the fake services, with a client that signs. No sockets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from sos.http.message import Reply
from sos.s3.auth.identity import Credentials
from sos.s3.auth.query import encode_query, parse_query
from sos.s3.call import Services, Settings
from sos.s3.dispatch import Dispatcher
from sos.s3.health import ClusterHealth
from sos.services.identity.principal import root_principal
from sos.services.purge import Purge
from tests.kit.fake_services import FakeBuckets, FakeListing, FakeMultipart, FakeObjects, World
from tests.kit.signed_requests import ACCESS, SECRET, request, sign_v4


class Answer:
    """A reply as a client sees it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.status = reply.status
        self.headers = {name.lower(): value for name, value in reply.headers}
        self.body = reply.body if isinstance(reply.body, bytes) else b""

    @property
    def xml(self) -> ElementTree.Element:
        """The document, without name spaces."""
        tree = ElementTree.fromstring(self.body)
        for element in tree.iter():
            element.tag = element.tag.rpartition("}")[2]
        return tree

    @property
    def code(self) -> str:
        """The error code, from the document or, for HEAD, from the headers; empty for a success."""
        if "x-minio-error-code" in self.headers:
            return self.headers["x-minio-error-code"]
        return (self.xml.findtext("Code") or "") if self.status >= 400 else ""

    def text(self, path: str) -> str | None:
        return self.xml.findtext(path)

    def texts(self, path: str) -> list[str]:
        return [element.text or "" for element in self.xml.findall(path)]


class FakeHealth:
    def __init__(self) -> None:
        self.state = ""
        self.writable = self.readable = self.spare = True

    def status(self) -> str:
        return self.state

    def cluster(self) -> ClusterHealth:
        return ClusterHealth(self.writable, self.readable, self.spare, 3, 2, healing_drives=1)


class Surface:
    """The S3 surface in memory."""

    def __init__(self, **settings: Any) -> None:
        self.world = World()
        buckets: Any = FakeBuckets(self.world)
        objects: Any = FakeObjects(self.world)
        multipart: Any = FakeMultipart(self.world, objects)
        listing: Any = FakeListing(self.world)
        purge = Purge(buckets, objects, multipart, listing)
        services = Services(buckets, objects, multipart, listing, purge)
        self.health = FakeHealth()
        keys = {ACCESS: Credentials(ACCESS, SECRET, principal=root_principal(ACCESS))}
        self.dispatcher = Dispatcher(services, keys.get, Settings(host_id="node", **settings), self.health)
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        self.loop.close()

    def send(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        signed: bool = True,
        host: str = "s3.test",
    ) -> Answer:
        """One request. ``target`` is text; its path is percent-encoded here, its query must be already."""
        path, _, query = target.partition("?")
        raw = quote(path, safe="/%-_.~")
        fields = {"host": host, **(headers or {})}
        if signed:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            fields |= {"x-amz-date": stamp, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
            canonical = encode_query(parse_query(query.encode()))[0]
            fields["authorization"] = sign_v4(method, raw, canonical, fields, "UNSIGNED-PAYLOAD", stamp=stamp)
        message = request(method, raw + ("?" + query if query else ""), list(fields.items()), body)
        reply = self.loop.run_until_complete(self.dispatcher.handle(message))
        if reply.ended is not None:
            reply.ended(True)
        return Answer(reply)
