"""S3_SUPPORT.md, from the table of operations."""

from __future__ import annotations

from .operations import OPERATIONS, Level, Operation

HEAD = """# Support of the S3 API

Generated from `sos/s3/operations.py` by `scripts/s3-support`; do not edit.

An operation marked *no* is recognised and answers `501 NotImplemented` with its name: nothing is accepted and then
ignored. The same holds for headers: server-side encryption, access control lists that would grant anything, and object
lock on buckets that do not have it are refused, not dropped.
"""

TITLES = {Level.SERVICE: "Service", Level.BUCKET: "Buckets", Level.OBJECT: "Objects"}


def _request(operation: Operation) -> str:
    path = {Level.SERVICE: "/", Level.BUCKET: "/bucket", Level.OBJECT: "/bucket/key"}[operation.level]
    query = "?" + "&".join(operation.query) if operation.query else ""
    headers = "".join(f", `{header.replace('=', ': ')}`" for header in operation.headers)
    return f"`{operation.method} {path}{query}`{headers}"


def _line(operation: Operation) -> str:
    supported = "yes" if operation.handler is not None else "no"
    return f"| {operation.name} | {_request(operation)} | {operation.action} | {supported} | {operation.note} |"


def page() -> str:
    """The whole page."""
    done = sum(operation.handler is not None for operation in OPERATIONS)
    parts = [HEAD, f"{done} of {len(OPERATIONS)} operations are supported.\n"]
    for level, title in TITLES.items():
        rows = sorted((op for op in OPERATIONS if op.level == level), key=lambda op: (op.handler is None, op.name))
        table = ["| operation | request | IAM action | supported | remarks |", "| --- | --- | --- | --- | --- |"]
        parts.append(f"## {title}\n\n" + "\n".join([*table, *map(_line, rows)]) + "\n")
    return "\n".join(parts)
