"""How many calls a second the sandbox takes, and which calls are of one second."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal, Protocol, TypeAlias

from .._errors import ConfigurationError

WindowKind: TypeAlias = Literal["fixed", "sliding"]

MOST_OTHER_CALLS = 1_000_000
"""Calls per second; far beyond any quota, and small enough to be counted exactly for decades."""


class CallWindow(Protocol):
    """Counts the calls that share a window of one second."""

    def count_call(self, now: float) -> int:
        """Count one call at `now`, in seconds that never go back, and return its window's calls.

        They are all calls up to it, itself included, whether they were throttled or not.
        """
        ...


class OtherCalls:
    """Calls of another process of the account, evenly spread over the clock.

    Call number `k` comes at `(k + 0.5) / rate` seconds, so that half of an interval is on either
    side of second 0. They follow from the clock alone: nothing runs and nothing is stored.

    Args:
        rate: Calls per second; 0 is none at all.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def count_before(self, moment: float) -> int:
        """Return how many came before `moment`; only differences mean something."""
        return math.ceil(moment * self._rate - 0.5)

    def count_until(self, moment: float) -> int:
        """Return how many came before `moment` or at it; only differences mean something."""
        return math.floor(moment * self._rate + 0.5)


class FixedWindow:
    """Counts calls in windows of one second that begin `offset` after whole seconds of the clock.

    A burst across a boundary may so be twice the limit within one second, as with the service.

    Args:
        offset: Seconds, from 0 to less than 1.
        other_calls: Calls per second of another process.
    """

    def __init__(self, *, offset: float = 0.0, other_calls: float = 0.0) -> None:
        self._offset = offset
        self._others = OtherCalls(other_calls)
        self._start = -math.inf
        self._count = 0

    def count_call(self, now: float) -> int:
        """Count one call, as `CallWindow` says."""
        start = self._find_start(now)
        if start != self._start:
            self._start = start
            self._count = 0
        self._count += 1
        return self._count + self._others.count_until(now) - self._others.count_before(start)

    def _find_start(self, now: float) -> float:
        # Compared, not subtracted: a window begins exactly where whole second + offset is rounded to.
        second = math.floor(now)
        start = second + self._offset
        return start if start <= now else second - 1 + self._offset


class SlidingWindow:
    """Counts the calls of the last second before each call; one exactly a second ago is no more in it.

    It remembers the times of a second's calls, and no others.

    Args:
        other_calls: Calls per second of another process.
    """

    def __init__(self, *, other_calls: float = 0.0) -> None:
        self._others = OtherCalls(other_calls)
        self._times: deque[float] = deque()

    def count_call(self, now: float) -> int:
        """Count one call, as `CallWindow` says."""
        times, gone = self._times, now - 1
        while times and times[0] <= gone:
            times.popleft()
        times.append(now)
        return len(times) + self._others.count_until(now) - self._others.count_until(gone)


def make_window(kind: WindowKind, *, offset: float, other_calls: float) -> CallWindow:
    """Make a window that has seen no call of ours; `offset` is for fixed ones alone."""
    if kind == "sliding":
        return SlidingWindow(other_calls=other_calls)
    return FixedWindow(offset=offset, other_calls=other_calls)


def check_limit(limit: int | None) -> None:
    """Refuse a limit that would take no call.

    Raises:
        ConfigurationError: It is less than 1.
    """
    if limit is not None and limit < 1:
        raise ConfigurationError(f"quota must be at least 1, or None, not {limit}")


def check_window(kind: str, *, offset: float, other_calls: float) -> None:
    """Refuse what no window can be made of.

    Raises:
        ConfigurationError: One of the settings is wrong; the message names it.
    """
    if kind not in ("fixed", "sliding"):
        raise ConfigurationError(f"quota_window must be `fixed` or `sliding`, not {kind!r}")
    if not 0 <= offset < 1:
        raise ConfigurationError(f"quota_offset must be from 0 to less than 1 second, not {offset}")
    if not 0 <= other_calls <= MOST_OTHER_CALLS:
        raise ConfigurationError(
            f"other_calls must be from 0 to {MOST_OTHER_CALLS:,} calls per second, not {other_calls}"
        )
