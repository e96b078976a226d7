from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import pytest
from fake_calls import FakeCall, make_scheduler
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual

from tencent_liveness_async._errors import (
    AuthenticationError,
    DeadlineExceededError,
    DeadlineTooShortError,
    NotSentError,
    ServiceUnreachableError,
    make_api_error,
)
from tencent_liveness_async._events import AttemptStarted, ClientClosed, Event
from tencent_liveness_async._flow import Lane, RetryPolicy, Scheduler
from tencent_liveness_async._models import Failed, LivenessScore, Outcome, Scored

NO_RETRY = RetryPolicy(max_not_sent=0, max_maybe_billed=0)


class Service:
    """An account and a network that may be down; remembers when it was called."""

    def __init__(self) -> None:
        self.sent_at: list[float] = []
        self.key = "key"
        self.is_known = True
        self.is_up = True

    def call(self, name: str = "photo", *, seconds: float = 0.2) -> FakeCall:
        """Return a call of it."""
        return _ServiceCall(self, name, seconds=seconds)


class _ServiceCall(FakeCall):
    def __init__(self, service: Service, name: str, *, seconds: float) -> None:
        super().__init__(name, seconds=seconds)
        self._service = service

    async def authenticate(self) -> str:
        """Use the service's present key."""
        return self._service.key

    async def send(self, seconds: float) -> LivenessScore:
        """Be answered as the service is when the call arrives."""
        service = self._service
        service.sent_at.append(asyncio.get_running_loop().time())
        is_up, is_known = service.is_up, service.is_known
        score = await super().send(seconds)
        if not is_up:
            raise NotSentError("connection refused")
        if not is_known:
            raise make_api_error("AuthFailure.SecretIdNotFound", "no such key", request_id="r-first")
        return score


async def advance_to(moment: float) -> None:
    """Wait until the loop's clock shows `moment`."""
    await asyncio.sleep(moment - asyncio.get_running_loop().time())


async def score(scheduler: Scheduler, call: FakeCall, *, lane: Lane = "interactive") -> Outcome:
    """Run one call with a minute's deadline."""
    return await scheduler.run(call, deadline=60, lane=lane)


async def break_network(scheduler: Scheduler, service: Service) -> None:
    """Let the network fail until its breaker is open, which takes 0.2 s or a little more."""
    service.is_up = False
    await asyncio.gather(*(score(scheduler, service.call()) for _ in range(30)))
    assert scheduler.transport.state == "open"


# Lanes.


async def record_lanes(lanes: dict[Lane, int], **settings: float) -> list[Lane]:
    """Begin so many photos in each lane, in this order; return the lanes in the order of sending."""
    order: list[Lane] = []

    def watch(event: Event) -> None:
        if isinstance(event, AttemptStarted):
            order.append("bulk" if event.photo.name.startswith("bulk") else "interactive")

    scheduler = make_scheduler(hooks=[watch], rate=settings["rate"], max_concurrency=int(settings["slots"]))
    runs = [
        scheduler.start(FakeCall(f"{lane} {number}"), deadline=10_000, lane=lane)
        for lane, count in lanes.items()
        for number in range(count)
    ]
    await asyncio.wait([run.task for run in runs])
    return order


@pytest.mark.parametrize(("rate", "slots"), [(10, 4), (10, 200), (1000, 4)])
def test_interactive_photos_pass_a_run_that_was_first(rate: float, slots: int) -> None:
    """Whether slots or the pace are short, a photo for somebody who waits goes before a run's."""
    order = run_virtual(record_lanes({"bulk": 100, "interactive": 5}, rate=rate, slots=slots))
    last = max(index for index, lane in enumerate(order) if lane == "interactive")
    assert last <= 4 + 5 + 1 if slots == 4 else last <= 8


@pytest.mark.parametrize(("rate", "slots"), [(50, 8), (50, 200), (1000, 8)])
def test_a_run_keeps_a_tenth(rate: float, slots: int) -> None:
    """However many interactive photos wait, a tenth of what is sent is the run's, once slots are shared."""
    order = run_virtual(record_lanes({"interactive": 500, "bulk": 80}, rate=rate, slots=slots))
    assert Counter(order[slots : slots + 300])["bulk"] >= 0.1 * 300 - 1


