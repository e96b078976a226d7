"""What goes wrong with a ledger, said so that a person can act on it.

LedgerError                  the ledger cannot be read or written
├── LedgerLockedError        another process uses it
├── LedgerMismatchError      it was made with other parameters
└── LedgerDamagedError       it is torn, damaged, or no ledger at all
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..._errors import LivenessError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class LedgerError(LivenessError):
    """The ledger cannot be read or written. The message says why and what to do."""


class LedgerLockedError(LedgerError):
    """Another process uses the ledger.

    Attributes:
        pid: Its process id; None if it could not be read.
    """

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path} is in use by {holder}: wait until it ends, stop it, or name another ledger")
        self.pid = pid


class LedgerMismatchError(LedgerError):
    """The ledger was made with other parameters.

    Attributes:
        differences: Of each parameter that differs, the ledger's value and the one asked for.
    """

    def __init__(self, path: Path, differences: Mapping[str, tuple[str | None, str | None]]) -> None:
        told = ", ".join(
            f"{name} is {_show(there)} there and {_show(here)} here"
            for name, (there, here) in differences.items()
        )
        super().__init__(
            f"{path} was made with other parameters: {told}. Name another ledger, or go on in this one with "
            "--force: photos are then scored again with the new parameters, and old results are kept"
        )
        self.differences = dict(differences)


class LedgerDamagedError(LedgerError):
    """The ledger is torn, damaged, or no ledger at all. The message says what can be saved."""


def translate(error: Exception, path: Path) -> LedgerError:
    """Return what an error of SQLite or of the system means for the ledger at `path`."""
    if isinstance(error, LedgerError):
        return error
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LedgerDamagedError(
            f"{path} is damaged ({error}): `tencent-liveness ledger check {path}` counts what can still be "
            f"read, and `tencent-liveness ledger recover {path} NEW_FILE` saves it"
        )
    if name == "SQLITE_FULL":
        return LedgerError(
            f"{path} cannot grow ({error}): make room in {path.parent} and run again; "
            "what was acknowledged is kept"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")) or isinstance(error, OSError):
        return LedgerError(
            f"{path} cannot be opened or written ({error}): it needs an existing folder in which "
            "this user may create files"
        )
    kind = type(error).__name__ if not isinstance(error, sqlite3.Error) else name or "SQLite"
    return LedgerError(f"{path} failed ({kind}: {error}): run again; what was acknowledged is kept")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise what SQLite or the system raises as what it means for the ledger at `path`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error


def _show(value: str | None) -> str:
    return "not set" if value is None else repr(value)
