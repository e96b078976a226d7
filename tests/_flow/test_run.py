from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from fake_calls import FakeCall, make_scheduler
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual

from tencent_liveness_async._errors import (
    DeadlineExceededError,
    LivenessError,
    NotSentError,
    OutcomeUnknownError,
    TransientAPIError,
    make_api_error,
)
from tencent_liveness_async._events import Event, OutcomeReached
from tencent_liveness_async._flow import RetryPolicy, Scheduler, Statistics
from tencent_liveness_async._models import Failed, Outcome, Scored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NO_RETRY = RetryPolicy(max_not_sent=0, max_maybe_billed=0)


def no_face() -> LivenessError:
    """Return the service's refusal of a photo, which it bills."""
    return make_api_error("InvalidParameterValue.NoFaceInPhoto", "no face", request_id="r-face")


def server_error() -> LivenessError:
    """Return an error that may go away when tried again."""
    return make_api_error("FailedOperation.ServerError", "failed")


def share(
    calls: Sequence[FakeCall], *, retry: RetryPolicy | None = None, max_concurrency: int = 9
) -> tuple[list[Outcome], Statistics]:
    """Run calls at the same time; return their outcomes and the statistics after them."""

    async def scenario() -> tuple[list[Outcome], Statistics]:
        scheduler = make_scheduler(retry=retry, max_concurrency=max_concurrency)
        outcomes = await asyncio.gather(*(scheduler.run(call, deadline=60) for call in calls))
        return outcomes, scheduler.statistics()

    return run_virtual(scenario())


class Stubborn(FakeCall):
    """A credential provider that swallows its first cancellation and goes on for a while."""

    async def authenticate(self) -> str:
        """Take ten seconds, and one more if cancelled."""
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return "credential"


def test_equal_photos_in_flight_share_one_attempt() -> None:
    """The first is sent and billed; the others have its score, no attempt, no bill and their own photo."""
    calls = [FakeCall(str(number), key="same") for number in range(5)]
    outcomes, statistics = share(calls)
    leader, *followers = outcomes
    assert isinstance(leader, Scored)
    assert (leader.is_shared, leader.attempts, leader.is_billed) == (False, 1, True)
    for call, outcome in zip(calls[1:], followers, strict=True):
        assert isinstance(outcome, Scored)
        assert outcome.photo is call.photo
        assert outcome.result == leader.result
        assert (outcome.is_shared, outcome.attempts, outcome.is_billed) == (True, 0, False)
        assert outcome.timings.queue == pytest.approx(0.5)
    assert (statistics.scored, statistics.shared, statistics.attempts, statistics.billed) == (5, 4, 1, 1)


def test_equal_photos_share_a_refusal() -> None:
    """A refusal is shared with its request id, as an error of each photo's own that bills nothing twice."""
    calls = [FakeCall(str(number), no_face(), key="same") for number in range(3)]
    outcomes, statistics = share(calls)
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, Failed)]
    assert [type(error).__name__ for error in errors] == ["NoFaceError"] * 3
    assert {error.request_id for error in errors} == {"r-face"}
    assert [error.is_billed for error in errors] == [outcome.is_billed for outcome in outcomes]
    assert [outcome.is_billed for outcome in outcomes] == [True, False, False]
    assert len(set(map(id, errors))) == 3
    assert [outcome.attempts for outcome in outcomes] == [1, 0, 0]
    assert (statistics.failed, statistics.shared, statistics.billed) == (3, 2, 1)


def test_a_shared_error_has_no_traceback_of_another_photo() -> None:
    """What is raised for each of many equal photos does not grow from one to the next."""
    outcomes, _ = share([FakeCall(str(number), no_face(), key="same") for number in range(2)])
    shared = outcomes[1]
    assert isinstance(shared, Failed)
    assert traceback.extract_tb(shared.error.__traceback__) == []


@pytest.mark.parametrize("error", [server_error(), NotSentError("refused"), OutcomeUnknownError("reset")])
def test_a_leader_that_fails_for_now_does_not_take_the_others_along(error: LivenessError) -> None:
    """After it one of the others leads, and those left share its score."""
    calls = [
        FakeCall("leader", *[error] * 9, key="same"),
        *(FakeCall(str(n), key="same") for n in range(3)),
    ]
    outcomes, statistics = share(calls, retry=RetryPolicy(budget=0, max_not_sent=0, max_maybe_billed=0))
    assert isinstance(outcomes[0], Failed)
    assert [outcome.attempts for outcome in outcomes] == [1, 1, 0, 0]
    assert all(isinstance(outcome, Scored) for outcome in outcomes[1:])
    assert statistics.shared == 2


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_leader_that_is_cancelled_does_not_take_the_others_along(is_sent: bool) -> None:
    """A leader that waits hands over; one that is being sent ends and is shared, for it may be billed."""

    async def scenario() -> tuple[list[Outcome], FakeCall]:
        scheduler, leader = make_scheduler(), FakeCall("leader", key="same", seconds=3)
        if not is_sent:
            scheduler.pacer.hold(2)
        first = asyncio.ensure_future(scheduler.run(leader, deadline=60))
        await asyncio.sleep(0.1)
        others = [scheduler.run(FakeCall(str(n), key="same"), deadline=60) for n in range(2)]
        rest = asyncio.gather(*others)
        await asyncio.sleep(0.5)
        first.cancel()
        outcomes = list(await rest)
        assert first.cancelled()
        return outcomes, leader

    outcomes, leader = run_virtual(scenario())
    assert all(isinstance(outcome, Scored) for outcome in outcomes)
    assert [outcome.attempts for outcome in outcomes] == ([0, 0] if is_sent else [1, 0])
    assert len(leader.sent_at) == is_sent


