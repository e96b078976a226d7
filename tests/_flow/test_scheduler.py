from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from fake_calls import FakeCall, make_scheduler
from virtual_time import run_virtual

from tencent_liveness_async._errors import (
    ClientClosedError,
    DeadlineExceededError,
    LivenessError,
    NotSentError,
    OutcomeUnknownError,
    PhotoRejectedError,
    make_api_error,
)
from tencent_liveness_async._events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    OutcomeReached,
    RateChanged,
    RetryScheduled,
)
from tencent_liveness_async._flow import RetryPolicy, Scheduler, Statistics
from tencent_liveness_async._models import Failed, LivenessScore, Outcome, Scored

if TYPE_CHECKING:
    from collections.abc import Sequence


COUNTERS = (
    "waiting",
    "in_flight",
    "attempts",
    "scored",
    "failed",
    "shared",
    "billed",
    "maybe_billed",
    "throttled",
)


def count(statistics: Statistics) -> dict[str, int]:
    """Return the counters that are not zero."""
    counters = {name: getattr(statistics, name) for name in COUNTERS}
    return {name: number for name, number in counters.items() if number}


def run_call(call: FakeCall, *, deadline: float = 60.0, attempt_timeout: float = 15.0) -> Outcome:
    """Run one call to its outcome in virtual time."""

    async def scenario() -> Outcome:
        scheduler = make_scheduler(attempt_timeout=attempt_timeout)
        return await scheduler.run(call, deadline=deadline)

    return run_virtual(scenario())


def throttled() -> LivenessError:
    """Return the service's answer to one call too many."""
    return make_api_error("RequestLimitExceeded", "slow down", request_id="r-throttled")


def server_error() -> LivenessError:
    """Return an error that goes away when tried again."""
    return make_api_error("FailedOperation.ServerError", "failed", request_id="r-error")


def test_a_call_that_succeeds_is_scored_with_one_attempt() -> None:
    """A score comes with its attempts, its timings and its request id."""
    outcome = run_call(FakeCall("a"))
    assert isinstance(outcome, Scored)
    assert (outcome.attempts, outcome.maybe_billed, outcome.request_id) == (1, 0, "a")
    assert outcome.timings.attempt == pytest.approx(0.5)
    assert outcome.is_billed is True


@pytest.mark.parametrize(
    ("errors", "attempts"),
    [([server_error()], 2), ([NotSentError("refused")] * 4, 5), ([throttled()] * 10, 11)],
)
def test_a_call_that_fails_for_a_while_is_scored_in_the_end(
    errors: Sequence[LivenessError], attempts: int
) -> None:
    """Transient faults, faults before sending and throttles are tried again until the score comes."""
    outcome = run_call(FakeCall("a", *errors))
    assert isinstance(outcome, Scored)
    assert outcome.attempts == attempts


def test_an_unknown_outcome_is_counted_beside_the_score() -> None:
    """A score after an attempt without an answer says that two calls may be billed."""
    outcome = run_call(FakeCall("a", OutcomeUnknownError("read timeout")))
    assert isinstance(outcome, Scored)
    assert (outcome.attempts, outcome.maybe_billed) == (2, 1)


def test_a_call_that_keeps_failing_fails_with_its_last_error() -> None:
    """When the retries are used up, the last error is the outcome."""
    error = OutcomeUnknownError("second")
    outcome = run_call(FakeCall("a", OutcomeUnknownError("first"), error))
    assert isinstance(outcome, Failed)
    assert outcome.error is error
    assert (outcome.attempts, outcome.maybe_billed, outcome.is_billed) == (2, 2, None)


def test_a_rejected_photo_costs_no_attempt() -> None:
    """A photo that breaks a limit is refused without a permit and without a call."""
    call = FakeCall("a", prepare_error=PhotoRejectedError("empty", rule="empty", value=0, limit=1))
    outcome = run_call(call)
    assert isinstance(outcome, Failed)
    assert (outcome.attempts, outcome.is_billed, call.sent_at) == (0, False, [])


def test_a_bug_in_a_call_is_not_hidden() -> None:
    """What is no LivenessError is raised to whoever asked, and the slot is free again."""

    async def scenario() -> Scheduler:
        scheduler = make_scheduler(max_concurrency=1)
        with pytest.raises(ZeroDivisionError):
            await scheduler.run(FakeCall("a", prepare_error=ZeroDivisionError()), deadline=9)
        assert isinstance(await scheduler.run(FakeCall("b"), deadline=9), Scored)
        return scheduler

    assert run_virtual(scenario()).statistics().waiting == 0


