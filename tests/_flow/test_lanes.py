from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual

from tencent_liveness_async._flow.lanes import BULK_TURNS, Slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tencent_liveness_async._flow import Lane


def many(lane: Lane, count: int) -> list[Lane]:
    """Return a lane so many times."""
    return [lane] * count


async def hold_all(slots: Slots, lanes: Sequence[Lane]) -> list[Lane]:
    """Wait for a slot in each of these lanes, hold each for a second, and return the order of the turns."""
    order: list[Lane] = []

    async def hold(lane: Lane) -> None:
        await slots.acquire(lane)
        order.append(lane)
        await asyncio.sleep(1)
        slots.release()

    await asyncio.gather(*map(hold, lanes))
    return order


def test_interactive_goes_before_bulk() -> None:
    """Whoever waits for one score passes a run that has waited for longer."""
    lanes: list[Lane] = ["bulk", "bulk", "bulk", "interactive", "interactive"]
    order = run_virtual(hold_all(Slots(1), lanes))
    assert order == ["bulk", "interactive", "interactive", "bulk", "bulk"]


def test_bulk_has_a_tenth_of_the_turns() -> None:
    """However many interactive calls wait, one turn in ten is bulk's."""
    lanes: list[Lane] = [*many("bulk", 20), *many("interactive", 200)]
    order = run_virtual(hold_all(Slots(1), lanes))
    assert Counter(order[:101])["bulk"] == pytest.approx(100 / BULK_TURNS, abs=2)


def test_the_estimate_counts_who_goes_first() -> None:
    """A newcomer in bulk has all before it; an interactive one the interactive ones and bulk's tenth."""

    async def scenario() -> tuple[int, int]:
        slots = Slots(1)
        holding = asyncio.ensure_future(hold_all(slots, [*many("bulk", 21), *many("interactive", 18)]))
        await asyncio.sleep(0.5)
        counts = slots.queue.count_ahead("interactive"), slots.queue.count_ahead("bulk")
        await holding
        return counts

    assert run_virtual(scenario()) == (20, 38)


def test_a_lower_limit_comes_true_as_photos_end() -> None:
    """Slots that are taken stay taken; a higher limit lets waiters in at once."""

    async def scenario() -> list[int]:
        slots, seen = Slots(4), list[int]()
        holding = asyncio.ensure_future(hold_all(slots, ["bulk"] * 20))
        await asyncio.sleep(0.5)
        for limit in (2, 6):
            slots.set_limit(limit)
            seen.append(slots.taken)
            await asyncio.sleep(1)
            seen.append(slots.taken)
        await holding
        return [*seen, slots.taken]

    assert run_virtual(scenario()) == [4, 2, 6, 6, 0]


@given(
    limit=st.integers(1, 3),
    waits=st.lists(
        st.tuples(st.sampled_from(["interactive", "bulk"]), st.integers(0, 4), st.integers(0, 4)), max_size=30
    ),
)
def test_cancelled_waiters_lose_no_slot(limit: int, waits: list[tuple[Lane, int, int]]) -> None:
    """Whoever is cancelled and whenever, all slots come back and nobody else waits for ever."""

    async def hold(slots: Slots, lane: Lane, seconds: int) -> None:
        await slots.acquire(lane)
        assert slots.taken <= slots.limit
        try:
            await asyncio.sleep(seconds)
        finally:
            slots.release()

    async def scenario() -> Slots:
        slots, loop, tasks = Slots(limit), asyncio.get_running_loop(), list[asyncio.Task[None]]()
        for lane, seconds, cancel_after in waits:
            tasks.append(asyncio.ensure_future(hold(slots, lane, seconds)))
            if cancel_after:
                loop.call_later(cancel_after, tasks[-1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        return slots

    slots = run_virtual(scenario())
    assert slots.taken == 0
    assert slots.queue.waiting == {"interactive": 0, "bulk": 0}
