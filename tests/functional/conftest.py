"""One server with four drives and two workers for all tests of this folder, and what they need to talk to it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.certificates import Authority
from tests.kit.clients import Tool, own
from tests.kit.decisions import Bench
from tests.kit.operator import Operator
from tests.kit.own_client import Ask, Speaker
from tests.kit.server import Client, Server
from tests.kit.slapd import Slapd
from tests.kit.trees import plant

#: What the log says when something went wrong that no client asked for.
UNEXPECTED = ("unexpected failure of a request", "handler failed", "reply broken off", "reply failed", "Traceback")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """At the end the workers must be those of the start (P07: none died of a request), with nothing odd in the log."""
    with Server(tmp_path_factory.mktemp("functional")) as running:
        before = running.worker_pids()
        assert len(before) == 2
        yield running
        assert running.worker_pids() == before
        odd = [line for line in running.log().splitlines() if any(text in line for text in UNEXPECTED)]
        assert odd == []


@pytest.fixture(scope="session")
def s3(server: Server) -> Any:
    """boto3 as applications use it, but that it does not repeat what failed."""
    return server.boto3()


@pytest.fixture
def wire(server: Server) -> Iterator[Client]:
    """Signed requests with nothing added."""
    with server.client() as client:
        yield client


@pytest.fixture
def bucket(s3: Any) -> str:
    """An empty bucket of its own."""
    name = f"bucket-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def shared(s3: Any) -> str:
    """A bucket for all tests of a module."""
    name = f"shared-{next(_numbers)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """Servers that a test started itself: killed at its end if they still run."""
    started: list[Server] = []
    yield started
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def bench(server: Server) -> Iterator[Bench]:
    """Makes identities of every kind, asks as one of them, and asks why."""
    with server.client() as client:
        yield Bench(server, client, Operator(server))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a policy."""
    statement = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::photos/*"]}
    path = tmp_path_factory.mktemp("policy") / "photos.json"
    path.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Of the certificates of ``slapd``."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Slapd]:
    with Slapd(tmp_path_factory.mktemp("directory") / "slapd", authority) as running:
        yield running


# -- sos client, and for modules with another client as ``tool`` what goes with it --------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def tool(server: Server, home: Path) -> Tool:
    return own(server.url, home)


@pytest.fixture(scope="module")
def ask(tool: Tool) -> Ask:
    return Speaker(tool).ask


@pytest.fixture(scope="module")
def fail(tool: Tool) -> Any:
    return Speaker(tool).fail


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with three files."""
    return plant(tmp_path / "tree", {"a.txt": b"hello\n", "sub/b.txt": b"foo\n", "sub/deep/c.bin": b"x" * 2000})
