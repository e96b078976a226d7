"""What the client's flow control does end to end, with the sandbox as the service."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from scripted_server import Exchange, serving
from virtual_time import run_virtual

from tencent_liveness_async import (
    AuthenticationError,
    ClientClosedError,
    DeadlineTooShortError,
    Failed,
    LivenessClient,
    NoFaceError,
    Outcome,
    Photo,
    Scored,
    Statistics,
    WrongLoopError,
)
from tencent_liveness_async._events import AttemptStarted, ClientClosed, Event, OutcomeReached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytest.importorskip("PIL")

from sandbox_clients import KEY, URL, make_client, with_client

from tencent_liveness_async.sandbox import (
    FaultRule,
    Latency,
    SandboxApp,
    SandboxSettings,
    SandboxTransport,
)

SLOW: dict[str, Any] = {"latency": Latency.uniform(0.5, 0.5)}
DESCRIPTORS = Path("/proc/self/fd")
ANSWER = b'{"Response":{"Score":90.5,"FaceModelVersion":"3.0","RequestId":"r"}}'


def urls(count: int) -> list[str]:
    """Return so many photos that are not equal."""
    return [f"{URL}?{number}" for number in range(count)]


async def read_all(client: LivenessClient, photos: list[Any], **settings: Any) -> list[Outcome]:
    """Score many photos and return their outcomes."""
    async with client.score_many(photos, **settings) as outcomes:
        return [outcome async for outcome in outcomes]


class RoutedTransport(SandboxTransport):
    """A sandbox behind several host names, of which some may be dead."""

    def __init__(self, app: SandboxApp, *dead: str) -> None:
        super().__init__(app)
        self.dead = set(dead)
        self.hosts: list[tuple[float, str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Note when which host was called, and with what Host header."""
        now = asyncio.get_running_loop().time()
        self.hosts.append((now, request.url.host, request.headers["host"]))
        if request.url.host in self.dead:
            raise httpx.ConnectError("connection refused", request=request)
        return await super().handle_async_request(request)


# Lanes and deadlines.


@pytest.mark.parametrize(("lane", "is_early"), [("interactive", True), ("bulk", False)])
def test_score_passes_a_run_unless_told_otherwise(lane: Any, is_early: bool) -> None:
    """A score that somebody waits for goes before a run that was first; `lane="bulk"` waits behind it."""
    order: list[str] = []

    def watch(event: Event) -> None:
        if isinstance(event, AttemptStarted):
            order.append(event.photo.name)

    async def use(client: LivenessClient) -> int:
        running = asyncio.ensure_future(read_all(client, urls(100)))
        await asyncio.sleep(1.05)
        sent = len(order)
        await client.score(Photo(url=URL, id="mine"), lane=lane)
        await running
        return sent

    sent, _ = with_client(use, rate=10, max_concurrency=4, hooks=[watch])
    assert (order.index("mine") <= sent + 4) is is_early  # those that have a slot go first in any case


def test_a_run_may_be_interactive() -> None:
    """`score_many(lane="interactive")` passes another run."""
    order: list[str] = []

    def watch(event: Event) -> None:
        if isinstance(event, AttemptStarted):
            order.append(event.photo.name)

    async def use(client: LivenessClient) -> int:
        first = asyncio.ensure_future(read_all(client, urls(60)))
        await asyncio.sleep(1.05)
        sent = len(order)
        urgent = [Photo(url=f"{URL}?urgent{number}", id="urgent") for number in range(20)]
        await asyncio.gather(first, read_all(client, urgent, lane="interactive"))
        return sent

    sent, _ = with_client(use, rate=10, max_concurrency=4, hooks=[watch])
    assert order[sent + 4 : sent + 24].count("urgent") >= 17


def test_a_deadline_shorter_than_the_queue_is_refused_at_once() -> None:
    """With 5 s of calls queued, a score within 2 s is refused at once, and says how long it would be."""

    async def use(client: LivenessClient) -> float:
        waiting = [asyncio.ensure_future(client.score(url)) for url in urls(50)]
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineTooShortError) as caught:
            await client.score(URL, deadline=2)
        assert asyncio.get_running_loop().time() == began
        await asyncio.gather(*waiting)
        return caught.value.estimated_wait

    estimate, app = with_client(use, rate=10)
    assert estimate == pytest.approx(5, rel=0.1)
    assert app.statistics().calls == 50


