"""How the tests are spread over processes."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``--dist loadgroup``: a file's tests stay together, so that its fixtures are made once; those that are marked
    ``serial`` stay together whatever their file."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            name = "serial" if item.get_closest_marker("serial") else item.nodeid.partition("::")[0]
            item.add_marker(pytest.mark.xdist_group(name))
