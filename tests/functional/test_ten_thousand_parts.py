"""The largest upload there can be: 10,000 parts, and what it costs everybody else."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kit.checksums import composite
from tests.kit.server import Client, Server

PARTS, CONNECTIONS = 10_000, 8
#: On an idle machine of two cores it is 0.1 s; a busy one needs slack.
STALL_S_MAX = 2.0
BODIES = [os.urandom(500) for _ in range(7)]


def body_of(number: int) -> bytes:
    return BODIES[number % len(BODIES)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes parts of any size."""
    with Server(tmp_path_factory.mktemp("tiny"), module="tests.kit.small_parts") as running:
        yield running


class Watch:
    """Requests to another object all the time, over several connections, with the longest each kind has taken."""

    def __init__(self, server: Server) -> None:
        self._stop = threading.Event()
        self._server = server
        self.longest_s = {"GET": 0.0, "PUT": 0.0}
        self._threads = [threading.Thread(target=self._ask, args=(method,)) for method in self.longest_s for _ in range(3)]

    def _ask(self, method: str) -> None:
        with self._server.client() as client:
            while not self._stop.wait(0.005):
                began = time.perf_counter()
                assert client.request(method, "/large/other", body=b"x" if method == "PUT" else b"").status == 200
                self.longest_s[method] = max(self.longest_s[method], time.perf_counter() - began)

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def send_all(server: Server, upload: str) -> list[tuple[int, str]]:
    """All parts, over several connections; numbers and tags in order."""

    def send(first: int) -> list[tuple[int, str]]:
        with server.client() as client:
            return [(n, send_one(client, upload, n)) for n in range(first, PARTS + 1, CONNECTIONS)]

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return sorted(sent for some in threads.map(send, range(1, CONNECTIONS + 1)) for sent in some)


def send_one(client: Client, upload: str, number: int) -> str:
    reply = client.request("PUT", "/large/key", {"uploadId": upload, "partNumber": str(number)}, body_of(number))
    assert reply.status == 200
    return reply.etag


def test_ten_thousand_parts(tiny: Server) -> None:
    s3 = tiny.boto3()
    s3.create_bucket(Bucket="large")
    s3.put_object(Bucket="large", Key="other", Body=b"x")
    upload = s3.create_multipart_upload(Bucket="large", Key="key", ChecksumAlgorithm="SHA256")["UploadId"]
    parts = send_all(tiny, upload)
    pages = s3.get_paginator("list_parts").paginate(Bucket="large", Key="key", UploadId=upload)
    assert [part["PartNumber"] for page in pages for part in page["Parts"]] == list(range(1, PARTS + 1))
    inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
    document = f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()
    with Watch(tiny) as watch, tiny.client() as client:
        began = time.perf_counter()
        done = client.request("POST", "/large/key", {"uploadId": upload}, document)
        took_s = time.perf_counter() - began
    print(f"complete: {took_s:.3f} s, longest of others meanwhile: {watch.longest_s}")
    bodies = [body_of(number) for number in range(1, PARTS + 1)]
    assert done.status == 200
    assert done.element("ChecksumSHA256") == composite("SHA256", bodies)
    assert done.element("ETag").endswith(f"-{PARTS}&#34;")
    assert max(watch.longest_s.values()) < STALL_S_MAX
    got = s3.get_object(Bucket="large", Key="key")["Body"].read()
    assert hashlib.sha256(got).digest() == hashlib.sha256(b"".join(bodies)).digest()
    last = s3.get_object(Bucket="large", Key="key", PartNumber=PARTS)
    assert (last["Body"].read(), last["PartsCount"]) == (body_of(PARTS), PARTS)
    with Watch(tiny) as watch:
        s3.delete_object(Bucket="large", Key="key")
    print(f"delete: longest of others meanwhile: {watch.longest_s}")
    assert max(watch.longest_s.values()) < STALL_S_MAX
