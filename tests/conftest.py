"""Tests that cannot run side by side."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

LOCK = Path(tempfile.gettempdir(), f"sos-tests-{os.getuid()}.lock")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """One test marked ``serial`` at a time on this machine, whatever its process. Its time out begins with its turn."""
    if item.get_closest_marker("serial") is None:
        return (yield)
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return (yield)
