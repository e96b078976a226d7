"""Which failed attempt is followed by another, and after how long."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import TYPE_CHECKING

from .._error_codes import Handling
from .._errors import (
    ConfigurationError,
    LivenessAPIError,
    LivenessError,
    NotSentError,
    OutcomeUnknownError,
    ServiceUnreachableError,
    StaleConnectionError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

THROTTLE_WINDOW = 1.0
"""Seconds; the service counts calls per second and names no time to come back."""
POISON_FAILURES = 3
"""So often a photo may get the same error code while others are scored."""


class RetryClass(Enum):
    """What a retry costs and what limits it."""

    THROTTLE = "throttle"
    """Refused because of the quota: free, tried again until the deadline."""
    TRANSIENT = "transient"
    """Refused for a reason that may pass: tried again as often as the code's rule says."""
    NOT_SENT = "not_sent"
    """Certainly did not reach the service: free, at most `max_not_sent`."""
    MAYBE_BILLED = "maybe_billed"
    """Sent without a usable answer: may be paid for twice, at most `max_maybe_billed`."""
    FINAL = "final"
    """Not tried again."""


def classify(error: LivenessError) -> RetryClass:
    """Return the class of the retry that `error` asks for, whether or not there will be one."""
    match error:
        case OutcomeUnknownError():
            return RetryClass.MAYBE_BILLED
        case ServiceUnreachableError():  # a retry would only meet the same open breaker
            return RetryClass.FINAL
        case NotSentError():
            return RetryClass.NOT_SENT
        case LivenessAPIError(handling=Handling.THROTTLE):
            return RetryClass.THROTTLE
        case LivenessAPIError() if error.rule.max_retries:
            return RetryClass.TRANSIENT
        case _:
            return RetryClass.FINAL


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
        budget: Tokens that all photos of a client have together for their retries, and begin with. More
            carries longer bursts of failures; an outage then gets more calls on top of those that fail
            anyway. `inf` never says no, 0 allows only free retries.
        transient_cost: Tokens for a retry after a transient error code. Higher gives up sooner when the
            service fails; with 14 the budget lasts for 35 of them.
        maybe_billed_cost: Tokens for a retry of a call that may be billed. Higher pays twice less often.
        success_refund: Tokens that a photo scored at its first attempt gives back. Higher allows more
            retries in the long run: with 1 and 14, one for every 14 such photos.
    """

    wait_initial: float = 0.2
    wait_max: float = 5.0
    max_not_sent: int = 4
    max_maybe_billed: int = 1
    budget: float = 500.0
    transient_cost: float = 14.0
    maybe_billed_cost: float = 28.0
    success_refund: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.wait_initial <= self.wait_max:
            raise ConfigurationError("retries need 0 <= wait_initial <= wait_max")
        if self.max_not_sent < 0 or self.max_maybe_billed < 0:
            raise ConfigurationError("max_not_sent and max_maybe_billed may not be negative")
        if not self.budget >= 0:
            raise ConfigurationError("the budget of retries may not be negative")
        if not all(0 <= n < inf for n in (self.transient_cost, self.maybe_billed_cost, self.success_refund)):
            raise ConfigurationError("costs and refund of retries are finite and not negative")


class RetryBudget:
    """The tokens that all photos of a client have together for their retries.

    A service that fails now and then is tried again; one that fails for everybody soon uses the budget
    up, and photos then end with their last error instead of adding a storm of retries to an outage.

    Args:
        tokens: How many there are at first, and at most.

    Attributes:
        tokens: How many are left.
        size: How many there may be.
    """

    def __init__(self, tokens: float = 500.0) -> None:
        self.tokens = tokens
        self.size = tokens

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.tokens:g} of {self.size:g}>"

    def can_spend(self, cost: float) -> bool:
        """Whether there are that many tokens."""
        return self.tokens >= cost

    def spend(self, cost: float) -> bool:
        """Take the tokens and return True; if there are fewer, take none and return False."""
        if not self.can_spend(cost):
            return False
        self.tokens -= cost
        return True

    def give_back(self, tokens: float) -> None:
        """Add tokens, up to the size."""
        self.tokens = min(self.size, self.tokens + tokens)


class RetryState:
    """Counts the retries of one photo.

    Args:
        policy: How often and after how long.
        random: The source of jitter.
        budget: The client's tokens. Without it, retries are free.
        count_scored: Returns how many photos the client has scored so far. With it, a photo that has got
            the same error code three times ends if another was scored since the first of them: the
            photo is at fault then, not the service. Without it, the code's rule alone decides.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        random: Random,
        *,
        budget: RetryBudget | None = None,
        count_scored: Callable[[], int] | None = None,
    ) -> None:
        self._policy = policy
        self._random = random
        self._budget = budget
        self._count_scored = count_scored
        self._retries: Counter[str] = Counter()
        self._scored_before: dict[str, int] = {}

    def next_wait(self, error: LivenessError) -> float | None:
        """Return the seconds to wait before the next attempt, which is then paid for from the budget.

        None if there shall be none: the photo ends with `error`. To be asked once for each failed attempt.
        """
        if self._is_free_replacement(error):
            self._retries["stale"] += 1
            return 0.0
        match classify(error):
            case RetryClass.FINAL:
                return None
            case RetryClass.THROTTLE:
                return self._random.uniform(0, THROTTLE_WINDOW)
            case RetryClass.NOT_SENT:
                return self._count("not_sent", self._policy.max_not_sent)
            case RetryClass.MAYBE_BILLED:
                most, cost = self._policy.max_maybe_billed, self._policy.maybe_billed_cost
                return self._count("maybe_billed", most, cost)
            case RetryClass.TRANSIENT:
                return self._count_code(error)

    def _is_free_replacement(self, error: LivenessError) -> bool:
        is_allowed = self._policy.max_maybe_billed > 0 and not self._retries["stale"]
        return is_allowed and isinstance(error, StaleConnectionError)

    def _count_code(self, error: LivenessError) -> float | None:
        if not isinstance(error, LivenessAPIError) or self._is_poison(error.code):
            return None
        # A wrong clock or token fails every call under way at once, through no fault of the service.
        cost = 0.0 if error.handling is Handling.BATCH else self._policy.transient_cost
        return self._count(error.code, error.rule.max_retries or 0, cost)

    def _is_poison(self, code: str) -> bool:
        """Whether the photo gets this code for the third time, at least, while others are scored."""
        if self._count_scored is None:
            return False
        scored = self._count_scored()
        is_often = self._retries[code] + 1 >= POISON_FAILURES
        return scored > self._scored_before.setdefault(code, scored) and is_often

    def _count(self, cause: str, most: int, cost: float = 0.0) -> float | None:
        if self._retries[cause] >= most or not self._pay(cost):
            return None
        self._retries[cause] += 1
        return self._back_off()

    def _pay(self, cost: float) -> bool:
        return self._budget is None or self._budget.spend(cost)

    def _back_off(self) -> float:
        """Full jitter: random from 0 to a bound that doubles, so that failures do not come back together."""
        doublings = sum(self._retries.values()) - 1
        return self._random.uniform(0, min(self._policy.wait_max, self._policy.wait_initial * 2**doublings))
