"""What unit tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.surface import Surface


@pytest.fixture
def s3() -> Iterator[Surface]:
    """The S3 surface in memory, with an empty bucket ``bucket``."""
    surface = Surface()
    assert surface.send("PUT", "/bucket").status == 200
    yield surface
    surface.close()
