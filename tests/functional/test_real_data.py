"""Real clients store a real tree and get every byte of it back, with a drive lost and workers killed on the way: the script
that a reader would run, in its shortest form."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.server import ROOT

CLIENTS = ("rclone", "aws", "s3cmd", "restic")


def installed() -> list[str]:
    places = f"{Path(sys.prefix, 'bin')}:{Path.home() / 'go' / 'bin'}"
    return [name for name in CLIENTS if shutil.which(name) or shutil.which(name, path=places)]


def real_data(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "real-data"), "--directory", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


def test_real_clients_get_back_what_they_stored(tmp_path: Path) -> None:
    clients = installed()
    if not clients:
        pytest.skip("none of the clients is installed; scripts/setup test installs them")
    done = real_data(tmp_path, "--size", "tiny", "--clients", ",".join(clients))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert f"{2 * len(clients) + 3} steps succeeded, 0 failed" in said
    assert len(re.findall(r"killed with -9, its successor served", said)) >= len(clients)
    assert "drive d4: " in said
    assert list(tmp_path.iterdir()) == [], "it cleans up"


def test_a_missing_client_is_named_with_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "real-data"), "--directory", str(tmp_path), "--clients", "rclone,nosuch"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "no such client: nosuch" in done.stderr
    assert list(tmp_path.iterdir()) == []
