"""What a client has done so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """The counts of a client since it was opened.

    Attributes:
        waiting: Photos that wait for a slot, a permit or their next attempt.
        in_flight: Attempts that are under way.
        attempts: Attempts ended.
        scored: Photos that got a score.
        failed: Photos that got an error.
        billed: Attempts the service bills for certain.
        maybe_billed: Attempts that were sent and brought no answer.
        throttled: Attempts refused because the quota was used up.
        retries: Attempts that were followed by another.
    """

    waiting: int = 0
    in_flight: int = 0
    attempts: int = 0
    scored: int = 0
    failed: int = 0
    billed: int = 0
    maybe_billed: int = 0
    throttled: int = 0
    retries: int = 0
