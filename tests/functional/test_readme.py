"""The examples of README.md work as they stand there, against a server with the default credentials."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.clients import PLACES
from tests.kit.server import ROOT, Server

ADDRESS = "127.0.0.1:9000"
#: A marker names the programs without which the block is skipped.
BLOCK = re.compile(r"<!-- run(?P<needs>[ \w]*) -->\n```sh\n(?P<text>.*?)```\n", re.DOTALL)
BLOCKS = [(found["needs"].split(), found["text"]) for found in BLOCK.finditer((ROOT / "README.md").read_text())]
EXAMPLES = [pytest.param(needs, text, id=needs[-1]) for needs, text in BLOCKS if needs]
SETTINGS = "".join(text for needs, text in BLOCKS if not needs)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    default = {"MINIO_ROOT_USER": "minioadmin", "MINIO_ROOT_PASSWORD": "minioadmin"}
    with Server(tmp_path_factory.mktemp("readme"), env=default) as running:
        yield running


def environment(home: Path) -> dict[str, str]:
    """Of a newcomer: nothing configured, no proxy, the programs of the checkout in front."""
    hidden = ("AWS_", "MINIO_", "SOS_", "RESTIC_", "RCLONE_")
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith(hidden)}
    path = os.pathsep.join([str(Path(sys.executable).parent), *map(str, PLACES), os.environ["PATH"]])
    return {**kept, "HOME": str(home), "PATH": path, "AWS_EC2_METADATA_DISABLED": "true"}


def test_the_page_has_examples_of_every_client() -> None:
    assert [needs for needs, _ in BLOCKS if needs] == [
        ["python3"], ["aws"], ["mc"], ["sos", "seq"], ["s3cmd"], ["rclone"], ["restic"], ["sos"], ["curl"],
    ]  # fmt: skip
    assert ADDRESS in SETTINGS


@pytest.mark.parametrize(("needs", "text"), EXAMPLES)
def test_example_of_the_page(needs: list[str], text: str, server: Server, home: Path) -> None:
    env = environment(home)
    for program in needs:
        if shutil.which(program, path=env["PATH"]) is None:
            pytest.skip(f"{program} is not installed")
    # an alias of a script is known from the next line on, as at a prompt
    script = f"shopt -s expand_aliases\nset -eu\n{SETTINGS}{text}".replace(ADDRESS, server.url.removeprefix("http://"))
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
