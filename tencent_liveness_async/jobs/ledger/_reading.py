"""Reading a ledger, also while a run writes it."""

# Names of tables and columns are put into statements; values never are, they are parameters.
# ruff: noqa: S608

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from .._records import RunNotes, State
from ._errors import translated
from ._opening import connect, read_header, require_ledger
from ._schema import RECORD_COLUMNS, Parameters, pack, unpack, unpack_record, unpack_result
from ._writes import has_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from .._records import Item, PhotoRecord, ResultRow
    from ._schema import Row

BATCH = 1000
"""Items in one query: well below the parameters that SQLite allows, and beyond that it gets no faster."""

_RESULT = f"number, id, source, extra, {RECORD_COLUMNS}"
_KNOWN = """
WITH given (id, source, version) AS (VALUES {given})
SELECT photos.key, photos.state, items.number IS NOT NULL FROM given
LEFT JOIN names ON names.source = given.source AND names.version = given.version
LEFT JOIN photos ON photos.number = names.photo
LEFT JOIN items ON items.id = given.id AND items.source = given.source AND items.photo = photos.number
"""
_KNOWN_BY_KEY = """
WITH given (id, source, key) AS (VALUES {given})
SELECT coalesce(photos.state, (SELECT state FROM photos WHERE key = given.key)), photos.number IS NOT NULL
FROM given
LEFT JOIN items ON items.id = given.id AND items.source = given.source
LEFT JOIN photos ON photos.number = items.photo AND photos.key = given.key
"""
# Keys are random, and looking one up in a million costs 2 us: a listed item leads to its photo faster.


class Known(NamedTuple):
    """What is known of an item; a named tuple, because a resumed run makes a million of them.

    Attributes:
        key: Its photo's key; None if source and version do not tell it, so that its content has to be read.
        state: Its photo's state; None if nothing came of it yet.
        is_listed: Whether the ledger has this item with this key, so that `add_items` would change nothing
            but its carried columns.
    """

    key: str | None
    state: State | None
    is_listed: bool


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """What a ledger holds.

    Attributes:
        items: Items listed.
        photos: Photos by state.
        untried: Photos that are listed and came to nothing yet, those on their way included.
        attempts: Calls sent and ended.
        billed: Calls of them that are billed for certain.
        maybe_billed: Calls of them that brought no answer.
        intents: Calls on their way, or left by a run that died if nobody has the ledger open.
        found_intents: Intents of a dead run that became unknown photos when this ledger was opened.
    """

    items: int
    photos: Mapping[State, int]
    untried: int
    attempts: int
    billed: int
    maybe_billed: int
    intents: int
    found_intents: int = 0

    @property
    def unknown(self) -> int:
        """Photos of which it is not known what came of them; each may be paid."""
        return self.photos[State.UNKNOWN]