# Deadlines that cannot be met.


def test_a_deadline_that_cannot_be_met_is_refused_at_once() -> None:
    """Behind 99 photos at 10 a second, five seconds are too few: no time passes, nothing is sent."""

    async def scenario() -> tuple[Outcome, float, FakeCall]:
        scheduler, late = make_scheduler(rate=10, max_concurrency=200), FakeCall("late")
        runs = [scheduler.start(FakeCall(str(n)), deadline=60, lane="interactive") for n in range(100)]
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        outcome = await scheduler.run(late, deadline=5)
        seconds = asyncio.get_running_loop().time() - began
        await asyncio.wait([run.task for run in runs])
        return outcome, seconds, late

    outcome, seconds, late = run_virtual(scenario())
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, DeadlineTooShortError)
    assert outcome.error.estimated_wait == pytest.approx(9.9, rel=0.05)
    assert (seconds, late.sent_at, outcome.attempts, outcome.is_billed) == (0, [], 0, False)


def test_an_interactive_deadline_is_not_measured_by_the_run() -> None:
    """An interactive photo passes the run's hundred, so its short deadline is accepted and met."""

    async def scenario() -> Outcome:
        scheduler = make_scheduler(rate=10, max_concurrency=200)
        for number in range(100):
            scheduler.start(FakeCall(str(number)), deadline=60, lane="bulk")
        await asyncio.sleep(0)
        outcome = await scheduler.run(FakeCall("short"), deadline=1.5)
        await scheduler.aclose(grace=1)
        return outcome

    assert isinstance(run_virtual(scenario()), Scored)


def test_a_hold_counts_as_wait() -> None:
    """While nothing may be sent for a while, a shorter deadline is refused at once."""

    async def scenario() -> tuple[Outcome, Outcome, float]:
        scheduler = make_scheduler()
        scheduler.pacer.hold(3)
        short = await scheduler.run(FakeCall("short"), deadline=2)
        at = asyncio.get_running_loop().time()
        return short, await scheduler.run(FakeCall("long"), deadline=5), at

    short, long, at = run_virtual(scenario())
    assert isinstance(short, Failed)
    assert isinstance(short.error, DeadlineTooShortError)
    assert short.error.estimated_wait == pytest.approx(3)
    assert at == 0
    assert isinstance(long, Scored)


@given(
    rate=st.floats(1, 100),
    count=st.integers(0, 60),
    slots=st.integers(1, 80),
    seconds=st.floats(0.05, 1),
    spare=st.floats(2.1, 5),
)
def test_a_deadline_with_room_is_not_refused(
    rate: float, count: int, slots: int, seconds: float, spare: float
) -> None:
    """Who needs less than half of its deadline, as it then turns out, is never refused for it."""

    async def wait_for_last(deadline: float) -> tuple[Outcome, float]:
        scheduler = make_scheduler(rate=rate, max_concurrency=slots)
        for number in range(count):
            scheduler.start(FakeCall(str(number), seconds=seconds), deadline=10_000, lane="bulk")
        await asyncio.sleep(0)
        last = await scheduler.run(FakeCall("last", seconds=seconds), deadline=deadline, lane="bulk")
        at = asyncio.get_running_loop().time()
        await scheduler.aclose(grace=60)
        return last, at

    _, needed = run_virtual(wait_for_last(10_000))
    outcome, _ = run_virtual(wait_for_last(needed * spare))
    assert isinstance(outcome, Scored)


# The account's breaker.


