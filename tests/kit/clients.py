"""Real S3 clients: found on this machine, pointed at a server with a configuration of their own, and run.

A client that cannot be had skips its tests with the reason. ``scripts/setup test`` installs them all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .server import PASSWORD, ROOT, USER

#: Where ``scripts/setup test`` puts what does not come from a Debian or Python package.
CLIENTS = ROOT / "build" / "clients"
PLACES = [CLIENTS / "bin", ROOT / ".venv" / "bin", Path.home() / "go" / "bin"]
TIMEOUT_S = 120.0
HIDDEN = ("AWS_", "MC_", "MINIO_", "RCLONE_", "RESTIC_", "SOS_")


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    """Status and code with which a boto3 call is refused."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    meta = response["ResponseMetadata"]
    return meta["HTTPStatusCode"], meta["HTTPHeaders"].get("x-minio-error-code") or response["Error"]["Code"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True, slots=True)
class Tool:
    """A command line client, ready to talk to one server.

    :param command: with the arguments that always come first
    :param env: added to the environment
    """

    command: tuple[str, ...]
    env: Mapping[str, str]

    def run(self, *arguments: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ended:
        """Run it, whatever its exit code."""
        # no proxy between a test and its server, and nothing that the user has configured for a client
        clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith(HIDDEN)}
        done = subprocess.run(
            [*self.command, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            env={**clean, **self.env, **(env or {})},
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def __call__(self, *arguments: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ended:
        """Run it; it must succeed."""
        ended = self.run(*arguments, stdin=stdin, env=env)
        assert ended.code == 0, f"{arguments} ended with {ended.code}:\n{ended.out}\n{ended.err}"
        return ended


def find(name: str, version: tuple[str, ...] = (), says: str = "") -> str:
    """The path of a program; skips the test when there is none.

    :param version: arguments that make it say what it is
    :param says: text that must be in it, where another program has the same name
    """
    paths = [str(place / name) for place in PLACES if (place / name).exists()]
    paths += filter(None, [shutil.which(name)])
    for path in paths:
        if not says or says in subprocess.run([path, *version], capture_output=True, text=True, check=False).stdout:
            return path
    pytest.skip(f"{name} is not installed; scripts/setup test installs it where it can")


def mc(url: str, home: Path) -> Tool:
    """MinIO's client with the alias ``sos``."""
    path = find("mc", ("--version",), "MinIO")
    # mc looks for the user's shell, and says something of any other than bash before its JSON
    env = {"MC_CONFIG_DIR": str(home), "SHELL": "/bin/bash"}
    tool = Tool((path, "--config-dir", str(home), "--disable-pager", "--no-color"), env)
    tool("alias", "set", "sos", url, USER, PASSWORD)
    return tool


def own(url: str, home: Path) -> Tool:
    """``sos client`` with the alias ``sos``; ``home`` is the user's home directory."""
    env = {"HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    tool = Tool((sys.executable, "-m", "sos.cli.main", "client"), env)
    tool("alias", "set", "sos", url, USER, PASSWORD)
    return tool


def aws(url: str, home: Path) -> Tool:
    """The AWS command line, with nothing of the user's own configuration."""
    env = {
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": PASSWORD,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "AWS_MAX_ATTEMPTS": "1",
    }
    return Tool((find("aws"), "--endpoint-url", url), env)


def s3cmd(url: str, home: Path) -> Tool:
    host = url.removeprefix("http://")
    config = home / "s3cfg"
    config.write_text(
        f"[default]\naccess_key = {USER}\nsecret_key = {PASSWORD}\nhost_base = {host}\nhost_bucket = {host}\n"
        "use_https = False\nbucket_location = us-east-1\nmax_retries = 1\n"
    )
    return Tool((find("s3cmd"), "--config", str(config), "--no-progress"), {})


def rclone(url: str, home: Path) -> Tool:
    """rclone with the remote ``sos:``."""
    env = {
        "RCLONE_CONFIG": str(home / "rclone.conf"),
        "RCLONE_CONFIG_SOS_TYPE": "s3",
        "RCLONE_CONFIG_SOS_PROVIDER": "Minio",
        "RCLONE_CONFIG_SOS_ENDPOINT": url,
        "RCLONE_CONFIG_SOS_ACCESS_KEY_ID": USER,
        "RCLONE_CONFIG_SOS_SECRET_ACCESS_KEY": PASSWORD,
        "RCLONE_RETRIES": "1",
        "RCLONE_LOW_LEVEL_RETRIES": "1",
    }
    (home / "rclone.conf").touch()
    return Tool((find("rclone"),), env)