class LedgerReader:
    """A ledger that is only read; a run may write it meanwhile. Not for two threads at the same time.

    Example:
        with LedgerReader(Path("results.ledger")) as reader:
            for rows in reader.rows(states={State.SCORED}):
                write(rows)

    Args:
        path: The ledger.

    Raises:
        LedgerError: It is not there or cannot be read; of newer software; damaged or no ledger.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with translated(path):
            # Not "ro": such a connection would leave the log's files behind when it is the last one.
            self._connection = connect(path, "mode=rw")
            try:
                self._connection.execute("PRAGMA query_only = ON")
                require_ledger(path, self._connection)
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @property
    def parameters(self) -> Parameters:
        """The parameters it was made with."""
        with translated(self.path):
            header = read_header(self._connection)
        return Parameters(header.get("model_version"), header.get("endpoint") or "")

    def look_up(self, items: Sequence[Item]) -> list[Known]:
        """Return what is known of each item by its source and version, without reading it.

        Items with a URL or without a version are never known; see `look_up_keys`.
        """
        given = [
            text
            for item in items
            for text in (item.id, item.source, item.version if has_name(item) else None)
        ]
        return [
            Known(key if key is None else unpack(key), _STATES[state], is_listed == 1)
            for key, state, is_listed in self._query(_KNOWN, given, width=3)
        ]

    def look_up_keys(self, entries: Sequence[tuple[Item, str]]) -> list[Known]:
        """Return what is known of each item whose key is known already."""
        given = [text for item, key in entries for text in (item.id, item.source, key)]
        rows = self._query(_KNOWN_BY_KEY, given, width=3)
        return [
            Known(key, _STATES[state], is_listed == 1)
            for (_, key), (state, is_listed) in zip(entries, rows, strict=True)
        ]

    def find(self, keys: Sequence[str]) -> dict[str, PhotoRecord]:
        """Return the records of those keys that came to something."""
        rows = self._query(
            f"SELECT {RECORD_COLUMNS} FROM photos WHERE key IN (VALUES {{given}}) AND state IS NOT NULL",
            keys,
            width=1,
        )
        return {record.key: record for record in map(unpack_record, rows)}

    def count(self) -> LedgerCounts:
        """Count what it holds; about 0.5 s for a million photos."""
        with translated(self.path):
            execute = self._connection.execute
            states = execute(
                "SELECT state, count(*), sum(attempts), sum(billed), sum(maybe_billed) "
                "FROM photos GROUP BY state"
            ).fetchall()
            items, intents = execute(
                "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM intents)"
            ).fetchone()
        photos = Counter({State(state): count for state, count, *_ in states if state})
        untried = sum(count for state, count, *_ in states if not state)
        attempts, billed, maybe = (sum(row[column] for row in states) for column in (2, 3, 4))
        return LedgerCounts(items, photos, untried, attempts, billed, maybe, intents)

    def find_last_run(self) -> RunNotes | None:
        """Return what the last run that came to its end has noted; None before the first."""
        with translated(self.path):
            row = self._connection.execute("SELECT notes FROM runs ORDER BY number DESC LIMIT 1").fetchone()
        return RunNotes(**json.loads(row[0])) if row else None

    def find_last_change(self) -> int:
        """Return the number of the last outcome that was written; 0 before the first."""
        with translated(self.path):
            return int(self._connection.execute("SELECT coalesce(max(change), 0) FROM items").fetchone()[0])

    def rows(
        self, *, states: Collection[State] | None = None, batch: int = BATCH
    ) -> Iterator[list[ResultRow]]:
        """Give items with their outcomes in the order of their numbers; those without one are left out.

        Costs in the records are totals over all runs.

        Args:
            states: Only these; all by default.
            batch: Rows in a list, and in memory.
        """
        chosen = ", ".join(f"'{State(state)}'" for state in (State if states is None else states))
        return self._pages(f"number > ? AND state IN ({chosen})", "number", (0,), batch)

    def changed_rows(self, after: int, until: int, *, batch: int = BATCH) -> Iterator[list[ResultRow]]:
        """Give items whose photos got their last outcome after one change and until another, in that order.

        For results that grow: `until` is what `find_last_change` said, and is the next call's `after`. Each
        item comes once, and again only if its photo got another outcome.

        Args:
            after: Of changes above this one; 0 for all.
            until: Of changes up to this one.
            batch: Rows in a list, and in memory.
        """
        where = f"(change, number) > (?, ?) AND change <= {int(until)}"
        return self._pages(where, "change, number", (after, _LAST_NUMBER), batch)

    def _pages(self, where: str, order: str, start: tuple[int, ...], batch: int) -> Iterator[list[ResultRow]]:
        """Page through results by the columns of their order, each page a read of its own."""
        statement = (
            f"SELECT {order}, {_RESULT} FROM results WHERE {where} ORDER BY {order} LIMIT {int(batch)}"
        )
        width = len(start)
        while True:
            with translated(self.path):
                page = self._connection.execute(statement, start).fetchall()
            if not page:
                return
            start = page[-1][:width]
            yield [unpack_result(row[width:]) for row in page]

    def _query(self, statement: str, given: Sequence[str | None], *, width: int) -> list[Row]:
        """Run a statement over given values, of which so many make a row."""
        found: list[Row] = []
        places = f"({', '.join('?' * width)})"
        for start in range(0, len(given), BATCH * width):
            parameters = given[start : start + BATCH * width]
            query = statement.format(given=", ".join([places] * (len(parameters) // width)))
            with translated(self.path):
                try:
                    rows = self._connection.execute(query, parameters).fetchall()
                except UnicodeEncodeError:  # looking at each text first costs a million of them 0.5 s
                    packed = [text and pack(text) for text in parameters]
                    rows = self._connection.execute(query, packed).fetchall()
            found += rows
        return found


_STATES: dict[str | None, State | None] = {None: None, **{state.value: state for state in State}}
_LAST_NUMBER = 2**63 - 1
