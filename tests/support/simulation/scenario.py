"""What is simulated, as data: a client, its callers, a service, and what goes wrong between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Literal, TypeVar

from tencent_liveness_async import Timeouts
from tencent_liveness_async.sandbox import FaultRule, Latency

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One simulation. The same one goes the same way every time; all times are virtual seconds.

    Attributes:
        seed: Of every random choice.
        photos: How many there are; those that are no single calls go through one `score_many`.
        rate: The client's.
        max_concurrency: The client's.
        deadline: The client's.
        timeouts: The client's.
        max_maybe_billed: Of the client's retry policy.
        quota: Calls per second that the service takes; None never throttles.
        quota_window: `fixed` or `sliding`.
        quota_offset: When fixed windows begin.
        other_calls: Calls per second that others make.
        quota_changes: Times at which the quota becomes another, with that.
        latency: Of the service's work.
        network: Seconds of the way there and of the way back, each up to half as much longer; 0 keeps
            the sandbox's own books exact.
        faults: What goes wrong.
        singles: Share of the photos that are calls of `score`, in the interactive lane.
        singles_within: Seconds over which these begin.
        cancelled: Share of these calls that are cancelled at a random moment.
        cancelled_within: Seconds from the beginning of a call to that moment, at most.
        duplicates: Share of the photos that are equal to one of the 20 before.
        is_ordered: Whether the stream keeps the order.
        reader_pause: Seconds that the stream's reader takes for each outcome.
        leave_at: When the stream is left; None reads it to its end.
        leave_by: `break` leaves it after the next outcome, `cancel` from outside at once.
        close_at: When the client is closed under its callers; None waits for them.
        grace: The client's, for closing.
    """

    seed: int = 0
    photos: int = 100
    rate: float = 45.0
    max_concurrency: int = 64
    deadline: float = 60.0
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_maybe_billed: int = 1
    quota: int | None = 50
    quota_window: Literal["fixed", "sliding"] = "fixed"
    quota_offset: float = 0.0
    other_calls: float = 0.0
    quota_changes: tuple[tuple[float, int | None], ...] = ()
    latency: Latency = field(default_factory=lambda: Latency.constant(0.5))
    network: float = 0.0
    faults: tuple[FaultRule, ...] = ()
    singles: float = 0.0
    singles_within: float = 10.0
    cancelled: float = 0.0
    cancelled_within: float = 2.0
    duplicates: float = 0.0
    is_ordered: bool = False
    reader_pause: float = 0.0
    leave_at: float | None = None
    leave_by: Literal["break", "cancel"] = "break"
    close_at: float | None = None
    grace: float = 10.0

    @property
    def is_undisturbed(self) -> bool:
        """Whether nothing keeps any photo from being scored."""
        is_quota_enough = self.quota is None or self.rate * 1.02 + 1 + self.other_calls <= self.quota / 2
        return (
            not (self.faults or self.cancelled or self.quota_changes)
            and self.leave_at is self.close_at is None
            and is_quota_enough
            and self.deadline >= 60
            and self.photos / self.rate <= 20
            and self.latency.draw(1 - 1e-6) < 1.5
            and self.latency.draw(1 - 1e-6) * self.photos / self.max_concurrency < 20
        )


def generate(seed: int) -> Scenario:
    """Draw a small scenario: most have a few of the things that can go wrong, each tenth has none."""
    scenario = _draw(Random(seed), seed)
    if seed % 10:
        return scenario
    return replace(
        scenario,
        deadline=60.0,
        timeouts=Timeouts(),
        quota=None,
        quota_changes=(),
        faults=(),
        cancelled=0.0,
        leave_at=None,
        close_at=None,
    )


