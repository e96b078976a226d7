"""The tables of a ledger, and how records become rows.

A photo's key stands in the file once, in `photos`; everything else refers to the photo by its number, which
also keeps the photos of neighbouring items side by side. `results` shows items and photos joined, for people
and their SQL.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .._records import PhotoRecord, ResultRow, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._records import Value

Stored: TypeAlias = str | bytes | int | float | None
"""What SQLite keeps in a column."""

Row: TypeAlias = "tuple[Any, ...]"
"""What SQLite gives: the statement says what its columns are, and no type checker reads it."""

APPLICATION_ID: Final = 0x544C4944
"""Says in the first page that the file is a ledger of this package ("TLID")."""

FORMAT_VERSION: Final = 1
"""Raised when older software could not use a ledger any more."""

SCHEMA: Final = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE photos (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    state TEXT,                        -- NULL: listed, and nothing came of it yet
    is_last INTEGER NOT NULL DEFAULT 0,  -- 0: another attempt was to follow
    score REAL,
    model_version TEXT NOT NULL DEFAULT '',
    request_id TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    billed INTEGER NOT NULL DEFAULT 0,
    maybe_billed INTEGER NOT NULL DEFAULT 0,
    queue_seconds REAL NOT NULL DEFAULT 0,
    rate_seconds REAL NOT NULL DEFAULT 0,
    attempt_seconds REAL NOT NULL DEFAULT 0,
    time REAL NOT NULL DEFAULT 0
);
CREATE TABLE names (
    source TEXT NOT NULL,
    version TEXT NOT NULL,
    photo INTEGER NOT NULL,
    PRIMARY KEY (source, version)
) WITHOUT ROWID;
CREATE TABLE intents (photo INTEGER PRIMARY KEY, time REAL NOT NULL);
CREATE TABLE items (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    photo INTEGER NOT NULL,
    extra TEXT,                        -- JSON; NULL: none
    change INTEGER NOT NULL DEFAULT 0, -- grows with every outcome; 0: none yet
    UNIQUE (id, source)
);
CREATE TABLE runs (number INTEGER PRIMARY KEY, notes TEXT NOT NULL);
CREATE INDEX items_by_photo ON items (photo);
CREATE INDEX items_by_change ON items (change);
CREATE VIEW results AS
    SELECT items.number, id, source, extra, change, key, state, score, model_version, request_id, code,
        message, attempts, billed, maybe_billed, queue_seconds, rate_seconds, attempt_seconds, time
    FROM items JOIN photos ON photos.number = items.photo
    WHERE state IS NOT NULL;
"""

RECORD_COLUMNS: Final = (
    "key, state, score, model_version, request_id, code, message, attempts, billed, maybe_billed, "
    "queue_seconds, rate_seconds, attempt_seconds, time"
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that matter: with others, the same photo is another one to pay for.

    Attributes:
        model_version: The face model asked for; None leaves it to the service.
        endpoint: Where calls go.
    """

    model_version: str | None
    endpoint: str


def pack(text: str) -> str | bytes:
    """Return what is stored of a text: itself, or bytes where it is not Unicode, as file names may be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def unpack(stored: str | bytes) -> str:
    """Return the text that `pack` was given."""
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


def pack_extra(extra: Mapping[str, Value]) -> str | None:
    """Return carried columns as JSON that keeps NaN, large numbers and invalid Unicode; None without any."""
    return json.dumps(dict(extra), separators=(",", ":")) if extra else None


def pack_record(record: PhotoRecord) -> tuple[Stored, ...]:
    """Return the values of `RECORD_COLUMNS`."""
    return (
        pack(record.key),
        record.state.value,
        record.score,
        pack(record.model_version),
        pack(record.request_id),
        pack(record.code),
        pack(record.message),
        record.attempts,
        record.billed,
        record.maybe_billed,
        record.queue_seconds,
        record.rate_seconds,
        record.attempt_seconds,
        record.time,
    )


def unpack_record(row: Sequence[Any]) -> PhotoRecord:
    """Make the record of a row of `RECORD_COLUMNS`."""
    key, state, score, model_version, request_id, code, message, *numbers = row
    return PhotoRecord(
        unpack(key),
        State(state),
        score,
        unpack(model_version),
        unpack(request_id),
        unpack(code),
        unpack(message),
        *numbers,
    )


def unpack_result(row: Row) -> ResultRow:
    """Make the result of a row of number, id, source, extra, and `RECORD_COLUMNS`."""
    number, item_id, source, extra, *record = row
    return ResultRow(
        number,
        unpack(item_id),
        unpack(source),
        unpack_record(record),
        json.loads(extra) if extra else {},
    )
