"""``mc support inspect``: the records of some objects as every drive has them, where their shards are, and what the server
is, in a sealed archive. No payload is in it."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from ...domain.errors import InvalidAdminArgument, NoSuchKey
from ...http.message import Reply
from ...meta.records import BucketRecord
from ...services.raw_rows import OnDrive
from ..call import Call
from ..estream import plain_key, read_public_key, sealed_key

KEYS_MAX = 1000
PAGE = 1000
FORM_BYTES_MAX = 64 * 1024
#: What MinIO calls the file of an object's records; patterns of its users end so.
RECORD_FILE = "/xl.meta"
_WILD = re.compile(r"(\*\*+|\*|\?)")
PATTERN_CHARS_MAX = 4096


async def inspect_data(call: Call) -> Reply:
    """The archive for ``volume`` (a bucket) and ``file`` (a key, or a pattern with ``*``, ``**`` and ``?``)."""
    asked = call.query
    if call.request.method == "POST":
        text = (await call.document(FORM_BYTES_MAX)).decode("latin-1")
        try:
            asked = {**asked, **parse_qs(text, keep_blank_values=True, max_num_fields=100)}
        except ValueError:
            raise InvalidAdminArgument("Too many fields in the form.") from None
    volume, file, public = (asked.get(name, [""])[0] for name in ("volume", "file", "public-key"))
    if not volume or not file:
        raise InvalidAdminArgument("volume and file must be given.")
    if len(file) > PATTERN_CHARS_MAX:
        raise InvalidAdminArgument("The pattern is too long.")
    key = read_public_key(public) if public else None
    bucket = await call.services.buckets.get(volume)
    found = await _matching(call, bucket, file.removesuffix(RECORD_FILE))
    if not found:
        raise NoSuchKey()
    archive = await asyncio.to_thread(_archive, call, bucket, file, found)
    sealed = (
        await asyncio.to_thread(plain_key, archive)
        if key is None
        else await asyncio.to_thread(sealed_key, archive, key)
    )
    return Reply(200, [("Content-Type", "application/octet-stream")], sealed)


async def _matching(call: Call, bucket: BucketRecord, pattern: str) -> list[bytes]:
    """Keys, deleted ones included."""
    wild = _WILD.search(pattern)
    prefix = (pattern if wild is None else pattern[: wild.start()]).encode()
    fits = matcher(pattern)
    found: dict[bytes, None] = {}
    marker, version = b"", None
    while len(found) < KEYS_MAX:
        page = await call.services.observing.inside.listing.versions(bucket, prefix, b"", marker, version, PAGE)
        fitting = await asyncio.to_thread(_fitting, fits, [key for key, _ in page.entries])
        found |= dict.fromkeys([key for key in fitting if key not in found][: KEYS_MAX - len(found)])
        if not page.truncated or (wild is None and found):
            break
        marker, version = page.next_key, page.next_version
    return list(found)


def _fitting(fits: Callable[[str], bool], keys: list[bytes]) -> list[bytes]:
    """Those of some keys that fit, each once."""
    return [key for key in dict.fromkeys(keys) if fits(key.decode("utf-8", "replace"))]


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text fits a pattern: ``**`` goes over slashes, ``*`` and ``?`` do not.

    All places that can be reached in the text are followed at once, a bit each, so that no pattern takes longer than its
    length times that of the text. A regular expression of a few stars can take for ever.
    """
    parts = [part for part in _WILD.split(pattern) if part]

    def fits(text: str) -> bool:
        places: dict[str, int] = {}
        for i, char in enumerate(text):
            places[char] = places.get(char, 0) | 1 << i
        every = (1 << len(text)) - 1
        plain = every & ~places.get("/", 0)
        at = 1
        for part in parts:
            if part.startswith("**"):
                at = (every << 1 | 1) & -(at & -at)  # from the first place on
            elif part == "*":
                at |= ((at & plain) + plain) ^ plain  # the carry runs to the end of each run without a slash
            else:
                for char in part:
                    at = (at & (plain if part == "?" else places.get(char, 0))) << 1
            if not at:
                return False
        return bool(at >> len(text) & 1)

    return fits


def _archive(call: Call, bucket: BucketRecord, file: str, found: list[bytes]) -> bytes:
    facts, memory = call.services.cluster.facts(), io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        pools = " ".join(facts.pools)
        archive.writestr(
            "inspect-input.txt", f"Inspect path: {bucket.name}/{file}\nServer command line args: {pools}\n"
        )
        about = {"deploymentID": facts.deployment, "version": facts.version, "endpoint": facts.endpoint}
        archive.writestr("cluster.info", _json({**about, "pools": facts.pools, "workers": facts.workers}))
        for key in found:
            name = key.decode("utf-8", "backslashreplace")
            for one in call.services.observing.inside.raw_rows(bucket.bucket_id, key):
                path = _safe(f"{facts.endpoint}{one.path}/{bucket.name}/{name}/records.json")
                archive.writestr(path, _json(_shown(one)))
    return memory.getvalue()


def _safe(path: str) -> str:
    """A name that leads nowhere else when the archive is unpacked."""
    return "/".join("_" if part in ("..", ".") else part for part in path.split("/"))


def _shown(one: OnDrive) -> dict[str, Any]:
    rows = [
        {
            "table": row.table,
            "key": row.key.hex(),
            "value": row.value.hex(),
            "record": row.record,
            "error": row.error,
        }
        for row in one.rows
    ]
    return {
        "set": one.set,
        "drive": one.drive,
        "path": one.path,
        "epoch": one.position[0],
        "sequence": one.position[1],
        "error": one.error,
        "rows": rows,
    }


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
