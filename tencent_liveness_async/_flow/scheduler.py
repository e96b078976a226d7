"""The one engine: slots, permits and attempts of every photo, and what its attempts teach.

A photo waits for a slot, then its body is made, then it waits for a permit, and then its attempt is
sent. All waiting is cancellable and ends at the photo's deadline. An attempt is not: it runs in a task of
its own to its own timeouts, because from its first byte on it may be paid for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from .._errors import (
    ClientClosedError,
    DeadlineTooShortError,
    LivenessAPIError,
    LivenessError,
    ThrottledError,
)
from .._events import ClientClosed, Hooks, RateChanged
from .breaker import AccountBreaker, TransportBreaker
from .concurrency import ConcurrencyLimit
from .lanes import Slots
from .latency import LatencyBook
from .pacer import Pacer
from .quota import QuotaController
from .retry import RetryBudget, RetryClass, RetryPolicy
from .run import MIN_ATTEMPT_SECONDS, PhotoRun
from .statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from random import Random

    from .._models import Outcome
    from .lanes import Lane
    from .run import Call, Journal

_UPDATE_SECONDS = 1.0


class Scheduler:
    """Runs calls with bounded concurrency at the account's pace.

    Args:
        rate: Attempts per second, never exceeded.
        max_concurrency: Photos between their slot and their outcome.
        retry: Which attempts are followed by another.
        attempt_timeout: Seconds an attempt may take, if the deadline does not end it sooner.
        hooks: Told of every event.
        random: The source of jitter.
    """

    def __init__(
        self,
        *,
        rate: float,
        max_concurrency: int,
        retry: RetryPolicy,
        attempt_timeout: float,
        hooks: Hooks,
        random: Random,
    ) -> None:
        self.retry = retry
        self.attempt_timeout = attempt_timeout
        self.hooks = hooks
        self.random = random
        self.max_concurrency = max_concurrency
        self.pacer = Pacer(rate)
        self.quota = QuotaController(rate, on_change=self._change_rate)
        self.concurrency = ConcurrencyLimit(max_concurrency)
        self.slots = Slots(self.concurrency.limit)
        self.account = AccountBreaker(hooks.emit)
        self.transport = TransportBreaker(hooks.emit)
        self.retry_budget = RetryBudget(retry.budget)
        self.flights: dict[Hashable, PhotoRun] = {}
        self.counters: Counter[str] = Counter()
        self.retries: Counter[RetryClass] = Counter()
        self._queue_latency = LatencyBook()
        self._rate_latency = LatencyBook()
        self._attempt_latency = LatencyBook()
        self._usual_seconds = 0.0
        self._update_at = 0.0
        self._runs: set[PhotoRun] = set()
        self._is_closed = False

    def start(self, call: Call, *, deadline: float, lane: Lane, journal: Journal | None = None) -> PhotoRun:
        """Begin a call; `deadline` is in seconds from now and includes all waiting.

        Raises:
            ClientClosedError: The scheduler is closed.
        """
        if self._is_closed:
            raise ClientClosedError("the client is closed")
        run = PhotoRun(self, call, deadline, lane, journal)
        self._runs.add(run)
        run.task.add_done_callback(lambda _: self._runs.discard(run))
        return run

    async def run(self, call: Call, *, deadline: float, lane: Lane = "interactive") -> Outcome:
        """Run a call to its outcome.

        Cancelling it costs nothing unless an attempt is under way, which then ends in the background.
        """
        run = self.start(call, deadline=deadline, lane=lane)
        try:
            return await asyncio.shield(run.task)
        except asyncio.CancelledError:
            if run.task.cancelled() and not _is_cancelled():
                raise ClientClosedError("the client was closed while the photo waited") from None
            run.abandon()
            raise

    async def aclose(self, *, grace: float) -> None:
        """Abandon what waits, let attempts under way end for up to `grace` seconds, cancel the rest."""
        is_first, self._is_closed = not self._is_closed, True
        runs = tuple(self._runs)
        sending = [run for run in runs if run.is_sending]
        try:
            await _end_runs([run for run in runs if not run.task.get_loop().is_closed()], grace)
        finally:
            if is_first:  # whoever closes at the same time waits for the same runs
                cut_off = sum(run.is_cut_off or not run.task.done() for run in sending)
                self.hooks.emit(ClientClosed(len(sending) - cut_off, cut_off, len(runs) - len(sending)))

    # What a photo asks on its way.

    def estimate_wait(self, lane: Lane) -> float:
        """Return about how many seconds a newcomer in a lane waits until it is sent."""
        ahead = self.slots.queue.count_ahead(lane) + self.pacer.queue.count_ahead(lane)
        return self.pacer.hold_left + self.estimate_seconds(ahead)

    def estimate_seconds(self, count: int) -> float:
        """Return about how many seconds it takes to send so many photos."""
        throughput = self.quota.ceiling  # not the rate of the moment: a probe's lasts for milliseconds
        if self._usual_seconds:
            throughput = min(throughput, self.slots.limit / self._usual_seconds)
        return count / throughput

    def check_deadline(self, lane: Lane, deadline: float) -> None:
        """Refuse an interactive photo at once whose deadline would pass in the queue.

        A bulk one waits. Its refusal would only make room for the next of its source, which would be refused
        as well: a stream would spend a million photos within seconds on a quota that is low for a while.

        Raises:
            DeadlineTooShortError: The wait is longer than the deadline allows.
        """
        if lane == "bulk":
            return
        wait = self.estimate_wait(lane)
        if wait > deadline - min(MIN_ATTEMPT_SECONDS, deadline / 2):
            raise DeadlineTooShortError(deadline, estimated_wait=wait)

    async def admit(self, lane: Lane, credential: Hashable, *, check_wanted: Callable[[], object]) -> None:
        """Wait for leave to send one attempt: a permit, and both breakers closed.

        While the transport's breaker is open an interactive call fails and a bulk one waits. Before the
        turn of a probe is taken, `check_wanted` is asked, which raises if the attempt will not be made.

        Raises:
            AccountError: The account's breaker is open.
            ConfigurationError: The same.
            ServiceUnreachableError: The transport's breaker is open.
        """
        now = asyncio.get_running_loop().time
        self.account.note_credential(credential, now())
        while True:
            error = self._find_stop(now())
            if error is None:
                await self.pacer.wait_permit(lane)
                error = self._find_stop(now())
            if error is None:  # only now: the turn of a probe is taken if neither of the two objects
                check_wanted()
                self.account.check(now())
                self.transport.check(now())
                return
            retry_after = getattr(error, "retry_after", None)
            if lane == "interactive" or retry_after is None:
                raise error
            await asyncio.sleep(retry_after)

    def _find_stop(self, now: float) -> LivenessError | None:
        """Return what keeps an attempt from being sent now."""
        return self.account.peek(now) or self.transport.peek(now)

    # What attempts and outcomes teach.

    def note_attempt_started(self, now: float) -> None:
        """Hear that an attempt is sent."""
        self.counters["waiting"] -= 1
        self.counters["in_flight"] += 1
        self.quota.note_sent(now)

    def note_attempt_ended(self, error: LivenessError | None, *, began: float, now: float) -> None:
        """Hear how an attempt has ended."""
        self._count_attempt(error)
        if isinstance(error, ThrottledError):
            if hold := self.quota.note_throttle(error.message, began, now):
                self.pacer.hold(hold)
            self.transport.note_success(now, began=began)
            return
        if error is None:
            self.transport.note_success(now, began=began)
        else:
            self.transport.note(error, now, began=began)
        if error is None or isinstance(error, LivenessAPIError):
            self._attempt_latency.record(now - began, now)
            self.quota.note_success(began, now)
            self._update_concurrency(now)

    def note_outcome(self, outcome: Outcome, *, began: float) -> None:
        """Hear what a photo has come to; its last attempt, if there was any, began then."""
        now = asyncio.get_running_loop().time()
        self._queue_latency.record(outcome.timings.queue, now)
        self._rate_latency.record(outcome.timings.rate, now)
        self.counters["shared"] += outcome.is_shared
        if not outcome.attempts:  # it says nothing new
            return
        error = getattr(outcome, "error", None)
        if error is None:
            self.account.note_success(now, began=began)
        else:
            self.account.note(error, now, began=began)

    def statistics(self) -> Statistics:
        """Return the counts so far, and the state now."""
        lanes: tuple[Lane, Lane] = ("interactive", "bulk")
        slots, permits = self.slots.queue.waiting, self.pacer.queue.waiting
        return Statistics(
            **self.counters,
            retries={each.value: self.retries[each] for each in RetryClass},
            queued={lane: slots[lane] + permits[lane] for lane in lanes},
            concurrency=self.slots.limit,
            rate=self.pacer.rate,
            ceiling=self.quota.ceiling,
            limit=self.quota.limit,
            others=self.quota.others,
            account=self.account.state,
            transport=self.transport.state,
            queue_latency=self._queue_latency.quantiles(),
            rate_latency=self._rate_latency.quantiles(),
            attempt_latency=self._attempt_latency.quantiles(),
        )

    def _count_attempt(self, error: LivenessError | None) -> None:
        counters = self.counters
        counters["in_flight"] -= 1
        counters["waiting"] += 1
        counters["attempts"] += 1
        is_billed = True if error is None else error.is_billed
        counters["billed"] += is_billed is True
        counters["maybe_billed"] += is_billed is None
        counters["throttled"] += isinstance(error, ThrottledError)

    def _change_rate(self, change: RateChanged) -> None:
        self.pacer.set_rate(change.rate)
        self.hooks.emit(change)

    def _update_concurrency(self, now: float) -> None:
        """Follow the latency, once a second: quantiles take 10 us."""
        if now < self._update_at:
            return
        self._update_at = now + _UPDATE_SECONDS
        quantiles = self._attempt_latency.quantiles()
        self._usual_seconds = quantiles.p50
        self.concurrency.update(self.pacer.rate, quantiles.p95)
        self.slots.set_limit(self.concurrency.limit)


async def _end_runs(runs: Sequence[PhotoRun], grace: float) -> None:
    """Abandon runs, let attempts under way end for a while, cancel the rest."""
    for run in runs:
        run.abandon()
    tasks = [run.task for run in runs]
    if not tasks:
        return
    try:
        await asyncio.wait(tasks, timeout=grace)
    finally:
        for task in tasks:
            task.cancel()
    await asyncio.wait(tasks)


def _is_cancelled() -> bool:
    """Whether somebody has cancelled the task that asks."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
