"""One photo on its way from admission to its outcome."""

from __future__ import annotations

import asyncio
from copy import copy
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from .._errors import (
    AccountError,
    DeadlineExceededError,
    LivenessError,
    OutcomeUnknownError,
    PhotoError,
)
from .._events import AttemptEnded, AttemptStarted, OutcomeReached, RetryScheduled
from .._models import Failed, LivenessScore, Outcome, Photo, Scored, Timings
from .retry import RetryState, classify

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .lanes import Lane
    from .scheduler import Scheduler

MIN_ATTEMPT_SECONDS = 0.5
"""An attempt is not begun with less time left, or less than half of the whole: the service takes 0.2 to 1 s,
and an answer that comes too late is paid for."""

_Phase: TypeAlias = Literal["queue", "rate", "attempt"]
"""What a photo's time goes to: its turn and its body, the pace, its attempts."""


class Call(Protocol):
    """One photo's call, as the flow sees it."""

    @property
    def photo(self) -> Photo: ...

    @property
    def key(self) -> Hashable:
        """What equal calls have in common, known once it is prepared; None if it shares with no other."""

    async def prepare(self) -> None:
        """Make the body. Raises PhotoError if the photo cannot be sent."""

    async def authenticate(self) -> Hashable:
        """Take the credential for the next attempt and return what tells it from others.

        Raises MissingCredentialsError if there is none.
        """

    async def send(self, seconds: float) -> LivenessScore:
        """Make one attempt within so many seconds. Raises LivenessError if it brings no score."""

    def close(self) -> None:
        """Let go of what the body is made from."""


class Journal(Protocol):
    """Is told of every attempt, and waited for: before it is sent, and before its slot is free again."""

    async def begin_attempt(self, photo: Photo) -> None:
        """An attempt is about to be sent. What this raises keeps it from being sent."""

    async def end_attempt(
        self, photo: Photo, result: LivenessScore | LivenessError, timings: Timings
    ) -> None:
        """The attempt has ended so, and the photo's time went there so far; not called if it was cut off."""


