"""Zip archives of exports and imports. Nothing is ever unpacked into the file system; what an archive may take is bounded."""

from __future__ import annotations

import asyncio
import io
import zipfile
import zlib
from collections.abc import Iterable

from ..domain.errors import InvalidRequest

#: Of an archive, of all that is in it, and the number of its members.
ARCHIVE_BYTES_MAX = 64 * 1024 * 1024
CONTENT_BYTES_MAX = 128 * 1024 * 1024
MEMBERS_MAX = 100_000


async def pack(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The archive of some members."""
    return await asyncio.to_thread(_pack, list(members))


async def unpack(archive: bytes) -> dict[str, bytes]:
    """The members by name.

    :raises InvalidRequest: no archive, a damaged or encrypted one, one that grows beyond the bounds, or one with two
        members of a name
    """
    return await asyncio.to_thread(_unpack, archive)


def _pack(members: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def _unpack(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = [one for one in archive.infolist() if not one.is_dir()]
            if len(listed) > MEMBERS_MAX:
                raise InvalidRequest(f"The archive has more than {MEMBERS_MAX} members.")
            if sum(one.file_size for one in listed) > CONTENT_BYTES_MAX:
                raise InvalidRequest(f"The archive holds more than {CONTENT_BYTES_MAX} bytes.")
            left = CONTENT_BYTES_MAX
            for one in listed:
                if one.filename in found:
                    raise InvalidRequest(f"The archive has two members {one.filename[:200]!r}.")
                found[one.filename] = content = _content(archive, one, left)
                left -= len(content)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, ValueError) as error:
        raise InvalidRequest(f"The archive cannot be read: {error}") from None
    except (RuntimeError, NotImplementedError, OSError) as error:  # encrypted; packed in a way that is not known
        raise InvalidRequest(f"The archive cannot be read: {error}") from None
    return found


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """What it says of its size counts for nothing: no more than allowed is unpacked."""
    with archive.open(member) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise InvalidRequest(f"The archive holds more than {CONTENT_BYTES_MAX} bytes.")
    return content
