"""How many calls ended lately, and how many of them failed."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 30
"""Seconds over which calls are counted."""
LEAST_CALLS = 20
"""Fewer calls in the window say nothing about the network."""
LEAST_FAILED_SHARE = 0.5
"""Share of the calls in the window that must have failed."""


class CallWindow:
    """Counts calls and failures of the last 29 to 30 seconds, in at most 30 buckets of a second.

    Attributes:
        calls: Calls in the window, as of the last one added.
        failed: Those of them that failed.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.failed = 0
        self._buckets: deque[_Second] = deque()

    @property
    def is_outage(self) -> bool:
        """Whether there are enough calls, and enough of them failed."""
        return self.calls >= LEAST_CALLS and self.failed >= LEAST_FAILED_SHARE * self.calls

    def add(self, now: float, *, is_failed: bool) -> None:
        """Count a call that ended now, and forget those that are too old."""
        number = int(now)
        while self._buckets and self._buckets[0].number <= number - WINDOW_SECONDS:
            oldest = self._buckets.popleft()
            self.calls -= oldest.calls
            self.failed -= oldest.failed
        if not self._buckets or self._buckets[-1].number != number:
            self._buckets.append(_Second(number))
        self._buckets[-1].calls += 1
        self._buckets[-1].failed += is_failed
        self.calls += 1
        self.failed += is_failed


class _Second:
    """The calls that ended within one second of the clock."""

    __slots__ = ("calls", "failed", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0
        self.failed = 0
