"""When to start a worker again, and when to give up. Pure."""

from __future__ import annotations

import signal
from collections import deque

WINDOW_S = 30.0
#: Deaths within the window that are answered at once.
FREE = 3
DELAY_FIRST_S, DELAY_MAX_S = 0.1, 2.0
#: Failed boots in a row after which the server stops.
BOOTS_MAX = 5


class Respawn:
    """The history of one slot.

    A worker that served and died is always started again, after a delay where it dies often. A worker that cannot
    boot, time after time, stops the server: the operator (or the service manager) must act.
    """

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=64)
        self._failed_boots = 0

    def served(self) -> None:
        self._failed_boots = 0

    def died(self, now_s: float, code: int, had_served: bool, chance: float) -> float | None:
        """Seconds to wait, or None to give up.

        :param code: exit code or negative signal number
        :param chance: uniform in [0, 1), spreads the starts of several slots
        """
        # SIGKILL comes from outside (the operator, the kernel short of memory): not a sign that booting is hopeless
        if not had_served and code != -signal.SIGKILL:
            self._failed_boots += 1
            if self._failed_boots >= BOOTS_MAX:
                return None
        self._deaths.append(now_s)
        recent = sum(1 for at in self._deaths if now_s - at < WINDOW_S)
        if recent <= FREE:
            return 0.0
        power = min(recent - FREE - 1, 16)
        return min(DELAY_MAX_S, DELAY_FIRST_S * float(2**power)) * (0.5 + chance / 2)
