"""How a job stands, from what the job, its client and its ledger say."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..jobs._records import State
from ._context import count_noun
from ._progress import tell_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._flow import Statistics
    from ..jobs._job import JobProgress
    from ..jobs._price import PriceTable

RATE_WINDOW = 30.0
"""Seconds over which the rate is taken."""


@dataclass(frozen=True, slots=True)
class JobStanding:
    """How a job stands; the fields of a progress event.

    Attributes:
        seconds: Since it began.
        done: Items with an outcome, those of earlier runs and of equal photos included.
        total: Items of the source; None while it is being counted.
        rate: Photos a second that got an outcome, over the last 30 seconds.
        limit: The account's quota in calls a second, as throttles have shown it; None before.
        seconds_left: Until all is paid for that has to be, at that rate; None if it cannot be told.
        scored: Photos that got a score in this run.
        refused: Photos that were refused in it.
        failed: Photos that failed in a way that may pass, or whose outcome is unknown.
        dead: Photos that failed in a way that will not pass by itself.
        resumed: Items whose photo was finished before.
        equal: Items that needed no call of their own because they equal another.
        retried: Attempts that were followed by another.
        throttled: Attempts refused because the quota was used up.
        in_flight: Attempts under way.
        billed: Calls of this run that are billed.
        maybe_billed: Calls of this run that may be.
        max_calls: The budget; None without one.
        cost: What the calls cost, those included that may be billed; None without prices.
        waiting_for: What holds it up: rate, hold (after a throttle), breaker, source, answers or stop.
    """

    seconds: float
    done: int
    total: int | None
    rate: float
    limit: int | None
    seconds_left: float | None
    scored: int
    refused: int
    failed: int
    dead: int
    resumed: int
    equal: int
    retried: int
    throttled: int
    in_flight: int
    billed: int
    maybe_billed: int
    max_calls: int | None
    cost: str | None
    waiting_for: str

    def to_event(self) -> dict[str, object]:
        """Return the fields with figures that are not longer than they are exact."""
        values = asdict(self)
        for name in ("seconds", "rate", "seconds_left"):
            values[name] = None if values[name] is None else round(values[name], 2)
        return values

    def describe(self) -> str:
        """Return one line."""
        return " · ".join(part for part in self._list_parts() if part)

    def _list_parts(self) -> tuple[str, ...]:
        share = f" {100 * self.done / self.total:.0f} %" if self.total else ""
        known = "" if self.limit is None else f" of {self.limit}/s"
        return (
            f"{self.done:,}{'' if self.total is None else f'/{self.total:,}'}{share}",
            f"{self.rate:.1f}/s{known}",
            "" if self.seconds_left is None else f"{tell_duration(self.seconds_left)} left",
            f"{self.scored:,} scored",
            f"{self.refused:,} refused",
            f"{self.failed:,} failed" if self.failed else "",
            f"{self.dead:,} dead" if self.dead else "",
            f"{self.retried:,} retried" if self.retried else "",
            f"{self.throttled:,} throttled" if self.throttled else "",
            self._tell_spent(),
            f"waiting for {self.waiting_for}",
        )

    def _tell_spent(self) -> str:
        spent = self.billed + self.maybe_billed
        calls = count_noun(spent, "call") if self.max_calls is None else f"{spent:,}/{self.max_calls:,} calls"
        return calls if self.cost is None else f"{calls}, {self.cost}"


class JobWatch:
    """Looks at a job now and then, and says how it stands.

    Args:
        read_job: Returns the job's progress.
        read_client: Returns the client's statistics.
        finished_before: Photos that were finished when the job began: that many items will need no call.
        max_calls: The budget; None without one.
        prices: What calls cost; None if nobody said.
        clock: Seconds.

    Attributes:
        total: Items of the source, once they are counted.
    """

    def __init__(
        self,
        *,
        read_job: Callable[[], JobProgress],
        read_client: Callable[[], Statistics],
        finished_before: int,
        max_calls: int | None,
        prices: PriceTable | None,
        clock: Callable[[], float],
    ) -> None:
        self.total: int | None = None
        self._read_job = read_job
        self._read_client = read_client
        self._finished_before = finished_before
        self._max_calls = max_calls
        self._prices = prices
        self._clock = clock
        self._began = clock()
        self._samples: deque[tuple[float, int]] = deque([(self._began, 0)])
        self._throttled = 0

    def look(self) -> JobStanding:
        """Return how the job stands now."""
        job, client, now = self._read_job(), self._read_client(), self._clock()
        outcomes = {state: job.outcomes.get(state, 0) for state in State}
        ended = sum(outcomes.values())
        done = ended + job.resumed + job.equal + job.skipped_unknown
        total = job.found if job.is_complete else self.total
        rate = self._measure_rate(now, ended)
        return JobStanding(
            seconds=now - self._began,
            done=done,
            total=total,
            rate=rate,
            limit=client.limit,
            seconds_left=self._estimate(job, total, done, rate),
            scored=outcomes[State.SCORED],
            refused=outcomes[State.REFUSED_BILLED] + outcomes[State.REFUSED_FREE],
            failed=outcomes[State.FAILED_TRANSIENT] + outcomes[State.UNKNOWN],
            dead=outcomes[State.FAILED_FINAL],
            resumed=job.resumed,
            equal=job.equal,
            retried=sum(client.retries.values()),
            throttled=client.throttled,
            in_flight=client.in_flight,
            billed=job.billed,
            maybe_billed=job.maybe_billed,
            max_calls=self._max_calls,
            cost=tell_cost(self._prices, job.billed + job.maybe_billed),
            waiting_for="stop" if job.stopped else self._find_cause(client),
        )

    def _measure_rate(self, now: float, ended: int) -> float:
        samples = self._samples
        samples.append((now, ended))
        while samples[0][0] < now - RATE_WINDOW and len(samples) > 2:
            samples.popleft()
        seconds = now - samples[0][0]
        return (ended - samples[0][1]) / seconds if seconds > 0 else 0.0

    def _estimate(self, job: JobProgress, total: int | None, done: int, rate: float) -> float | None:
        """Return the seconds for what has to be paid: items that were finished before take no time."""
        if total is None or not rate:
            return None
        to_skip = max(self._finished_before - job.resumed, 0)
        return max(total - done - to_skip, 0) / rate

    def _find_cause(self, client: Statistics) -> str:
        was_throttled = client.throttled > self._throttled
        self._throttled = client.throttled
        if "open" in (client.account, client.transport):
            return "breaker"
        if was_throttled:
            return "hold"
        if client.waiting:
            return "rate"
        return "answers" if client.in_flight else "source"


def tell_cost(prices: PriceTable | None, calls: int) -> str | None:
    """Return what calls cost, with the currency; None without prices."""
    return None if prices is None else f"{prices.cost_of(calls):,.2f} {prices.currency}"
