"""The systemd unit and the scripts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kit.server import ROOT

UNIT = Path(ROOT, "systemd/sos.service")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


@needs_systemd
def test_unit_is_valid(tmp_path: Path) -> None:
    unit = tmp_path / "sos.service"
    # the program is not installed where the unit expects it
    unit.write_text(UNIT.read_text().replace("/opt/sos/.venv/bin/sos", "/bin/true"))
    found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert [line for line in found.stderr.splitlines() if "sos.service" in line] == []
    assert found.returncode == 0


@needs_systemd
def test_unit_exposes_little() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_unit_agrees_with_the_server() -> None:
    text = UNIT.read_text()
    assert "Type=notify" in text
    assert "OOMPolicy=continue" in text
    assert re.search(r"^TimeoutStopSec=90$", text, re.MULTILINE), "above drain_timeout_s and its grace"


@pytest.mark.parametrize("name", ["scripts/setup", "scripts/run", "scripts/check", "scripts/test", ".ci/run"])
def test_scripts_parse_and_can_be_run(name: str) -> None:
    path = os.path.join(ROOT, name)
    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