def test_a_rate_that_falls_far_does_not_shed_a_run() -> None:
    """When the quota leaves a fraction of the rate, a run becomes slow; it does not refuse its photos."""

    async def use(client: LivenessClient) -> list[Outcome]:
        return await read_all(client, urls(1500))

    outcomes, app = with_client(use, rate=45, sandbox={"quota": 1, **SLOW})
    assert len(outcomes) == 1500
    assert sum(isinstance(outcome, Scored) for outcome in outcomes) >= 1500 - 128
    assert app.statistics().billed <= 1500


# Single flight.


def count_calls(use: Callable[[LivenessClient], Awaitable[object]], **settings: Any) -> int:
    """Return how many calls the sandbox got."""

    async def run(client: LivenessClient) -> None:
        await use(client)

    _, app = with_client(run, sandbox=SLOW, **settings)
    return app.statistics().calls


def test_equal_photos_are_sent_once() -> None:
    """The same URL or bytes in flight at the same time cost one call, and another one later."""

    async def use(client: LivenessClient) -> None:
        results = await asyncio.gather(*(client.score(URL) for _ in range(5)))
        assert len({result.request_id for result in results}) == 1
        await client.score(URL)
        statistics = client.statistics()
        assert (statistics.scored, statistics.shared, statistics.billed) == (6, 4, 2)

    assert count_calls(use) == 2


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"single_flight": False}, {}),
        ({"unsigned_payload": True}, {}),
        ({}, {"threshold": 70}),
        ({}, {"model_version": "3.0"}),
        ({}, {"language": "zh-CN"}),
    ],
)
def test_what_differs_is_not_shared(settings: dict[str, Any], options: dict[str, Any]) -> None:
    """Another threshold, model or language is another question; sharing can be switched off."""

    async def use(client: LivenessClient) -> None:
        other = client.with_options(**options)
        await asyncio.gather(client.score(URL), other.score(URL))
        assert client.statistics().shared == 0

    assert count_calls(use, **settings) == 2


def test_a_shared_refusal_says_that_it_was_not_billed_again() -> None:
    """Of equal photos without a face one error is billed, and each caller gets one of its own."""

    async def use(client: LivenessClient) -> list[Any]:
        return await asyncio.gather(*(client.score(URL) for _ in range(3)), return_exceptions=True)

    rule = FaultRule(fault="code", code="InvalidParameterValue.NoFaceInPhoto", rate=1)
    errors, app = with_client(use, faults=(rule,))
    assert all(isinstance(error, NoFaceError) for error in errors)
    assert sum(error.is_billed for error in errors) == app.statistics().billed < 3


# Breakers.


def test_an_account_fault_is_told_without_another_call() -> None:
    """In a long-lived client the first account fault makes the next scores fail at once, the same way."""

    async def use(client: LivenessClient) -> None:
        for _ in range(20):
            with pytest.raises(AuthenticationError, match=r"AuthFailure\.SecretIdNotFound"):
                await client.score(URL)
        assert client.statistics().account == "open"
        await asyncio.sleep(60)
        with pytest.raises(AuthenticationError):
            await client.score(URL)

    _, app = with_client(use, sandbox={"secret_id": "AKIDanother"})
    assert app.statistics().calls == 2


# The clock.


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_clock_that_jumps_costs_no_photo(jump: float) -> None:
    """An hour's jump in the middle of a run costs at most one refused call for each photo in flight."""

    def wall_clock() -> float:
        return time.time() + (jump if asyncio.get_running_loop().time() > 2 else 0)

    async def use(client: LivenessClient) -> tuple[list[Outcome], int]:
        outcomes = await read_all(client, urls(100))
        refused_before = client.statistics().attempts
        await read_all(client, urls(20))
        assert client.statistics().attempts == refused_before + 20  # the offset stays
        return outcomes, refused_before - 100

    (outcomes, refused), app = with_client(use, rate=20, sandbox={"wall_clock": wall_clock, **SLOW})
    assert all(isinstance(outcome, Scored) and outcome.attempts <= 2 for outcome in outcomes)
    assert 1 <= refused <= 20
    assert app.statistics().billed == 120


