"""One process at a time: a lock on a file beside the ledger, which vanishes with its process."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

from ._errors import LedgerLockedError

if TYPE_CHECKING:
    from pathlib import Path


class FileLock:
    """The right to write a ledger, from `take` to `release`.

    The system gives it back when the process ends in any way, `kill -9` included. It is a lock on
    `NAME.lock`, which holds the process id; the ledger itself cannot be used, because SQLite loses its own
    locks when anybody in the process closes the file.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    @classmethod
    def take(cls, ledger: Path) -> Self:
        """Take the lock of a ledger without waiting.

        Raises:
            LedgerLockedError: Somebody has it, in this process or another.
            OSError: The file cannot be made.
        """
        path = ledger.with_name(f"{ledger.name}.lock")
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(descriptor, 20, 0).strip()
                os.close(descriptor)
                raise LedgerLockedError(ledger, int(pid) if pid.isdigit() else None) from None
            if _is_at(descriptor, path):
                break
            os.close(descriptor)  # its holder removed it between opening and locking
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor, path)

    def release(self) -> None:
        """Remove the file, then let go of it: nobody else can lock a file that is not there any more."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
