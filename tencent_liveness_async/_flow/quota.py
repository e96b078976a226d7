"""How fast to send: the rate that the account's quota leaves for this client, learned from throttles."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._events import RateChanged

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 1.0
"""Seconds; the service counts calls per second."""
MARGIN = 0.98
"""Share of what is available that is used. 0.98 x limit calls and one more still fit into a window that the
network's jitter has stretched by 20 ms."""
MIN_RATE = 0.5
"""Calls per second that are sent in any case, or nothing would be learned any more."""
MIN_HOLD = 0.25
"""Seconds that nothing is sent after a throttle, so that the calls already queued do not all hit it."""
CUT = 0.95
CUT_WITHOUT_NUMBERS = 0.85
FIRST_STEP = 0.02
"""Of the rate; each further step of a recovery is twice the one before."""
PROBE_INTERVAL = 15.0
PROBE_INTERVAL_LATER = 60.0
PROBE_OFTEN_FOR = 90.0
"""Seconds after a change of what is available; what has lasted longer is likely to stay."""
PROBE_EXCESS = 2
"""Calls in a second above what is believed to be available: one proves nothing where jitter takes it back."""
PROBE_GROWTH = 3
"""The excess grows by this factor from one answered probe to the next."""
PROBE_SPEED = 2.0
"""Of the rate. The faster, the fewer calls are over the limit before the probe has its answer."""
PROBE_PATIENCE = 3.0
"""Seconds; a probe that takes longer has too few calls to send."""
PROBE_AFTERMATH = 0.1
"""Seconds; calls overtake each other, so that those right behind a probe's last one may be its throttles."""
OTHERS_NOISE = 0.05
"""Of the limit; fewer calls that are not ours are taken for a fault of counting, not for others."""
OTHERS_GAIN = 0.5
"""Of the difference; how much one more count of the others moves the mean of the counts before."""
HISTORY = 10.0
"""Seconds for which the times of sending are kept: a throttle is answered sooner."""

_NUMBERS = re.compile(
    r"equals\s+to\s*`?\s*(\d+)\s*`?\s*in\s+a\s+second\s*,?\s*which\s+exceeds\s+the\s+frequency\s+limit\s*`?\s*(\d+)"
    r"|每秒请求\s*`?\s*(\d+)\s*`?\s*次\s*[，,]?\s*超过了每秒频率上限\s*`?\s*(\d+)"
)


def read_numbers(message: str) -> tuple[int, int] | None:
    """Return what a throttle's message tells: the calls counted and the limit; None if it tells neither."""
    found = _NUMBERS.search(message)
    if found is None:
        return None
    count, limit = (int(number) for number in found.groups() if number is not None)
    return count, limit


def _ignore(_: RateChanged) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class _Probe:
    """A few calls more than is believed to be available, within one second.

    Attributes:
        base: The rate before it, to which it returns.
        goal: Calls in one second that it has to reach.
        began_at: When it began.
        reached_at: When its last call was sent; the answers to the calls from there on decide.
    """

    base: float
    goal: int
    began_at: float
    reached_at: float = math.inf


