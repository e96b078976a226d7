from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from tencent_liveness_async import (
    Credential,
    Failed,
    LivenessClient,
    Outcome,
    OutcomeReached,
    Scored,
    Statistics,
    Timeouts,
    TransientAPIError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tencent_liveness_async import ConnectionPool, Event

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox import (
    SANDBOX_SECRET_ID,
    SANDBOX_SECRET_KEY,
    FaultRule,
    FaultScript,
    Latency,
    SandboxServer,
    SandboxSettings,
)

KEY = Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY)
PHOTOS = 5000
FAULTS = (
    FaultRule(fault="code", code="RequestLimitExceeded", message="too many requests", rate=0.001),
    FaultRule(fault="code", code="FailedOperation.ServerError", rate=0.01),
    FaultRule(fault="reset", at="request", rate=0.0025),
    FaultRule(fault="reset", at="answer", rate=0.0025),
    FaultRule(fault="reset", at="body", rate=0.0025),
    FaultRule(fault="truncate", rate=0.0025),
    FaultRule(fault="stall", seconds=60, rate=0.005),
)


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """Serve a sandbox without a quota; afterwards neither side has left a descriptor open."""
    settings = SandboxSettings(quota=None, faces=False, latency=Latency.uniform(0.0, 0.02))
    files = count_open_files()
    with SandboxServer(settings) as server:
        yield server
    assert count_open_files() == files


def make_client(server: SandboxServer, **settings: object) -> LivenessClient:
    """Make a client that sends as fast as it can."""
    return LivenessClient(
        credentials=KEY,
        endpoint=server.endpoint,
        rate=100_000,
        max_concurrency=128,
        trust_env=False,
        **settings,  # type: ignore[arg-type]
    )


def count_open_files() -> int:
    """Return how many descriptors this process has open, without those that only garbage holds."""
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def read_all(client: LivenessClient, photos: Iterator[str]) -> list[Outcome]:
    """Score all and return the outcomes."""
    async with client.score_many(photos) as outcomes:
        return [outcome async for outcome in outcomes]


def test_every_photo_has_one_outcome_whatever_the_service_does(server: SandboxServer) -> None:
    """With throttles, errors, resets and stalls, 5,000 photos have one outcome each and the bill agrees."""
    names = [f"https://photos.test/{number}" for number in range(PHOTOS)]

    async def scenario() -> tuple[list[Outcome], Statistics]:
        async with make_client(server, timeouts=Timeouts(read=2.0, attempt=4.0)) as client:
            outcomes = await read_all(client, iter(names))
            statistics = client.statistics()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return outcomes, statistics

    server.set_faults(FaultScript(7, FAULTS))
    outcomes, ours = asyncio.run(scenario())
    sandbox = server.statistics()

    assert Counter(outcome.photo.name for outcome in outcomes) == Counter(names)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    # Two unknown attempts end a photo, one without a budget for retries, or a code that comes thrice.
    assert all(each.maybe_billed or isinstance(each.error, TransientAPIError) for each in failed), failed
    assert ours.scored == sum(isinstance(outcome, Scored) for outcome in outcomes) >= 0.999 * PHOTOS
    assert ours.attempts == sandbox.calls
    assert ours.billed == sandbox.billed - sandbox.billed_unanswered
    assert sandbox.billed_unanswered <= ours.maybe_billed == sum(each.maybe_billed for each in outcomes)
    assert ours.throttled == sandbox.throttled
    assert set(sandbox.faults) == {rule.fault for rule in FAULTS}


async def test_cancelled_calls_leave_the_client_fully_usable(server: SandboxServer) -> None:
    """After 200 calls cancelled at random moments, 500 calls succeed and every paid one was reported."""
    reached: list[Event] = []
    random = Random(7)
    async with make_client(server, hooks=[reached.append]) as client:
        loop = asyncio.get_running_loop()
        calls = []
        for number in range(200):
            call = asyncio.ensure_future(client.score(f"https://photos.test/{number}"))
            loop.call_later(random.uniform(0, 0.05), call.cancel)
            calls.append(call)
        results = await asyncio.gather(*calls, return_exceptions=True)
        cancelled = sum(isinstance(result, asyncio.CancelledError) for result in results)
        assert cancelled > 50
        outcomes = await read_all(client, (f"https://photos.test/again/{number}" for number in range(500)))
        assert all(isinstance(outcome, Scored) for outcome in outcomes)
        assert client.statistics().in_flight == 0
    scored = sum(isinstance(event, OutcomeReached) for event in reached)
    assert scored == client.statistics().scored == server.statistics().billed


async def test_an_abandoned_run_leaves_the_client_fully_usable(server: SandboxServer) -> None:
    """Leaving score_many early waits for what was sent; then the client goes on as before."""
    async with make_client(server) as client:
        for _ in range(20):
            async with client.score_many(
                f"https://photos.test/{number}" for number in range(9999)
            ) as outcomes:
                async for _ in outcomes:
                    break
            assert client.statistics().in_flight == client.statistics().waiting == 0
        outcomes_after = await read_all(client, (f"https://photos.test/{number}" for number in range(500)))
        assert all(isinstance(outcome, Scored) for outcome in outcomes_after)
        statistics = client.statistics()
    assert statistics.billed == server.statistics().billed
    assert statistics.maybe_billed == 0


def test_many_clients_can_follow_each_other(server: SandboxServer) -> None:
    """Clients that are opened, used and closed leave no descriptor open."""

    async def scenario() -> None:
        for _ in range(50):
            async with make_client(server) as client:
                await client.score("https://photos.test/1")

    asyncio.run(scenario())


async def test_a_block_that_is_cancelled_from_outside_closes_everything(server: SandboxServer) -> None:
    """A framework's cancelled scope around a client leaves no attempt, task or connection behind."""
    pools: list[ConnectionPool] = []
    tasks = asyncio.all_tasks()
    with anyio.move_on_after(0.2):
        async with make_client(server) as client:
            pools.append(cast("ConnectionPool", client._engine.wire.transport))
            await read_all(client, (f"https://photos.test/{number}" for number in range(10**6)))
    assert client.statistics().in_flight == client.statistics().waiting == 0
    assert pools[0].open_connections == 0
    assert asyncio.all_tasks() == tasks


async def test_a_client_can_be_warmed_up(server: SandboxServer) -> None:
    """Connections are opened before the first call, never more than calls can be in flight."""
    async with make_client(server) as client:
        await client.warm_up(1000)
        pool = cast("ConnectionPool", client._engine.wire.transport)
        assert pool.open_connections == 128
        await read_all(client, (f"https://photos.test/{number}" for number in range(500)))
        assert pool.open_connections == 128
    assert server.statistics().calls == 500
