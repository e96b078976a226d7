"""What happened, as frozen objects, for hooks, logs and metrics.

A hook is a plain function that takes one event. It runs in the event loop, so it must not block; what
it raises is logged once and does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from ._errors import LivenessError
    from ._models import Outcome, Photo

BreakerState: TypeAlias = Literal["closed", "open", "half-open"]
"""Whether calls are sent: all of them, none, or one that finds out."""

_logger = logging.getLogger("tencent_liveness_async")


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A request is about to be sent; from here on it may be billed.

    Attributes:
        photo: The photo it is for.
        attempt: 1 for the photo's first attempt.
    """

    photo: Photo
    attempt: int


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A request has ended, with a score or with an error.

    Attributes:
        photo: The photo it was for.
        attempt: 1 for the photo's first attempt.
        error: Why it failed; None if it brought a score.
        seconds: From taking a connection to the end of the answer.
    """

    photo: Photo
    attempt: int
    error: LivenessError | None
    seconds: float


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """A failed attempt will be followed by another.

    Attributes:
        photo: The photo.
        error: Why the attempt failed.
        wait: Seconds until the photo asks for its next permit.
    """

    photo: Photo
    error: LivenessError
    wait: float


@dataclass(frozen=True, slots=True)
class OutcomeReached:
    """A photo has its outcome.

    Attributes:
        outcome: The outcome.
        is_abandoned: True if whoever asked for it was cancelled; this event is then its only witness.
    """

    outcome: Outcome
    is_abandoned: bool


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The rate was changed, to what the account's quota leaves for this client.

    Attributes:
        rate_before: Calls per second until now.
        rate: Calls per second from now on.
        ceiling: Calls per second up to which the rate recovers by itself; above it is only probed.
        limit: The account's limit in calls per second, as a throttle has told it; None if not known.
        others: Calls per second that others make on the same account; None if not known.
        reason: Why, in words.
        at: Seconds of the event loop's clock.
    """

    rate_before: float
    rate: float
    ceiling: float
    limit: int | None
    others: float | None
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class BreakerChanged:
    """Calls are no longer sent, or one is let through to find out, or all are sent again.

    Attributes:
        breaker: What had failed: the account (every call would fail the same way) or the transport
            (most recent calls got no usable answer).
        state: `open`: nothing is sent; `half-open`: one call is under way; `closed`: all are sent.
        reason: Why, in one sentence.
        at: When, in seconds of the event loop's clock.
    """

    breaker: Literal["account", "transport"]
    state: BreakerState
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class ClientClosed:
    """The client was closed.

    Attributes:
        finished: Attempts that were under way and ended within the grace period.
        cut_off: Attempts that were cut off after it; their outcomes are unknown.
        dropped: Photos that waited, and were not sent.
    """

    finished: int
    cut_off: int
    dropped: int


_PhotoEvent: TypeAlias = AttemptStarted | AttemptEnded | RetryScheduled | OutcomeReached
Event: TypeAlias = _PhotoEvent | RateChanged | BreakerChanged | ClientClosed
Hook: TypeAlias = Callable[[Event], None]


class Hooks:
    """Calls every hook with every event."""

    def __init__(self, hooks: Iterable[Hook] = ()) -> None:
        self._hooks = tuple(hooks)
        self._faulty: set[int] = set()

    def emit(self, event: Event) -> None:
        """Call the hooks in order; one that raises does not keep the others from being called."""
        for hook in self._hooks:
            try:
                hook(event)
            except Exception:  # noqa: BLE001 - whatever a hook raises, the run goes on
                self._log_once(hook)

    def _log_once(self, hook: Hook) -> None:
        if id(hook) not in self._faulty:
            self._faulty.add(id(hook))
            _logger.exception(  # noqa: LOG004 - called while the hook's error is handled
                "the hook %r raised; its further errors are not logged", hook
            )
