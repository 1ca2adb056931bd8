"""Settings as text: what ``sos config show`` prints, and the commented sample file."""

from __future__ import annotations

import json
import textwrap
from itertools import groupby
from typing import Any

from .load import Loaded
from .settings import OPTIONS, Option, display


def show_text(loaded: Loaded) -> str:
    """One line per setting: value and source."""
    rows = [(o.name, display(o, getattr(loaded.settings, o.name)), loaded.sources[o.name]) for o in OPTIONS]
    wide = [max(len(row[i]) for row in rows) for i in (0, 1)]
    wide[1] = min(wide[1], 40)
    return "\n".join(f"{name:<{wide[0]}}  {value:<{wide[1]}}  {source}" for name, value, source in rows)


def show_json(loaded: Loaded) -> str:
    """An object of setting → value and source; durations in seconds, sizes in bytes."""
    return json.dumps(
        {
            o.name: {"value": _plain(o, getattr(loaded.settings, o.name)), "source": loaded.sources[o.name]}
            for o in OPTIONS
        },
        indent=2,
    )


def _plain(option: Option, value: Any) -> Any:
    return "********" if option.secret else value


def sample() -> str:
    """A TOML file with every setting commented out at its default."""
    lines = [
        "# Settings of sos. Every line that is commented out shows the default.",
        "# A flag of the command line beats an environment variable (SOS_X, then MINIO_X), which beats this file.",
        "# `sos config show` prints every value and where it came from.",
    ]
    for section, options in groupby(OPTIONS, key=lambda option: option.section):
        lines += ["", f"[{section}]"]
        for option in options:
            lines += ["", *_comment(option), f"#{option.name} = {option.kind.show(option.default)}"]
    return "\n".join(lines) + "\n"


def _comment(option: Option) -> list[str]:
    where = ", ".join([*option.flags, f"SOS_{option.names[0]}", f"MINIO_{option.names[0]}"])
    return [f"# {line}" for line in [*textwrap.wrap(option.help, 110), f"({where})"]]