def test_a_clock_that_drifts_costs_no_photo() -> None:
    """A clock that is ten seconds off after each second is set right again and again, and loses nothing."""

    def wall_clock() -> float:
        return time.time() + 10 * asyncio.get_running_loop().time()

    async def use(client: LivenessClient) -> list[Outcome]:
        return await read_all(client, urls(1000))

    outcomes, app = with_client(use, rate=10, sandbox={"wall_clock": wall_clock, **SLOW})
    assert all(isinstance(outcome, Scored) and outcome.attempts <= 2 for outcome in outcomes)
    refusals = app.statistics().codes["AuthFailure.SignatureExpire"]
    assert 3 <= refusals <= 4 * 10  # once in 30 s, and what is in flight then


# Endpoints.


def use_endpoints(
    use: Callable[[LivenessClient, RoutedTransport], Awaitable[None]], *dead: str, **settings: Any
) -> RoutedTransport:
    """Run `use` with a client of two endpoints."""
    transport = RoutedTransport(SandboxApp(SandboxSettings(faces=False, quota=None, **SLOW)), *dead)

    async def scenario() -> None:
        client = LivenessClient(
            credentials=KEY,
            endpoint="http://first.test",
            fallback_endpoints=["http://second.test:8080"],
            transport=transport,
            **settings,
        )
        async with client:
            await use(client, transport)

    run_virtual(scenario())
    return transport


def test_a_dead_endpoint_moves_the_calls_to_the_next() -> None:
    """The second endpoint's calls are signed for its own host, and no photo is lost."""

    async def use(client: LivenessClient, _: RoutedTransport) -> None:
        assert all(isinstance(outcome, Scored) for outcome in await read_all(client, urls(50)))
        assert "second.test" in repr(client)

    hosts = use_endpoints(use, "first.test").hosts
    assert [host for _, host, _ in hosts].count("second.test") == 50
    assert {(host, header) for _, host, header in hosts} == {
        ("first.test", "first.test"),
        ("second.test", "second.test:8080"),
    }


def test_two_endpoints_have_one_pace() -> None:
    """Calls to all endpoints together keep the rate: the quota is the account's."""

    async def use(client: LivenessClient, transport: RoutedTransport) -> None:
        running = asyncio.ensure_future(read_all(client, urls(200)))
        await asyncio.sleep(3)
        transport.dead = {"first.test"}
        await asyncio.sleep(3)
        transport.dead = {"second.test"}
        assert all(isinstance(outcome, Scored) for outcome in await running)

    times = [at for at, _, _ in use_endpoints(use, rate=20).hosts]
    for begin in times:
        assert sum(begin <= at < begin + 1 for at in times) <= 20 + 1 + 0.4


# Closing.


def test_closing_tells_what_became_of_what() -> None:
    """What was under way ends or is cut off, what waited is dropped; closing twice is one event."""
    events: list[Event] = []

    async def use(client: LivenessClient) -> list[Any]:
        waiting = [asyncio.ensure_future(client.score(url)) for url in urls(6)]
        await asyncio.sleep(0.1)
        await asyncio.gather(client.aclose(grace=1), client.aclose(grace=1))
        await client.aclose()
        return await asyncio.gather(*waiting, return_exceptions=True)

    slow = FaultRule(fault="stall", seconds=30, calls=(2,))
    found, _ = with_client(use, faults=(slow,), sandbox=SLOW, max_concurrency=3, hooks=[events.append])
    closed = [event for event in events if isinstance(event, ClientClosed)]
    assert closed == [ClientClosed(finished=2, cut_off=1, dropped=3)]
    assert sum(isinstance(each, ClientClosedError) for each in found) == 3


def count_descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(DESCRIPTORS.iterdir()))


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="descriptors are counted in /proc")
@pytest.mark.usefixtures("allow_blocking")
def test_a_thousand_clients_leave_nothing() -> None:
    """Opening, using and closing 1,000 clients leaves no task and no descriptor."""

    async def scenario() -> tuple[int, int]:
        app = SandboxApp(SandboxSettings(faces=False, quota=None))
        before = count_descriptors()
        for _ in range(1000):
            async with make_client(app) as client:
                await client.score(URL)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks()), count_descriptors() - before

    assert run_virtual(scenario()) == (1, 0)


