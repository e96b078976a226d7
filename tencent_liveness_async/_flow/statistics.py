"""What a client has done so far, and how it goes, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .latency import Quantiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._events import BreakerState
    from .lanes import Lane


@dataclass(frozen=True, slots=True)
class Statistics:
    """The counts of a client since it was opened, and its state now.

    Attributes:
        waiting: Photos that wait for a slot, a permit or their next attempt.
        in_flight: Attempts that are under way.
        attempts: Attempts ended.
        scored: Photos that got a score.
        failed: Photos that got an error.
        shared: Photos that got the outcome of an equal photo's attempts, scored or failed.
        billed: Attempts the service bills for certain.
        maybe_billed: Attempts that were sent and brought no answer.
        throttled: Attempts refused because the quota was used up.
        retries: Attempts that were followed by another, by the class of their failure: `throttle`,
            `transient`, `not_sent` or `maybe_billed`.
        queued: Photos that wait for a slot or a permit, by lane.
        concurrency: Slots there are now.
        rate: Attempts per second now.
        ceiling: The most that the rate may recover to, in attempts per second.
        limit: The account's quota in calls per second, as its throttles have shown it; None before.
        others: Calls per second that others make with the account, as throttles have shown it; None before.
        account: Whether calls are sent: `open` after a fault that every call would meet.
        transport: The same, after most recent calls got no usable answer.
        queue_latency: Seconds that photos waited for a slot and their body, of the last minute or so.
        rate_latency: Seconds that they waited for permits and retries.
        attempt_latency: Seconds that an answered attempt took.
    """

    waiting: int = 0
    in_flight: int = 0
    attempts: int = 0
    scored: int = 0
    failed: int = 0
    shared: int = 0
    billed: int = 0
    maybe_billed: int = 0
    throttled: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)
    queued: Mapping[Lane, int] = field(default_factory=dict)
    concurrency: int = 0
    rate: float = 0.0
    ceiling: float = 0.0
    limit: int | None = None
    others: float | None = None
    account: BreakerState = "closed"
    transport: BreakerState = "closed"
    queue_latency: Quantiles = field(default_factory=Quantiles)
    rate_latency: Quantiles = field(default_factory=Quantiles)
    attempt_latency: Quantiles = field(default_factory=Quantiles)
