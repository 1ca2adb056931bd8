"""Moments as clients show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

#: What tests may take, and clocks may differ.
LATELY = timedelta(minutes=10)


def near(text: str) -> bool:
    """Whether an RFC 3339 moment is about now."""
    return abs(datetime.now(UTC) - datetime.fromisoformat(text)) < LATELY
