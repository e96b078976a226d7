from __future__ import annotations

import asyncio
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual

from tencent_liveness_async._flow import Pacer


async def take_permits(pacer: Pacer, count: int) -> list[float]:
    """Take `count` permits as fast as they come and return when each came."""
    times: list[float] = []

    async def take() -> None:
        await pacer.wait_permit()
        times.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(take() for _ in range(count)))
    return times


def count_worst_window(times: list[float], window: float) -> int:
    """Return the most permits in any half-open window of that many seconds."""
    return max(bisect_left(times, begin + window) - index for index, begin in enumerate(times))


def test_at_45_a_second_no_second_has_more_than_47_permits() -> None:
    """At 45 calls a second no second sees more than two over the rate."""
    times = run_virtual(take_permits(Pacer(45), 45 * 20))
    assert count_worst_window(times, 1.0) <= 47


@given(rate=st.floats(0.5, 2000), window=st.floats(0.05, 10))
def test_no_window_has_more_than_the_bucket_allows(rate: float, window: float) -> None:
    """In any window W at most rate x W + 1 + 0.02 x rate permits are handed out."""
    times = run_virtual(take_permits(Pacer(rate), 300))
    assert count_worst_window(times, window) <= rate * window + 1 + 0.02 * rate + 1e-6


@pytest.mark.parametrize("rate", [20, 45, 50, 200, 1000])
def test_the_whole_rate_is_used(rate: int) -> None:
    """While there are waiters, at least 99 % of the rate is handed out."""
    times = run_virtual(take_permits(Pacer(rate), rate * 20))
    assert len(times) / times[-1] >= 0.99 * rate


def test_permits_come_in_the_order_of_asking() -> None:
    """First come, first served; a newcomer never overtakes."""

    async def scenario() -> list[int]:
        pacer, order = Pacer(10), list[int]()

        async def take(number: int) -> None:
            await asyncio.sleep(number * 0.01)
            await pacer.wait_permit()
            order.append(number)

        await asyncio.gather(*(take(number) for number in range(50)))
        return order

    assert run_virtual(scenario()) == list(range(50))


def test_cancelled_waiters_cost_nothing() -> None:
    """Cancelling waiters neither uses permits nor delays those that stay."""

    async def scenario() -> float:
        pacer = Pacer(10)
        waiters = [asyncio.ensure_future(pacer.wait_permit()) for _ in range(100)]
        await asyncio.sleep(0.05)
        for waiter in waiters[:90]:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) <= 1.1


def test_nothing_is_handed_out_during_a_hold() -> None:
    """A hold stops permits at once and for its whole length; a shorter one does not end it."""

    async def scenario() -> float:
        pacer = Pacer(1000)
        pacer.hold(5)
        pacer.hold(1)
        await pacer.wait_permit()
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == pytest.approx(5)


def test_a_hold_that_grows_while_waiting_is_kept() -> None:
    """Who already waits for the end of a hold waits for its new end."""

    async def scenario() -> float:
        pacer = Pacer(1000)
        pacer.hold(2)
        waiter = asyncio.ensure_future(pacer.wait_permit())
        await asyncio.sleep(1)
        pacer.hold(3)
        await waiter
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == pytest.approx(4)
