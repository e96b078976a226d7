"""How many attempts are worth having under way at once."""

from __future__ import annotations

import sys
from collections import deque
from math import ceil

if sys.platform != "win32":
    import resource

LEAST_CONCURRENCY = 4
"""One slow call shall not stop everything else."""
RESERVED_FILES = 64
"""Open files left to the program: its logs, databases, and its own server's connections."""
FILES_PER_PHOTO = 2
"""A socket and the photo's file."""

_HEADROOM = 1.5
_DEAD_BAND = 0.2
_STEP = 0.5
_OVERLOADED_AT = 3.0
_RECOVERED_AT = 2.0
_WINDOW_UPDATES = 300
_LEAST_UPDATES = 10


class ConcurrencyLimit:
    """Follows how many attempts have to be under way at once to reach the rate.

    - Little's law: `rate` x latency calls are under way on average. It is taken with the 95th percentile
      and half as much again, so that slow calls do not keep the rate from being reached. More would be
      useless, because the rate is the limit: it would only cost memory and connections.
    - A service whose latency is three times its usual (the median of the last 300 updates) is overloaded,
      and the law would answer that with three times the calls. The limit falls instead, at once, to the
      usual need divided by how many times slower the service is; until the latency is below twice the
      usual. What has lasted for half of the window is the usual, and the law holds again.
    - It does not flap: a need within 20 % of the limit changes nothing, which leaves at least a quarter
      more than the law asks for; a need outside is approached by half of the difference an update.

    It is `max_concurrency` until latencies are known, and never over it, nor under 4 (or
    `max_concurrency`, if that is less).

    Args:
        max_concurrency: The most there may be, at least 1. It is lowered to half of what `open_files` leaves
            after 64 for the program, because each photo needs a socket and a file, and to no less than 1.
        open_files: Files the process may have open. Defaults to its soft RLIMIT_NOFILE; where there is
            none, files limit nothing.

    Attributes:
        most: `max_concurrency`, or what the open files allow.
        is_overloaded: Whether the service is far slower than usual.

    Example:
        >>> limit = ConcurrencyLimit(64, open_files=1024)
        >>> for _ in range(20):
        ...     limit.update(rate=45.0, p95=0.4)
        >>> limit
        <ConcurrencyLimit 32 of 64>
    """

    def __init__(self, max_concurrency: int, *, open_files: int | None = None) -> None:
        files = find_open_files() if open_files is None else open_files
        self.most = max_concurrency
        if files is not None:
            self.most = min(max_concurrency, max(1, (files - RESERVED_FILES) // FILES_PER_PHOTO))
        self.is_overloaded = False
        self._level = float(self.most)
        self._latencies: deque[float] = deque(maxlen=_WINDOW_UPDATES)

    def __repr__(self) -> str:
        state = ", overloaded" if self.is_overloaded else ""
        return f"<{type(self).__name__} {self.limit} of {self.most}{state}>"

    @property
    def limit(self) -> int:
        """How many attempts may be under way now."""
        return ceil(self._level)

    @property
    def usual(self) -> float:
        """The usual latency in seconds; 0.0 until it is known, after 10 updates."""
        if len(self._latencies) < _LEAST_UPDATES:
            return 0.0
        return sorted(self._latencies)[len(self._latencies) // 2]

    def update(self, rate: float, p95: float) -> None:
        """Follow the latency. To be called about once a second while calls end.

        Args:
            rate: Calls per second that the pacer lets through. Not the measured ones: those depend on the
                limit, and would hold it down once it is low.
            p95: Seconds an attempt takes, without its wait for a permit, which would grow with the limit.
                0.0 means it is not known and changes nothing.
        """
        if rate <= 0 or p95 <= 0:
            return
        self._latencies.append(p95)
        usual = self.usual
        self.is_overloaded = p95 >= usual * (_RECOVERED_AT if self.is_overloaded else _OVERLOADED_AT) > 0
        latency = usual * usual / p95 if self.is_overloaded else p95
        self._approach(min(max(rate * latency * _HEADROOM, LEAST_CONCURRENCY), self.most))

    def _approach(self, need: float) -> None:
        difference = need - self._level
        if abs(difference) <= _DEAD_BAND * self._level:
            return
        is_urgent = self.is_overloaded and difference < 0
        self._level += difference if is_urgent else difference * _STEP


def find_open_files() -> int | None:
    """Return how many files the process may have open; None if nothing limits it or nobody knows."""
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
