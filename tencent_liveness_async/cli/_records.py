"""Outcomes as JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .._errors import LivenessAPIError, LivenessError, PhotoRejectedError
from .._models import Failed, Outcome, Photo
from ._output import drop_rest

if TYPE_CHECKING:
    from typing import TextIO


def make_record(outcome: Outcome, *, threshold: float) -> dict[str, object]:
    """Return an outcome as the object of one line. Every key is always there; None is what there is not."""
    photo, timings = outcome.photo, outcome.timings
    result = None if isinstance(outcome, Failed) else outcome.result
    error = outcome.error if isinstance(outcome, Failed) else None
    return {
        "id": photo.id,
        "source": str(photo.path) if photo.path else Photo(url=photo.url or "").name,
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


class JsonLines:
    """Writes every outcome as a line, and lets none wait in a buffer.

    Args:
        stream: Where the lines go.
        name: What messages call it.
        threshold: The run's.

    Attributes:
        written: Outcomes that are in the stream.
    """

    def __init__(self, stream: TextIO, *, name: str, threshold: float) -> None:
        self.name = name
        self.written = 0
        self._stream = stream
        self._threshold = threshold

    def write(self, outcome: Outcome) -> None:
        """Write an outcome.

        Raises:
            OSError: The stream did not take it.
        """
        line = encode_record(make_record(outcome, threshold=self._threshold), self._stream)
        try:
            self._stream.write(line)
            self._stream.flush()
        except OSError:
            drop_rest(self._stream)
            raise
        self.written += 1

    def finish(self) -> None:
        """Do nothing: every line is written."""


def encode_record(record: dict[str, object], stream: TextIO) -> str:
    r"""Make a line that every reader takes, escaped where the stream's encoding lacks a sign.

    What has no place in Unicode, as the bytes of a file name that are no UTF-8, becomes an escape like
    `\udcff` in the text itself: JSON's own escapes of them are refused by strict readers.
    """
    clean = {key: _clean(value) if isinstance(value, str) else value for key, value in record.items()}
    line = json.dumps(clean, ensure_ascii=False)
    try:
        line.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        line = json.dumps(clean)
    return line + "\n"


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _find_message(error: LivenessError | None) -> str | None:
    if error is None:
        return None
    return error.message if isinstance(error, LivenessAPIError) else str(error)
