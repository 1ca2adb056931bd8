"""A real ``sos server`` for tests: started, killed in every way, stopped and started again on the same drives and port;
and a small client whose failures are visible, where an SDK would try again by itself."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from .signed_requests import sign_v4

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "operator", "a-good-password"
PATIENCE_S = 30.0
#: What a connection that breaks raises, and one whose reply is cut short.
BROKEN = (OSError, http.client.HTTPException)
T = TypeVar("T")


def until(get: Callable[[], T], what: str, patience_s: float = PATIENCE_S) -> T:
    """Wait for a condition; the value that made it true."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if value := get():
            return value
        time.sleep(0.005)
    raise AssertionError(f"waited {patience_s} s for {what}")


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    """The child processes of a process; none when it is gone."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _holds(pid: int, link: str) -> bool:
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(entry) == link:
                    return True
    return False


class Server:
    """One server over a directory of drives ``d1 … dn``.

    :param path: holds the drives and the log
    :param drives: how many, or the paths themselves (patterns are allowed)
    :param env: added to the environment; may be changed between starts
    :param arguments: more flags
    :param module: run instead of the product's, to change a constant before it starts
    """

    def __init__(
        self,
        path: Path,
        drives: int | Sequence[str] = 4,
        workers: int = 2,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        module: str = "sos.cli.main",
    ) -> None:
        self.path = path
        self._module = module
        self.paths = [str(path / f"d{i + 1}") for i in range(drives)] if isinstance(drives, int) else list(drives)
        self.workers = workers
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.env, self._arguments = dict(env or {}), list(arguments)
        self._log, self._out = path / "server.log", path / "server.out"
        self._started_at = 0

    # -- life ------------------------------------------------------------------------------------------

    def launch(self) -> Server:
        """Start without waiting."""
        command = [sys.executable, "-m", self._module, "server", "--address", f"127.0.0.1:{self.port}"]
        command += ["--workers", str(self.workers), *self._arguments, *self.paths]
        own = {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD, "PYTHONPATH": str(ROOT)}
        self._started_at = self._log.stat().st_size if self._log.exists() else 0
        with open(self._log, "ab") as log, open(self._out, "wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=log, env={**os.environ, **own, **self.env})
        return self

    def start(self) -> Server:
        """Start and wait until every worker serves; the port stays the same from then on."""
        self.launch()
        return self.wait_ready()

    def wait_ready(self) -> Server:
        def said() -> str:
            text = self._out.read_text()
            assert self.running, f"the server ended with {self.process.poll()}:\n{self.log()}"  # type: ignore[union-attr]
            return text if "\nTry:" in text else ""

        found = re.search(r"https?://127\.0\.0\.1:(\d+)", until(said, "the banner"))
        assert found is not None
        self.port = int(found[1])
        return self

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self.process is not None
        return self.process.pid

    def stop(self) -> int:
        """SIGTERM and wait; the exit code."""
        assert self.process is not None
        pids = self.pids()
        self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        self._wait_gone(pids)
        return code

    def restart(self) -> Server:
        """Start again after a kill or a stop; ends what is left of the old server first."""
        if self.running:
            self.kill_all()
        return self.start()

    def close(self) -> None:
        """For the end of a test: kill whatever still runs."""
        if self.process is not None:
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self.kill_all()

    def __enter__(self) -> Server:
        return self if self.process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- processes -------------------------------------------------------------------------------------

    def pids(self) -> list[int]:
        """Supervisor first, then its children."""
        return [self.pid, *children(self.pid)]

    def worker_pids(self) -> dict[int, int]:
        """Slot → process id of the workers that serve, as they told in the log since the last start."""
        text = self.log()
        told = {int(slot): int(pid) for slot, pid in re.findall(r"worker (\d+) serves \(pid (\d+)\)", text)}
        return {slot: pid for slot, pid in told.items() if alive(pid)}

    def kill_worker(self, slot: int, number: signal.Signals = signal.SIGKILL) -> int:
        """Kill the worker of a slot; its process id."""
        pid = until(lambda: self.worker_pids().get(slot, 0), f"worker {slot}")
        os.kill(pid, number)
        return pid

    def wait_worker(self, slot: int, killed: int) -> int:
        """Wait until another process than ``killed`` serves in a slot; its process id."""

        def successor() -> int:
            pid = self.worker_pids().get(slot, 0)
            return pid if pid != killed else 0

        return until(successor, f"the successor of worker {slot}")

    def kill_supervisor(self) -> None:
        """Only the supervisor; its workers end by themselves, which is waited for."""
        pids = self.pids()
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._wait_gone(pids)

    def kill_all(self) -> None:
        """Everything at once, the supervisor first so that it replaces nobody."""
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGSTOP)
        pids = self.pids()
        for pid in [*pids[1:], self.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self._wait_gone(pids)

    def _wait_gone(self, pids: Sequence[int]) -> None:
        until(lambda: not any(alive(pid) for pid in pids), "the end of all processes")

    def log(self) -> str:
        """What was logged since the last start."""
        with open(self._log, encoding="utf-8", errors="replace") as file:
            file.seek(self._started_at)
            return file.read()

    # -- clients ---------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, timeout_s: float = PATIENCE_S) -> Client:
        """One connection that tells of every failure."""
        return Client(self.port, timeout_s)

    def client_of(self, slot: int, timeout_s: float = PATIENCE_S) -> Client:
        """A client whose connection is with the worker of a slot: the kernel spreads them, so try until it is."""

        def one() -> Client | None:
            client = self.client(timeout_s)
            client.request("GET", "/minio/health/live")
            if self.slot_of(client) == slot:
                return client
            client.close()
            return None

        return until(one, f"a connection to worker {slot}")

    def slot_of(self, client: Client) -> int | None:
        """The slot whose worker holds the other end of a client's connection; None when nobody does."""
        ends = f":{self.port:04X} ", f":{client.local_port:04X} "
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if f"{words[1]} ".endswith(ends[0]) and f"{words[2]} ".endswith(ends[1]):
                held = {slot for slot, pid in self.worker_pids().items() if _holds(pid, f"socket:[{words[9]}]")}
                return min(held, default=None)
        return None

    def boto3(self, attempts: int = 1, **config: Any) -> Any:
        """An SDK client; ``attempts`` 1 does not try again."""
        import boto3
        from botocore.config import Config

        settings = Config(retries={"total_max_attempts": attempts}, s3={"addressing_style": "path"}, **config)
        return boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", config=settings,
            aws_access_key_id=USER, aws_secret_access_key=PASSWORD,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "")

    @property
    def code(self) -> str:
        """The S3 error code in the body; empty where there is none."""
        found = re.search(rb"<Code>(\w+)</Code>", self.body)
        return found[1].decode() if found else ""

    def element(self, name: str) -> str:
        """The text of the first XML element with a name."""
        found = re.search(rf"<{name}>([^<]*)</{name}>".encode(), self.body)
        return found[1].decode() if found else ""


