"""``sos server``: serve drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..config.load import load
from ..supervisor.serve import serve
from . import flags


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Settle the configuration, then supervise until told to stop."""
    given = flags.read(flags.parser("sos server", "Serve the S3 API from the named drives."), argv, environ)
    return serve(load(given, environ), lambda: load(given, environ))
