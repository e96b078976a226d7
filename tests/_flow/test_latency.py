from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._flow.latency import LatencyBook, Quantiles


def fill(values: list[float], now: float = 100.0) -> LatencyBook:
    """Make a book with all the values recorded at one moment."""
    book = LatencyBook()
    for value in values:
        book.record(value, now)
    return book


def find_nearest_rank(values: list[float], percent: int) -> float:
    """Return the smallest value that so many percent of the values are not over."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def test_an_empty_book_says_zero() -> None:
    """Before any record all quantiles are 0.0, which is a number and no latency."""
    assert LatencyBook().quantiles() == Quantiles(0.0, 0.0, 0.0)


def test_quantiles_are_frozen() -> None:
    """The quantiles are a value."""
    with pytest.raises(FrozenInstanceError):
        Quantiles().p50 = 1.0  # type: ignore[misc]


@given(values=st.lists(st.floats(0.001, 160.0), min_size=1, max_size=200))
def test_quantiles_are_within_five_percent(values: list[float]) -> None:
    """Each quantile is within 5 % of the one of the values themselves."""
    found = fill(values).quantiles()
    for percent, value in zip((50, 95, 99), astuple(found), strict=True):
        assert value == pytest.approx(find_nearest_rank(values, percent), rel=0.05)


@given(seconds=st.floats())
def test_any_number_can_be_recorded(seconds: float) -> None:
    """Whatever is recorded, even no number at all, the quantiles are finite and in order."""
    found = fill([seconds, 0.3]).quantiles()
    assert 0.0009 < found.p50 <= found.p95 <= found.p99 < 180


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 0.001), (-1.0, 0.001), (1e9, 165.0)])
def test_what_is_out_of_range_counts_as_its_end(seconds: float, expected: float) -> None:
    """Times under 1 ms count as about 1 ms, times over 160 s as about that."""
    assert fill([seconds]).quantiles().p50 == pytest.approx(expected, rel=0.06)


@given(start=st.floats(0, 1e6), gap=st.floats(0, 29.9))
def test_the_last_half_minute_counts(start: float, gap: float) -> None:
    """What was recorded less than 30 s ago still counts."""
    book = fill([8.0] * 3, now=start)
    book.record(0.1, now=start + gap)
    assert book.quantiles().p50 == pytest.approx(8.0, rel=0.05)


@given(start=st.floats(0, 1e6), gaps=st.lists(st.floats(0.5, 29.0), max_size=30), last=st.floats(0, 1e4))
def test_what_is_a_minute_old_is_forgotten(start: float, gaps: list[float], last: float) -> None:
    """What was recorded more than 60 s before the last record does not count, whatever came between."""
    book = fill([8.0] * 100, now=start)
    now = start
    for gap in (*gaps, last):
        now += gap
        book.record(0.1, now)
    if now - start > 60:
        assert book.quantiles().p99 == pytest.approx(0.1, rel=0.05)


def test_an_idle_book_tells_what_it_knew_last() -> None:
    """Time alone drops nothing; the first record after a long pause begins anew."""
    book = fill([2.0] * 100)
    assert book.quantiles().p50 == pytest.approx(2.0, rel=0.05)
    book.record(0.1, now=5000.0)
    assert book.quantiles().p99 == pytest.approx(0.1, rel=0.05)


def test_memory_does_not_grow() -> None:
    """After thousands of records over hours there are still two histograms of the same size."""
    book = LatencyBook()
    size = len(book._newer)
    for number in range(5000):
        book.record(0.001 * number, now=3.0 * number)
    assert len(book._newer) == len(book._older) == size < 200
