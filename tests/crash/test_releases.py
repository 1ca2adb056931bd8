"""An object and an upload of many parts, removed while the owner of their set is killed: nothing of them stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.kit.replicas import inspect, opened
from tests.kit.server import Server, until

PARTS, CONNECTIONS = 1_200, 4
TABLES = ("undo", "parts", "manifests", "inline", "counters")


def send(server: Server, key: str) -> tuple[str, str]:
    """The id of an upload with all its parts, and the document that completes it."""
    with server.client() as client:
        upload = client.request("POST", f"/large/{key}", {"uploads": ""}).element("UploadId")

    def some(first: int) -> list[tuple[int, str]]:
        with server.client() as client:
            sent = []
            for number in range(first, PARTS + 1, CONNECTIONS):
                query = {"uploadId": upload, "partNumber": str(number)}
                reply = client.request("PUT", f"/large/{key}", query, b"%d" % number)
                assert reply.status == 200
                sent.append((number, reply.etag))
            return sent

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        parts = sorted(one for sent in threads.map(some, range(1, CONNECTIONS + 1)) for one in sent)
    inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
    return upload, f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>"


def left(server: Server) -> dict[str, int]:
    """Rows that stay of it, by table, on the first drive."""
    with opened(server.paths[:1]) as sets:
        ((_, txn),) = sets[0, 0]
        return {table: n for table in TABLES if (n := sum(1 for _ in txn.scan(table, b"", None)))}


def test_what_was_left_to_be_freed_goes_although_the_owner_is_killed(tmp_path: Path) -> None:
    with Server(tmp_path, module="tests.kit.quick_looks") as server:
        with server.client_of(1) as client:
            assert client.request("PUT", "/large").status == 200
            upload, document = send(server, "key")
            assert client.request("POST", "/large/key", {"uploadId": upload}, document.encode()).status == 200
            other, _ = send(server, "other")
            assert client.request("DELETE", "/large/key").status == 204
            assert client.request("DELETE", "/large/other", {"uploadId": other}).status == 204
            assert client.request("DELETE", "/large").status == 204
            server.wait_worker(0, server.kill_worker(0))
            until(lambda: not left(server), "everything to be gone")
        assert server.stop() == 0
        inspect(server.paths)
