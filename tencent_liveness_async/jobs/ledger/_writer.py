"""The one thread that writes: it takes all that waits, commits once, and wakes all that waited."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from ._errors import LedgerError, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ._writes import Write

MAX_ROWS = 500
"""A commit is closed once it is about so many rows."""

Waiter: TypeAlias = "asyncio.Future[None]"


class Writer:
    """Writes in a thread of its own, from the moment it is made until `aclose`.

    While one commit is on its way to the disk, writes gather for the next; a write that meets nobody is
    committed at once. A commit that fails is undone as a whole and told to all that were in it; the next one
    is tried again, because a disk may have room by then.

    Args:
        connection: Used by the thread alone from now on.
        path: The ledger, for messages.
        close: Closes the connection and what belongs to it; called by the thread when all is written.

    Attributes:
        commits: How many there were.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, close: Callable[[], None]) -> None:
        self.commits = 0
        self._connection = connection
        self._path = path
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[tuple[Write, Waiter] | None] = SimpleQueue()
        self._ended = self._loop.create_future()
        self._is_closed = False
        self._untold: LedgerError | None = None
        # A process that ends without `aclose` does not wait for it: what was acknowledged is in the file.
        threading.Thread(target=self._work, name="ledger writer", daemon=True).start()

    def submit(self, write: Write) -> Waiter:
        """Hand a write over, in order. What comes back is done once it is committed.

        Raises:
            LedgerError: The ledger is closed.
        """
        if self._is_closed:
            raise LedgerError(f"{self._path} is closed: open it again")
        waiter = self._loop.create_future()
        self._queue.put((write, waiter))
        return waiter

    async def aclose(self) -> None:
        """Wait until all is written and the thread has let go of the file; it goes on if this is cancelled.

        Raises:
            LedgerError: A write failed whose task was cancelled, so that nobody was told.
        """
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        await asyncio.shield(self._ended)
        if self._untold is not None:
            raise self._untold

    def _work(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._take()
            if batch:
                self._call(
                    self._wake, [waiter for _, waiter in batch], self._commit([write for write, _ in batch])
                )
        self._close()
        self._call(_end, self._ended)

    def _take(self) -> tuple[list[tuple[Write, Waiter]], bool]:
        """Wait for a write and take all that is there, and say whether more may come."""
        batch: list[tuple[Write, Waiter]] = []
        rows = 0
        entry = self._queue.get()
        while entry is not None:
            batch.append(entry)
            rows += entry[0].rows
            if rows >= MAX_ROWS:
                return batch, True
            try:
                entry = self._queue.get_nowait()
            except Empty:
                return batch, True
        return batch, False

    def _commit(self, writes: Sequence[Write]) -> LedgerError | None:
        """Write all or nothing; return why it was nothing."""
        run = self._connection.executemany
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for write in writes:
                for statement, parameters in write.steps:
                    run(statement, parameters)
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, those that wait are told
            self._undo()
            failure = translate(error, self._path)
            failure.__cause__ = error
            return failure
        self.commits += 1
        return None

    def _undo(self) -> None:
        with suppress(sqlite3.Error):  # SQLite has undone it by itself after some errors
            self._connection.execute("ROLLBACK")

    def _wake(self, waiters: Sequence[Waiter], error: LedgerError | None) -> None:
        for waiter in waiters:
            if waiter.done():  # its task was cancelled; its write was not
                self._untold = error or self._untold
            elif error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def _call(self, function: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *args)


def _end(ended: Waiter) -> None:
    if not ended.done():
        ended.set_result(None)
