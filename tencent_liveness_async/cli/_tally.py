"""Counts of a run, and how an outcome is shown."""

from __future__ import annotations

from dataclasses import dataclass

from .._errors import (
    LivenessAPIError,
    LivenessError,
    PhotoError,
    PhotoRefusedError,
    PhotoRejectedError,
    PhotoUnreadableError,
    TransportError,
)
from .._models import Failed, Outcome

MAX_ROWS = 50
"""Photos that are shown at a time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One photo as it is shown.

    Attributes:
        name: The photo.
        score: Its score, if it has one.
        is_live: Whether the score reaches the threshold.
        code: The error code, the broken limit or the error's class.
        reason: One line about it.
    """

    name: str
    score: float | None = None
    is_live: bool | None = None
    code: str = ""
    reason: str = ""


@dataclass(slots=True)
class Tally:
    """What a run has come to so far; its size does not grow with the run.

    Attributes:
        scored: Photos with a score.
        live: Those of them that reach the threshold.
        unreadable: Photos whose file could not be read.
        rejected: Photos refused before sending.
        refused: Photos the service refused.
        failed: Photos without a score for any other reason.
        unanswered: Those of them for which the network gave no answer.
        last_transport_error: The last reason why there was none.
    """

    scored: int = 0
    live: int = 0
    unreadable: int = 0
    rejected: int = 0
    refused: int = 0
    failed: int = 0
    unanswered: int = 0
    last_transport_error: str = ""

    @property
    def without_score(self) -> int:
        return self.unreadable + self.rejected + self.refused + self.failed

    @property
    def done(self) -> int:
        return self.scored + self.without_score

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        if isinstance(outcome, Failed):
            self._count_error(outcome.error)
        else:
            self.scored += 1
            self.live += outcome.result.is_live()

    def _count_error(self, error: LivenessError) -> None:
        match error:
            case PhotoRefusedError():
                self.refused += 1
            case PhotoUnreadableError():
                self.unreadable += 1
            case PhotoError():
                self.rejected += 1
            case _:
                self.failed += 1
        if isinstance(error, TransportError) or isinstance(error.__cause__, TransportError):
            self.unanswered += 1
            self.last_transport_error = str(error)


def make_row(outcome: Outcome) -> Row:
    """Return an outcome as it is shown."""
    name = outcome.photo.name
    if not isinstance(outcome, Failed):
        return Row(name, outcome.result.score, outcome.result.is_live())
    code, reason = _tell_error(outcome.error)
    return Row(name, code=code, reason=reason.removeprefix(name).strip())


def _tell_error(error: LivenessError) -> tuple[str, str]:
    match error:
        case PhotoRejectedError():
            return error.rule, str(error)
        case PhotoUnreadableError():
            return "unreadable", str(error)
        case LivenessAPIError():
            return error.code, error.rule.meaning if error.rule.is_known else error.message
        case _:
            return type(error).__name__, str(error)
