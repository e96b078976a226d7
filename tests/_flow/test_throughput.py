from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fake_calls import FakeCall, make_scheduler
from virtual_time import run_virtual

if TYPE_CHECKING:
    from tencent_liveness_async._flow import Scheduler


async def keep_busy(scheduler: Scheduler, *, seconds: float, latency: float) -> int:
    """Have more photos waiting than can be sent for so long; return how many attempts were begun."""
    loop, calls = asyncio.get_running_loop(), list[FakeCall]()
    ends_at = loop.time() + seconds

    async def feed() -> None:
        while loop.time() < ends_at:
            calls.append(FakeCall(str(len(calls)), seconds=latency))
            await scheduler.run(calls[-1], deadline=60, lane="bulk")

    await asyncio.gather(*(feed() for _ in range(2 * scheduler.max_concurrency)))
    return sum(at < ends_at for call in calls for at in call.sent_at)


@pytest.mark.parametrize(("rate", "latency"), [(45, 0.5), (45, 0.2), (45, 1.0), (100, 0.3)])
def test_the_slots_do_not_choke_the_rate(rate: float, latency: float) -> None:
    """With 64 slots at most, 99 % of the rate is used over a minute, whatever number of slots is chosen."""

    async def scenario() -> tuple[int, int]:
        scheduler = make_scheduler(rate=rate, max_concurrency=64)
        sent = await keep_busy(scheduler, seconds=60, latency=latency)
        return sent, scheduler.statistics().concurrency

    sent, concurrency = run_virtual(scenario())
    assert sent >= 0.99 * rate * 60
    assert rate * latency < concurrency <= 64


def test_the_slots_follow_the_rate() -> None:
    """There are 1.5 times as many slots as Little's law asks for, give or take what it does not correct."""

    async def scenario() -> list[int]:
        found = []
        for rate in (20, 45):
            scheduler = make_scheduler(rate=rate, max_concurrency=64)
            await keep_busy(scheduler, seconds=60, latency=0.5)
            found.append(scheduler.statistics().concurrency)
        return found

    slow, fast = run_virtual(scenario())
    assert slow == pytest.approx(1.5 * 20 * 0.5, rel=0.3)
    assert fast == pytest.approx(1.5 * 45 * 0.5, rel=0.3)


def test_an_overloaded_service_gets_fewer_calls_at_once() -> None:
    """When answers take over three times as long as usual, the slots become fewer, and then more again."""

    async def scenario() -> list[int]:
        scheduler, found = make_scheduler(rate=45, max_concurrency=64), list[int]()
        for latency in (0.4, 1.5, 0.4):
            await keep_busy(scheduler, seconds=70, latency=latency)
            found.append(scheduler.statistics().concurrency)
        return found

    usual, overloaded, again = run_virtual(scenario())
    assert overloaded < usual / 2
    assert again == pytest.approx(usual, abs=usual / 4)
