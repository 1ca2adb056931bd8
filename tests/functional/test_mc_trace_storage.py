"""What ``mc admin trace --call storage`` shows: each write, sync and read of a drive, and each transaction of its index."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.functional.test_mc_observe import listening
from tests.kit.clients import Tool, mc
from tests.kit.server import Server, until

BIG = bytes(300_000)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def tool(server: Server, home: Path) -> Tool:
    return mc(server.url, home)


def test_every_use_of_every_drive_is_shown(server: Server, tool: Tool, s3: Any, bucket: str) -> None:
    with listening(tool, "admin", "trace", "-v", "--call", "storage", "sos") as printed:

        def shown() -> dict[str, set[str]]:
            """Function → drives."""
            key = {"Bucket": bucket, "Key": f"traced-{next(_numbers)}"}
            s3.put_object(**key, Body=BIG)
            assert s3.get_object(**key)["Body"].read() == BIG
            found: dict[str, set[str]] = {}
            for line in printed():
                assert line["type"] == "Storage" and line["host"] == f"127.0.0.1:{server.port}", line
                assert line["duration"] > 0
                found.setdefault(line["api"], set()).add(line["path"].split(" ")[0])
            return found

        def complete() -> bool:
            found = shown()
            wide = ("storage.Allocate", "storage.Write", "storage.Sync", "storage.Apply")
            return all(found.get(one) == set(server.paths) for one in wide) and "storage.Read" in found

        until(complete, "traces of every drive")
        assert not any(line.get("error") for line in printed())


def test_others_are_not_shown_them(server: Server, tool: Tool, s3: Any, bucket: str) -> None:
    words = ("admin", "trace", "-v")
    with listening(tool, *words, "-a", "sos") as every, listening(tool, *words, "--call", "s3", "sos") as s3_alone:

        def both() -> bool:
            s3.put_object(Bucket=bucket, Key="traced", Body=BIG)
            return {"S3", "Storage"} <= {line["type"] for line in every()} and bool(s3_alone())

        until(both, "traces of both kinds")
        assert {line["type"] for line in s3_alone()} == {"S3"}
