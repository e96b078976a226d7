from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox._quota import FixedWindow, OtherCalls, SlidingWindow, make_window

if TYPE_CHECKING:
    from collections.abc import Sequence

# Dyadic numbers: what is compared below is computed without rounding.
TIMES = st.lists(st.integers(0, 4 * 256).map(lambda n: n / 256), min_size=1, max_size=80).map(sorted)
OFFSETS = st.integers(0, 63).map(lambda n: n / 64)
RATES = st.integers(0, 200).map(lambda n: n / 4)
LIMITS = st.integers(1, 12)


def _list_other_calls(rate: float) -> list[Fraction]:
    """Return when another process calls, from 2 seconds before the clock's 0 to 5 after it."""
    step = 1 / Fraction(rate) if rate else Fraction(0)
    return [(number + Fraction(1, 2)) * step for number in range(int(-2 * rate), int(5 * rate))]


def _find_start(now: float, offset: float) -> float:
    return floor(now - offset) + offset


def _count_most(times: Sequence[float]) -> int:
    """Return the most of the times that fit into one second, whose end is not part of it."""
    return max((sum(first <= time < first + 1 for time in times) for first in times), default=0)


def test_calls_of_one_second_are_counted_together() -> None:
    """A fixed window begins at a whole second and counts every call in it."""
    window = FixedWindow()
    assert [window.count_call(now) for now in (7.0, 7.5, 7.999, 8.0, 8.1, 10.0)] == [1, 2, 3, 1, 2, 1]


def test_offset_moves_where_windows_begin() -> None:
    """A fixed window with an offset begins so much after a whole second, before second 0 too."""
    window = FixedWindow(offset=0.3)
    times = (-0.8, -0.7, 0.2, 0.3, 1.0, 1.2999, 1.3, 7.299, 7.3, 7.31)
    assert [window.count_call(now) for now in times] == [1, 1, 2, 1, 2, 3, 1, 1, 1, 2]


@given(offset=st.floats(0, 1, exclude_max=True), second=st.integers(0, 10**7))
def test_window_begins_where_offset_says_to_the_last_digit(offset: float, second: int) -> None:
    """Whatever is rounded, a call at whole second plus offset is the first of its window."""
    window = FixedWindow(offset=offset)
    window.count_call(second)
    assert [window.count_call(second + 1 + offset) for _ in range(2)] == [1, 2]


def test_call_leaves_a_sliding_window_after_a_second() -> None:
    """A sliding window counts the calls of the last second; one exactly a second ago is out."""
    window = SlidingWindow()
    assert [window.count_call(now) for now in (7.0, 7.5, 7.75, 8.0, 8.25, 8.5, 10.0)] == [1, 2, 3, 3, 4, 4, 1]


def test_burst_across_a_boundary_is_what_the_kinds_differ_in() -> None:
    """Two bursts on either side of a whole second are two fixed windows, and one sliding one."""
    times = (7.9, 7.9, 8.1, 8.1)
    fixed, sliding = (make_window(kind, offset=0.0, other_calls=0.0) for kind in ("fixed", "sliding"))
    assert [fixed.count_call(now) for now in times] == [1, 2, 1, 2]
    assert [sliding.count_call(now) for now in times] == [1, 2, 3, 4]


@given(times=TIMES, offset=OFFSETS, rate=RATES)
def test_fixed_window_counts_all_since_it_began(times: list[float], offset: float, rate: float) -> None:
    """The count is every call since the window's begin, ours and others', the present one included."""
    window, others = FixedWindow(offset=offset, other_calls=rate), _list_other_calls(rate)
    for number, now in enumerate(times, 1):
        start = _find_start(now, offset)
        ours = sum(start <= time for time in times[:number])
        assert window.count_call(now) == ours + sum(start <= time <= now for time in others)


@given(times=TIMES, rate=RATES)
def test_sliding_window_counts_all_of_the_last_second(times: list[float], rate: float) -> None:
    """The count is every call of the last second, ours and others', the present one included."""
    window, others = SlidingWindow(other_calls=rate), _list_other_calls(rate)
    for number, now in enumerate(times, 1):
        ours = sum(now - 1 < time for time in times[:number])
        assert window.count_call(now) == ours + sum(now - 1 < time <= now for time in others)


@given(times=TIMES, limit=LIMITS, rate=RATES)
def test_no_second_has_more_successes_than_a_sliding_quota(
    times: list[float], limit: int, rate: float
) -> None:
    """In any one second at most the quota is let in, however calls and throttled calls are mixed."""
    window = SlidingWindow(other_calls=rate)
    assert _count_most([now for now in times if window.count_call(now) <= limit]) <= limit


@given(times=TIMES, limit=LIMITS, offset=OFFSETS)
def test_fixed_quota_lets_in_the_first_calls_of_each_window(
    times: list[float], limit: int, offset: float
) -> None:
    """Each fixed window lets in its first calls up to the quota; one second has at most twice that."""
    window = FixedWindow(offset=offset)
    taken = [now for now in times if window.count_call(now) <= limit]
    for start in {_find_start(now, offset) for now in times}:
        own = [now for now in times if _find_start(now, offset) == start]
        assert [now for now in taken if _find_start(now, offset) == start] == own[:limit]
    assert _count_most(taken) <= 2 * limit


@given(rate=st.floats(0, 1e6), moments=st.lists(st.floats(0, 1e7), min_size=2, max_size=6).map(sorted))
def test_other_calls_are_evenly_spread(rate: float, moments: list[float]) -> None:
    """Between two moments come rate times seconds other calls, give or take one, never below 0."""
    others = OtherCalls(rate)
    for before, after in pairwise(moments):
        seen = others.count_until(after) - others.count_before(before)
        assert max(0.0, rate * (after - before) - 1.01) <= seen <= rate * (after - before) + 1.01


@given(rate=st.integers(0, 300), second=st.integers(0, 10**6), kind=st.sampled_from(["fixed", "sliding"]))
def test_other_calls_fill_a_whole_window_with_their_rate(rate: int, second: int, kind: str) -> None:
    """At the end of a second a call of ours finds the rate of the others before it."""
    window = make_window("fixed" if kind == "fixed" else "sliding", offset=0.0, other_calls=rate)
    assert window.count_call(second + 0.9999) == rate + 1
