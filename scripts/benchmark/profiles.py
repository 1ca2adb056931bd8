"""The profiles: what each one prepares, and the requests of its run."""

from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import client
from .sign import Signer, Wire, chunk_hashes

BUCKET = "bench"


@dataclass
class Plan:
    """A prepared run: one source of requests per connection."""

    sources: list[Iterator[Wire]]
    unit: str = "ops"
    per_request: int = 1


class Bench:
    """Requests for one target, signed ahead.

    :param count: requests prepared for profiles whose keys must be fresh
    """

    def __init__(self, signer: Signer, size: int, concurrency: int, count: int) -> None:
        self.signer = signer
        self.size = size
        self.concurrency = concurrency
        self.count = count
        self.payload = memoryview(os.urandom(size))
        self.hashes = chunk_hashes(self.payload)
        self.address = (signer.target.host, signer.target.port)
        self.tag = os.urandom(3).hex()

    def path(self, name: str) -> str:
        return f"/{BUCKET}/{name}"

    def key(self, i: int) -> str:
        return f"{self.tag}/{self.size}/{i % 256:02x}/object-{i:08d}"

    def send(self, wires: list[Wire], check: Callable[[Wire, bytes], None] | None = None) -> client.Sample:
        sources = [iter(wires[i :: self.concurrency]) for i in range(self.concurrency)]
        return client.run(self.address, sources, 3600, check)[0]

    def create_bucket(self) -> None:
        self.send([self.signer.plain("bucket", "PUT", f"/{BUCKET}", expect=(200, 409))])

    def put_wire(self, i: int, kind: str = "put") -> Wire:
        return self.signer.upload(kind, self.path(self.key(i)), self.payload, hashes=self.hashes)

    def fill(self, count: int) -> None:
        self.send([self.put_wire(i, "fill") for i in range(count)])

    def split(self, wires: list[Wire]) -> list[Iterator[Wire]]:
        return [iter(wires[i :: self.concurrency]) for i in range(self.concurrency)]

    def cycle(self, wires: list[Wire]) -> list[Iterator[Wire]]:
        return [itertools.cycle(wires[i :: self.concurrency] or wires) for i in range(self.concurrency)]


def put(bench: Bench) -> Plan:
    if bench.size <= 1 << 20:
        return Plan(bench.split([bench.put_wire(i) for i in range(bench.count)]))
    return Plan(bench.cycle([bench.put_wire(i) for i in range(2 * bench.concurrency)]))


def _stored(bench: Bench) -> int:
    count = max(bench.concurrency * 2, min(2000, (512 << 20) // bench.size))
    bench.fill(count)
    return count


def get(bench: Bench) -> Plan:
    count = _stored(bench)
    return Plan(bench.cycle([bench.signer.plain("get", "GET", bench.path(bench.key(i))) for i in range(count)]))


def stat(bench: Bench) -> Plan:
    count = _stored(bench)
    return Plan(bench.cycle([bench.signer.plain("stat", "HEAD", bench.path(bench.key(i))) for i in range(count)]))


def listing(bench: Bench) -> Plan:
    """Pages of 1,000 keys from the start of evenly spread prefixes."""
    bench.fill(bench.count)
    after = [bench.key(i) for i in range(0, bench.count, max(1, bench.count // 200))]
    wires = []
    for key in after:
        start = key.replace("/", "%2F")
        query = f"encoding-type=url&list-type=2&max-keys=1000&start-after={start.rsplit('object', 1)[0]}"
        wires.append(bench.signer.plain("list", "GET", f"/{BUCKET}", query))
    return Plan(bench.cycle(wires), "keys", 1000)


def first_page(bench: Bench) -> Plan:
    """The first 1,000 keys of the whole bucket."""
    query = "encoding-type=url&list-type=2&max-keys=1000"
    return Plan(bench.cycle([bench.signer.plain("list", "GET", f"/{BUCKET}", query)]), "pages")


def delete(bench: Bench) -> Plan:
    bench.fill(bench.count)
    wires = []
    for at in range(0, bench.count, 100):
        body = "".join(f"<Object><Key>{bench.key(i)}</Key></Object>" for i in range(at, min(at + 100, bench.count)))
        document = (
            f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>{body}</Delete>'.encode()
        )
        wires.append(bench.signer.plain("delete", "POST", f"/{BUCKET}", "delete=", document, extra=_md5(document)))
    return Plan(bench.split(wires), "objects", 100)


def _md5(document: bytes) -> dict[str, str]:
    import base64
    import hashlib

    return {"content-md5": base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()}


def mixed(bench: Bench) -> Plan:
    """45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE of keys put in the run."""
    count = _stored(bench)
    chance = random.Random(1)

    def source(lane: int) -> Iterator[Wire]:
        fresh: list[int] = []
        number = count + lane * 1_000_000
        spare = [bench.put_wire(number + j) for j in range(4)]
        gone = [
            bench.signer.plain("delete", "DELETE", bench.path(bench.key(number + j)), expect=(204,)) for j in range(4)
        ]
        reads = [bench.signer.plain("get", "GET", bench.path(bench.key(i))) for i in range(count)]
        stats = [bench.signer.plain("stat", "HEAD", bench.path(bench.key(i))) for i in range(count)]
        turn = 0
        while True:
            x = chance.random()
            if x < 0.45:
                yield chance.choice(reads)
            elif x < 0.75:
                yield chance.choice(stats)
            elif x < 0.90 or not fresh:
                fresh.append(turn % 4)
                yield spare[turn % 4]
                turn += 1
            else:
                yield gone[fresh.pop(0)]

    return Plan([source(lane) for lane in range(bench.concurrency)])


def multipart(bench: Bench) -> Plan:
    """Parts of 5 MiB of one upload per connection; the upload itself is begun before and completed after."""
    part = memoryview(os.urandom(5 << 20))
    hashes = chunk_hashes(part)
    ids: dict[str, str] = {}

    def note(wire: Wire, body: bytes) -> None:
        key = re.search(rb"<Key>(.*?)</Key>", body)
        upload = re.search(rb"<UploadId>(.*?)</UploadId>", body)
        assert key and upload, body
        ids[key[1].decode()] = upload[1].decode()

    names = [f"{bench.tag}/multipart/{i}" for i in range(bench.concurrency)]
    bench.send([bench.signer.plain("begin", "POST", bench.path(name), "uploads=") for name in names], note)
    sources = []
    for name in names:
        wires = [
            bench.signer.upload("part", bench.path(name), part, f"partNumber={n}&uploadId={ids[name]}", hashes)
            for n in range(1, 9)
        ]
        sources.append(itertools.cycle(wires))
    return Plan(list(sources))


PROFILES: dict[str, Callable[[Bench], Plan]] = {
    "put": put,
    "get": get,
    "stat": stat,
    "list": listing,
    "first": first_page,
    "delete": delete,
    "mixed": mixed,
    "multipart": multipart,
}
