"""``sos config``: what the settings are and where each came from."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from ..config.load import load
from ..config.render import sample, show_json, show_text
from . import flags


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """``show`` takes every flag of ``sos server``, so that a command line can be tried out."""
    words = list(argv)
    if "sample" in words[:1]:
        print(sample(), end="")
        return 0
    if "show" in words:
        words.remove("show")
    elif "--help" not in words and "-h" not in words:
        print("FATAL write `sos config show` or `sos config sample`", file=sys.stderr)
        return 1
    parser = flags.parser("sos config show", "Print every setting, its value and where it came from.")
    as_json = "--json" in words
    loaded = load(flags.read(parser, [word for word in words if word != "--json"], environ), environ)
    print(show_json(loaded) if as_json else show_text(loaded))
    for warning in loaded.warnings:
        print(f"WARNING {warning}", file=sys.stderr)
    return 0
