"""Mixed S3 load from several threads, everything of it recorded in a history.

The writes: small and inline, of whole extents, multipart, copies, deletes one by one and in batches; the reads: GET, HEAD
and listings, each a read of every key it covers. Answers that a correct server never gives are kept in ``problems``.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import threading
from collections.abc import Callable
from html import unescape

from .history import ABSENT, History, Moment, Payload
from .server import BROKEN, PATIENCE_S, Client, Reply, Server, until

BUCKET = "load"
KEYS = [f"key/{i:02}" for i in range(24)]
#: Copied from, never changed.
SOURCES = ["source/inline", "source/extent"]
SMALL_BYTES = (0, 1, 4095, 4096, 50_000, 131_072)
PART_BYTES = 5 << 20

#: What takes long (a copy, Complete) is answered 200 at first, and may turn out not to have been done.
LATE_ERROR = re.compile(rb"\s*(<\?xml[^>]*\?>)?\s*<Error>")

Work = Callable[[str], None]


class Session:
    """The requests of one thread, recorded.

    :param prefix: makes the values of this session different from all others'
    """

    #: chance to begin a request with a new connection
    restless = 0.05

    def __init__(self, server: Server, history: History, seed: object, keys: list[str] = KEYS) -> None:
        self._server, self._history, self._keys = server, history, keys
        #: listings are of the session's keys, and of the sources where the session works with those
        self._prefix = "" if keys[0] in KEYS else keys[0].rpartition("/")[0] + "/"
        self._random = random.Random(str(seed))
        self._name = str(seed)
        self._count = 0
        self._client: Client | None = None
        self.problems: list[str] = []

    # -- requests --------------------------------------------------------------------------------------

    def send(
        self, method: str, path: str, query: dict[str, str] | None = None, body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Reply | None:  # fmt: skip
        """None where the outcome is unknown. A connection lasts until it breaks, or a while: the next may be another
        worker's."""
        if self._random.random() < self.restless:
            self.close()
        self._connect()
        assert self._client is not None
        try:
            reply = self._client.request(method, path, query, body, headers)
        except BROKEN as error:
            self._history.count(type(error).__name__)
            self.close()
            return None
        self._history.count(f"{method} {reply.status}")
        if reply.status == 200 and LATE_ERROR.match(reply.body):
            return None
        if reply.status < 500:
            return reply
        if reply.status != 503:
            self.problems.append(f"{method} {path}: {reply.status} {reply.body[:300]!r}")
        return None

    def _connect(self) -> None:
        """A connection that the kernel accepted: what is refused was never sent, so it is no unknown outcome."""

        def connected() -> bool:
            client = self._client or self._server.client()
            try:
                client.connect()
            except OSError:
                client.close()
                return False
            self._client = client
            return True

        until(connected, "a connection")

    def use(self, client: Client) -> None:
        """Go on over this connection, as long as it lasts."""
        self.restless = 0.0
        self.close()
        self._client = client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _payload(self, size: int) -> Payload:
        self._count += 1
        return Payload(f"{self._name}-{self._count}", size)

    def _expect(self, reply: Reply, what: str, *statuses: int) -> bool:
        if reply.status in statuses:
            return True
        self.problems.append(f"{what}: {reply.status} {reply.body[:300]!r}")
        return False

    def prepare(self) -> None:
        """The bucket and the objects that are copied."""
        reply = self.send("PUT", f"/{BUCKET}")
        assert reply is not None and reply.status == 200, reply
        for key, size in zip(SOURCES, (1000, 1_200_000), strict=True):
            self.put(key, size)
        assert not self.problems

    # -- writes ----------------------------------------------------------------------------------------

    def _write(self, key: str, value: str, request: Callable[[], Reply | None], *statuses: int) -> Reply | None:
        event = self._history.write(key, value)
        reply = request()
        if reply is not None and self._expect(reply, f"write {key}", *statuses):
            self._history.done(event)
        return reply

    def put(self, key: str, size: int) -> None:
        payload = self._payload(size)
        body = payload.make()
        etag = self._history.value(hashlib.md5(body).hexdigest(), payload)
        reply = self._write(key, etag, lambda: self.send("PUT", f"/{BUCKET}/{key}", body=body), 200)
        if reply is not None and reply.status == 200 and reply.etag != f'"{etag}"':
            self.problems.append(f"put {key}: answered {reply.etag}, sent {etag}")

    def put_small(self, key: str) -> None:
        # with a random size behind, so that two values can hardly be equal
        self.put(key, self._random.choice(SMALL_BYTES) + self._random.randrange(64, 1 << 12))

    def put_large(self, key: str) -> None:
        self.put(key, self._random.randrange(1 << 20, 6 << 20))

    def delete(self, key: str) -> None:
        self._write(key, ABSENT, lambda: self.send("DELETE", f"/{BUCKET}/{key}"), 204)

    def copy(self, key: str) -> None:
        source = self._random.choice(SOURCES)
        found = [event.value for event in self._history.events if event.key == source and event.is_write]
        headers = {"x-amz-copy-source": f"/{BUCKET}/{source}"}
        self._write(key, found[0], lambda: self.send("PUT", f"/{BUCKET}/{key}", headers=headers), 200)

    def delete_some(self, key: str) -> None:
        """DeleteObjects of a few keys; each answers for itself."""
        chosen = sorted({key, *self._random.sample(self._keys, min(3, len(self._keys)))})
        objects = "".join(f"<Object><Key>{one}</Key></Object>" for one in chosen)
        body = f"<Delete>{objects}</Delete>".encode()
        headers = {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}
        events = {one: self._history.write(one, ABSENT) for one in chosen}
        reply = self.send("POST", f"/{BUCKET}", {"delete": ""}, body, headers)
        if reply is None or not self._expect(reply, "delete some", 200):
            return
        gone = re.findall(rb"<Deleted><Key>([^<]*)</Key>", reply.body)
        failed = re.findall(rb"<Error>.*?<Key>([^<]*)</Key>.*?<Code>(\w+)</Code>", reply.body)
        failed += [(k, c) for c, k in re.findall(rb"<Error><Code>(\w+)</Code>.*?<Key>([^<]*)</Key>", reply.body)]
        for one in gone:
            self._history.done(events.pop(one.decode()))
        if events.keys() != {one.decode() for one, _ in failed}:
            self.problems.append(f"delete some: no answer for {events.keys()}: {reply.body!r}")

    def multipart(self, key: str) -> None:
        """Sometimes one part, sometimes two; one of them may be sent twice (R17), the later one counts."""
        path = f"/{BUCKET}/{key}"
        reply = self.send("POST", path, {"uploads": ""})
        if reply is None or not self._expect(reply, "create upload", 200):
            return
        upload = reply.element("UploadId")
        sizes = [self._random.randrange(1, 2 << 20)]
        if self._random.random() < 0.4:
            sizes.insert(0, PART_BYTES)
        payloads = []
        for number, size in enumerate(sizes, 1):
            for _ in range(2 if self._random.random() < 0.3 else 1):
                payload = self._payload(size)
                query = {"uploadId": upload, "partNumber": str(number)}
                # the part is sent again as it is until it has an answer, as clients do
                while (reply := self.send("PUT", path, query, payload.make())) is None:
                    pass
                if not self._expect(reply, "put part", 200):
                    return
            payloads.append(payload)
        self._complete(key, upload, payloads)

    def _complete(self, key: str, upload: str, payloads: list[Payload]) -> None:
        digests = [hashlib.md5(payload.make()).digest() for payload in payloads]
        etag = f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"
        self._history.value(etag, *payloads)
        parts = "".join(
            f"<Part><PartNumber>{i}</PartNumber><ETag>{digest.hex()}</ETag></Part>"
            for i, digest in enumerate(digests, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        event = self._history.write(key, etag)
        for attempt in range(self._random.randint(1, 3)):
            reply = self.send("POST", f"/{BUCKET}/{key}", {"uploadId": upload}, body)
            if attempt and reply is not None and reply.code == "NoSuchUpload":
                # an attempt without an answer completed it, and its object was replaced since
                self._history.done(event)
                return
            if reply is not None and reply.status == 200 and reply.code == "":
                self._history.done(event)
                if etag not in reply.element("ETag"):
                    self.problems.append(f"complete {key}: {reply.body!r}")
                return
            if reply is not None:
                self.problems.append(f"complete {key}: {reply.status} {reply.body!r}")

    # -- reads -----------------------------------------------------------------------------------------

    def get(self, key: str) -> None:
        began = self._history.clock()
        reply = self.send("GET", f"/{BUCKET}/{key}")
        if reply is not None and (value := self._value_of(key, reply)) is not None:
            self._history.read(key, value, began)
            if value and reply.body != self._history.body(value):
                self.problems.append(f"get {key}: {len(reply.body)} bytes that are not those of {value}")

    def head(self, key: str) -> None:
        began = self._history.clock()
        reply = self.send("HEAD", f"/{BUCKET}/{key}")
        if reply is not None and (value := self._value_of(key, reply)) is not None:
            self._history.read(key, value, began)
            if value and int(reply.headers["content-length"]) != self._history.size(value):
                self.problems.append(f"head {key}: {reply.headers['content-length']} bytes for {value}")

    def _value_of(self, key: str, reply: Reply) -> str | None:
        """The value that a reply shows; None where it shows none."""
        if reply.status == 404:
            if reply.code in ("NoSuchKey", ""):
                return ABSENT
            self.problems.append(f"read {key}: {reply.body!r}")
            return None
        return reply.etag.strip('"') if self._expect(reply, f"read {key}", 200) else None

    def list(self, _key: str = "") -> None:
        """All keys in pages; each page is a read of the keys in its range."""
        token, after = "", ""
        while True:
            query = {"list-type": "2", "prefix": self._prefix, "max-keys": str(self._random.choice((7, 1000)))}
            query |= {"continuation-token": token} if token else {}
            began = self._history.clock()
            reply = self.send("GET", f"/{BUCKET}", query)
            if reply is None or not self._expect(reply, "list", 200):
                return
            token, last = reply.element("NextContinuationToken"), self._list_page(reply, began, after, query)
            if not token:
                return
            after = last

    def _list_page(self, reply: Reply, began: Moment, after: str, query: dict[str, str]) -> str:
        pattern = rb"<Contents><Key>([^<]*)</Key>.*?<ETag>([^<]*)</ETag>.*?<Size>(\d+)</Size>"
        found = {
            unescape(key.decode()): (unescape(etag.decode()).strip('"'), int(size))
            for key, etag, size in re.findall(pattern, reply.body)
        }
        listed = list(found)
        last = listed[-1] if reply.element("IsTruncated") == "true" and listed else "\uffff"
        if listed != sorted(listed) or len(listed) > int(query["max-keys"]):
            self.problems.append(f"list: {listed}")
        for key in [*self._keys, *SOURCES]:
            etag, size = found.get(key, (ABSENT, 0))
            if key.startswith(self._prefix) and after < key <= last:
                self._history.read(key, etag, began)
                if size != self._history.size(etag):
                    self.problems.append(f"list: {size} bytes for {key} with {etag}")
        return last

    # -- mixes -----------------------------------------------------------------------------------------

    def step(self) -> None:
        """One random request, or one multipart upload."""
        mix: list[tuple[Work, int]] = [
            (self.put_small, 20), (self.put_large, 6), (self.multipart, 4), (self.copy, 5), (self.delete, 6),
            (self.delete_some, 3), (self.get, 26), (self.head, 8), (self.list, 5),
        ]  # fmt: skip
        work = self._random.choices([one for one, _ in mix], [weight for _, weight in mix])[0]
        work(self._random.choice(self._keys))

    def read_all(self) -> None:
        """Every key, once; all must be answered."""
        for key in [*self._keys, *SOURCES]:
            began = len(self._history.events)
            self.get(key)
            if len(self._history.events) == began:
                self.problems.append(f"{key} cannot be read")
        self.list()


class Load:
    """Sessions in threads, until told to stop."""

    def __init__(
        self, server: Server, history: History, seed: object, threads: int = 4, keys: list[str] = KEYS
    ) -> None:
        self.history = history
        self.sessions = [Session(server, history, f"{seed}/{i}", keys) for i in range(threads)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(one,), daemon=True) for one in self.sessions]

    def _run(self, session: Session) -> None:
        try:
            while not self._stop.is_set():
                session.step()
        except Exception as error:  # noqa: BLE001 - a thread's end must not go unseen
            session.problems.append(f"{type(error).__name__}: {error}")
        session.close()

    def wait_for(self, answers: int, patience_s: float = PATIENCE_S) -> None:
        """Until the clients have heard so many answers more."""
        wanted = self.history.answers.total() + answers
        until(lambda: self.history.answers.total() >= wanted or self.problems, f"{answers} answers", patience_s)

    @property
    def problems(self) -> list[str]:
        return [problem for session in self.sessions for problem in session.problems]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
