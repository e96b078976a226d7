"""Runs a scenario: the real client in virtual time, its callers, and the sandbox as the service."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Literal

import httpx
from virtual_time import VirtualTimeLoop

from tencent_liveness_async import (
    ClientClosedError,
    Credential,
    LivenessClient,
    LivenessError,
    Photo,
    RetryPolicy,
    RunStoppedError,
    Statistics,
)
from tencent_liveness_async.sandbox import (
    SANDBOX_SECRET_ID,
    SANDBOX_SECRET_KEY,
    FaultScript,
    SandboxApp,
    SandboxSettings,
    SandboxStatistics,
    SandboxTransport,
)

from .witness import Witness, get_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .scenario import Scenario

End = Literal["handed out", "unfinished", "cancelled", "dropped"]
"""How a caller's waiting for a photo has ended: with its outcome; named by RunStoppedError as without one;
cancelled by the caller; refused because the client was closed."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a scenario.

    Attributes:
        scenario: The scenario.
        witness: What its events told.
        asked: Whether each photo was asked for.
        singles: The numbers of the photos that were calls of `score`.
        ends: How often each photo's caller has got each end.
        ours: The client's statistics after closing.
        sandbox: The service's.
        leftovers: What was there after closing.
        seconds: Virtual seconds.
    """

    scenario: Scenario
    witness: Witness
    asked: bytearray
    singles: frozenset[int]
    ends: Counter[tuple[int, End]]
    ours: Statistics
    sandbox: SandboxStatistics
    leftovers: list[str]
    seconds: float


def run(scenario: Scenario) -> Result:
    """Run a scenario to its end.

    Raises:
        DeadlockError: The client waits for what cannot come.
    """
    jumps = 1_000_000 + 100 * scenario.photos
    with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, max_jumps=jumps)) as runner:
        return runner.run(_Simulation(scenario).run())


class _Simulation:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._random = Random(scenario.seed)
        self._urls = list(self._make_urls())
        draws = (self._random.random() for _ in range(scenario.photos))
        self._singles = frozenset(number for number, draw in enumerate(draws) if draw < scenario.singles)
        self._asked = bytearray(scenario.photos)
        self._ends: Counter[tuple[int, End]] = Counter()
        self._app = SandboxApp(_make_settings(scenario))
        self._witness = Witness(scenario.rate, self._make_deadlines())
        self._client = self._make_client()

    async def run(self) -> Result:
        """Let the callers come, wait for them, and close the client."""
        client, loop = self._client, asyncio.get_running_loop()
        for at, quota in self.scenario.quota_changes:
            loop.call_at(at, self._app.set_quota, quota)
        async with client, asyncio.TaskGroup() as callers:
            callers.create_task(self._read_stream())
            for number in sorted(self._singles):
                callers.create_task(self._score_one(number))
            if self.scenario.close_at is not None:
                callers.create_task(self._close(self.scenario.close_at))
        seconds = loop.time()
        await asyncio.sleep(0)
        return Result(
            scenario=self.scenario,
            witness=self._witness,
            asked=self._asked,
            singles=self._singles,
            ends=self._ends,
            ours=client.statistics(),
            sandbox=self._app.statistics(),
            leftovers=list(_find_leftovers(client)),
            seconds=seconds,
        )

    # The callers.

    async def _read_stream(self) -> None:
        try:
            async with asyncio.timeout(self.scenario.leave_at if self._is_cut else None):
                await self._read_outcomes()
        except RunStoppedError as error:
            for outcome in error.finished:
                self._note_end(get_number(outcome.photo), "handed out")
            for photo in error.unfinished:
                self._note_end(get_number(photo), "unfinished")
        except ClientClosedError:
            if self.scenario.close_at is None:
                raise
        except TimeoutError:
            if not self._is_cut:
                raise

    async def _read_outcomes(self) -> None:
        scenario, now = self.scenario, asyncio.get_running_loop().time
        stream = self._client.score_many(
            self._take_photos(), ordered=scenario.is_ordered, deadline=self._stream_deadline
        )
        async with stream as outcomes:
            async for outcome in outcomes:
                self._note_end(get_number(outcome.photo), "handed out")
                if scenario.reader_pause:
                    await asyncio.sleep(scenario.reader_pause)
                if scenario.leave_at is not None and now() >= scenario.leave_at:
                    break

    @property
    def _is_cut(self) -> bool:
        return self.scenario.leave_at is not None and self.scenario.leave_by == "cancel"

    def _take_photos(self) -> Iterator[Photo]:
        for number in range(self.scenario.photos):
            if number not in self._singles:
                yield self._ask(number)

    async def _score_one(self, number: int) -> None:
        scenario, loop = self.scenario, asyncio.get_running_loop()
        await asyncio.sleep(self._random.uniform(0, scenario.singles_within))
        if self._random.random() < scenario.cancelled:
            task = asyncio.current_task()
            assert task is not None
            loop.call_later(self._random.uniform(0, scenario.cancelled_within), task.cancel)
        try:
            await self._client.score(self._ask(number))
        except ClientClosedError:
            self._note_end(number, "dropped")
        except LivenessError:
            self._note_end(number, "handed out")
        except asyncio.CancelledError:
            self._note_end(number, "cancelled")
        else:
            self._note_end(number, "handed out")

    async def _close(self, at: float) -> None:
        await asyncio.sleep(at)
        await self._client.aclose(grace=self.scenario.grace)

    def _ask(self, number: int) -> Photo:
        self._asked[number] = 1
        return Photo(url=self._urls[number], id=str(number))

    def _note_end(self, number: int, end: End) -> None:
        self._ends[number, end] += 1

    # What they work with.

    def _make_urls(self) -> Iterator[str]:
        recent: list[str] = []
        for number in range(self.scenario.photos):
            is_duplicate = recent and self._random.random() < self.scenario.duplicates
            url = self._random.choice(recent) if is_duplicate else f"https://photos.test/{number}"
            recent = [*recent[-19:], url]
            yield url

    def _make_deadlines(self) -> list[float]:
        scenario = self.scenario
        return [
            scenario.deadline if number in self._singles else self._stream_deadline
            for number in range(scenario.photos)
        ]

    @property
    def _stream_deadline(self) -> float:
        """Time for the photos that a stream takes at once, beside the client's deadline."""
        scenario = self.scenario
        return scenario.deadline + 2 * scenario.max_concurrency / scenario.rate

    def _make_client(self) -> LivenessClient:
        scenario = self.scenario
        transport: httpx.AsyncBaseTransport = SandboxTransport(self._app)
        if scenario.network:
            transport = _Network(transport, scenario)
        client = LivenessClient(
            credentials=Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY),
            endpoint="http://sandbox.test",
            rate=scenario.rate,
            max_concurrency=scenario.max_concurrency,
            deadline=scenario.deadline,
            timeouts=scenario.timeouts,
            retry=RetryPolicy(max_maybe_billed=scenario.max_maybe_billed),
            transport=transport,
            hooks=[self._witness],
        )
        client._engine.scheduler.random = Random(scenario.seed)
        return client


