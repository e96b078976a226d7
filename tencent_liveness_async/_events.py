"""What happened, as frozen objects, for hooks, logs and metrics.

A hook is a plain function that takes one event. It runs in the event loop, so it must not block; what
it raises is logged once and does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ._errors import LivenessError
    from ._models import Outcome, Photo

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


Event: TypeAlias = AttemptStarted | AttemptEnded | RetryScheduled | OutcomeReached
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
