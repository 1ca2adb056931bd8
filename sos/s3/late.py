"""Replies that may take long: copies and completions. Their status is sent in time, their document when it is known.

A client that waits for CompleteMultipartUpload or CopyObject gives up after a while of silence. So after ``wait_s`` the
reply becomes 200, white space follows, and the document, which may be an ``<Error>``, at the end (S3 does the same).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ..http.message import Reply
from .call import Call
from .errors import Place, describe, document
from .xml.text import HEADER

_RUNNING: set[asyncio.Task[Reply]] = set()
"""Keeps tasks alive whose client went away: what was begun is ended."""


async def reply_in_time(call: Call, work: Coroutine[Any, Any, Reply]) -> Reply:
    """The reply of ``work``, or a late one when it takes longer than ``wait_s``."""
    task = asyncio.ensure_future(work)
    _RUNNING.add(task)
    task.add_done_callback(_forget)
    await asyncio.wait({task}, timeout=call.settings.wait_s)
    if task.done():
        return task.result()
    return Reply(200, [("Content-Type", "application/xml")], late=_document(call, task))


def _forget(task: asyncio.Task[Reply]) -> None:
    _RUNNING.discard(task)
    if not task.cancelled():
        task.exception()  # taken note of: the waiter, if there still is one, raises it


async def _document(call: Call, task: asyncio.Task[Reply]) -> bytes:
    """The document without its XML declaration, which may not follow white space."""
    try:
        body = (await task).body
    except Exception as error:  # noqa: BLE001 - the outermost level of a reply whose head is sent
        return document(describe(error), place_of(call)).encode()
    return body.removeprefix(HEADER.encode()) if isinstance(body, bytes) else b""


def place_of(call: Call) -> Place:
    """Where a failure of this request happened."""
    request = call.request
    key = call.key.decode("utf-8", "replace")
    resource = f"/{call.bucket}/{key}" if call.bucket else "/"
    settings = call.settings
    return Place(request.method, resource, call.bucket, key, request.request_id, settings.host_id, settings.region)
