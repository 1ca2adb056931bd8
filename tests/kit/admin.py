"""The admin API over an identity store in memory, with a client that encrypts as ``mc`` does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import sos.s3.errors as wire
from sos.admin import crypto
from sos.admin.api import AdminApi
from sos.admin.call import Services
from sos.admin.cluster import Drive, ServerFacts, SetShape
from sos.admin.observing import Inside, Observing
from sos.config.settings import Settings
from sos.domain.errors import AccessDenied, NoSuchBucket, StoreError
from sos.http.message import Headers, Reply, Request
from sos.http.signed import Signed
from sos.meta.records import BucketRecord, CounterRecord
from sos.services.access import Access
from sos.services.configuration import Configuration
from sos.services.heal_reports import Item, Step, Wanted
from sos.services.identity.policies import Target
from sos.services.usage import Usages
from tests.kit.identities import MAIN, ROOT, World, run

SECRET = "a-secret-of-hers"


class QuickEnvelopes(crypto.Envelopes):
    """The algorithm of FIPS builds: a hundredth of the memory, and no threads."""

    async def seal(self, secret: str, text: bytes) -> bytes:
        return crypto.encrypt(secret, text, crypto.Algorithm.PBKDF2_AES)

    async def open(self, secret: str, body: bytes) -> bytes:
        return crypto.decrypt(secret, body)


class FakeBuckets:
    def __init__(self) -> None:
        self.records: dict[str, BucketRecord] = {}

    async def get(self, name: str) -> BucketRecord:
        if name not in self.records:
            raise NoSuchBucket()
        return self.records[name]

    async def list(self, prefix: str, after: str, most: int) -> tuple[list[BucketRecord], str]:
        return list(self.records.values()), ""

    async def update(self, old: BucketRecord, new: BucketRecord) -> BucketRecord:
        self.records[new.name] = new
        return new


class FakeUsage:
    def __init__(self) -> None:
        self.held = {1: CounterRecord(objects=2, versions=3, markers=1, size=4096)}

    async def now(self) -> Usages:
        return Usages([self.held, {}])


class FakeCluster:
    """Two sets of two drives in one pool; one drive is gone."""

    def __init__(self) -> None:
        self.stopped = self.restarted = 0
        self.frozen: list[bool] = []

    def facts(self) -> ServerFacts:
        return ServerFacts("d", "host:9000", "http", "1.0", "", (), "online", 2, 60, ("/data{1...4}",))

    async def sets(self) -> list[SetShape]:
        def drive(number: int, position: int) -> Drive:
            path = f"/data{2 * number + position + 1}"
            if (number, position) == (1, 1):
                return Drive(path, "", 0, number, position, "offline")
            return Drive(path, "u", 0, number, position, "ok", position == 1, 100, 40, 60)

        return [SetShape(n, 0, n, 1, 1, (drive(n, 0), drive(n, 1))) for n in range(2)]

    def stop(self) -> None:
        self.stopped += 1

    def restart(self) -> None:
        self.restarted += 1

    def freeze(self, frozen: bool) -> None:
        self.frozen.append(frozen)


class FakeReports:
    """One bucket, told in one step."""

    async def begin(self, wanted: Wanted, sees: Callable[[BucketRecord], bool]) -> tuple[int, int]:
        return 0, 1

    async def fetch(self, slot: int, number: int) -> Step:
        return Step((Item("b", states=("ok", "ok", "ok", "offline")),), ended=True)


class Answer:
    def __init__(self, reply: Reply, secret: str) -> None:
        assert isinstance(reply.body, bytes)
        self.status, self.body, self._secret = reply.status, reply.body, secret

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def opened(self) -> Any:
        """The encrypted document."""
        return json.loads(crypto.decrypt(self._secret, self.body))

    @property
    def code(self) -> str:
        return str(self.json["Code"]) if self.status >= 400 else ""


class Admin:
    """One worker's admin API."""

    def __init__(self) -> None:
        self.world = World()
        self.identity = self.world.identity
        self.buckets, self.usage, self.cluster = FakeBuckets(), FakeUsage(), FakeCluster()
        self.configuration = Configuration(self.identity.realm, self.world.pages, Settings(), {})
        services = Services(
            self.identity, Access(), self.buckets, self.usage, self.cluster, Settings, self.configuration, QuickEnvelopes(),  # type: ignore[arg-type]
            Observing(looks=Inside(None, None, None, None, FakeReports())),  # type: ignore[arg-type]
        )  # fmt: skip
        self.api = AdminApi(services)

    def ask(self, route: str, body: Any = b"", who: str = ROOT, sealed: bool = False, **query: str) -> Answer:
        """A call; errors as the dispatcher shows them.

        :param body: bytes, or what is sent as JSON
        :param query: ``list_type`` is sent as ``listType``
        """
        method, path = route.split(" ")
        known = self.identity.directory.find(who)
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        if sealed:
            text = crypto.encrypt(known.secret if known else "", text, crypto.Algorithm.PBKDF2_AES)

        async def read(most: int) -> bytes:
            return text

        async def authenticate() -> Signed:
            if known is None or not known.enabled:
                raise AccessDenied()
            return Signed(known.principal, known.secret, lambda name: None, read)

        call = urlencode(query).encode()
        request = Request(
            method, f"/minio/admin/v3/{path}".encode(), call, Headers([]), _Nothing(), "", False, "1", time.time_ns()  # type: ignore[arg-type]
        )  # fmt: skip
        return Answer(run(self._answer(lambda: self.api(request, authenticate))), known.secret if known else "")

    async def _answer(self, call: Callable[[], Any]) -> Reply:
        try:
            reply: Reply = await call()
            return reply
        except StoreError as error:
            return wire.render_json(wire.describe(error), wire.Place("GET", "/", "", "", "1", "node"))

    def user(self, name: str, *policies: str) -> str:
        """A user with policies attached."""
        run(self.identity.users.put(MAIN, name, SECRET))
        run(self.identity.policies.set(MAIN, policies, Target(name)))
        return name

    def policy(self, name: str, *actions: str, effect: str = "Allow") -> str:
        statements = [{"Effect": effect, "Action": [action]} for action in actions]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements}).encode()
        run(self.identity.policies.put(MAIN, name, document))
        return name

    def attach(self, policy: str, user: str) -> None:
        run(self.identity.policies.attach(MAIN, [policy], Target(user)))

    def service_account(self, who: str, **members: Any) -> Answer:
        return self.ask("PUT add-service-account", members, who, sealed=True)


class _Nothing:
    length = left = 0

    async def read_some(self, most: int) -> bytes:
        return b""
