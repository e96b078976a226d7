"""Which failed attempt is followed by another, and after how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._error_codes import Handling
from .._errors import (
    ConfigurationError,
    LivenessAPIError,
    LivenessError,
    NotSentError,
    OutcomeUnknownError,
    StaleConnectionError,
)

if TYPE_CHECKING:
    from random import Random

THROTTLE_WINDOW = 1.0
"""Seconds; the service counts calls per second and names no time to come back."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try again and how long to wait before.

    An error code is tried again as often as the code's own rule says; a throttled call until its
    deadline, because it waits for the pace and costs nothing.

    Attributes:
        wait_initial: Seconds; the first wait is random between 0 and this. Higher spreads failures.
        wait_max: Seconds; the doubling of waits ends here. Higher spares a service that is down for long.
        max_not_sent: Retries of attempts that certainly did not reach the service; they cost nothing.
        max_maybe_billed: Retries of attempts whose outcome is unknown. Each may be paid for twice;
            0 never pays twice and leaves such photos without a score. Above 0, a reused connection
            that turns out to be closed is replaced once for free.
    """

    wait_initial: float = 0.2
    wait_max: float = 5.0
    max_not_sent: int = 4
    max_maybe_billed: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.wait_initial <= self.wait_max:
            raise ConfigurationError("retries need 0 <= wait_initial <= wait_max")
        if self.max_not_sent < 0 or self.max_maybe_billed < 0:
            raise ConfigurationError("max_not_sent and max_maybe_billed may not be negative")


class RetryState:
    """Counts the retries of one photo."""

    def __init__(self, policy: RetryPolicy, random: Random) -> None:
        self._policy = policy
        self._random = random
        self._retries: Counter[str] = Counter()

    def next_wait(self, error: LivenessError) -> float | None:
        """Return the seconds to wait before the next attempt; None if there shall be none."""
        match error:
            case StaleConnectionError() if self._policy.max_maybe_billed and not self._retries["stale"]:
                self._retries["stale"] += 1
                return 0.0
            case OutcomeUnknownError():
                return self._count("maybe_billed", self._policy.max_maybe_billed)
            case NotSentError():
                return self._count("not_sent", self._policy.max_not_sent)
            case LivenessAPIError(handling=Handling.THROTTLE):
                return self._random.uniform(0, THROTTLE_WINDOW)
            case LivenessAPIError():
                return self._count(error.code, error.rule.max_retries or 0)
            case _:
                return None

    def _count(self, cause: str, most: int) -> float | None:
        if self._retries[cause] >= most:
            return None
        self._retries[cause] += 1
        return self._back_off()

    def _back_off(self) -> float:
        """Full jitter: random from 0 to a bound that doubles, so that failures do not come back together."""
        doublings = sum(self._retries.values()) - 1
        return self._random.uniform(0, min(self._policy.wait_max, self._policy.wait_initial * 2**doublings))