def test_an_account_fault_stops_all_that_follow() -> None:
    """After the first fault nothing is sent, and every photo fails at once with its class and code."""

    async def scenario() -> tuple[list[Outcome], Service, float]:
        scheduler, service = make_scheduler(), Service()
        service.is_known = False
        first = await score(scheduler, service.call())
        began = asyncio.get_running_loop().time()
        rest = [await score(scheduler, service.call()) for _ in range(20)]
        return [first, *rest], service, asyncio.get_running_loop().time() - began

    outcomes, service, seconds = run_virtual(scenario())
    errors = [outcome.error for outcome in outcomes if isinstance(outcome, Failed)]
    assert len(service.sent_at) == 1
    assert seconds == 0
    assert all(isinstance(error, AuthenticationError) for error in errors)
    codes = {error.code for error in errors if isinstance(error, AuthenticationError)}
    assert codes == {"AuthFailure.SecretIdNotFound"}
    assert len(set(map(id, errors))) == 21
    assert [error.request_id for error in errors] == ["r-first", *[""] * 20]
    assert [outcome.attempts for outcome in outcomes] == [1, *[0] * 20]


def test_a_lasting_account_fault_costs_one_call_a_minute() -> None:
    """While the account stays faulty, one probe is sent every 60 s, however many ask."""

    async def scenario() -> Service:
        scheduler, service = make_scheduler(max_concurrency=64), Service()
        service.is_known = False
        for _ in range(100):
            await asyncio.gather(*(score(scheduler, service.call()) for _ in range(5)))
            await asyncio.sleep(3)
        return service

    sent_at = run_virtual(scenario()).sent_at[4:]  # the first five were under way together
    assert len(sent_at) == 5  # asked for 300 s, every three
    assert all(later - earlier >= 60 for earlier, later in pairwise(sent_at))


def test_a_probe_that_succeeds_closes_the_account_breaker() -> None:
    """A minute after the account was mended all is sent again."""

    async def scenario() -> list[Outcome]:
        scheduler, service = make_scheduler(), Service()
        service.is_known = False
        outcomes = [await score(scheduler, service.call())]
        service.is_known = True
        outcomes.append(await score(scheduler, service.call()))
        await asyncio.sleep(61)
        outcomes += [await score(scheduler, service.call()) for _ in range(3)]
        assert scheduler.statistics().account == "closed"
        return outcomes

    assert [type(each) for each in run_virtual(scenario())] == [Failed, Failed, Scored, Scored, Scored]


def test_another_credential_closes_the_account_breaker() -> None:
    """A key that was exchanged is tried at once."""

    async def scenario() -> list[Outcome]:
        scheduler, service = make_scheduler(), Service()
        service.is_known = False
        outcomes = [await score(scheduler, service.call())]
        service.is_known, service.key = True, "another"
        outcomes.append(await score(scheduler, service.call()))
        return outcomes

    assert [type(each) for each in run_virtual(scenario())] == [Failed, Scored]


def test_scores_of_calls_sent_before_a_fault_do_not_hide_it() -> None:
    """Calls that were under way when the account fell into arrears end well and let nothing through."""

    async def scenario() -> tuple[Service, Scheduler]:
        scheduler, service = make_scheduler(max_concurrency=9), Service()
        slow = [asyncio.ensure_future(score(scheduler, service.call(seconds=2 + n))) for n in range(5)]
        await asyncio.sleep(1)
        service.is_known = False
        await score(scheduler, service.call())
        await asyncio.gather(*slow)
        await score(scheduler, service.call())
        return service, scheduler

    service, scheduler = run_virtual(scenario())
    assert len(service.sent_at) == 6
    assert scheduler.statistics().account == "open"


# The transport's breaker.


def test_interactive_photos_fail_fast_in_an_outage() -> None:
    """Once the network has failed for most, an interactive photo fails at once and unsent."""

    async def scenario() -> tuple[Outcome, float, int]:
        scheduler, service = make_scheduler(retry=NO_RETRY, max_concurrency=64), Service()
        await break_network(scheduler, service)
        began, sent = asyncio.get_running_loop().time(), len(service.sent_at)
        outcome = await score(scheduler, service.call())
        return outcome, asyncio.get_running_loop().time() - began, len(service.sent_at) - sent

    outcome, seconds, sent = run_virtual(scenario())
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, ServiceUnreachableError)
    assert (seconds, sent, outcome.attempts, outcome.is_billed) == (0, 0, 0, False)


