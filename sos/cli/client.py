"""``sos client``: imported only when it is asked for, since its libraries are no business of a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    from ..client.app import run as client

    return client(argv, environ)
