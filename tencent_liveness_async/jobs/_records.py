"""What a job reads, keeps and writes: items, records of photos, and rows of results."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from .._errors import LivenessError

Value: TypeAlias = str | int | float | bool | None

_PREFIX = "x_"


class State(StrEnum):
    """What is known about a photo."""

    SCORED = "scored"
    """It has a score; paid."""
    REFUSED_BILLED = "refused_billed"
    """The service refuses it, and the call was paid: no face."""
    REFUSED_FREE = "refused_free"
    """It is refused by the service or before sending, for free; the same bytes will be refused again."""
    FAILED_TRANSIENT = "failed_transient"
    """It failed in a way that may pass; a later run tries it again."""
    FAILED_FINAL = "failed_final"
    """It failed in a way that will not pass by itself: it cannot be read, or the account is at fault."""
    UNKNOWN = "unknown"
    """A call was sent and its outcome is not known; it may be paid."""

    @property
    def is_finished(self) -> bool:
        """Whether a resumed run skips the photo."""
        return self in (State.SCORED, State.REFUSED_BILLED, State.REFUSED_FREE)


@dataclass(slots=True)  # not frozen, which takes twice as long to make, and a resumed run makes a million
class Item:
    """One photo of a source, before it is read. Exactly one of `path`, `url`, `load` and `error` is given.

    Attributes:
        id: The source's own name for it, unique in a run: a path relative to the folder, a manifest's id.
        source: Where it is, without secrets: a path, a URL without password and query, `photos.zip!a/1.jpg`.
        path: A file.
        url: An http(s) URL that the service downloads.
        load: Reads the bytes, in its own time; raises PhotoUnreadableError.
        error: Why it cannot be read; it is an outcome, not the end of the run.
        version: Changes when the content behind `source` does: size and time of a file, an ETag, or what a
            manifest says. Empty: not known, so that the content has to be read to know it.
        extra: Columns carried into the results.
    """

    id: str
    source: str
    path: Path | None = None
    url: str | None = None
    load: Callable[[], Awaitable[bytes]] | None = field(default=None, repr=False, compare=False)
    error: LivenessError | None = None
    version: str = ""
    extra: Mapping[str, Value] = field(default_factory=dict)


class Source(Protocol):
    """Where items come from.

    `async for batch in source` gives lists of at most 1,000 items, so that a million cost no million turns of
    the event loop; nothing is held longer than its batch.
    """

    @property
    def name(self) -> str:
        """What was given, for messages and the ledger."""

    @property
    def extra_columns(self) -> Sequence[str]:
        """Columns that items carry, known before the first batch."""

    def __aiter__(self) -> AsyncIterator[list[Item]]: ...

    async def aclose(self) -> None:
        """Let go of files and connections."""


@dataclass(frozen=True, slots=True)
class PhotoRecord:
    """What the ledger keeps of a photo.

    Attributes:
        key: The photo's key: SHA-256 of its bytes, or of its URL and version, with the parameters.
        state: What is known.
        score: 0 to 100; None without a score.
        model_version: The face model that judged; empty without a score.
        request_id: The service's id of the last answered call.
        code: The service's error code, or the class of the error; empty with a score.
        message: The error's text.
        attempts: Calls sent for it, over all runs.
        billed: Calls of them that are billed for certain.
        maybe_billed: Calls of them that were sent and brought no answer.
        queue_seconds: Waiting for a slot and the file, in the last run.
        rate_seconds: Waiting for permits and retries, in the last run.
        attempt_seconds: Sending and waiting for answers, in the last run.
        time: UNIX seconds of the last change.
    """

    key: str
    state: State
    score: float | None = None
    model_version: str = ""
    request_id: str = ""
    code: str = ""
    message: str = ""
    attempts: int = 0
    billed: int = 0
    maybe_billed: int = 0
    queue_seconds: float = 0.0
    rate_seconds: float = 0.0
    attempt_seconds: float = 0.0
    time: float = 0.0


RESULT_COLUMNS = (
    "id",
    "source",
    "key",
    "state",
    "score",
    "is_live",
    "threshold",
    "model_version",
    "request_id",
    "code",
    "message",
    "attempts",
    "billed",
    "maybe_billed",
    "queue_seconds",
    "rate_seconds",
    "attempt_seconds",
    "time",
)
"""The columns of every result file, in order; carried columns follow. `time` is ISO 8601 in UTC."""


def name_carried(column: str) -> str:
    """Return the name of a carried column in the results: its own, or with `x_` before it.

    `score` becomes `x_score`, and `x_score` becomes `x_x_score`, so that results may be the manifest of the
    next run and no two columns get one name.
    """
    bare = column
    while bare.startswith(_PREFIX):
        bare = bare.removeprefix(_PREFIX)
    return _PREFIX + column if bare in RESULT_COLUMNS else column


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One item with what its photo came to.

    Attributes:
        number: The item's place in the ledger, from 1, growing.
        id: As the source has it.
        source: As the source has it.
        record: The photo's record.
        extra: Carried columns.
    """

    number: int
    id: str
    source: str
    record: PhotoRecord
    extra: Mapping[str, Value]

    def to_values(self, threshold: float) -> dict[str, Value]:
        """Return the values of `RESULT_COLUMNS`, and the carried ones."""
        record = self.record
        at = datetime.fromtimestamp(record.time, UTC).isoformat(timespec="milliseconds")
        return {
            "id": self.id,
            "source": self.source,
            "key": record.key,
            "state": str(record.state),
            "score": record.score,
            "is_live": None if record.score is None else record.score >= threshold,
            "threshold": threshold,
            "model_version": record.model_version,
            "request_id": record.request_id,
            "code": record.code,
            "message": record.message,
            "attempts": record.attempts,
            "billed": record.billed,
            "maybe_billed": record.maybe_billed,
            "queue_seconds": record.queue_seconds,
            "rate_seconds": record.rate_seconds,
            "attempt_seconds": record.attempt_seconds,
            "time": at,
            **{name_carried(name): value for name, value in self.extra.items()},
        }


@dataclass(frozen=True, slots=True)
class RunNotes:
    """What the rows do not tell of a run.

    Attributes:
        began: UNIX seconds.
        ended: UNIX seconds.
        calls: Calls sent by this run.
        throttled: Episodes in which the service refused calls because the account's quota was used up.
        seconds_throttled: Seconds lost to them.
        skipped_by_resume: Photos not called again because an earlier run had finished them.
        rate_changes: Times that the learned rate was lowered or raised.
    """

    began: float
    ended: float
    calls: int
    throttled: int
    seconds_throttled: float
    skipped_by_resume: int
    rate_changes: int


class Sink(Protocol):
    """Where results go: a file that grows under another name and is put in place when it is finished."""

    def write(self, rows: Sequence[Mapping[str, Value]]) -> None:
        """Write rows; may block, so it is called in a thread."""

    def finish(self) -> None:
        """Make the file whole and put it in place by rename."""

    def abandon(self) -> None:
        """Leave what was written under its other name, readable as far as it came."""