def test_throttles_wait_for_the_deadline_and_no_longer() -> None:
    """A photo that is throttled for ever fails at its deadline and names its last error."""
    outcome = run_call(FakeCall("a", *[throttled()] * 1000, seconds=0.01), deadline=5)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, DeadlineExceededError)
    assert "RequestLimitExceeded" in str(outcome.error)
    assert outcome.request_id == "r-throttled"
    assert outcome.is_billed is False


def test_the_deadline_includes_waiting_for_a_slot() -> None:
    """A photo that gets no slot in time fails without an attempt."""

    async def scenario() -> Outcome:
        scheduler = make_scheduler(max_concurrency=1)
        slow = asyncio.ensure_future(scheduler.run(FakeCall("slow", seconds=9), deadline=60))
        await asyncio.sleep(0)
        outcome = await scheduler.run(FakeCall("late"), deadline=2)
        await slow
        return outcome

    outcome = run_virtual(scenario())
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, DeadlineExceededError)
    assert outcome.attempts == 0
    assert outcome.timings.queue == pytest.approx(2.0)


def test_the_deadline_includes_waiting_for_the_rate() -> None:
    """A photo whose permit comes too late fails without an attempt."""

    async def scenario() -> list[Outcome]:
        scheduler = make_scheduler(rate=1, max_concurrency=9)
        calls = (scheduler.run(FakeCall(str(number)), deadline=2.5) for number in range(5))
        return await asyncio.gather(*calls)

    outcomes = run_virtual(scenario())
    assert [type(outcome) for outcome in outcomes] == [Scored, Scored, Scored, Failed, Failed]
    assert all(outcome.attempts == isinstance(outcome, Scored) for outcome in outcomes)


def test_an_attempt_ends_with_the_deadline() -> None:
    """An attempt gets no more time than its photo has left; what it did is not known then."""

    class Endless(FakeCall):
        async def send(self, seconds: float) -> object:  # type: ignore[override]
            await asyncio.sleep(seconds)
            raise OutcomeUnknownError(f"cut off after {seconds:g} s")

    outcome = run_call(Endless("a"), deadline=3, attempt_timeout=15)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, DeadlineExceededError)
    assert (outcome.maybe_billed, outcome.is_billed) == (1, None)
    assert outcome.timings.attempt == pytest.approx(3)


def test_never_more_in_flight_than_slots() -> None:
    """At most max_concurrency photos are between their slot and their outcome."""

    async def scenario() -> int:
        scheduler, most = make_scheduler(max_concurrency=3), 0

        def watch(event: Event) -> None:
            nonlocal most
            if isinstance(event, AttemptStarted):
                most = max(most, scheduler.statistics().in_flight)

        scheduler.hooks = type(scheduler.hooks)([watch])
        calls = (scheduler.run(FakeCall(str(number), server_error()), deadline=60) for number in range(20))
        await asyncio.gather(*calls)
        return most

    assert run_virtual(scenario()) == 3


def test_a_throttle_holds_everybody() -> None:
    """After a throttle nothing is sent for 250 ms."""

    async def scenario() -> list[float]:
        scheduler = make_scheduler(max_concurrency=9)
        calls = [FakeCall("first", throttled(), seconds=0.1)]
        first = asyncio.ensure_future(scheduler.run(calls[0], deadline=60))
        await asyncio.sleep(0.11)
        calls += [FakeCall(str(number)) for number in range(5)]
        await asyncio.gather(first, *(scheduler.run(call, deadline=60) for call in calls[1:]))
        return [at for call in calls[1:] for at in call.sent_at]

    assert min(run_virtual(scenario())) >= 0.35


def test_one_second_of_throttles_is_one_cut() -> None:
    """Many throttles of the same second cut the rate once, not once each."""
    changes: list[Event] = []

    async def scenario() -> None:
        scheduler = make_scheduler(max_concurrency=50, hooks=[changes.append])
        calls = [FakeCall(str(number), throttled(), seconds=0.018 * number) for number in range(50)]
        tasks = [asyncio.ensure_future(scheduler.run(call, deadline=60)) for call in calls]
        await asyncio.sleep(0.95)
        rates = [event for event in changes if isinstance(event, RateChanged)]
        assert sum(change.rate < change.rate_before for change in rates) == 1
        await asyncio.gather(*tasks)

    run_virtual(scenario())


