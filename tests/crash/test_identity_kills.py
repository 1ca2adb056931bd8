"""Changes of identities while the owner of set 0 is killed: each is whole on every drive, or not there."""

from __future__ import annotations

import random
import threading
from pathlib import Path

from sos.domain.errors import StoreError
from sos.drive.mapped import MappedEngine
from sos.services.identity.access_keys import NewService, Parent
from sos.services.identity.identity import Identity
from sos.services.identity.policies import Target
from tests.kit.identity_audit import audit
from tests.kit.operator import Operator
from tests.kit.server import Server

MAIN = "000000000000"
SECRET = "a-secret-of-hers"
KILLS = 3


class Work:
    """Random changes until it is told to stop; remembers what was acknowledged."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.there: set[str] = set()
        self.gone: set[str] = set()
        self.done = 0
        self.stop = threading.Event()

    async def __call__(self, identity: Identity) -> None:
        serial = 0
        while not self.stop.is_set():
            serial += 1
            try:
                await self._one(identity, f"user-{serial}")
            except StoreError:
                continue  # nobody was there to take it for long: its outcome is unknown

    async def _one(self, identity: Identity, name: str) -> None:
        await identity.users.put(MAIN, name, SECRET)
        self.there.add(name)
        await identity.groups.add(MAIN, f"group-{len(name)}", [name])
        await identity.policies.attach(MAIN, ["readonly"], Target(name))
        await identity.access_keys.create(Parent(MAIN, name), NewService())
        await identity.access_keys.issue(Parent(MAIN, name), 900)
        self.done += 1
        if self.random.random() < 0.5:
            self.there.discard(name)
            await identity.users.remove(MAIN, name)
            self.gone.add(name)


def test_killed_owners_leave_no_change_half_done(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        work, operator = Work(7), Operator(server)
        thread = threading.Thread(target=lambda: operator.do(work))
        thread.start()
        try:
            for number in range(KILLS):
                wanted = 3 * (number + 1)
                while work.done < wanted and thread.is_alive():
                    work.stop.wait(0.01)
                server.wait_worker(0, server.kill_worker(0))
        finally:
            work.stop.set()
            thread.join()
        assert work.done >= 3 * KILLS
        server.kill_all()
        server.start()
        operator = Operator(server)
        users = {user.name for user in operator.do(lambda i: i.users.every(MAIN))}
        assert work.there <= users, "what was acknowledged is there"
        assert not work.gone & users, "what was acknowledged to be gone is gone"
        with server.client() as client:
            for name in sorted(work.there)[:3]:
                assert client.be(name, SECRET).request("GET", "/").code == "AccessDenied"
            for name in sorted(work.gone)[:3]:
                assert client.be(name, SECRET).request("GET", "/").code == "InvalidAccessKeyId"
        server.stop()
        for path in server.paths:
            engine = MappedEngine(path, writer=False)
            audit(engine.begin_read())
            engine.close()