def test_a_leader_with_a_short_deadline_does_not_take_the_others_along() -> None:
    """The leader's deadline is its own: who has more time goes on."""

    async def scenario() -> list[Outcome]:
        scheduler = make_scheduler()
        call = FakeCall("leader", *[server_error()] * 99, key="same", seconds=0.6)
        first = asyncio.ensure_future(scheduler.run(call, deadline=1))
        await asyncio.sleep(0)
        return [await scheduler.run(FakeCall("next", key="same"), deadline=60), await first]

    following, leader = run_virtual(scenario())
    assert isinstance(leader, Failed)
    assert isinstance(following, Scored)
    assert not following.is_shared


def test_a_follower_has_its_own_deadline() -> None:
    """Who waits for an equal photo waits no longer than its own deadline, and costs it nothing."""

    async def scenario() -> list[Outcome]:
        scheduler = make_scheduler()
        calls = [(FakeCall("leader", key="same", seconds=5), 60), (FakeCall("short", key="same"), 2)]
        return await asyncio.gather(*(scheduler.run(call, deadline=deadline) for call, deadline in calls))

    leader, short = run_virtual(scenario())
    assert isinstance(leader, Scored)
    assert isinstance(short, Failed)
    assert isinstance(short.error, DeadlineExceededError)
    assert (short.attempts, short.is_shared) == (0, False)


def test_a_bug_of_the_leader_is_not_shared() -> None:
    """What is no LivenessError is raised to the leader; the next one leads."""

    class Broken(FakeCall):
        async def send(self, seconds: float) -> object:  # type: ignore[override]
            await asyncio.sleep(1)
            raise ZeroDivisionError

    async def scenario() -> list[object]:
        scheduler = make_scheduler()
        calls = [Broken("leader", key="same"), FakeCall("next", key="same")]
        runs = (scheduler.run(call, deadline=60) for call in calls)
        return await asyncio.gather(*runs, return_exceptions=True)

    broken, outcome = run_virtual(scenario())
    assert isinstance(broken, ZeroDivisionError)
    assert isinstance(outcome, Scored)


@given(
    keys=st.lists(st.sampled_from([None, "a", "b"]), max_size=25),
    failures=st.lists(st.sampled_from([None, "face", "server", "unknown"]), min_size=25, max_size=25),
    cancel_after=st.lists(st.none() | st.floats(0, 2), min_size=25, max_size=25),
    max_concurrency=st.integers(1, 6),
)
def test_sharing_never_hangs_and_never_loses_a_photo(
    keys: list[str | None],
    failures: list[str | None],
    cancel_after: list[float | None],
    max_concurrency: int,
) -> None:
    """Whoever fails or is cancelled, every other photo has one outcome and no flight is left."""
    errors: dict[str, Callable[[], LivenessError]] = {
        "face": no_face,
        "server": server_error,
        "unknown": lambda: OutcomeUnknownError("reset"),
    }

    async def scenario() -> tuple[Scheduler, list[object]]:
        scheduler = make_scheduler(max_concurrency=max_concurrency, retry=NO_RETRY)
        runs: list[asyncio.Future[Outcome]] = []
        for number, key in enumerate(keys):
            failure = failures[number]
            script = [] if failure is None else [errors[failure]()]
            call = FakeCall(str(number), *script, key=key)
            runs.append(asyncio.ensure_future(scheduler.run(call, deadline=600)))
            if (after := cancel_after[number]) is not None:
                asyncio.get_running_loop().call_later(after, runs[-1].cancel)
        results = await asyncio.gather(*runs, return_exceptions=True)
        await scheduler.aclose(grace=60)
        return scheduler, list(results)

    scheduler, results = run_virtual(scenario())
    for result, after in zip(results, cancel_after, strict=False):
        assert isinstance(result, Scored | Failed) or after is not None
    statistics = scheduler.statistics()
    assert (statistics.waiting, statistics.in_flight, scheduler.slots.taken) == (0, 0, 0)
    assert scheduler.flights == {}