class _Network(httpx.AsyncBaseTransport):
    """Takes a while there and back, so that calls and answers overtake each other."""

    def __init__(self, service: httpx.AsyncBaseTransport, scenario: Scenario) -> None:
        self._service = service
        self._seconds = scenario.network
        self._random = Random(scenario.seed)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._travel()
        response = await self._service.handle_async_request(request)
        await self._travel()
        return response

    async def _travel(self) -> None:
        await asyncio.sleep(self._seconds * self._random.uniform(1, 1.5))


def _make_settings(scenario: Scenario) -> SandboxSettings:
    return SandboxSettings(
        quota=scenario.quota,
        quota_window=scenario.quota_window,
        quota_offset=scenario.quota_offset,
        other_calls=scenario.other_calls,
        latency=scenario.latency,
        seed=scenario.seed,
        faults=FaultScript(scenario.seed, scenario.faults),
        faces=False,
    )


def _find_leftovers(client: LivenessClient) -> Iterator[str]:
    """Name what is still there in a closed client."""
    scheduler, numbers = client._engine.scheduler, client.statistics()
    levels = {
        "slots": scheduler.slots.taken,
        "flights": len(scheduler.flights),
        "runs": len(scheduler._runs),
        "waiting": numbers.waiting,
        "in flight": numbers.in_flight,
        "queued interactive": numbers.queued["interactive"],
        "queued bulk": numbers.queued["bulk"],
        "waiters for slots": bool(scheduler.slots.queue),
        "waiters for permits": bool(scheduler.pacer.queue),
        "granting": scheduler.pacer._granting is not None,
    }
    yield from (f"{name}: {level:d}" for name, level in levels.items() if level)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        yield f"task: {task.get_name()}"
