"""Checking a ledger, and saving what can be read of a damaged one."""

# Names of tables and columns are put into statements; values never are, they are parameters.
# ruff: noqa: S608

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from .._records import State
from ._errors import LedgerDamagedError, LedgerError, translate
from ._lock import FileLock
from ._opening import connect, create, refuse_foreign, require_ledger
from ._place import refuse_network

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ._schema import Row

MAX_PROBLEMS: Final = 20
CHUNK: Final = 1000
NUMBERED: Final = {"photos": "number", "items": "number", "intents": "photo"}
"""Tables that are read by ranges of their numbers, around what is damaged."""
STATES: Final = {None, *(state.value for state in State)}
SORTED: Final = {"names": "source, version", "header": "name"}
"""Tables that are read from both ends, up to what is damaged."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        path: The ledger.
        problems: What is damaged, in SQLite's words, at most 20; empty if nothing is.
        format_version: Of the tables; None if it cannot be read.
        software_version: What made it; None if it cannot be read.
        items: Items that can be read.
        photos: Photos that can be read.
        intents: Calls on their way, or left by a run that died.
    """

    path: Path
    problems: tuple[str, ...]
    format_version: int | None
    software_version: str | None
    items: int
    photos: int
    intents: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class RecoverReport:
    """What was saved.

    Attributes:
        path: The damaged ledger, which is as it was.
        target: The new one.
        items: Items saved.
        photos: Photos saved.
        intents: Calls without an outcome saved: unknown photos, once the new ledger is opened.
        lost_items: Items that were there for certain and are not saved; there may have been more at the end.
        lost_photos: The same for photos. A run over the same source pays for them again.
    """

    path: Path
    target: Path
    items: int
    photos: int
    intents: int
    lost_items: int
    lost_photos: int


def check(path: Path) -> CheckReport:
    """Read a whole ledger and say what is damaged; a run may use it meanwhile.

    Raises:
        LedgerDamagedError: It is no ledger, or so damaged that not even its tables can be found.
        LedgerError: It cannot be read.
    """
    try:
        with closing(_connect(path)) as connection:
            header = _read_header(connection)
            counts = {name: sum(1 for _ in _read_numbered(connection, name)) for name in NUMBERED}
            problems = _find_problems(connection)
    except (sqlite3.Error, OSError) as error:
        raise _translate(error, path) from error
    version = header.get("format_version")
    return CheckReport(
        path, problems, int(version) if version else None, header.get("software_version"), **counts
    )


def recover(path: Path, target: Path) -> RecoverReport:
    """Save every row that can be read into a new ledger. The damaged one is not changed.

    Where the header is lost, the new ledger opens only with `is_forced`: its parameters are not known.

    Raises:
        LedgerLockedError: A process uses the ledger.
        LedgerDamagedError: It is no ledger, or so damaged that not even its tables can be found.
        LedgerError: It cannot be read, or the target is there already or cannot be written.
    """
    if target.exists():
        raise LedgerError(f"{target} is there already: name a file that is not")
    refuse_network(target)
    part = target.with_name(f"{target.name}.part")
    try:
        lock = FileLock.take(path)
        try:
            with closing(_connect(path)) as source:
                report = _save(source, part, path, target)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
            lock.release()
    except (sqlite3.Error, OSError) as error:
        raise _translate(error, path) from error
    return report


def _connect(path: Path) -> sqlite3.Connection:
    """Connect so that a torn file can be read up to where it ends.

    SQLite refuses a file that is shorter than its first page says, unless its schema may be repaired.
    """
    refuse_foreign(path)
    # Without a log nobody writes, and nothing needs to be made beside the file.
    has_log = path.with_name(f"{path.name}-wal").exists()
    connection = connect(path, "mode=ro" if has_log else "immutable=1")
    try:
        connection.execute("PRAGMA writable_schema = ON")
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        try:
            require_ledger(path, connection)
        except (sqlite3.Error, KeyError, TypeError, ValueError):  # the header is damaged; tables may be there
            connection.execute("SELECT 1 FROM photos LIMIT 0")
    except BaseException:
        connection.close()
        raise
    return connection


