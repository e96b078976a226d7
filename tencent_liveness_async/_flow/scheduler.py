"""The one engine: slots, permits, attempts and retries of every photo.

A photo waits for a slot, then its body is made, then it waits for a permit, and then its attempt is
sent. All waiting is cancellable and ends at the photo's deadline. An attempt is not: it runs in a task of
its own to its own timeouts, because from its first byte on it may be paid for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from .._errors import (
    ClientClosedError,
    DeadlineExceededError,
    LivenessError,
    OutcomeUnknownError,
    ThrottledError,
)
from .._events import AttemptEnded, AttemptStarted, Hooks, OutcomeReached, RetryScheduled
from .._models import Failed, LivenessScore, Outcome, Photo, Scored, Timings
from .retry import THROTTLE_WINDOW, RetryPolicy, RetryState
from .statistics import Statistics

if TYPE_CHECKING:
    from random import Random

    from .pacer import Pacer

THROTTLE_HOLD = 0.25
"""Seconds that nothing is sent after a throttle, so that the calls already queued do not all hit it."""
MIN_ATTEMPT_SECONDS = 0.5
"""An attempt is not begun with less time left, or less than half of the whole: the service takes 0.2 to 1 s,
and an answer that comes too late is paid for."""

_Phase: TypeAlias = Literal["queue", "rate", "attempt"]
"""What a photo's time goes to: its turn and its body, the pace, its attempts."""


class Call(Protocol):
    """One photo's call, as the scheduler sees it."""

    @property
    def photo(self) -> Photo: ...

    async def prepare(self) -> None:
        """Make the body. Raises PhotoError if the photo cannot be sent."""

    def close(self) -> None:
        """Let go of what the body is made from."""

    async def authenticate(self) -> None:
        """Take the credential for the next attempt. Raises MissingCredentialsError if there is none."""

    async def send(self, seconds: float) -> LivenessScore:
        """Make one attempt within so many seconds. Raises LivenessError if it brings no score."""


class Scheduler:
    """Runs calls with bounded concurrency at the pacer's pace.

    Args:
        pacer: Gives one permit for each attempt.
        max_concurrency: Photos between their slot and their outcome.
        retry: Which attempts are followed by another.
        attempt_timeout: Seconds an attempt may take, if the deadline does not end it sooner.
        hooks: Told of every event.
        random: The source of jitter.
    """

    def __init__(
        self,
        *,
        pacer: Pacer,
        max_concurrency: int,
        retry: RetryPolicy,
        attempt_timeout: float,
        hooks: Hooks,
        random: Random,
    ) -> None:
        self.pacer = pacer
        self.retry = retry
        self.attempt_timeout = attempt_timeout
        self.hooks = hooks
        self.random = random
        self.max_concurrency = max_concurrency
        self.slots = asyncio.Semaphore(max_concurrency)
        self.counters: Counter[str] = Counter()
        self._runs: set[PhotoRun] = set()
        self._episode_ends_at = 0.0
        self._is_closed = False

    def start(self, call: Call, *, deadline: float) -> PhotoRun:
        """Begin a call; `deadline` is in seconds from now and includes all waiting.

        Raises:
            ClientClosedError: The scheduler is closed.
        """
        if self._is_closed:
            raise ClientClosedError("the client is closed")
        run = PhotoRun(self, call, deadline)
        self._runs.add(run)
        run.task.add_done_callback(lambda _: self._runs.discard(run))
        return run

    async def run(self, call: Call, *, deadline: float) -> Outcome:
        """Run a call to its outcome.

        Cancelling it costs nothing unless an attempt is under way, which then ends in the background.
        """
        run = self.start(call, deadline=deadline)
        try:
            return await asyncio.shield(run.task)
        except asyncio.CancelledError:
            if run.task.cancelled() and not _is_cancelled():
                raise ClientClosedError("the client was closed while the photo waited") from None
            run.abandon()
            raise

    def note_throttle(self) -> None:
        """Hold everybody, once for all the throttles of the same second of the service."""
        now = asyncio.get_running_loop().time()
        if now >= self._episode_ends_at:
            self._episode_ends_at = now + THROTTLE_WINDOW
            self.pacer.hold(THROTTLE_HOLD)

    def statistics(self) -> Statistics:
        return Statistics(**self.counters)

    async def aclose(self, *, grace: float) -> None:
        """Abandon what waits, let attempts under way end for up to `grace` seconds, cancel the rest."""
        self._is_closed = True
        for run in tuple(self._runs):
            run.abandon()
        tasks = {run.task for run in self._runs}
        if not tasks:
            return
        try:
            await asyncio.wait(tasks, timeout=grace)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)


