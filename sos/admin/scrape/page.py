"""One answer to Prometheus: metrics by name, each with its samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from ...base.later import Later
from ...observe.tallies import BOUNDS_S

if TYPE_CHECKING:
    from prometheus_client import core, exposition
else:
    core, exposition = Later("prometheus_client.core"), Later("prometheus_client.exposition")

Labels = Mapping[str, str]
Samples = Iterable[tuple[Labels, float]]


class Page:
    """Collects metrics and renders them.

    :param common: labels of every sample
    """

    def __init__(self, common: Labels | None = None) -> None:
        self._common = dict(common or {})
        self._metrics: dict[str, core.Metric] = {}
        self._counters: set[str] = set()

    def gauge(self, name: str, text: str, value: float | Samples) -> None:
        """:param value: the only one, or several with their labels"""
        self._add(name, text, value)

    def counter(self, name: str, text: str, value: float | Samples) -> None:
        """Of what only grows."""
        self._add(name, text, value)
        self._counters.add(name)

    def _add(self, name: str, text: str, value: float | Samples) -> None:
        samples = [({}, value)] if isinstance(value, int | float) else list(value)
        if not samples:
            return
        # the library has its own idea of how counters are called; MinIO's names are older
        metric = self._metrics.setdefault(name, core.Metric(name, text, "gauge"))
        for labels, number in samples:
            metric.add_sample(name, {**self._common, **labels}, number)

    def collect(self) -> Iterator[core.Metric]:
        return iter(self._metrics.values())

    def render(self) -> bytes:
        """The text format 0.0.4 of Prometheus."""
        lines = exposition.generate_latest(self).decode().split("\n")
        return "\n".join(map(self._typed, lines)).encode()

    def _typed(self, line: str) -> str:
        if line.startswith("# TYPE ") and line.split(" ")[2] in self._counters:
            return line.removesuffix("gauge") + "counter"
        return line


def distribution(labels: Labels, counts: Iterable[int]) -> Iterator[tuple[Labels, float]]:
    """Times to the first byte as MinIO tells them: for each bound how many took at most as long."""
    for bound, count in zip((*(f"{bound:.3f}" for bound in BOUNDS_S), "+Inf"), accumulate(counts), strict=True):
        yield {**labels, "le": bound}, count
