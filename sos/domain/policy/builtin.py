"""The policies that every deployment has (MinIO's canned policies). Overrides can be deleted; these cannot be lost."""

from __future__ import annotations

from functools import cache
from typing import Any

from .compiled import Policy, compile_policy
from .document import VERSION, Document, Kind, parse, to_json

_DIAGNOSTICS = """
Profiling ServerTrace ConsoleLog ServerInfo TopLocksInfo OBDInfo BandwidthMonitor Prometheus
"""


def _allow(actions: list[str], resources: list[str] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions}
    return statement | ({"Resource": resources} if resources else {})


_EVERYTHING = ["arn:aws:s3:::*"]

BUILTIN: dict[str, dict[str, Any]] = {
    name: {"Version": VERSION, "Statement": statements}
    for name, statements in {
        "readwrite": [_allow(["s3:*"], _EVERYTHING)],
        "readonly": [_allow(["s3:GetBucketLocation", "s3:GetObject"], _EVERYTHING)],
        "writeonly": [_allow(["s3:PutObject"], _EVERYTHING)],
        "diagnostics": [_allow([f"admin:{name}" for name in _DIAGNOSTICS.split()], _EVERYTHING)],
        "consoleAdmin": [_allow(["admin:*"]), _allow(["kms:*"]), _allow(["s3:*"], _EVERYTHING)],
    }.items()
}
"""Name → document."""


@cache
def builtin_documents() -> dict[str, Document]:
    from msgspec.json import encode

    return {name: parse(encode(document), Kind.IDENTITY) for name, document in BUILTIN.items()}


@cache
def builtin_policies() -> dict[str, Policy]:
    return {name: compile_policy(name, document, Kind.IDENTITY) for name, document in builtin_documents().items()}


@cache
def builtin_json() -> dict[str, bytes]:
    return {name: to_json(document) for name, document in builtin_documents().items()}