class QuotaController:
    """Turns what the service answers into the rate to send at.

    The first throttle tells the limit, and by what was not sent by this client how much others take.
    From then on the rate is 0.98 of the rest. Throttles that have one cause cut the rate once: an episode
    lasts until calls are throttled that were sent a second after its cut. Where less than the configured
    rate seems available, a probe of a few more calls is made every 15 s, and every 60 s once nothing has
    changed for 90 s; if it is answered, larger probes follow, so that a quota that was raised is
    found. Without calls to send there is no probe.

    All times are seconds of one monotonic clock and may not go back from call to call of `note_sent`.

        controller = QuotaController(45.0)
        controller.note_sent(now)
        hold = controller.note_throttle(error.message, sent_at, now)  # send nothing for so long
        pacer.set_rate(controller.rate)

    Attributes:
        rate: Calls per second to send at from now on; never above the configured rate.
        ceiling: Calls per second up to which the rate recovers without a probe.
        limit: The account's limit in calls per second; None until a throttle has told it.
        others: Calls per second that others make; None if not known.
        changes: The last 200 changes of the rate.

    Args:
        rate: The configured calls per second.
        on_change: Told of each change of the rate, after it.
    """

    def __init__(self, rate: float, *, on_change: Callable[[RateChanged], None] = _ignore) -> None:
        self.rate = self.ceiling = self._configured = rate
        self.limit: int | None = None
        self.others: float | None = None
        self.changes: deque[RateChanged] = deque(maxlen=200)
        self._on_change = on_change
        self._sent: list[float] = []
        self._available = math.inf
        self._lasting = math.inf
        self._often_until = -math.inf
        self._episode_ends_at = -math.inf
        self._step = 0.0
        self._step_after = math.inf
        self._probe: _Probe | None = None
        self._probe_at = math.inf
        self._probe_after = math.inf
        self._excess = PROBE_EXCESS

    def __repr__(self) -> str:
        return (
            f"<QuotaController {self.rate:.1f}/s of at most {self._configured:g}/s, "
            f"ceiling {self.ceiling:.1f}/s, limit {self.limit}, others {self.others}>"
        )

    def note_sent(self, now: float) -> None:
        """Take note of an attempt that is being sent; a probe may begin or end with it."""
        self._sent.append(now)
        if now - self._sent[0] > 2 * HISTORY:
            del self._sent[: bisect_right(self._sent, now - HISTORY)]
        if self._probe is not None:
            self._follow_probe(self._probe, now)
        elif now >= self._probe_at and self.rate >= self.ceiling:
            self._begin_probe(now)

    def note_success(self, sent_at: float, now: float) -> None:
        """Take note of an answer that is no throttle; it says something of the rate it was sent at only."""
        if self._probe is not None:
            if sent_at >= self._probe.reached_at + PROBE_AFTERMATH:
                self._pass_probe(self._probe, now)
        elif sent_at >= self._probe_after:
            self._probe_after = math.inf
            self._probe_at = now
        elif sent_at >= self._step_after and self.rate < self.ceiling:
            self._set_rate(self.rate + self._step, "recovered", now)
            self._step *= 2
            self._step_after = now + WINDOW

    def note_throttle(self, message: str, sent_at: float, now: float) -> float:
        """Take note of a throttle.

        Returns:
            Seconds for which nothing shall be sent; 0 for most throttles of an episode, and after a probe as
            long as its excess takes: windows that slide would throttle a second's calls for it.
        """
        numbers = read_numbers(message)
        is_episode = sent_at >= self._episode_ends_at
        is_known = numbers is not None and self._learn(*numbers, sent_at)
        reason = "throttled"
        if numbers is not None:
            reason = f"throttled: {numbers[0]} calls where the limit is {numbers[1]}"
        if not is_episode:
            return self._sharpen(reason, now)
        self._episode_ends_at = now + WINDOW
        probe, self._probe = self._probe, None
        if probe is not None:
            self._set_rate(probe.base, reason.replace("throttled", "probed"), now)
            if sent_at >= probe.began_at:
                self._plan_probe(now)
                # One call less than the rate: the pacer makes up for a part of the wait.
                return self._find_rest(max(0, math.floor(self.rate) - 1), now)
        self._cut(reason, sent_at, now, is_known=is_known)
        self._plan_probe(now)
        return self._find_hold(now)

    def _learn(self, count: int, limit: int, sent_at: float) -> bool:
        """Take the limit and the others' calls from a throttle; False if it leaves nothing for us."""
        others = float(count - self._count_sent(sent_at))
        if others >= limit:
            return False
        if others <= OTHERS_NOISE * limit:
            others = 0.0
        if limit == self.limit and self.others:
            others = self._smooth_others(self.others, others, is_episode=sent_at >= self._episode_ends_at)
        self.limit, self.others = limit, others
        self._set_available(limit - others)
        return True

    @staticmethod
    def _smooth_others(before: float, others: float, *, is_episode: bool) -> float:
        """Return the mean for what differs by little.

        Within an episode the higher count stands else: fixed windows count from their beginning, so their
        early throttles show only some of the others' calls.
        """
        if abs(others - before) <= (2 if is_episode else 1):
            return before + OTHERS_GAIN * (others - before)
        return others if is_episode else max(others, before)

    def _sharpen(self, reason: str, now: float) -> float:
        """Follow what later throttles of an episode tell of the others."""
        if self._probe is not None or self.rate <= self.ceiling:
            return 0.0
        self._set_rate(self.ceiling, reason, now)
        return self._find_hold(now)

    def _cut(self, reason: str, sent_at: float, now: float, *, is_known: bool) -> None:
        rate = CUT * self.rate
        if not is_known:
            # What was answered in the second before is available; a client that idled has sent little.
            answered = self._count_sent(sent_at) - 1
            answered_at_most = min(self.rate, max(self.rate / 2, answered))
            self._set_available(min(self._available, answered_at_most))
            rate = CUT_WITHOUT_NUMBERS * answered_at_most
        self._set_rate(rate, reason, now)
        self._step = FIRST_STEP * self.rate
        self._step_after = now + self._find_hold(now)

    def _find_hold(self, now: float) -> float:
        """Return the seconds until the last second holds no more calls of ours than the rate allows."""
        return max(MIN_HOLD, self._find_rest(math.floor(self.rate), now))

    def _find_rest(self, calls: int, now: float) -> float:
        """Return the seconds until the last second holds no more than so many calls of ours."""
        begin = bisect_right(self._sent, now - WINDOW)
        excess = len(self._sent) - begin - calls
        if excess <= 0:
            return 0.0
        return self._sent[begin + excess - 1] + WINDOW - now

    def _plan_probe(self, now: float) -> None:
        if not abs(self._available - self._lasting) <= 0.1 * self._available:
            self._lasting = self._available
            self._often_until = now + PROBE_OFTEN_FOR
        self._probe_at = now + (PROBE_INTERVAL if now < self._often_until else PROBE_INTERVAL_LATER)
        self._probe_after = math.inf
        self._excess = PROBE_EXCESS

    def _begin_probe(self, now: float) -> None:
        goal = math.floor(min(self._available + self._excess, self._configured))
        is_busy = self._count_sent(now) >= 0.9 * self.rate - 1
        if goal <= self._available or not is_busy:
            self._probe_at = now + WINDOW
            return
        self._probe = _Probe(self.rate, goal, now)
        self._set_rate(max(goal + 1, PROBE_SPEED * self.rate), "probe begins", now, limit=self._configured)

    def _follow_probe(self, probe: _Probe, now: float) -> None:
        if probe.reached_at < math.inf:
            self._set_rate(probe.base, "probe waits for its answers", now)
        elif (sent := self._count_sent(now)) >= probe.goal:
            probe.reached_at = now
            # One long gap takes back the excess: windows that slide would count it for a second more.
            self._set_rate(probe.base / (1 + max(0.0, sent - probe.base)), "probe rests", now)
        elif now > probe.began_at + PROBE_PATIENCE:
            self._probe = None
            self._set_rate(probe.base, "probe had too few calls to send", now)
            self._plan_probe(now)

    def _pass_probe(self, probe: _Probe, now: float) -> None:
        """Believe in what was answered, and probe further once a second at the new rate was answered."""
        self._probe = None
        if self.limit is not None:
            self.others = max(0.0, self.limit - probe.goal)
            if probe.goal > self.limit:
                self.limit = self.others = None
        self._set_available(probe.goal)
        self._set_rate(self.ceiling, f"probed: {probe.goal} calls in a second were answered", now)
        self._excess *= PROBE_GROWTH
        self._probe_at = math.inf
        self._probe_after = now + WINDOW

    def _set_available(self, available: float) -> None:
        self._available = available
        self.ceiling = min(self._configured, max(MIN_RATE, MARGIN * available))

    def _count_sent(self, at: float) -> int:
        """Return how many calls were sent in the second that ends at `at`."""
        return bisect_right(self._sent, at) - bisect_right(self._sent, at - WINDOW)

    def _set_rate(self, rate: float, reason: str, now: float, *, limit: float | None = None) -> None:
        rate = min(max(MIN_RATE, rate), self.ceiling if limit is None else limit)
        if rate == self.rate:
            return
        change = RateChanged(self.rate, rate, self.ceiling, self.limit, self.others, reason, now)
        self.rate = rate
        self.changes.append(change)
        self._on_change(change)
