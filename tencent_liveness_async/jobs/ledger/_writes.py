"""What is written, as statements: each write is whole or not there."""

# Names of tables and columns are put into statements; values never are, they are parameters.
# ruff: noqa: S608

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from ._schema import RECORD_COLUMNS, pack, pack_extra, pack_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._records import Item, PhotoRecord, RunNotes, State
    from ._schema import Stored

Step: TypeAlias = "tuple[str, Sequence[Sequence[Stored]]]"
"""A statement, and the parameters of each time that it is run."""

_NEXT_CHANGE = "(SELECT max(change) + 1 FROM items)"
_PHOTO = "(SELECT number FROM photos WHERE key = ?)"

_ADD_PHOTO: Final = "INSERT INTO photos (key) VALUES (?) ON CONFLICT DO NOTHING"
_ADD_ITEM: Final = f"""
INSERT INTO items (photo, id, source, extra, change)
SELECT number, ?, ?, ?, iif(is_last, coalesce({_NEXT_CHANGE}, 1), 0) FROM photos WHERE key = ?
ON CONFLICT (id, source) DO UPDATE
SET photo = excluded.photo, extra = excluded.extra, change = excluded.change
WHERE photo <> excluded.photo OR extra IS NOT excluded.extra
"""
_ADD_NAME: Final = f"""
INSERT INTO names (photo, source, version) VALUES ({_PHOTO}, ?, ?)
ON CONFLICT DO UPDATE SET photo = excluded.photo WHERE photo <> excluded.photo
"""
_ADD_INTENT: Final = f"INSERT INTO intents (photo, time) VALUES ({_PHOTO}, ?) ON CONFLICT DO NOTHING"
_REMOVE_INTENT: Final = f"DELETE FROM intents WHERE photo = {_PHOTO}"
_SET_OUTCOME: Final = f"""
INSERT INTO photos ({RECORD_COLUMNS}, is_last) VALUES ({", ".join("?" * 15)})
ON CONFLICT (key) DO UPDATE SET
    state = excluded.state, is_last = excluded.is_last, score = excluded.score,
    model_version = excluded.model_version, request_id = excluded.request_id,
    code = excluded.code, message = excluded.message,
    attempts = attempts + excluded.attempts, billed = billed + excluded.billed,
    maybe_billed = maybe_billed + excluded.maybe_billed,
    queue_seconds = excluded.queue_seconds, rate_seconds = excluded.rate_seconds,
    attempt_seconds = excluded.attempt_seconds, time = excluded.time
"""
_MARK_ITEMS: Final = f"UPDATE items SET change = {_NEXT_CHANGE} WHERE photo = {_PHOTO}"
_MARK_UNKNOWN: Final = _MARK_ITEMS.replace("key = ?", "key = ? AND state = 'unknown'")
_ADD_RUN: Final = "INSERT INTO runs (notes) VALUES (?)"
_RESOLVE: Final = "UPDATE photos SET state = ?, time = ? WHERE key = ? AND state = 'unknown'"


@dataclass(frozen=True, slots=True)
class Write:
    """One write.

    Attributes:
        steps: What to run, in order.
        rows: How many rows it is about, for the size of a commit.
    """

    steps: tuple[Step, ...]
    rows: int = 1


def add_items(entries: Sequence[tuple[Item, str]]) -> Write:
    """List items with the keys of their photos, and name the keys of those that have a version."""
    photos = [(pack(key),) for _, key in entries]
    items = [(pack(item.id), pack(item.source), pack_extra(item.extra), pack(key)) for item, key in entries]
    names = [(pack(key), pack(item.source), pack(item.version)) for item, key in entries if has_name(item)]
    return Write(((_ADD_PHOTO, photos), (_ADD_ITEM, items), (_ADD_NAME, names)), len(entries))


def has_name(item: Item) -> bool:
    """Whether source and version tell the photo. Not for a URL: its source is shown without its query."""
    return item.version != "" and item.url is None


def begin_attempt(key: str) -> Write:
    """Note that a call is about to be sent."""
    stored = pack(key)
    return Write(((_ADD_PHOTO, ((stored,),)), (_ADD_INTENT, ((stored, time.time()),))))


def withdraw_attempt(key: str) -> Write:
    """Note that the call was not sent after all."""
    return Write(((_REMOVE_INTENT, ((pack(key),),)),))


def end_attempt(record: PhotoRecord, *, is_last: bool) -> Write:
    """Put an outcome in place of the intent."""
    return Write((*_set_outcome(record, is_last=is_last), (_REMOVE_INTENT, ((pack(record.key),),))))


def put(record: PhotoRecord) -> Write:
    """Note an outcome that needed no call."""
    return Write(_set_outcome(record, is_last=True))


def resolve_unknown(keys: Sequence[str], state: State) -> Write:
    """Give another state to those of the photos that are unknown."""
    now = time.time()
    resolved = [(state.value, now, pack(key)) for key in keys]
    return Write(((_MARK_UNKNOWN, [row[2:] for row in resolved]), (_RESOLVE, resolved)), len(keys))


def add_run(notes: RunNotes) -> Write:
    """Note what a run came to."""
    return Write(((_ADD_RUN, ((json.dumps(asdict(notes)),),)),))


def _set_outcome(record: PhotoRecord, *, is_last: bool) -> tuple[Step, ...]:
    values = pack_record(record)
    outcome: Step = (_SET_OUTCOME, ((*values, is_last),))
    return (outcome, (_MARK_ITEMS, (values[:1],))) if is_last else (outcome,)