def test_every_step_is_an_event() -> None:
    """Hooks see the attempts, the retries and the outcome, in order."""
    events: list[Event] = []

    async def scenario() -> Outcome:
        return await make_scheduler(hooks=[events.append]).run(FakeCall("a", server_error()), deadline=60)

    outcome = run_virtual(scenario())
    kinds = [AttemptStarted, AttemptEnded, RetryScheduled, AttemptStarted, AttemptEnded, OutcomeReached]
    assert [type(event) for event in events] == kinds
    assert events[-1] == OutcomeReached(outcome, is_abandoned=False)


def test_cancelling_while_waiting_costs_nothing() -> None:
    """A photo that is cancelled before it was sent leaves no call and no slot taken."""

    async def scenario() -> tuple[Scheduler, FakeCall]:
        scheduler, late = make_scheduler(max_concurrency=1), FakeCall("late")
        first = asyncio.ensure_future(scheduler.run(FakeCall("first", seconds=2), deadline=60))
        waiting = asyncio.ensure_future(scheduler.run(late, deadline=60))
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await first
        await scheduler.run(FakeCall("next"), deadline=60)
        return scheduler, late

    scheduler, late = run_virtual(scenario())
    assert late.sent_at == []
    assert count(scheduler.statistics()) == {"attempts": 2, "scored": 2, "billed": 2}


def test_cancelling_an_attempt_lets_it_end_and_reports_it() -> None:
    """An attempt under way survives the cancellation; its outcome reaches the hooks as abandoned."""
    events: list[Event] = []

    async def scenario() -> Scheduler:
        scheduler = make_scheduler(hooks=[events.append])
        run = asyncio.ensure_future(scheduler.run(FakeCall("a", seconds=5), deadline=60))
        await asyncio.sleep(1)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await scheduler.aclose(grace=60)
        return scheduler

    statistics = run_virtual(scenario()).statistics()
    assert (statistics.scored, statistics.billed, statistics.in_flight) == (1, 1, 0)
    last = events[-2]  # the client's closing comes after it
    assert isinstance(last, OutcomeReached)
    assert last.is_abandoned
    assert isinstance(last.outcome, Scored)


def test_an_abandoned_photo_is_not_tried_again() -> None:
    """After a cancellation the attempt under way is the photo's last."""

    async def scenario() -> FakeCall:
        scheduler, call = make_scheduler(), FakeCall("a", server_error(), seconds=5)
        run = asyncio.ensure_future(scheduler.run(call, deadline=60))
        await asyncio.sleep(1)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await scheduler.aclose(grace=60)
        return call

    assert len(run_virtual(scenario()).sent_at) == 1


def test_closing_cuts_off_what_outlasts_the_grace_period() -> None:
    """An attempt that is cut off by closing is an outcome: it may be billed."""

    async def scenario() -> tuple[Outcome, float]:
        scheduler = make_scheduler()
        run = scheduler.start(FakeCall("a", seconds=50), deadline=60, lane="bulk")
        await asyncio.sleep(1)
        await scheduler.aclose(grace=2)
        return run.task.result(), asyncio.get_running_loop().time()

    outcome, ended_at = run_virtual(scenario())
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, OutcomeUnknownError)
    assert outcome.maybe_billed == 1
    assert ended_at == pytest.approx(3)


def test_a_closed_scheduler_takes_nothing() -> None:
    """After closing, a call is one clear error."""

    async def scenario() -> None:
        scheduler = make_scheduler()
        await scheduler.aclose(grace=1)
        with pytest.raises(ClientClosedError):
            await scheduler.run(FakeCall("a"), deadline=1)

    run_virtual(scenario())


def test_a_permit_at_the_deadline_is_not_used() -> None:
    """Nothing is sent when no time is left."""

    async def scenario() -> Outcome:
        scheduler, call = make_scheduler(), FakeCall("a")
        scheduler.pacer.hold(1.0)
        return await scheduler.run(call, deadline=1.0)

    outcome = run_virtual(scenario())
    assert isinstance(outcome, Failed)
    assert outcome.attempts == 0


def test_the_numbers_add_up() -> None:
    """Statistics count attempts, outcomes, bills, throttles and retries."""

    async def scenario() -> Statistics:
        scheduler = make_scheduler(retry=RetryPolicy(max_maybe_billed=0))
        no_face = make_api_error("InvalidParameterValue.NoFaceInPhoto", "none")
        calls = [
            FakeCall("scored"),
            FakeCall("throttled", throttled()),
            FakeCall("unknown", OutcomeUnknownError("reset")),
            FakeCall("no face", no_face),
        ]
        await asyncio.gather(*(scheduler.run(call, deadline=60) for call in calls))
        return scheduler.statistics()

    statistics = run_virtual(scenario())
    assert count(statistics) == {
        "attempts": 5,
        "scored": 2,
        "failed": 2,
        "billed": 3,
        "maybe_billed": 1,
        "throttled": 1,
    }
    assert {name: number for name, number in statistics.retries.items() if number} == {"throttle": 1}


