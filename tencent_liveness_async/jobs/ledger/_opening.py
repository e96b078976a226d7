"""Opening a ledger's file for writing: made if it is new, held against what was asked, and tidied."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..._version import __version__
from ._errors import LedgerDamagedError, LedgerError, LedgerMismatchError
from ._schema import APPLICATION_ID, FORMAT_VERSION, SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from ._schema import Parameters

MAGIC = b"SQLite format 3\0"

_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    # 4 MB, which the first 15,000 photos or so fill; with more, memory grows on with the ledger.
    "PRAGMA cache_size = -4000",
    # 16 MB of log before it is copied into the file: pages that change often are copied once.
    "PRAGMA wal_autocheckpoint = 4000",
)


def connect(path: Path, options: str = "mode=rwc") -> sqlite3.Connection:
    """Connect to a file, without looking at it. Transactions are the caller's; so is the thread."""
    address = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(address, uri=True, timeout=10.0, isolation_level=None, check_same_thread=False)


def require_ledger(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a file that is no ledger, or one of newer software.

    Raises:
        LedgerError: It is one of newer software.
        LedgerDamagedError: It is no ledger.
    """
    refuse_foreign(path)
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise LedgerDamagedError(
            f"{path} is a database of something else, with nothing to be saved: name another ledger"
        )
    version = int(read_header(connection)["format_version"] or 0)
    if version > FORMAT_VERSION:
        raise LedgerError(
            f"{path} has format {version}, and this software knows {FORMAT_VERSION}: "
            "update tencent-liveness-async"
        )


def refuse_foreign(path: Path) -> None:
    """Refuse a file that does not begin as SQLite's do.

    Raises:
        LedgerDamagedError: It does not.
    """
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start != MAGIC:
        raise LedgerDamagedError(
            f"{path} is no ledger (it begins with {start!r}), with nothing to be saved: name another ledger"
        )


def read_header(connection: sqlite3.Connection) -> dict[str, str | None]:
    """Return the header's values by their names."""
    return dict(connection.execute("SELECT name, value FROM header"))


def open_for_writing(
    path: Path, parameters: Parameters, *, is_forced: bool
) -> tuple[sqlite3.Connection, int]:
    """Open or make a ledger, whose lock the caller has.

    Returns:
        The connection, and how many intents of a dead run became unknown photos.

    Raises:
        LedgerError: As `Ledger.open` says.
        sqlite3.Error: The same, not translated yet.
        OSError: The same.
    """
    is_new = not path.exists() or path.stat().st_size == 0
    if not is_new:
        refuse_foreign(path)
    connection = connect(path)
    try:
        if is_new:
            create(connection, asdict(parameters))
        require_ledger(path, connection)
        _hold_parameters(path, connection, parameters, is_forced=is_forced)
        for setting in _SETTINGS:
            connection.execute(setting)
        return connection, _resolve_intents(connection)
    except BaseException:
        connection.close()
        raise


def create(connection: sqlite3.Connection, parameters: dict[str, str | None]) -> None:
    """Make the tables and the header in one transaction: after a crash they are whole or not there."""
    header = {
        "format_version": str(FORMAT_VERSION),
        "software_version": __version__,
        "created": f"{time.time():.3f}",
        **parameters,
    }
    connection.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; {SCHEMA}")
    connection.executemany("INSERT INTO header VALUES (?, ?)", header.items())
    connection.execute("COMMIT")


def _hold_parameters(
    path: Path, connection: sqlite3.Connection, parameters: Parameters, *, is_forced: bool
) -> None:
    header = read_header(connection)
    asked: dict[str, str | None] = asdict(parameters)
    differences = {
        name: (header.get(name), value) for name, value in asked.items() if header.get(name) != value
    }
    if not differences:
        return
    if not is_forced:
        raise LedgerMismatchError(path, differences)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT OR REPLACE INTO header VALUES (?, ?)", asked.items())
    # They lead to keys, and keys are made with the parameters.
    connection.execute("DELETE FROM names")
    connection.execute("COMMIT")


def _resolve_intents(connection: sqlite3.Connection) -> int:
    """Make unknown photos of the intents that a dead run left, and return how many there were."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "UPDATE photos SET state = 'unknown', is_last = 1, score = NULL, model_version = '', "
        "request_id = '', code = 'OutcomeUnknownError', "
        "message = 'the run ended while the call was on its way', "
        "attempts = attempts + 1, maybe_billed = maybe_billed + 1, time = intents.time "
        "FROM intents WHERE intents.photo = photos.number"
    )
    connection.execute(
        "UPDATE items SET change = (SELECT max(change) + 1 FROM items) "
        "WHERE photo IN (SELECT photo FROM intents)"
    )
    found = connection.execute("DELETE FROM intents").rowcount
    connection.execute("COMMIT")
    return found
