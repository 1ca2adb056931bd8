"""What a place holds, and how places are named."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, an object, a version of one, an unfinished upload, or a folder.

    :param path: ``bucket/key`` of an object; of a file its path. A folder's ends with a slash
    :param headers: what a HEAD told
    """

    path: str
    size: int = 0
    modified: datetime | None = None
    etag: str = ""
    folder: bool = False
    version_id: str = ""
    latest: bool = True
    delete_marker: bool = False
    storage_class: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    upload_id: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What an argument names.

    :param text: as it was written
    :param alias: empty: ``path`` is a local one, else ``bucket/key``
    """

    text: str
    alias: str
    path: str

    @property
    def bucket(self) -> str:
        return self.path.partition("/")[0] if self.alias else ""

    @property
    def key(self) -> str:
        return self.path.partition("/")[2] if self.alias else ""

    def named(self, path: str) -> str:
        """A path of the same place, as it would be written."""
        return f"{self.alias}/{path}" if self.alias else path