def test_bulk_photos_wait_for_the_end_of_an_outage() -> None:
    """A run's photos wait without being sent, but for single probes, and are scored when it is over."""

    async def scenario() -> tuple[list[Outcome], list[float], float]:
        scheduler, service = make_scheduler(retry=NO_RETRY, max_concurrency=64), Service()
        await break_network(scheduler, service)
        opened_at = asyncio.get_running_loop().time()
        runs = [scheduler.start(service.call(str(n)), deadline=600, lane="bulk") for n in range(40)]
        sent = len(service.sent_at)
        await advance_to(20)
        probes = service.sent_at[sent:]
        service.is_up = True
        await asyncio.wait([run.task for run in runs])
        assert scheduler.statistics().transport == "closed"
        return [run.task.result() for run in runs], probes, opened_at

    outcomes, probes, opened_at = run_virtual(scenario())
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert len(failed) == len(probes)  # each probe was a photo that may not be tried again here
    assert len(probes) == 4  # after 1 s, then 2, 4 and 8 after the one before
    waits = [later - earlier for earlier, later in pairwise([opened_at, *probes])]
    assert [round(wait) for wait in waits] == [1, 2, 4, 8]


def test_a_run_begun_in_an_outage_is_scored_after_it() -> None:
    """All but the photo whose calls were the probes are scored after it, for few calls more."""

    async def scenario() -> tuple[list[Outcome], int]:
        scheduler, service = make_scheduler(rate=45, max_concurrency=64), Service()
        service.is_up = False
        runs = [scheduler.start(service.call(str(n)), deadline=120, lane="bulk") for n in range(300)]
        await advance_to(60)
        service.is_up = True
        await asyncio.wait([run.task for run in runs])
        return [run.task.result() for run in runs], len(service.sent_at)

    outcomes, sent = run_virtual(scenario())
    assert sum(isinstance(outcome, Failed) for outcome in outcomes) <= 1
    assert sent <= 300 + 40


def test_the_turn_of_a_probe_is_not_lost_to_the_other_breaker() -> None:
    """If the network fails while the account's probe waits for its permit, the account's turn is kept."""

    async def scenario() -> tuple[Outcome, Scheduler]:
        scheduler, service = make_scheduler(), Service()
        service.is_known = False
        await score(scheduler, service.call())
        await asyncio.sleep(61)
        scheduler.pacer.hold(1)
        probe = asyncio.ensure_future(score(scheduler, service.call()))
        await asyncio.sleep(0.5)
        for _ in range(20):
            scheduler.transport.note(NotSentError("refused"), asyncio.get_running_loop().time())
        return await probe, scheduler

    outcome, scheduler = run_virtual(scenario())
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, ServiceUnreachableError)
    assert scheduler.account.state == "open"
    assert scheduler.account.peek(now=63) is None  # the next one finds out


def test_a_photo_without_time_takes_no_probe() -> None:
    """A photo whose deadline is too near for an attempt leaves the turn of a probe to the next one."""

    class Slow(FakeCall):
        async def authenticate(self) -> str:
            await asyncio.sleep(1.8)
            return "key"

    async def scenario() -> tuple[Outcome, Outcome]:
        scheduler, service = make_scheduler(retry=NO_RETRY, max_concurrency=64), Service()
        await break_network(scheduler, service)
        service.is_up = True
        late = await scheduler.run(Slow("late"), deadline=2)
        return late, await score(scheduler, service.call())

    late, following = run_virtual(scenario())
    assert isinstance(late, Failed)
    assert isinstance(late.error, DeadlineExceededError)
    assert isinstance(following, Scored)


