"""How long attempts take."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, inf, log
from operator import add

_GENERATION_SECONDS = 30.0
_RATIO = 1.1
_LEAST = 0.001
_BINS = 126
_MOST = _LEAST * _RATIO**_BINS
_BINS_PER_LOG = 1 / log(_RATIO)
_MIDDLES = tuple(_LEAST * _RATIO ** (index + 0.5) for index in range(_BINS + 1))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Seconds that most attempts take no longer than.

    All are 0.0 before the first attempt has ended, so that they are numbers wherever they are shown;
    no attempt is ever reported as 0.0.

    Attributes:
        p50: Half of the attempts took no longer.
        p95: 95 % of them.
        p99: 99 % of them.
    """

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


class LatencyBook:
    """Counts how long attempts took, over the last 30 to 60 seconds in which some ended.

    It keeps two histograms of 30 s each, and drops the older when the newer is full: memory does not
    depend on the number of records, and a record costs no search. A quantile is within 5 % of the one
    of the values themselves (nearest rank). Times under 1 ms count as 1 ms, over 160 s as 160 s.
    An idle book goes on telling what it knew last; the first record after 60 s or more begins anew.

    Example:
        >>> book = LatencyBook()
        >>> book.record(0.5, now=10.0)
        >>> 0.475 <= book.quantiles().p95 <= 0.525
        True
    """

    def __init__(self) -> None:
        self._newer = _make_bins()
        self._older = _make_bins()
        self._began = -inf

    def record(self, seconds: float, now: float) -> None:
        """Count an attempt that took so many seconds and ended `now`; about 0.2 us."""
        if now - self._began >= _GENERATION_SECONDS:
            self._rotate(now)
        self._newer[_find_bin(seconds)] += 1

    def quantiles(self) -> Quantiles:
        """Return the quantiles; about 5 us, so ask once a second rather than for every call."""
        ranks = list(accumulate(map(add, self._newer, self._older)))
        count = ranks[-1]
        if not count:
            return Quantiles()
        return Quantiles(*(_MIDDLES[bisect_left(ranks, ceil(count * part / 100))] for part in (50, 95, 99)))

    def _rotate(self, now: float) -> None:
        is_followed = now - self._began < 2 * _GENERATION_SECONDS
        self._older = self._newer if is_followed else _make_bins()
        self._newer = _make_bins()
        self._began = self._began + _GENERATION_SECONDS if is_followed else now


def _make_bins() -> list[int]:
    return [0] * (_BINS + 1)


def _find_bin(seconds: float) -> int:
    if seconds >= _MOST:
        return _BINS
    if seconds > _LEAST:
        return int(log(seconds / _LEAST) * _BINS_PER_LOG)
    return 0