async def answer(exchange: Exchange) -> None:
    """Give a score."""
    await exchange.answer(ANSWER)


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="descriptors are counted in /proc")
@pytest.mark.usefixtures("allow_blocking")
async def test_clients_with_their_own_connections_leave_nothing() -> None:
    """The same for 50 clients with the default transport."""
    async with serving(answer) as server:
        tasks, descriptors = len(asyncio.all_tasks()), 0
        for number in range(50):
            async with LivenessClient(credentials=KEY, endpoint=server.url, trust_env=False) as client:
                assert (await client.score(URL)).score == 90.5
            if not number:
                await asyncio.sleep(0.05)
                descriptors = count_descriptors()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) <= tasks + 50  # the server's side of each connection
        assert count_descriptors() <= descriptors + 1
    assert len(asyncio.all_tasks()) <= tasks + 1


# Loops and threads.


async def open_client(**settings: Any) -> LivenessClient:
    """Open a client that somebody else closes."""
    client = make_client(SandboxApp(SandboxSettings(faces=False, quota=None)), **settings)
    return await client.__aenter__()


@pytest.mark.parametrize("use", ["score", "score_many", "warm_up", "aclose", "open"])
def test_another_loop_is_refused(use: str) -> None:
    """In the loop of another thread everything says which thread the client was opened in."""
    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(open_client())

    async def misuse() -> None:
        match use:
            case "score":
                await client.score(URL)
            case "score_many":
                client.score_many([URL])
            case "warm_up":
                await client.warm_up(1)
            case "aclose":
                await client.aclose()
            case _:
                await client.__aenter__()

    with (
        ThreadPoolExecutor(1, thread_name_prefix="elsewhere") as executor,
        pytest.raises(WrongLoopError, match="'elsewhere_0'") as caught,
    ):
        executor.submit(lambda: asyncio.run(misuse())).result()
    assert repr(threading.current_thread().name) in str(caught.value)
    loop.run_until_complete(client.score(URL))  # it is still open where it belongs
    loop.run_until_complete(client.aclose())
    loop.close()


def test_a_client_whose_loop_is_gone_can_be_closed_anywhere() -> None:
    """After its loop was closed, closing a client works in any loop."""
    events: list[Event] = []
    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(open_client(hooks=[events.append], max_concurrency=1))

    async def use() -> None:
        await asyncio.gather(*map(client.score, urls(2)))

    loop.run_until_complete(use())
    loop.close()
    asyncio.run(client.aclose())
    assert events[-1] == ClientClosed(0, 0, 0)


def test_a_loop_that_was_closed_under_its_photos_can_be_left() -> None:
    """Photos that their loop has dropped do not keep the client from being closed elsewhere."""
    events: list[Event] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # the tasks that are destroyed below

    async def begin() -> LivenessClient:
        app = SandboxApp(SandboxSettings(faces=False, quota=None, latency=Latency.uniform(9, 9)))
        client = await make_client(app, hooks=[events.append], max_concurrency=1).__aenter__()
        task = asyncio.ensure_future(client.score(URL))
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        return client

    client = loop.run_until_complete(begin())
    loop.close()
    asyncio.run(client.aclose())
    assert events[-1] == ClientClosed(finished=0, cut_off=1, dropped=0)
    for run in client._engine.scheduler._runs:
        run.task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_connections_of_a_loop_that_is_gone_can_be_closed() -> None:
    """The default transport, with a connection kept alive, closes in another loop, too."""
    loop = asyncio.new_event_loop()

    async def use() -> LivenessClient:
        async with serving(answer) as server:
            client = LivenessClient(credentials=KEY, endpoint=server.url, trust_env=False)
            await client.__aenter__()
            await client.score(URL)
            return client

    async def close(client: LivenessClient) -> None:
        async with asyncio.timeout(5):
            await client.aclose()

    client = loop.run_until_complete(use())
    loop.close()
    asyncio.run(close(client))


# Statistics.


async def use_everything(client: LivenessClient) -> tuple[Statistics, Statistics, str]:
    """Score photos with one fault of each kind; return the statistics and the repr in between and after."""
    await client.score(URL)
    await client.score(URL)
    with pytest.raises(NoFaceError):
        await client.score(URL)
    await asyncio.gather(client.score(URL), client.score(URL))
    running = asyncio.ensure_future(read_all(client, urls(9)))
    single = [asyncio.ensure_future(client.score(f"{URL}?x{number}")) for number in range(3)]
    await asyncio.sleep(0.45)
    during, shown = client.statistics(), repr(client)
    await asyncio.gather(running, *single)
    return during, client.statistics(), shown


