"""Outcomes as JSON lines, each written once however its run ends."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from .._errors import RUN_FAULTS, LivenessAPIError, LivenessError, PhotoRejectedError
from .._events import OutcomeReached
from .._models import Failed, Outcome
from ._context import CommandError, ExitCode

if TYPE_CHECKING:
    from typing import TextIO

    from .._events import Event
    from ._tally import Tally


def make_record(outcome: Outcome, *, threshold: float) -> dict[str, object]:
    """Return an outcome as the object of one line. Every key is always there; None is what there is not."""
    photo, timings = outcome.photo, outcome.timings
    result = None if isinstance(outcome, Failed) else outcome.result
    error = outcome.error if isinstance(outcome, Failed) else None
    return {
        "id": photo.id,
        "source": str(photo.path) if photo.path else (photo.url or "").partition("?")[0],
        "score": result.score if result else None,
        "is_live": result.is_live() if result else None,
        "threshold": threshold,
        "model_version": result.model_version if result else None,
        "request_id": outcome.request_id or None,
        "code": error.code if isinstance(error, LivenessAPIError) else None,
        "message": _find_message(error),
        "rule": error.rule if isinstance(error, PhotoRejectedError) else None,
        "error": type(error).__name__ if error else None,
        "attempts": outcome.attempts,
        "is_billed": outcome.is_billed,
        "maybe_billed": outcome.maybe_billed,
        "queue_seconds": round(timings.queue, 6),
        "rate_seconds": round(timings.rate, 6),
        "attempt_seconds": round(timings.attempt, 6),
    }


class Results:
    """Takes every outcome to the tally and, as a line, to a stream.

    The client's hook tells of each outcome first; it is taken when the run hands it out, or at the end
    if the run never did, because it was interrupted or stopped.

    Args:
        tally: Counts.
        stream: Where the lines go; None for no lines.
        threshold: The run's.

    Attributes:
        stream: The same; None when it has broken.
        is_broken: Whether it has.
        unwritten: Outcomes that it did not take.
    """

    def __init__(self, tally: Tally, *, stream: TextIO | None, threshold: float) -> None:
        self.tally = tally
        self.stream = stream
        self.is_broken = False
        self.unwritten = 0
        self._threshold = threshold
        self._reached: dict[int, Outcome] = {}
        self._lock = threading.Lock()

    def note(self, event: Event) -> None:
        """Remember an outcome; the client's hook. A fault of the account is no outcome of the photo."""
        if not isinstance(event, OutcomeReached):
            return
        outcome = event.outcome
        if not (isinstance(outcome, Failed) and isinstance(outcome.error, RUN_FAULTS)):
            self._reached[id(outcome)] = outcome

    def take(self, outcome: Outcome) -> None:
        """Write an outcome, unless it is written. Blocks if there is a stream.

        Raises:
            CommandError: The stream did not take it; it is not written to again.
        """
        with self._lock:
            self._take(outcome)

    def take_rest(self) -> None:
        """Write the outcomes that were reached and not handed out.

        Raises:
            CommandError: The stream did not take them.
        """
        with self._lock:  # also waits for the thread that an interrupted run has left writing
            for outcome in tuple(self._reached.values()):
                self._take(outcome)

    def _take(self, outcome: Outcome) -> None:
        if self._reached.pop(id(outcome), None) is None:
            return
        self.tally.add(outcome)
        if self.stream is not None:
            self._write(outcome, self.stream)
        elif self.is_broken:
            self.unwritten += 1

    def _write(self, outcome: Outcome, stream: TextIO) -> None:
        try:
            stream.write(_encode(make_record(outcome, threshold=self._threshold), stream))
            stream.flush()
        except OSError as error:
            self.stream, self.is_broken, self.unwritten = None, True, 1
            name = getattr(stream, "name", "the output")
            raise CommandError(
                f"{name} cannot be written: {error.strerror or error}; the run was stopped", ExitCode.OTHER
            ) from error


def _find_message(error: LivenessError | None) -> str | None:
    if error is None:
        return None
    return error.message if isinstance(error, LivenessAPIError) else str(error)


def _encode(record: dict[str, object], stream: TextIO) -> str:
    """Make a line, escaped where the stream's encoding lacks a sign and for undecodable file names."""
    line = json.dumps(record, ensure_ascii=False)
    try:
        line.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        line = json.dumps(record)
    return line + "\n"
