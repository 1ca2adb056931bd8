"""Reading the pulse page: who stands still, and which drives a dead worker was touching."""

from __future__ import annotations

from ..base.pages import PULSE_BEAT, PULSE_THREADS, THREADS_MAX, Pages


class Silence:
    """How long a worker's beat has stood still, in time during which the supervisor itself was awake.

    After a pause of the whole machine every beat is old; counting at most a fixed step per look discounts the pause.
    """

    def __init__(self, step_max_s: float) -> None:
        self._step_max_s = step_max_s
        self._beat = 0
        self._at_s = 0.0
        self.silent_s = 0.0
        self.moved = False

    def look(self, beat: int, now_s: float) -> float:
        """Seconds of silence. ``moved`` stays set until :meth:`forget_moved`."""
        if beat != self._beat or not self._at_s:
            self.moved |= beat != self._beat
            self._beat, self.silent_s = beat, 0.0
        else:
            self.silent_s += min(now_s - self._at_s, self._step_max_s)
        self._at_s = now_s
        return self.silent_s

    def forget_moved(self) -> None:
        self.moved = False


def beat_of(pages: Pages, slot: int) -> int:
    return pages.pulse(slot, PULSE_BEAT)


def touched(pages: Pages, slot: int) -> list[int]:
    """Numbers of the drives that the threads of a worker were touching, each once."""
    words = (pages.pulse(slot, PULSE_THREADS + i) for i in range(THREADS_MAX))
    return sorted({word - 1 for word in words if word})
