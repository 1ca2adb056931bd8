"""What a worker touches through mappings right now, on its pulse, so that the supervisor knows which drive it died of.

A use takes one of the pulse's words for as long as it lasts: an open snapshot of an index, a commit, a read of a volume.
When all words are taken a use goes unnoted; the supervisor has 48 others to go by.
"""

from __future__ import annotations

from .pages import PULSE_THREADS, THREADS_MAX, Pages

_UNNOTED = -1


class Touches:
    """The words of one worker."""

    def __init__(self, pages: Pages | None = None, slot: int = 0) -> None:
        """Without ``pages`` nothing is noted."""
        self.words = memoryview(bytearray(8)).cast("Q") if pages is None else pages.pulse_words(slot)
        # pop and append of a list are atomic
        self.free = [] if pages is None else list(range(PULSE_THREADS, PULSE_THREADS + THREADS_MAX))


class Touch:
    """The uses of one drive. ``begin`` and ``end`` may be called in any thread.

    :param drive: its number over all sets
    """

    __slots__ = ("_free", "_value", "_words")

    def __init__(self, touches: Touches, drive: int) -> None:
        self._words, self._free, self._value = touches.words, touches.free, drive + 1

    def begin(self) -> int:
        """A use begins; what ``end`` takes."""
        try:
            word = self._free.pop()
        except IndexError:
            return _UNNOTED
        self._words[word] = self._value
        return word

    def end(self, word: int) -> None:
        if word != _UNNOTED:
            self._words[word] = 0
            self._free.append(word)


#: For a drive that no worker has open.
UNNOTED = Touch(Touches(), 0)
