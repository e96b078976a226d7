"""One client, one service with a quota and other callers, in virtual time: four minutes in a moment."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

ENGLISH = (
    "Your current request times equals to `{n}` in a second, which exceeds the frequency limit `{limit}`"
)
CHINESE = "接口 `DetectLiveFaceAccurate` 每秒请求 `{n}` 次，超过了每秒频率上限 `{limit}`，请等到下一秒再试。"
SILENT = "Too many requests."

_OTHERS_BEGIN = 0.013
"""Seconds; off every boundary of a window, so that rounding decides nothing."""


class Rule(Protocol):
    """How a client decides how fast to send."""

    @property
    def rate(self) -> float:
        """Calls per second from now on."""

    def note_sent(self, now: float) -> None:
        """Take note of an attempt that is being sent."""

    def note_success(self, sent_at: float, now: float) -> None:
        """Take note of an answer that is no throttle."""

    def note_throttle(self, message: str, sent_at: float, now: float) -> float:
        """Take note of a throttle and return for how many seconds nothing shall be sent."""


class Window(Protocol):
    """What the service counts together; a call that is throttled counts, too."""

    def count_call(self, now: float) -> int:
        """Count one call at `now` and return how many its second has seen, this one included."""


class FixedWindow:
    """Seconds that begin at whole seconds of the clock, plus an offset."""

    def __init__(self, offset: float = 0.0) -> None:
        self._offset = offset
        self._window = -1
        self._count = 0

    def count_call(self, now: float) -> int:
        """Count one call in its second."""
        window = math.floor(now - self._offset)
        if window != self._window:
            self._window, self._count = window, 0
        self._count += 1
        return self._count


class SlidingWindow:
    """The second that ends with the call."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count_call(self, now: float) -> int:
        """Count one call with those of the second before it."""
        self._times.append(now)
        while self._times[0] <= now - 1:
            self._times.popleft()
        return len(self._times)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a client meets.

    Attributes:
        name: Its name in the table.
        configured: The rate the client was given, in calls per second.
        limits: From which second on which limit holds, in order of time.
        others: Calls per second that other programs make, evenly.
        window: How the service counts.
        message: The text of a throttle.
        jitter: Seconds that a request may take longer on its way, at random.
        latency: Seconds from sending to the answer.
        seconds: How long it lasts.
    """

    name: str
    configured: float
    limits: tuple[tuple[float, int], ...]
    others: float = 0.0
    window: Callable[[], Window] = FixedWindow
    message: str = ENGLISH
    jitter: float = 0.0
    latency: float = 0.5
    seconds: float = 240.0

    @property
    def available(self) -> float:
        """The calls that could have been answered."""
        ends = [*(begin for begin, _ in self.limits[1:]), self.seconds]
        return sum(
            (end - begin) * min(self.configured, max(0.0, limit - self.others))
            for (begin, limit), end in zip(self.limits, ends, strict=True)
        )

    def limit_at(self, now: float) -> int:
        """Return the limit that holds at `now`."""
        return next(limit for begin, limit in reversed(self.limits) if begin <= now or begin == 0)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the attempts.

    Attributes:
        attempts: Attempts sent.
        throttled: Those among them that were throttled.
        available: The calls that could have been answered.
    """

    attempts: int
    throttled: int
    available: float

    @property
    def used_percent(self) -> float:
        """Answers other than throttles, of the calls that were available."""
        return 100 * (self.attempts - self.throttled) / self.available

    @property
    def throttled_percent(self) -> float:
        """Throttles, of the attempts."""
        return 100 * self.throttled / max(1, self.attempts)


class LeakyBucket:
    """Our pacing: in W seconds at most rate x W + 1 + 0.02 x rate; it holds seconds, as the pacer does."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0

    def next_permit(self, rate: float, now: float) -> float:  # noqa: ARG002 - the other bucket needs it
        """Return when the next call may be sent."""
        self._leak(now)
        return now + max(0.0, self._level - 0.02)

    def take(self, rate: float, now: float) -> None:
        """Send one call."""
        self._leak(now)
        self._level += 1 / rate

    def _leak(self, now: float) -> None:
        self._level = max(0.0, self._level - (now - self._at))
        self._at = now


class TokenBucket:
    """Botocore's pacing: saves up the calls of a second; what it has saved outlives a change of rate."""

    def __init__(self) -> None:
        self._tokens = 0.0
        self._at = 0.0

    def next_permit(self, rate: float, now: float) -> float:
        """Return when the next call may be sent, if the rate stays as it is."""
        self._fill(rate, now)
        return now + max(0.0, 1 - self._tokens) / rate

    def take(self, rate: float, now: float) -> None:
        """Send one call."""
        self._fill(rate, now)
        self._tokens -= 1

    def _fill(self, rate: float, now: float) -> None:
        self._tokens = min(max(1.0, rate), self._tokens + (now - self._at) * rate)
        self._at = now


Kind = Literal["permit", "arrival", "answer", "other"]


class Simulation:
    """Runs one rule through one scenario; the client always has another call to make."""

    def __init__(
        self,
        scenario: Scenario,
        rule: Rule,
        bucket: LeakyBucket | TokenBucket | None = None,
        *,
        seed: int = 1,
    ) -> None:
        self._scenario = scenario
        self._rule = rule
        self._bucket = bucket or LeakyBucket()
        self._held_until = 0.0
        self._window = scenario.window()
        self._random = Random(seed)
        self._events: list[tuple[float, int, Kind, float, str | None]] = []
        self._numbers = itertools.count()
        self._attempts = self._throttled = 0

    def run(self) -> Result:
        """Run to the end; answers that come after it count with the attempts they belong to."""
        self._add(0.0, "permit")
        if self._scenario.others:
            self._add(_OTHERS_BEGIN, "other")
        while self._events:
            now, _, kind, sent_at, message = heapq.heappop(self._events)
            match kind:
                case "permit":
                    self._send(now)
                case "arrival":
                    self._receive(now, sent_at)
                case "answer":
                    self._note_answer(now, sent_at, message)
                case "other":
                    self._window.count_call(now)
                    self._add(now + 1 / self._scenario.others, "other")
        return Result(self._attempts, self._throttled, self._scenario.available)

    def _add(self, at: float, kind: Kind, sent_at: float = 0.0, message: str | None = None) -> None:
        if kind in ("answer", "arrival") or at < self._scenario.seconds:
            heapq.heappush(self._events, (at, next(self._numbers), kind, sent_at, message))

    def _send(self, now: float) -> None:
        at = max(self._held_until, self._bucket.next_permit(self._rule.rate, now))
        if at > now + 1e-9:  # the rate or the hold has changed meanwhile
            self._add(min(at, now + 0.05), "permit")
            return
        self._bucket.take(self._rule.rate, now)
        self._attempts += 1
        self._rule.note_sent(now)
        self._add(now + self._random.uniform(0, self._scenario.jitter), "arrival", now)
        self._add(self._bucket.next_permit(self._rule.rate, now), "permit")

    def _receive(self, now: float, sent_at: float) -> None:
        count, limit = self._window.count_call(now), self._scenario.limit_at(now)
        message = self._scenario.message.format(n=count, limit=limit) if count > limit else None
        self._throttled += message is not None
        self._add(max(now, sent_at + self._scenario.latency), "answer", sent_at, message)

    def _note_answer(self, now: float, sent_at: float, message: str | None) -> None:
        if message is None:
            self._rule.note_success(sent_at, now)
            return
        self._held_until = max(self._held_until, now + self._rule.note_throttle(message, sent_at, now))
