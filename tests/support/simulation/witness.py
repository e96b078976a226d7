"""A hook that sees every event of a simulation, judges each at once and keeps little of it."""

from __future__ import annotations

import asyncio
from array import array
from typing import TYPE_CHECKING

from tencent_liveness_async import (
    AttemptEnded,
    AttemptStarted,
    OutcomeReached,
    RateChanged,
    Scored,
    ThrottledError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tencent_liveness_async import Event, Outcome, Photo

MOST_COMPLAINTS = 20


class Witness:
    """What a simulation's events have told, by the number of each photo.

    Attributes:
        complaints: What was wrong already while it ran.
        started: Attempts of each photo.
        reached: Outcomes of each photo.
        attempt_times: When attempts began, in order.
        rates: When the rate was changed, and to what; the first is the configured one.
        most_in_flight: The most attempts at the same time.
        answered: Attempts that the service answered with anything but a throttle.
        throttled: Attempts that it throttled.
        billed: Attempts that are billed for certain, by their outcomes and errors.
        maybe_billed: Attempts that may be billed, by the outcomes.
    """

    def __init__(self, rate: float, deadlines: Sequence[float]) -> None:
        photos = len(deadlines)
        self.complaints: list[str] = []
        self.started = array("H", bytes(2 * photos))
        self.reached = array("H", bytes(2 * photos))
        self.attempt_times = array("d")
        self.rates: list[tuple[float, float]] = [(float("-inf"), rate)]
        self.most_in_flight = 0
        self.answered = 0
        self.throttled = 0
        self.billed = 0
        self.maybe_billed = 0
        self.scored = 0
        self.shared = 0
        self._deadlines = deadlines
        self._in_flight = 0
        self._leaders: dict[str | None, int] = {}

    def __call__(self, event: Event) -> None:
        """Take note of an event, as a client's hook."""
        match event:
            case AttemptStarted():
                self._start(event)
            case AttemptEnded():
                self._end(event)
            case OutcomeReached():
                self._reach(event.outcome)
            case RateChanged():
                self.rates.append((event.at, event.rate))
            case _:
                pass

    def complain(self, complaint: str) -> None:
        """Keep what is wrong, the first few at least."""
        if len(self.complaints) < MOST_COMPLAINTS:
            self.complaints.append(complaint)

    def _start(self, event: AttemptStarted) -> None:
        number = get_number(event.photo)
        self.started[number] += 1
        self.attempt_times.append(asyncio.get_running_loop().time())
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        leader = self._leaders.setdefault(event.photo.url, number)
        if leader != number:
            self.complain(f"photo {number} was sent while its equal, {leader}, was in flight")
        if self.reached[number]:
            self.complain(f"photo {number} was sent after its outcome")
        if event.attempt != self.started[number]:
            self.complain(f"attempt {self.started[number]} of photo {number} calls itself {event.attempt}")

    def _end(self, event: AttemptEnded) -> None:
        self._in_flight -= 1
        self.billed += event.error is None or event.error.is_billed is True
        if isinstance(event.error, ThrottledError):
            self.throttled += 1
        elif not isinstance(event.error, TransportError):
            self.answered += 1

    def _reach(self, outcome: Outcome) -> None:
        number = get_number(outcome.photo)
        self.reached[number] += 1
        self.maybe_billed += outcome.maybe_billed
        self.scored += isinstance(outcome, Scored)
        self.shared += outcome.is_shared
        if self._leaders.get(outcome.photo.url) == number:
            del self._leaders[outcome.photo.url]
        if outcome.attempts != self.started[number]:
            self.complain(
                f"photo {number} had {self.started[number]} attempts; its outcome has {outcome.attempts}"
            )
        if outcome.is_shared and outcome.attempts:
            self.complain(f"photo {number} has shared a call and made {outcome.attempts} of its own")
        self._check_deadline(number, outcome)

    def _check_deadline(self, number: int, outcome: Outcome) -> None:
        timings = outcome.timings
        seconds = timings.queue + timings.rate + timings.attempt
        if seconds > self._deadlines[number] + 1e-3:
            self.complain(
                f"photo {number} took {seconds:.3f} s; its deadline was {self._deadlines[number]:.3f} s"
            )


def get_number(photo: Photo) -> int:
    """Return the number that a photo of a simulation has for its id."""
    return int(photo.id or "")
