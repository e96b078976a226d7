from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._flow.concurrency import ConcurrencyLimit, find_open_files

MANY_FILES = 1_000_000
rates = st.floats(0.1, 500)
latencies = st.floats(0.01, 20)


def make_limit(max_concurrency: int = 1000, *, open_files: int = MANY_FILES) -> ConcurrencyLimit:
    """Make a limit that the test's machine does not lower."""
    return ConcurrencyLimit(max_concurrency, open_files=open_files)


def feed(limit: ConcurrencyLimit, p95: float, *, rate: float = 40.0, updates: int = 30) -> list[int]:
    """Update a limit with the same latency again and again, and return what it became each time."""
    found = []
    for _ in range(updates):
        limit.update(rate, p95)
        found.append(limit.limit)
    return found


def test_the_most_is_allowed_until_latencies_are_known() -> None:
    """The limit begins at the most, and a latency of 0.0, which means unknown, leaves it there."""
    limit = make_limit(64)
    assert feed(limit, 0.0) == [64] * 30
    assert feed(limit, 0.4, rate=0.0) == [64] * 30
    assert limit.usual == 0.0


@given(rate=rates, p95=latencies, most=st.integers(1, 500))
def test_the_limit_follows_littles_law(rate: float, p95: float, most: int) -> None:
    """A steady latency leads to rate x p95 x 1.5, within the dead band and between 4 and the most."""
    limit = make_limit(most)
    need = min(max(rate * p95 * 1.5, 4), most)
    found = feed(limit, p95, rate=rate)[-1]
    assert need / 1.2 <= found <= need * 1.25 + 1
    assert found <= most
    assert found >= min(rate * p95, most)


@given(steps=st.lists(st.tuples(rates, latencies), max_size=60), most=st.integers(1, 500))
def test_the_limit_keeps_its_bounds(steps: list[tuple[float, float]], most: int) -> None:
    """Whatever the latencies do, the limit is between 4 and the most."""
    limit = make_limit(most)
    for rate, p95 in steps:
        limit.update(rate, p95)
        assert min(4, most) <= limit.limit <= most


@given(noise=st.lists(st.floats(0.9, 1.1), min_size=1, max_size=100))
def test_noise_does_not_make_it_flap(noise: list[float]) -> None:
    """Latencies within 10 % of their middle move the limit in one direction only, and then no more."""
    limit = make_limit()
    found = [limit.limit]
    for factor in noise:
        limit.update(40.0, 0.5 * factor)
        found.append(limit.limit)
    assert found == sorted(found, reverse=True)
    settled = feed(limit, 0.5)[-1]
    for factor in noise:
        limit.update(40.0, 0.5 * min(max(factor, 0.97), 1.03))
    assert abs(limit.limit - settled) <= 0.2 * settled


def test_a_change_is_approached_in_steps() -> None:
    """A need for more is met by half of the difference an update, not at once."""
    limit = make_limit()
    before = feed(limit, 0.5)[-1]
    first, second, *_, last = feed(limit, 1.0)
    assert before < first < second <= last
    assert first == pytest.approx((before + 60) / 2, abs=1)


@pytest.mark.parametrize("factor", [3.0, 6.0, 30.0])
def test_a_service_that_slows_down_gets_fewer_calls(factor: float) -> None:
    """At three times the usual latency and more, the limit is the usual need divided by the factor."""
    limit = make_limit()
    feed(limit, 0.5)
    limit.update(40.0, 0.5 * factor)
    assert limit.is_overloaded
    assert "overloaded" in repr(limit)
    assert limit.limit == pytest.approx(max(40 * 0.5 * 1.5 / factor, 4), abs=1)


def test_less_than_three_times_the_latency_is_not_overload() -> None:
    """Below three times the usual latency the limit grows as Little's law asks for."""
    limit = make_limit()
    feed(limit, 0.5)
    assert feed(limit, 1.4)[-1] > 40 * 1.4
    assert not limit.is_overloaded


def test_overload_ends_below_twice_the_usual() -> None:
    """An overloaded service is spared until its latency is below twice the usual; then the limit returns."""
    limit = make_limit()
    before = feed(limit, 0.5)[-1]
    feed(limit, 1.5, updates=3)
    found = []
    for p95 in (1.01, 0.99, 1.01):
        limit.update(40.0, p95)
        found.append(limit.is_overloaded)
    assert found == [True, False, False]
    assert feed(limit, 0.5)[-1] == pytest.approx(before, rel=0.25)


def test_what_lasts_becomes_the_usual() -> None:
    """A latency that has lasted for half of the window is the usual one, and gets what the law asks for."""
    limit = make_limit()
    feed(limit, 0.5, updates=300)
    assert feed(limit, 2.0, updates=140)[-1] < 20
    feed(limit, 2.0, updates=40)
    assert limit.usual == 2.0
    assert not limit.is_overloaded
    assert limit.limit >= 40 * 2.0


def test_overload_needs_a_known_usual() -> None:
    """The first latencies, however they jump, are not taken for overload."""
    limit = make_limit()
    feed(limit, 0.1, updates=5)
    feed(limit, 1.0, updates=1)
    assert not limit.is_overloaded


@pytest.mark.parametrize(
    ("open_files", "expected"), [(256, 96), (1024, 480), (1_000_000, 1000), (80, 8), (64, 1), (10, 1)]
)
def test_open_files_lower_the_most(open_files: int, expected: int) -> None:
    """Each photo needs a socket and a file, and 64 files are left to the program."""
    limit = make_limit(1000, open_files=open_files)
    assert limit.most == limit.limit == expected


def test_the_systems_limit_is_the_default() -> None:
    """Without a number the process's own limit of open files counts, if there is one."""
    files = find_open_files()
    assert files is None or files > 0
    assert ConcurrencyLimit(10**9).most == (10**9 if files is None else max(1, (files - 64) // 2))


def test_the_limit_shows_its_level() -> None:
    """The repr tells the limit and the most."""
    assert repr(make_limit(64)) == "<ConcurrencyLimit 64 of 64>"
