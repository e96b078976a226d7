"""How many calls a second the sandbox takes."""

from __future__ import annotations


class FixedWindowQuota:
    """Counts calls in windows of one second that begin at whole seconds of the clock.

    A burst across a boundary may so be twice the limit within one second, as with the service.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._window = -1
        self._count = 0

    def count_call(self, now: float) -> int:
        """Count one call at `now` and return how many its window has seen, this one included."""
        window = int(now)
        if window != self._window:
            self._window = window
            self._count = 0
        self._count += 1
        return self._count