def test_an_outage_of_transient_errors_uses_up_the_budget_once() -> None:
    """All photos together make at most budget / cost retries, and the rest ends with the error itself."""
    calls = [FakeCall(str(number), *[server_error()] * 9) for number in range(200)]
    outcomes, statistics = share(calls, max_concurrency=64)
    assert all(isinstance(each, Failed) and isinstance(each.error, TransientAPIError) for each in outcomes)
    assert statistics.retries["transient"] == 500 // 14
    assert statistics.attempts == 200 + 500 // 14


@given(budget=st.floats(0, 400), failing=st.integers(0, 40), healthy=st.integers(0, 40))
def test_retries_are_bounded_by_the_budget_and_its_refunds(budget: float, failing: int, healthy: int) -> None:
    """With scores in between there is one retry more for every 14 of them, and no more."""
    calls = [FakeCall(f"bad {number}", *[server_error()] * 9) for number in range(failing)]
    calls += [FakeCall(f"good {number}") for number in range(healthy)]
    _, statistics = share(calls, retry=RetryPolicy(budget=budget), max_concurrency=8)
    assert statistics.retries["transient"] <= (budget + healthy) / 14
    assert statistics.scored == healthy


def test_a_poisonous_photo_ends_while_others_are_scored() -> None:
    """The same error three times, with a score in between, is the photo's fault and ends it."""
    policy = RetryPolicy(wait_initial=1, wait_max=1)

    async def run(code: str, *, with_others: bool) -> int:
        scheduler = make_scheduler(retry=policy, max_concurrency=9)
        call = FakeCall("bad", *[make_api_error(code, "again") for _ in range(9)])
        bad = asyncio.ensure_future(scheduler.run(call, deadline=60))
        while with_others and not bad.done():
            await scheduler.run(FakeCall("good", seconds=0.1), deadline=60)
        return (await bad).attempts

    most = make_api_error("InternalError", "").rule.max_retries
    assert most is not None
    assert run_virtual(run("InternalError", with_others=True)) == min(3, most + 1)
    assert run_virtual(run("InternalError", with_others=False)) == most + 1


@pytest.mark.parametrize("is_deadline_first", [False, True])
def test_deadline_and_abandonment_in_one_turn_keep_what_may_be_billed(is_deadline_first: bool) -> None:
    """A photo that is abandoned in the turn of its deadline is still reported with its maybe-billed call."""
    events: list[Event] = []

    async def scenario() -> None:
        retry = RetryPolicy(wait_initial=0.0, max_maybe_billed=1)
        scheduler, loop = make_scheduler(hooks=[events.append], retry=retry), asyncio.get_running_loop()
        call = FakeCall("a", OutcomeUnknownError("reset"), seconds=1)
        run = scheduler.start(call, deadline=3, lane="bulk")
        if not is_deadline_first:  # equal times go off in the order of setting; an attempt sets them again
            loop.call_at(3.0, run.abandon)
        await asyncio.sleep(0.5)
        scheduler.pacer.hold(60)
        await asyncio.sleep(1)
        if is_deadline_first:
            loop.call_at(3.0, run.abandon)
        await asyncio.wait([run.task])

    run_virtual(scenario())
    last = events[-1]
    assert isinstance(last, OutcomeReached)
    assert isinstance(last.outcome, Failed)
    assert (last.outcome.attempts, last.outcome.maybe_billed, last.outcome.is_billed) == (1, 1, None)
    assert last.is_abandoned


def test_a_swallowed_cancellation_sends_nothing() -> None:
    """A provider that swallows the cancellation leads neither to a call nor to a wait for a permit."""

    async def scenario() -> FakeCall:
        scheduler, call = make_scheduler(), Stubborn("a")
        scheduler.pacer.hold(50)
        run = asyncio.ensure_future(scheduler.run(call, deadline=60))
        await asyncio.sleep(1)
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
        await asyncio.sleep(1.5)
        assert (scheduler.slots.taken, scheduler.statistics().waiting) == (0, 0)
        return call

    assert run_virtual(scenario()).sent_at == []


def test_a_swallowed_deadline_sends_nothing() -> None:
    """A provider that swallows the deadline's cancellation gets the deadline as outcome all the same."""

    async def scenario() -> tuple[Outcome, FakeCall, float]:
        scheduler, call = make_scheduler(), Stubborn("a")
        asyncio.get_running_loop().call_at(1.5, scheduler.pacer.hold, 30)
        outcome = await scheduler.run(call, deadline=2)
        return outcome, call, asyncio.get_running_loop().time()

    outcome, call, ended_at = run_virtual(scenario())
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, DeadlineExceededError)
    assert call.sent_at == []
    assert ended_at == pytest.approx(3)