class Client:
    """S3 requests over one kept connection, signed with V4 and never repeated: what fails raises one of ``BROKEN``, and
    the next request connects anew."""

    def __init__(self, port: int, timeout_s: float = PATIENCE_S) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        self._who = (USER, PASSWORD, "")

    def be(self, access: str, secret: str = "", token: str = "") -> Client:
        """Sign with other keys from now on, on the same connection; not at all without an access key."""
        self._who = (access, secret, token)
        return self

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request and its whole reply.

        :param path: decoded, for example ``/bucket/some key``
        :raises OSError, http.client.HTTPException: the connection broke or the reply was cut
        """
        with self._replying(method, path, query, body, headers) as reply:
            data = reply.read()
        return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, data)

    def outcome(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        """Status and error code alone, for replies that may have no end: of a success nothing is read, and the
        connection is given up."""
        with self._replying(method, path, query, body, headers) as reply:
            data = reply.read() if reply.status >= 300 else b""
            code = re.search(rb"<Code>(\w+)</Code>|\"Code\": ?\"(\w+)\"", data)
            told = (code[1] or code[2]).decode() if code else reply.headers.get("x-minio-error-code", "")
        if reply.status < 300:
            self._connection.close()
        return reply.status, told

    @contextlib.contextmanager
    def _replying(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes,
        headers: Mapping[str, str] | None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request; its reply, of which the head is read."""
        target = quote(path, safe="/-_.~")
        pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in (query or {}).items())
        text = "&".join(f"{k}={v}" for k, v in pairs)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest() if len(body) < 1 << 16 else "UNSIGNED-PAYLOAD"
        given = {name.lower(): value for name, value in (headers or {}).items()}
        given |= {"host": f"127.0.0.1:{self._port}", "x-amz-date": stamp, "x-amz-content-sha256": digest}
        access, secret, token = self._who
        if token:
            given["x-amz-security-token"] = token
        if access:
            given["authorization"] = sign_v4(
                method, target, text, given, digest, access=access, secret=secret, stamp=stamp
            )
        try:
            self._connection.request(method, f"{target}?{text}" if text else target, body or None, given)
            yield self._connection.getresponse()
        except BROKEN:
            self._connection.close()
            raise

    def connect(self) -> None:
        """Make the connection where there is none."""
        if self._connection.sock is None:
            self._connection.connect()

    @property
    def local_port(self) -> int:
        """Of the connection, which is made where there is none."""
        self.connect()
        port: int = self._connection.sock.getsockname()[1]
        return port

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