class PhotoRun:
    """One photo on its way from admission to its outcome, in a task of its own.

    Attributes:
        photo: The photo.
        task: Ends with the outcome, or cancelled if the run was abandoned before its first attempt.
        is_sending: Whether an attempt is under way.
        is_cut_short: True if the run would have gone on, had it not been abandoned.
        is_cut_off: True if an attempt was cut off while it was under way.
    """

    def __init__(
        self, scheduler: Scheduler, call: Call, deadline: float, lane: Lane, journal: Journal | None
    ) -> None:
        loop = asyncio.get_running_loop()
        self.photo = call.photo
        self.is_sending = False
        self.is_cut_short = False
        self.is_cut_off = False
        self._scheduler = scheduler
        self._call = call
        self._lane: Lane = lane
        self._journal = journal
        self._deadline = deadline
        self._now = loop.time
        self._expires_at = self._now() + deadline
        self._retry: RetryState | None = None
        self._error: LivenessError | None = None
        self._is_abandoned = False
        self._attempts = 0
        self._attempt_began = 0.0
        self._maybe_billed = 0
        self._phase: _Phase = "queue"
        self._phase_began = self._now()
        self._seconds: dict[_Phase, float] = {"queue": 0.0, "rate": 0.0, "attempt": 0.0}
        self._waiting = asyncio.timeout_at(self._expires_at)
        self.task = loop.create_task(self._run(), name=f"score {self.photo.name}")

    def abandon(self) -> None:
        """Nobody waits for the outcome any more: stop now, or after the attempt that is under way."""
        self._is_abandoned = True
        if not self.is_sending:
            self.task.cancel()

    async def _run(self) -> Outcome:
        counters = self._scheduler.counters
        counters["waiting"] += 1
        try:
            outcome = await self._reach_outcome()
        finally:
            counters["waiting"] -= 1
        counters["scored" if isinstance(outcome, Scored) else "failed"] += 1
        self._scheduler.note_outcome(outcome, began=self._attempt_began)
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
            error = self._deadline_error()
            error.__cause__ = self._error or exc
            return self._fail(error)

    async def _score_in_slot(self) -> Outcome:
        self._scheduler.check_deadline(self._lane, self._deadline)
        await self._scheduler.slots.acquire(self._lane)
        try:
            await self._call.prepare()
            return await self._share() or await self._lead()
        except asyncio.CancelledError:
            if self._error is None or (self._waiting.expired() and not self._is_abandoned):
                raise
            self.is_cut_short = True
            return self._fail(self._error)  # what was tried may be billed, so it is an outcome
        finally:
            self._call.close()
            self._scheduler.slots.release()

    async def _share(self) -> Outcome | None:
        """Return the outcome of an equal photo that is in flight; None if there is none to be had."""
        flights, key = self._scheduler.flights, self._call.key
        while key is not None and (leader := flights.get(key)) is not None:
            await asyncio.wait([leader.task])
            if leader.task.cancelled() or leader.task.exception() is not None:
                continue
            outcome = leader.task.result()
            if isinstance(outcome, Scored):
                return Scored(self.photo, outcome.result, 0, 0, self._timings(), is_shared=True)
            if isinstance(outcome.error, PhotoError | AccountError):  # it would meet this photo, too
                return Failed(self.photo, _copy_error(outcome.error), 0, 0, self._timings(), is_shared=True)
        return None

    async def _lead(self) -> Outcome:
        """Reach an outcome by attempts of its own, which equal photos share meanwhile."""
        flights, key = self._scheduler.flights, self._call.key
        if key is not None:
            flights[key] = self
        try:
            return self._succeed(await self._attempt_until_done())
        finally:
            if key is not None:
                del flights[key]

    async def _attempt_until_done(self) -> LivenessScore:
        while True:
            self._enter("queue")
            credential = await self._call.authenticate()
            self._check_wanted()
            self._enter("rate")
            await self._scheduler.admit(self._lane, credential, check_wanted=self._check_wanted)
            try:
                return await self._attempt()
            except LivenessError as exc:
                self._error = exc
                wait = self._plan_retry(exc)
            await asyncio.sleep(wait)

    async def _attempt(self) -> LivenessScore:
        left = self._check_wanted()
        began = self._begin_attempt()
        try:
            score = await self._send(min(self._scheduler.attempt_timeout, left))
        except LivenessError as exc:
            self._end_attempt(began, exc)
            raise
        except asyncio.CancelledError as exc:  # the grace period of closing is over, or the loop ends
            self._is_abandoned = self.is_cut_off = True
            error = OutcomeUnknownError("the attempt was cut off while it was under way")
            self._end_attempt(began, error)
            raise error from exc
        except Exception as exc:  # a fault of a transport or of this package, raised to whoever asked
            self._end_attempt(began, OutcomeUnknownError(f"the attempt ended in {type(exc).__name__}"))
            raise
        self._end_attempt(began, None)
        if self._retry is None:
            self._scheduler.retry_budget.give_back(self._scheduler.retry.success_refund)
        return score

    def _check_wanted(self) -> float:
        """Return the seconds left, or raise what ends a photo that needs no attempt any more.

        To be asked after waiting, too: what was waited for may have swallowed the cancellation.
        """
        if self._is_abandoned:
            raise asyncio.CancelledError
        left = self._expires_at - self._now()
        if left < min(MIN_ATTEMPT_SECONDS, self._deadline / 2) or self._waiting.expired():
            raise self._deadline_error() from self._error
        return left

    async def _send(self, seconds: float) -> LivenessScore:
        """Send the call, with the intent in the journal before and the result in it after."""
        if self._journal is None:
            return await self._call.send(seconds)
        await self._journal.begin_attempt(self.photo)
        try:
            score = await self._call.send(seconds)
        except LivenessError as exc:
            await self._journal.end_attempt(self.photo, exc, self._look_at_timings())
            raise
        await self._journal.end_attempt(self.photo, score, self._look_at_timings())
        return score

    def _begin_attempt(self) -> float:
        self._waiting.reschedule(None)  # the attempt has timeouts of its own
        self._enter("attempt")
        self._attempts += 1
        self._scheduler.note_attempt_started(self._phase_began)
        self._scheduler.hooks.emit(AttemptStarted(self.photo, self._attempts))
        self.is_sending = True
        self._attempt_began = self._phase_began
        return self._phase_began

    def _end_attempt(self, began: float, error: LivenessError | None) -> None:
        seconds = self._enter("rate")
        self.is_sending = False
        self._maybe_billed += error is not None and error.is_billed is None
        self._scheduler.note_attempt_ended(error, began=began, now=self._phase_began)
        self._scheduler.hooks.emit(AttemptEnded(self.photo, self._attempts, error, seconds))
        if error is not None:
            self._waiting.reschedule(self._expires_at)

    def _plan_retry(self, error: LivenessError) -> float:
        """Return how long to wait before the next attempt, or raise what ends the photo."""
        self._retry = self._retry or self._make_retry_state()
        wait = self._retry.next_wait(error)
        if wait is None or self._is_abandoned:
            self.is_cut_short = wait is not None
            raise error
        if self._now() + wait >= self._expires_at:
            raise self._deadline_error() from error
        self._scheduler.retries[classify(error)] += 1
        self._scheduler.hooks.emit(RetryScheduled(self.photo, error, wait))
        return wait

    def _make_retry_state(self) -> RetryState:
        """Make what counts retries; most photos never need it, and it is three objects for the collector."""
        scheduler = self._scheduler
        return RetryState(
            scheduler.retry,
            scheduler.random,
            budget=scheduler.retry_budget,
            count_scored=lambda: scheduler.counters["scored"],
        )

    def _enter(self, phase: _Phase) -> float:
        """Begin a phase, and return the seconds that the one before has taken."""
        now = self._now()
        seconds = now - self._phase_began
        self._seconds[self._phase] += seconds
        self._phase, self._phase_began = phase, now
        return seconds

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

    def _fail(self, error: LivenessError) -> Failed:
        return Failed(self.photo, error, self._attempts, self._maybe_billed, self._timings())

    def _timings(self) -> Timings:
        self._enter("queue")
        return Timings(**self._seconds)

    def _look_at_timings(self) -> Timings:
        """Return the timings so far, within an attempt."""
        attempt = self._seconds["attempt"] + self._now() - self._phase_began
        return Timings(**{**self._seconds, "attempt": attempt})


def _copy_error(error: LivenessError) -> LivenessError:
    """Copy an error for a photo that shares it: with its request id, and without a bill or a traceback."""
    shared = copy(error)
    shared.is_billed = False
    return shared