def run_everything() -> tuple[Statistics, Statistics, str, SandboxApp]:
    """Run it with a service that throttles, resets, fails and refuses once each."""
    message = "the request count equals to `31` in a second, which exceeds the frequency limit `40`"
    rules = (
        FaultRule(fault="code", code="RequestLimitExceeded", message=message, calls=(1,)),
        FaultRule(fault="reset", at="answer", calls=(3,)),
        FaultRule(fault="code", code="FailedOperation.ServerError", calls=(5,)),
        FaultRule(fault="code", code="InvalidParameterValue.NoFaceInPhoto", calls=(6,)),
    )
    (during, after, shown), app = with_client(
        use_everything, faults=rules, sandbox=SLOW, rate=20, max_concurrency=4
    )
    return during, after, shown, app


def test_every_count_is_right() -> None:
    """What the client has counted is what the service has done."""
    _, after, _, app = run_everything()
    service = app.statistics()
    assert (after.waiting, after.in_flight, after.queued) == (0, 0, {"interactive": 0, "bulk": 0})
    assert after.attempts == service.calls
    assert (after.scored, after.failed, after.shared) == (2 + 2 + 9 + 3, 1, 1)
    assert after.throttled == service.throttled == 1
    assert after.billed == service.billed - service.billed_unanswered
    assert after.maybe_billed == service.billed_unanswered == 1
    assert after.retries == {"throttle": 1, "transient": 1, "not_sent": 0, "maybe_billed": 1, "final": 0}


def test_every_level_is_right() -> None:
    """The pace, the quota, the slots, the breakers and the latencies are shown as they are."""
    _, after, _, _ = run_everything()
    assert (after.limit, after.others, after.concurrency) == (40, 30.0, 4)
    assert after.ceiling == pytest.approx(0.98 * 10)
    assert 0 < after.rate <= after.ceiling
    assert (after.account, after.transport) == ("closed", "closed")
    assert after.attempt_latency.p50 == pytest.approx(0.5, rel=0.06)
    assert 0 < after.rate_latency.p50 < after.rate_latency.p99 < 2
    assert 0 < after.queue_latency.p50 < after.queue_latency.p99 < 3


def test_statistics_and_repr_show_what_is_under_way() -> None:
    """While four photos are sent, the others that were taken wait, each of them in its lane."""
    during, _, shown, _ = run_everything()
    assert (during.in_flight, during.waiting) == (4, 7)  # a run takes in no more than eight
    assert sum(during.queued.values()) == 7
    assert shown.startswith("<LivenessClient http://sandbox.test/ open: 9.")
    assert shown.endswith(" calls/s, 4 in flight, 7 waiting>")


def test_no_statistic_is_forgotten() -> None:
    """Every field is looked at by the tests above."""
    looked_at = (
        "waiting in_flight attempts scored failed shared billed maybe_billed throttled retries queued "
        "concurrency rate ceiling limit others account transport queue_latency rate_latency attempt_latency"
    )
    assert {field.name for field in fields(Statistics)} == set(looked_at.split())


# Abandoned photos.


def test_a_stubborn_provider_leads_to_no_call() -> None:
    """A provider that swallows the cancellation of a score leads to no call after it."""

    class Stubborn:
        async def get(self) -> Any:
            if asyncio.get_running_loop().time() > 0:
                try:
                    await asyncio.sleep(10)
                except asyncio.CancelledError:
                    await asyncio.sleep(1)
            return KEY

    events: list[Event] = []

    async def use(client: LivenessClient) -> None:
        await asyncio.sleep(1)
        scoring = asyncio.ensure_future(client.score(URL))
        await asyncio.sleep(1)
        scoring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scoring
        await asyncio.sleep(5)

    _, app = with_client(use, credentials=Stubborn(), hooks=[events.append])
    assert app.statistics().calls == 0
    assert not any(isinstance(event, OutcomeReached) for event in events)


def test_a_failed_outcome_of_a_shared_photo_is_a_value() -> None:
    """In a run, too, equal photos in flight share the refusal and its bill."""
    rule = FaultRule(fault="code", code="InvalidParameterValue.NoFaceInPhoto", rate=1)

    async def use(client: LivenessClient) -> list[Outcome]:
        return await read_all(client, [URL] * 4)

    outcomes, _ = with_client(use, faults=(rule,), sandbox=SLOW)
    assert all(isinstance(outcome, Failed) for outcome in outcomes)
    assert sorted(outcome.is_shared for outcome in outcomes) == [False, True, True, True]
    assert sum(outcome.is_billed is True for outcome in outcomes) == 1