def _save(source: sqlite3.Connection, part: Path, path: Path, target: Path) -> RecoverReport:
    part.unlink(missing_ok=True)
    with closing(connect(part)) as copy:
        create(copy, _read_header(source))
        copy.execute("BEGIN IMMEDIATE")
        for name in NUMBERED:
            _insert(copy, name, _read_numbered(source, name))
        _insert(copy, "names", _read_sorted(source, "names"))
        highest = {
            name: _count(copy, f"coalesce(max(number), 0) FROM {name}") for name in ("items", "photos")
        }
        for name in ("items", "intents", "names"):
            copy.execute(f"DELETE FROM {name} WHERE photo NOT IN (SELECT number FROM photos)")
        copy.execute("COMMIT")
        items, photos, intents = (
            _count(copy, f"count(*) FROM {name}") for name in ("items", "photos", "intents")
        )
    return RecoverReport(
        path, target, items, photos, intents, highest["items"] - items, highest["photos"] - photos
    )


def _insert(copy: sqlite3.Connection, name: str, rows: Iterator[Row]) -> None:
    """Insert rows; one that is damaged without SQLite's noticing, so that it does not fit, is left out."""
    while chunk := list(islice(rows, CHUNK)):
        places = ", ".join("?" * len(chunk[0]))
        copy.executemany(f"INSERT OR IGNORE INTO {name} VALUES ({places})", chunk)


def _count(copy: sqlite3.Connection, what: str) -> int:
    return int(copy.execute(f"SELECT {what}").fetchone()[0])


def _read_header(connection: sqlite3.Connection) -> dict[str, str | None]:
    return {row[0]: row[1] for row in _read_sorted(connection, "header")}


def _read_numbered(connection: sqlite3.Connection, name: str) -> Iterator[Row]:
    """Give every row that can be read, going around damaged pages by halving ranges of numbers."""
    number = NUMBERED[name]
    statement = f"SELECT * FROM {name} NOT INDEXED WHERE {number} BETWEEN ? AND ? ORDER BY {number}"
    ranges = [(1, _find_highest(connection, name))]
    while ranges:
        first, last = ranges.pop()
        at = first
        try:
            for row in connection.execute(statement, (first, last)):
                if row[0] >= at:  # zeros on a torn page are rows of number 0 to SQLite
                    at = row[0] + 1
                    if _is_sound(name, row):
                        yield row
        except sqlite3.DatabaseError:
            if at < last:
                middle = (at + last) // 2
                ranges += [(middle + 1, last), (at, middle)]


def _is_sound(name: str, row: Row) -> bool:
    """Whether a row is what a ledger writes: SQLite reads rows off a torn page without noticing."""
    has_zeros = any(isinstance(value, str) and "\0" in value for value in row)
    return not has_zeros and (name != "photos" or row[2] in STATES)


def _find_highest(connection: sqlite3.Connection, name: str) -> int:
    """Return the highest number there is, or one that it cannot be above."""
    number = NUMBERED[name]
    try:
        return int(connection.execute(f"SELECT coalesce(max({number}), 0) FROM {name}").fetchone()[0])
    except sqlite3.DatabaseError:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
        with open(file, "rb") as content:  # noqa: PTH123 - SQLite's own name of it
            return content.seek(0, 2) // 16


def _read_sorted(connection: sqlite3.Connection, name: str) -> Iterator[Row]:
    """Give the rows before and after what is damaged; some may come twice."""
    order = SORTED[name]
    try:
        yield from connection.execute(f"SELECT * FROM {name} ORDER BY {order}")
    except sqlite3.DatabaseError:
        backwards = order.replace(",", " DESC,") + " DESC"
        try:
            yield from connection.execute(f"SELECT * FROM {name} ORDER BY {backwards}")
        except sqlite3.DatabaseError:
            return


def _find_problems(connection: sqlite3.Connection) -> tuple[str, ...]:
    try:
        found = connection.execute(f"PRAGMA integrity_check({MAX_PROBLEMS})").fetchall()
    except sqlite3.DatabaseError as error:
        return (str(error),)
    return tuple(line for (line,) in found if line != "ok")


def _translate(error: Exception, path: Path) -> LedgerError:
    found = translate(error, path)
    if isinstance(found, LedgerDamagedError):
        return LedgerDamagedError(f"{path} is so damaged that nothing can be saved ({error})")
    return found