class PhotoRun:
    """One photo on its way from admission to its outcome, in a task of its own.

    Attributes:
        photo: The photo.
        task: Ends with the outcome, or cancelled if the run was abandoned before its first attempt.
        is_cut_short: True if the run would have gone on, had it not been abandoned.
    """

    def __init__(self, scheduler: Scheduler, call: Call, deadline: float) -> None:
        self.photo = call.photo
        self.is_cut_short = False
        self._scheduler = scheduler
        self._call = call
        self._deadline = deadline
        self._now = asyncio.get_running_loop().time
        self._expires_at = self._now() + deadline
        self._retry = RetryState(scheduler.retry, scheduler.random)
        self._error: LivenessError | None = None
        self._is_sending = False
        self._is_abandoned = False
        self._attempts = 0
        self._maybe_billed = 0
        self._phase: _Phase = "queue"
        self._phase_began = self._now()
        self._seconds: dict[_Phase, float] = {"queue": 0.0, "rate": 0.0, "attempt": 0.0}
        self._waiting = asyncio.timeout_at(self._expires_at)
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"score {self.photo.name}")

    def abandon(self) -> None:
        """Nobody waits for the outcome any more: stop now, or after the attempt that is under way."""
        self._is_abandoned = True
        if not self._is_sending:
            self.task.cancel()

    async def _run(self) -> Outcome:
        counters = self._scheduler.counters
        counters["waiting"] += 1
        try:
            outcome = await self._reach_outcome()
        finally:
            counters["waiting"] -= 1
        if isinstance(outcome, Scored):
            counters["scored"] += 1
        else:
            counters["failed"] += 1
        self._scheduler.hooks.emit(OutcomeReached(outcome, self._is_abandoned))
        return outcome

    async def _reach_outcome(self) -> Outcome:
        """Reach the outcome, all waiting included, with one timer for the deadline of all of it."""
        try:
            async with self._waiting:
                return await self._score_in_slot()
        except LivenessError as exc:
            return self._fail(exc)
        except TimeoutError as exc:
            if not self._waiting.expired():  # a time-out of the call's own, not of the deadline
                raise
            return self._fail(self._deadline_error(), self._error or exc)

    async def _score_in_slot(self) -> Outcome:
        await self._scheduler.slots.acquire()
        try:
            await self._call.prepare()
            return self._succeed(await self._attempt_until_done())
        except asyncio.CancelledError:
            if self._error is None or self._waiting.expired():
                raise
            self.is_cut_short = True
            return self._fail(self._error)  # what was tried may be billed, so it is an outcome
        finally:
            self._call.close()
            self._scheduler.slots.release()

    async def _attempt_until_done(self) -> LivenessScore:
        while True:
            self._enter("queue")
            await self._call.authenticate()
            self._enter("rate")
            await self._scheduler.pacer.wait_permit()
            try:
                return await self._attempt()
            except LivenessError as exc:
                self._error = exc
                wait = self._plan_retry(exc)
            await asyncio.sleep(wait)

    async def _attempt(self) -> LivenessScore:
        left = self._expires_at - self._now()
        if left < min(MIN_ATTEMPT_SECONDS, self._deadline / 2):
            raise self._deadline_error() from self._error
        self._begin_attempt()
        try:
            score = await self._call.send(min(self._scheduler.attempt_timeout, left))
        except LivenessError as exc:
            self._end_attempt(exc)
            raise
        except asyncio.CancelledError as exc:  # the grace period of closing is over, or the loop ends
            self._is_abandoned = True
            error = OutcomeUnknownError("the attempt was cut off while it was under way")
            self._end_attempt(error)
            raise error from exc
        except BaseException as exc:  # a fault of a transport or of this package, raised to whoever asked
            self._end_attempt(OutcomeUnknownError(f"the attempt ended in {type(exc).__name__}"))
            raise
        self._end_attempt(None)
        return score

    def _begin_attempt(self) -> None:
        self._waiting.reschedule(None)  # the attempt has timeouts of its own
        self._enter("attempt")
        self._attempts += 1
        self._scheduler.hooks.emit(AttemptStarted(self.photo, self._attempts))
        self._is_sending = True
        self._scheduler.counters["waiting"] -= 1
        self._scheduler.counters["in_flight"] += 1

    def _end_attempt(self, error: LivenessError | None) -> None:
        seconds = self._enter("rate")
        self._is_sending = False
        self._scheduler.counters["in_flight"] -= 1
        self._scheduler.counters["waiting"] += 1
        self._count_attempt(error)
        self._scheduler.hooks.emit(AttemptEnded(self.photo, self._attempts, error, seconds))
        if error is not None:
            self._waiting.reschedule(self._expires_at)

    def _enter(self, phase: _Phase) -> float:
        """Begin a phase, and return the seconds that the one before has taken."""
        now = self._now()
        seconds = now - self._phase_began
        self._seconds[self._phase] += seconds
        self._phase, self._phase_began = phase, now
        return seconds

    def _count_attempt(self, error: LivenessError | None) -> None:
        counters = self._scheduler.counters
        counters["attempts"] += 1
        is_billed = True if error is None else error.is_billed
        counters["billed"] += is_billed is True
        counters["maybe_billed"] += is_billed is None
        self._maybe_billed += is_billed is None
        counters["throttled"] += isinstance(error, ThrottledError)

    def _plan_retry(self, error: LivenessError) -> float:
        """Return how long to wait before the next attempt, or raise what ends the photo."""
        if isinstance(error, ThrottledError):
            self._scheduler.note_throttle()
        wait = self._retry.next_wait(error)
        if wait is None or self._is_abandoned:
            self.is_cut_short = wait is not None
            raise error
        if self._now() + wait >= self._expires_at:
            raise self._deadline_error() from error
        self._scheduler.counters["retries"] += 1
        self._scheduler.hooks.emit(RetryScheduled(self.photo, error, wait))
        return wait

    def _deadline_error(self) -> DeadlineExceededError:
        tried = "it was not sent"
        if self._error is not None:
            tried = f"the last of its attempts ({self._attempts}) ended so: {self._error}"
        error = DeadlineExceededError(
            f"{self.photo.name} got no score within {self._deadline:.3g} s; {tried}"
        )
        if self._error is not None:
            error.request_id = self._error.request_id
            error.is_billed = self._error.is_billed
        return error

    def _succeed(self, score: LivenessScore) -> Scored:
        return Scored(self.photo, score, self._attempts, self._maybe_billed, self._timings())

    def _fail(self, error: LivenessError, cause: BaseException | None = None) -> Failed:
        error.__cause__ = cause or error.__cause__
        return Failed(self.photo, error, self._attempts, self._maybe_billed, self._timings())

    def _timings(self) -> Timings:
        self._enter("queue")
        return Timings(**self._seconds)


def _is_cancelled() -> bool:
    """Whether somebody has cancelled the task that asks."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