def test_a_photo_that_waits_when_the_client_closes_says_so() -> None:
    """Whoever waits for a photo that closing has dropped gets an error, not a cancellation of nobody's."""

    async def scenario() -> list[object]:
        scheduler = make_scheduler(max_concurrency=1)
        calls = (scheduler.run(FakeCall(name, seconds=5), deadline=60) for name in ("sent", "waits"))
        both = asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(1)
        await scheduler.aclose(grace=60)
        return list(await both)

    sent, waits = run_virtual(scenario())
    assert isinstance(sent, Scored)
    assert isinstance(waits, ClientClosedError)


def test_a_foreign_error_is_no_success() -> None:
    """An attempt that ends in an error of no known kind may be billed, and is no score."""
    events: list[Event] = []

    class Broken(FakeCall):
        async def send(self, seconds: float) -> LivenessScore:
            raise OSError("a transport's own error")

    async def scenario() -> Statistics:
        scheduler = make_scheduler(hooks=[events.append])
        with pytest.raises(OSError, match="own error"):
            await scheduler.run(Broken("a"), deadline=60)
        return scheduler.statistics()

    assert count(run_virtual(scenario())) == {"attempts": 1, "maybe_billed": 1}
    assert isinstance(events[-1], AttemptEnded)
    assert isinstance(events[-1].error, OutcomeUnknownError)


def test_a_photo_cancelled_between_attempts_has_an_outcome() -> None:
    """What was tried may be billed, so a photo that is cancelled in back-off is reported with its error."""
    events: list[Event] = []
    unknown = OutcomeUnknownError("read timeout")

    async def scenario() -> None:
        scheduler = make_scheduler(hooks=[events.append], retry=RetryPolicy(wait_initial=50, wait_max=50))
        run = asyncio.ensure_future(scheduler.run(FakeCall("a", unknown), deadline=600))
        await asyncio.sleep(1)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await scheduler.aclose(grace=1)

    run_virtual(scenario())
    last = events[-2]  # the client's closing comes after it
    assert isinstance(last, OutcomeReached)
    assert isinstance(last.outcome, Failed)
    assert (last.outcome.error, last.outcome.maybe_billed, last.is_abandoned) == (unknown, 1, True)


def test_an_attempt_is_not_begun_without_time_for_an_answer() -> None:
    """With less than half a second left nothing is sent: its answer would come too late and be paid for."""

    async def scenario() -> tuple[list[Outcome], Statistics]:
        scheduler = make_scheduler(rate=45, max_concurrency=100)
        calls = (scheduler.run(FakeCall(str(number), seconds=0.3), deadline=1.0) for number in range(100))
        return await asyncio.gather(*calls), scheduler.statistics()

    outcomes, statistics = run_virtual(scenario())
    assert statistics.billed == statistics.scored == sum(isinstance(outcome, Scored) for outcome in outcomes)
    assert statistics.maybe_billed == 0
    assert statistics.scored > 20


def test_a_slow_credential_is_bounded_by_the_deadline() -> None:
    """Waiting for a credential is waiting: it ends at the deadline and is no attempt."""

    class Slow(FakeCall):
        async def authenticate(self) -> str:
            await asyncio.sleep(99)
            return "credential"

    outcome = run_call(Slow("a"), deadline=2)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, DeadlineExceededError)
    assert outcome.attempts == 0
    assert outcome.timings.queue == pytest.approx(2)


def test_waiting_and_in_flight_are_apart() -> None:
    """A photo is either waiting or in flight."""

    async def scenario() -> Statistics:
        scheduler = make_scheduler(max_concurrency=2)
        calls = [asyncio.ensure_future(scheduler.run(FakeCall(str(n)), deadline=60)) for n in range(5)]
        await asyncio.sleep(0.1)
        statistics = scheduler.statistics()
        await asyncio.gather(*calls)
        return statistics

    statistics = run_virtual(scenario())
    assert count(statistics) == {"waiting": 3, "in_flight": 2}
    assert statistics.queued == {"interactive": 3, "bulk": 0}


def test_a_time_out_of_a_providers_own_is_not_the_deadline() -> None:
    """What a credential provider raises is raised as it is, a TimeoutError too."""

    class Offline(FakeCall):
        async def authenticate(self) -> str:
            raise TimeoutError("the key server is away")

    with pytest.raises(TimeoutError, match="key server"):
        run_call(Offline("a"))