def test_a_permit_that_comes_too_late_takes_no_probe() -> None:
    """A probe whose permit came too late for its deadline leaves the account's turn to the next photo."""

    async def scenario() -> tuple[Outcome, Outcome]:
        scheduler, service = make_scheduler(), Service()
        service.is_known = False
        await score(scheduler, service.call())
        service.is_known = True
        await asyncio.sleep(61)
        scheduler.pacer.hold(0.5)
        probe = asyncio.ensure_future(scheduler.run(service.call(), deadline=2))
        await asyncio.sleep(0.3)
        scheduler.pacer.hold(1.4)
        return await probe, await score(scheduler, service.call())

    late, following = run_virtual(scenario())
    assert isinstance(late, Failed)
    assert isinstance(late.error, DeadlineExceededError)
    assert isinstance(following, Scored)


# Closing.


def test_closing_tells_what_became_of_what() -> None:
    """The event counts attempts that ended in time, those cut off, and photos that were not sent."""
    events: list[Event] = []

    async def scenario() -> float:
        scheduler = make_scheduler(max_concurrency=5, hooks=[events.append])
        for number, seconds in enumerate([2, 3, 50, 60, 70]):
            scheduler.start(FakeCall(str(number), seconds=seconds), deadline=100, lane="bulk")
        for number in range(4):
            scheduler.start(FakeCall(f"waits {number}"), deadline=100, lane="bulk")
        await asyncio.sleep(1)
        await scheduler.aclose(grace=10)
        statistics = scheduler.statistics()
        assert (statistics.scored, statistics.failed, statistics.maybe_billed) == (2, 3, 3)
        assert (statistics.waiting, statistics.in_flight) == (0, 0)
        return asyncio.get_running_loop().time()

    assert run_virtual(scenario()) == pytest.approx(11)
    assert events[-1] == ClientClosed(finished=2, cut_off=3, dropped=4)


def test_a_photo_slow_to_be_dropped_is_not_cut_off() -> None:
    """A provider that holds a waiting photo past the grace period makes no attempt of it."""
    events: list[Event] = []

    class Stubborn(FakeCall):
        async def authenticate(self) -> str:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                await asyncio.sleep(5)
            return "key"

    async def scenario() -> None:
        scheduler = make_scheduler(hooks=[events.append])
        scheduler.start(FakeCall("sent", seconds=1.5), deadline=60, lane="bulk")
        scheduler.start(Stubborn("waits"), deadline=200, lane="bulk")
        await asyncio.sleep(1)
        await scheduler.aclose(grace=1)

    run_virtual(scenario())
    assert events[-1] == ClientClosed(finished=1, cut_off=0, dropped=1)


@pytest.mark.parametrize("delay", [0, 1, 20])
def test_closing_twice_tells_it_once(delay: float) -> None:
    """A second closing, also during the first, waits for the same photos and is no second event."""
    events: list[Event] = []

    async def scenario() -> None:
        scheduler = make_scheduler(hooks=[events.append])
        scheduler.start(FakeCall("a", seconds=5), deadline=60, lane="bulk")
        await asyncio.sleep(1)

        async def close_later() -> None:
            await asyncio.sleep(delay)
            await scheduler.aclose(grace=10)
            assert scheduler.statistics().in_flight == 0

        await asyncio.gather(scheduler.aclose(grace=10), close_later())

    run_virtual(scenario())
    assert [each for each in events if isinstance(each, ClientClosed)] == [ClientClosed(1, 0, 0)]


def test_a_closing_that_is_cancelled_cuts_off_and_still_tells() -> None:
    """Who cancels the closing ends the grace period; nothing is left running."""
    events: list[Event] = []

    async def scenario() -> Scheduler:
        scheduler = make_scheduler(hooks=[events.append])
        run = scheduler.start(FakeCall("a", seconds=50), deadline=60, lane="bulk")
        await asyncio.sleep(1)
        closing = asyncio.ensure_future(scheduler.aclose(grace=30))
        await asyncio.sleep(1)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await asyncio.sleep(0)
        assert run.task.done()
        return scheduler

    statistics = run_virtual(scenario()).statistics()
    assert (statistics.in_flight, statistics.maybe_billed) == (0, 1)
    assert [each for each in events if isinstance(each, ClientClosed)] == [ClientClosed(0, 1, 0)]
