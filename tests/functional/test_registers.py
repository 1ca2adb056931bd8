"""Every key is a register, whichever workers its readers and writers are connected to; and races have one winner."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.kit.history import History
from tests.kit.load import BUCKET, Session
from tests.kit.server import Client, Reply, Server

pytestmark = pytest.mark.soak
SOAK = bool(os.environ.get("SOS_SOAK"))
RACERS = 100
ANSWERS = 20_000 if SOAK else 900


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        Session(server, History(), "setup").prepare()
        yield server


# -- R12 ----------------------------------------------------------------------------------------------------


def _work(session: Session, works: list[Callable[[str], None]], keys: list[str], stop: threading.Event) -> None:
    while not stop.is_set():
        for key in keys:
            for work in works:
                work(key)


@pytest.mark.parametrize("writing", ["put_small", "put_large", "multipart", "delete"])
def test_each_read_returns_a_value_that_was_current(server: Server, writing: str) -> None:
    """R12: overwritten from both workers while read from both; the values tell which write they are of."""
    history = History()
    keys = [f"register/{writing}/{i}" for i in range(2)]
    sessions = [Session(server, history, f"{writing}/{i}", keys) for i in range(6)]
    for i, session in enumerate(sessions):
        session.use(server.client_of(i % 2))
    stop = threading.Event()
    threads = []
    for i, session in enumerate(sessions):
        works = [session.put_small, getattr(session, writing)] if i < 2 else [session.get, session.head]
        threads.append(threading.Thread(target=_work, args=(session, works, keys, stop)))
        threads[-1].start()
    last = Session(server, history, f"{writing}/last", keys)
    while history.answers.total() < ANSWERS and all(thread.is_alive() for thread in threads):
        last.list()
    stop.set()
    for thread in threads:
        thread.join()
    for session in [*sessions, last]:
        session.close()
        assert not session.problems, session.problems[:3]
    assert not [kind for kind in history.answers if kind.split()[-1] not in ("200", "204", "404")], history.answers
    history.check()


# -- R13 ----------------------------------------------------------------------------------------------------


def race(server: Server, requests: list[Callable[[Client], Reply]]) -> list[Reply]:
    """All at once, every second one to the other worker; the replies in order."""
    clients = [server.client() for _ in requests]
    for client in clients:
        client.connect()
    barrier = threading.Barrier(len(requests))
    replies: list[Reply | None] = [None] * len(requests)

    def one(index: int) -> None:
        barrier.wait()
        replies[index] = requests[index](clients[index])

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()
    return [reply for reply in replies if reply is not None]


def statuses(replies: list[Reply]) -> dict[int, int]:
    return dict(Counter(reply.status for reply in replies))


def put(key: str, body: bytes, **headers: str) -> Callable[[Client], Reply]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda client: client.request("PUT", f"/{BUCKET}/{key}", body=body, headers=named)


@pytest.mark.parametrize("size", [100, 200_000], ids=["inline", "extent"])
def test_of_racing_creations_one_wins(server: Server, size: int) -> None:
    """R13: a hundred times If-None-Match: * over both workers."""
    key = f"race/create/{size}"
    bodies = [bytes([i]) * size for i in range(RACERS)]
    replies = race(server, [put(key, body, if_none_match="*") for body in bodies])
    assert statuses(replies) == {200: 1, 412: RACERS - 1}
    (winner,) = [body for body, reply in zip(bodies, replies, strict=True) if reply.status == 200]
    for slot in (0, 1):
        with server.client_of(slot) as client:
            assert client.request("GET", f"/{BUCKET}/{key}").body == winner


def test_of_racing_replacements_of_one_version_one_wins(server: Server) -> None:
    """R13: compare and swap by If-Match; the chain of winners is as long as there were rounds."""
    key = "race/swap"
    with server.client() as client:
        etag = put(key, b"0")(client).etag
        for number in range(5):
            replies = race(server, [put(key, b"%d %d" % (number, i), if_match=etag) for i in range(20)])
            assert statuses(replies) == {200: 1, 412: 19}
            (etag,) = [reply.etag for reply in replies if reply.status == 200]
            assert client.request("HEAD", f"/{BUCKET}/{key}").etag == etag


def test_of_racing_conditional_deletes_one_wins(server: Server) -> None:
    """R13, R11: the others find that it is gone; it stays gone."""
    key = "race/delete"
    with server.client() as client:
        etag = put(key, b"x")(client).etag

        def delete(racer: Client) -> Reply:
            return racer.request("DELETE", f"/{BUCKET}/{key}", headers={"if-match": etag})

        replies = race(server, [delete] * 50)
        assert statuses(replies)[204] == 1 and set(statuses(replies)) <= {204, 404, 412}
        assert client.request("GET", f"/{BUCKET}/{key}").status == 404


def test_a_delete_and_a_replacement_by_condition_exclude_each_other(server: Server) -> None:
    with server.client() as client:
        for number in range(10):
            key = f"race/either/{number}"
            etag = put(key, b"x")(client).etag
            replaced, deleted = race(server, [
                put(key, b"y", if_match=etag),
                lambda c, key=key, etag=etag: c.request("DELETE", f"/{BUCKET}/{key}", headers={"if-match": etag}),
            ])  # fmt: skip
            assert (replaced.status == 200) != (deleted.status == 204), (replaced, deleted)
            found = client.request("GET", f"/{BUCKET}/{key}")
            assert found.status == (200 if replaced.status == 200 else 404)


# -- uploads ------------------------------------------------------------------------------------------------


def upload(client: Client, key: str, body: bytes) -> tuple[str, bytes]:
    """An upload with one part: its id, and the document that completes it."""
    path = f"/{BUCKET}/{key}"
    upload_id = client.request("POST", path, {"uploads": ""}).element("UploadId")
    assert client.request("PUT", path, {"uploadId": upload_id, "partNumber": "1"}, body).status == 200
    etag = hashlib.md5(body).hexdigest()
    text = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    return upload_id, text.encode()


def complete(key: str, upload_id: str, document: bytes, **headers: str) -> Callable[[Client], Reply]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda client: client.request("POST", f"/{BUCKET}/{key}", {"uploadId": upload_id}, document, named)


def succeeded(reply: Reply) -> bool:
    return reply.status == 200 and not reply.code


def test_completing_one_upload_many_times_at_once_makes_one_object(server: Server) -> None:
    """R13, R17: a repeated request is answered as the first was, or that the upload is gone; never with another error."""
    key = "race/complete"
    with server.client() as client:
        upload_id, document = upload(client, key, b"part")
        replies = race(server, [complete(key, upload_id, document)] * 30)
        assert any(map(succeeded, replies))
        assert {reply.code for reply in replies if not succeeded(reply)} <= {"NoSuchUpload"}
        assert len({reply.element("ETag") for reply in replies if succeeded(reply)}) == 1
        assert client.request("GET", f"/{BUCKET}/{key}").body == b"part"


def test_of_completes_that_may_only_create_one_wins(server: Server) -> None:
    """R13"""
    key = "race/complete-create"
    with server.client() as client:
        made = [upload(client, key, b"part %d" % i) for i in range(20)]
        replies = race(server, [complete(key, *one, if_none_match="*") for one in made])
        assert sum(map(succeeded, replies)) == 1
        assert {reply.code for reply in replies if not succeeded(reply)} == {"PreconditionFailed"}
        (winner,) = [i for i, reply in enumerate(replies) if succeeded(reply)]
        assert client.request("GET", f"/{BUCKET}/{key}").body == b"part %d" % winner


def test_complete_and_abort_exclude_each_other(server: Server) -> None:
    """R17: an upload that was completed was not aborted, and no part is seen after an abort."""
    with server.client() as client:
        for number in range(15):
            key = f"race/abort/{number}"
            upload_id, document = upload(client, key, b"part")
            done, aborted = race(server, [
                complete(key, upload_id, document),
                lambda c, key=key, upload_id=upload_id: c.request(
                    "DELETE", f"/{BUCKET}/{key}", {"uploadId": upload_id}
                ),
            ])  # fmt: skip
            assert succeeded(done) != (aborted.status == 204), (done, aborted)
            assert client.request("GET", f"/{BUCKET}/{key}").status == (200 if succeeded(done) else 404)
            assert client.request("GET", f"/{BUCKET}/{key}", {"uploadId": upload_id}).code == "NoSuchUpload"
        uploads = client.request("GET", f"/{BUCKET}", {"uploads": "", "prefix": "race/abort/"})
        assert not re.findall(rb"<UploadId>", uploads.body)
