"""Libraries that few servers ever need: loaded when something of them is first used, not at every start.

Where a type checker has to know the library too::

    if TYPE_CHECKING:
        import aiohttp
    else:
        aiohttp = Later("aiohttp")
"""

from __future__ import annotations

import importlib
from typing import Any


class Later:
    """Stands for a module. The first use blocks for as long as it loads; :meth:`load` does that in a thread."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)

    def load(self) -> None:
        """:raises ImportError:"""
        importlib.import_module(self._name)
