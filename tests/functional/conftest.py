"""One server with four drives and two workers for all tests of this folder, and what they need to talk to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.server import Client, Server

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
