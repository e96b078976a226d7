from __future__ import annotations

import asyncio
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual

from tencent_liveness_async._flow import Lane, Pacer


async def take_permits(pacer: Pacer, count: int) -> list[float]:
    """Take `count` permits as fast as they come and return when each came."""
    times: list[float] = []

    async def take() -> None:
        await pacer.wait_permit()
        times.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(take() for _ in range(count)))
    return times


def many(lane: Lane, count: int) -> list[Lane]:
    """Return a lane so many times."""
    return [lane] * count


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


@given(
    changes=st.lists(st.tuples(st.floats(0.5, 200), st.floats(0, 1)), min_size=1, max_size=12),
    window=st.floats(0.05, 5),
)
def test_no_window_has_more_than_its_highest_rate_allows(
    changes: list[tuple[float, float]], window: float
) -> None:
    """The bound holds over any changes of the rate, with the highest rate in force in the window."""

    async def scenario() -> tuple[list[float], list[tuple[float, float]]]:
        loop, pacer, times = asyncio.get_running_loop(), Pacer(changes[0][0]), list[float]()
        in_force = [(0.0, changes[0][0])]

        async def take() -> None:
            await pacer.wait_permit()
            times.append(loop.time())

        waiters = [asyncio.ensure_future(take()) for _ in range(200)]
        for rate, seconds in changes:
            pacer.set_rate(rate)
            in_force.append((loop.time(), rate))
            await asyncio.sleep(seconds)
        pacer.set_rate(200)
        in_force.append((loop.time(), 200))
        await asyncio.gather(*waiters)
        return times, in_force

    def find_highest_rate(begin: float) -> float:
        ends = [*(at for at, _ in in_force[1:]), float("inf")]
        spans = zip(in_force, ends, strict=True)
        return max(rate for (at, rate), end in spans if at <= begin + window and end >= begin)

    times, in_force = run_virtual(scenario())
    assert len(times) == 200
    for index, begin in enumerate(times):
        rate = find_highest_rate(begin)
        count = bisect_left(times, begin + window) - index
        assert count <= rate * window + 1 + 0.02 * rate + 1e-6


@pytest.mark.parametrize(("before", "after"), [(1, 100), (100, 1), (0.5, 200), (45, 42.75)])
def test_a_change_of_the_rate_is_for_those_that_wait(before: float, after: float) -> None:
    """Who waits already gets its permit at the new rate, and nobody waits for ever."""

    async def scenario() -> list[float]:
        pacer = Pacer(before)
        taking = asyncio.ensure_future(take_permits(pacer, 60))
        await asyncio.sleep(0.1)
        pacer.set_rate(after)
        return await taking

    times = [at for at in run_virtual(scenario()) if at > 0.1]
    assert times[0] <= 0.1 + 1 / min(before, after) + 0.03
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert sum(waits) / len(waits) == pytest.approx(1 / after, rel=0.05)


def test_many_changes_cost_no_rate() -> None:
    """A rate that is set again fifty times a second is still used to 98 %."""

    async def scenario() -> float:
        pacer = Pacer(45)
        taking = asyncio.ensure_future(take_permits(pacer, 450))
        while not taking.done():
            await asyncio.sleep(0.02)
            pacer.set_rate(45)
        return max(await taking)

    assert run_virtual(scenario()) <= 10 / 0.98


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_no_task_is_left_when_nobody_waits(is_cancelled: bool) -> None:
    """The pacer's task lives only as long as somebody waits, however the waiting ends."""

    async def scenario() -> None:
        pacer = Pacer(10)
        taking = asyncio.ensure_future(take_permits(pacer, 5))
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) > 2
        if is_cancelled:
            taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        pacer.set_rate(20)
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(scenario())


@given(
    rate=st.floats(1, 200),
    cancelled=st.lists(st.tuples(st.integers(0, 39), st.floats(0, 2)), max_size=40),
)
def test_whoever_is_cancelled_the_others_lose_nothing(
    rate: float, cancelled: list[tuple[int, float]]
) -> None:
    """Those that stay have their permits no later than without those that were cancelled."""

    async def scenario(cancelled: list[tuple[int, float]]) -> dict[int, float]:
        pacer, loop, times = Pacer(rate), asyncio.get_running_loop(), dict[int, float]()

        async def take(number: int) -> None:
            await pacer.wait_permit()
            times[number] = loop.time()

        tasks = [asyncio.ensure_future(take(number)) for number in range(40)]
        for number, at in cancelled:
            loop.call_at(at, tasks[number].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        return times

    alone, together = run_virtual(scenario([])), run_virtual(scenario(cancelled))
    assert all(at <= alone[number] + 1e-6 for number, at in together.items())
    assert set(together) >= set(range(40)) - {number for number, _ in cancelled}


def test_interactive_waiters_pass_bulk_ones() -> None:
    """A permit goes to an interactive waiter first, although bulk ones have waited for longer."""

    async def scenario() -> list[str]:
        pacer, order = Pacer(10), list[str]()

        async def take(lane: Lane) -> None:
            await pacer.wait_permit(lane)
            order.append(lane)

        lanes: list[Lane] = [*many("bulk", 6), *many("interactive", 2)]
        await asyncio.gather(*map(take, lanes))
        return order

    assert run_virtual(scenario()) == ["bulk", "interactive", "interactive", *["bulk"] * 5]