def _draw(random: Random, seed: int) -> Scenario:
    rate = random.choice([3.0, 10.0, 45.0, 50.0, 100.0, 500.0])
    seconds = random.uniform(0.5, 8.0)
    photos = min(150, 1 + int(rate * seconds))
    quota = random.choice([None, int(rate * 3) + 10, int(rate) + 3, max(1, int(rate / 2))])
    may = _Chance(random)
    return Scenario(
        seed=seed,
        photos=photos,
        rate=rate,
        max_concurrency=random.choice([1, 3, 8, 32, 64, 200]),
        deadline=random.choice([60.0, 60.0, 5.0, 0.7]),
        timeouts=random.choice([Timeouts(), Timeouts(read=1.0, attempt=2.0)]),
        max_maybe_billed=random.choice([0, 1, 3]),
        quota=quota,
        quota_window=random.choice(["fixed", "sliding"]),
        quota_offset=random.random(),
        other_calls=may(0.2, lambda: random.uniform(1, max(1.0, (quota or 10) / 2)), 0.0),
        quota_changes=may(0.2, lambda: _draw_quota_changes(random, rate, seconds), ()),
        latency=_draw_latency(random),
        faults=_draw_faults(random, photos),
        singles=random.choice([0.0, 0.1, 0.5, 1.0]),
        singles_within=random.choice([0.0, seconds]),
        cancelled=may(0.4, random.random, 0.0),
        cancelled_within=random.choice([0.01, 1.0, seconds]),
        duplicates=may(0.4, random.random, 0.0),
        is_ordered=random.random() < 0.3,
        reader_pause=may(0.1, lambda: random.uniform(0, 0.2), 0.0),
        leave_at=may(0.15, lambda: random.uniform(0, seconds), None),
        leave_by=random.choice(["break", "cancel"]),
        close_at=may(0.15, lambda: random.uniform(0, seconds), None),
        grace=random.choice([0.0, 0.3, 10.0]),
    )


class _Chance:
    """Draws a value now and then, and another one else."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def __call__(self, share: float, draw: Callable[[], T], otherwise: T) -> T:
        return draw() if self._random.random() < share else otherwise


def _draw_quota_changes(random: Random, rate: float, seconds: float) -> tuple[tuple[float, int | None], ...]:
    times = sorted(random.uniform(0, seconds) for _ in range(random.randint(1, 3)))
    return tuple((at, random.choice([None, max(1, int(rate / 3)), int(rate) + 5])) for at in times)


def _draw_latency(random: Random) -> Latency:
    low = random.uniform(0.01, 0.5)
    latencies = [
        Latency(),
        Latency.constant(low),
        Latency.uniform(low, low + random.random()),
        Latency.lognormal(low, 0.7),
    ]
    return random.choice(latencies)


def _draw_faults(random: Random, photos: int) -> tuple[FaultRule, ...]:
    if random.random() < 0.3:
        return ()
    rate = random.choice([0.01, 0.05, 0.2, 0.7])
    rules = [
        FaultRule(fault="code", code="RequestLimitExceeded", message="too many requests", rate=rate),
        FaultRule(fault="code", code="RequestLimitExceeded", rate=rate),
        FaultRule(fault="code", code="FailedOperation.ServerError", rate=rate),
        FaultRule(fault="code", code="InvalidParameterValue.NoFaceInPhoto", rate=rate),
        FaultRule(fault="code", code="FailedOperation.ImageDownloadError", rate=rate),
        FaultRule(fault="code", code="AuthFailure.SignatureExpire", rate=rate),
        FaultRule(fault="status", status=502, rate=rate),
        FaultRule(fault="html", rate=rate),
        FaultRule(fault="reset", at="request", rate=rate),
        FaultRule(fault="reset", at="answer", rate=rate),
        FaultRule(fault="reset", at="body", rate=rate),
        FaultRule(fault="truncate", rate=rate),
        FaultRule(fault="stall", seconds=random.uniform(0.5, 30), rate=rate),
        FaultRule(fault="drip", bytes_per_second=random.uniform(20, 500), rate=rate),
    ]
    drawn = random.sample(rules, random.randint(1, 4))
    if random.random() < 0.15:
        drawn.insert(0, FaultRule(fault="arrears", after=random.randint(0, photos)))
    return tuple(drawn)


def make_large(photos: int) -> Scenario:
    """Return a large batch at the default pace and quota, in which three calls of a hundred go wrong."""
    faults = (
        FaultRule(fault="code", code="RequestLimitExceeded", rate=0.001),
        FaultRule(fault="code", code="FailedOperation.ServerError", rate=0.01),
        FaultRule(fault="code", code="InvalidParameterValue.NoFaceInPhoto", rate=0.01),
        FaultRule(fault="reset", at="answer", rate=0.003),
        FaultRule(fault="truncate", rate=0.003),
        FaultRule(fault="stall", seconds=20, rate=0.003),
    )
    return Scenario(
        seed=7,
        photos=photos,
        latency=Latency.uniform(0.2, 1.0),
        faults=faults,
        singles=0.01,
        singles_within=photos / 45,
        cancelled=0.1,
        duplicates=0.01,
    )
