"""The ledger: what was sent and what came of it, on disk before anything else happens."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self, TypeVar

from ._errors import LedgerError, translated
from ._lock import FileLock
from ._opening import open_for_writing
from ._place import refuse_network
from ._reading import BATCH, LedgerReader
from ._writer import Writer
from ._writes import add_items, add_run, begin_attempt, end_attempt, put, resolve_unknown, withdraw_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from .._records import Item, PhotoRecord, ResultRow, RunNotes, State
    from ._reading import Known, LedgerCounts
    from ._schema import Parameters
    from ._writes import Write

_T = TypeVar("_T")


class Ledger:
    """A ledger opened for writing, by one process at a time.

    Every write returns when it is on the disk, so what it says survives `kill -9` and a loss of power. Writes
    of many tasks are committed together. A task that is cancelled while it waits does not lose its write;
    `begin_attempt` is the one exception. A write that fails is not there at all, and may be made again.

    Example:
        async with await Ledger.open(path, parameters) as ledger:
            await ledger.add_items([(item, key)])
            await ledger.begin_attempt(key)
            record = await send(item)
            await ledger.end_attempt(record, is_last=True)

    Attributes:
        path: The file.
        parameters: What the run scores with.
        found_intents: Calls that a dead run had sent; their photos are unknown now.
    """

    def __init__(self, path: Path, parameters: Parameters, files: _Files) -> None:
        self.path = path
        self.parameters = parameters
        self.found_intents = files.found_intents
        self._reader = files.reader
        self._reading = files.reading
        self._writer = Writer(files.connection, path, close=files.close)
        self._open_keys: set[str] = set()

    @classmethod
    async def open(cls, path: Path, parameters: Parameters, *, is_forced: bool = False) -> Self:
        """Open a ledger, or make it. Its folder must be there.

        Intents that a dead run left become photos of state UNKNOWN, with one attempt more that may be billed.

        Args:
            path: The file.
            parameters: What the run scores with.
            is_forced: Take other parameters than the ledger's into it. Old results stay under their keys; the
                keys of all items are made again.

        Raises:
            LedgerLockedError: Another process uses it, or this one.
            LedgerMismatchError: It was made with other parameters.
            LedgerDamagedError: It is torn, damaged, or no ledger.
            LedgerError: It cannot be written, is on a network file system, or is of newer software.
        """
        opening = asyncio.get_running_loop().run_in_executor(None, _open, path, parameters, is_forced)
        try:
            return cls(path, parameters, await asyncio.shield(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unused)
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        attempts, commits = len(self._open_keys), self._writer.commits
        return f"<Ledger {str(self.path)!r}: {attempts} attempts open, {commits} commits>"

    async def aclose(self) -> None:
        """Wait until everything is written, and let go of the file. Cancelling it does not stop it."""
        await self._writer.aclose()

    async def look_up(self, items: Sequence[Item]) -> list[Known]:
        """Return what is known of each item by its source and version, in order, without reading it.

        Items with a URL or without a version are never known this way; see `look_up_keys`.
        """
        return await self._read(self._reader.look_up, items)

    async def look_up_keys(self, entries: Sequence[tuple[Item, str]]) -> list[Known]:
        """Return what is known of each item, in order, when its key is known already, as of a URL."""
        return await self._read(self._reader.look_up_keys, entries)

    async def find(self, keys: Sequence[str]) -> dict[str, PhotoRecord]:
        """Return the records of those keys that came to something, with totals over all runs."""
        return await self._read(self._reader.find, keys)

    async def count(self) -> LedgerCounts:
        """Count what the ledger holds; about 0.5 s for a million photos, not in the event loop."""
        return replace(await self._read(self._reader.count), found_intents=self.found_intents)

    async def find_last_change(self) -> int:
        """Return the number of the last outcome written, for `changed_rows`; 0 before the first."""
        return await self._read(self._reader.find_last_change)

    async def add_items(self, entries: Sequence[tuple[Item, str]]) -> None:
        """List items with the keys of their photos.

        An item is known by its id and source: adding it again changes its key and its carried columns, and
        keeps its number. Source and version name the key from now on, except those of a URL.
        """
        if entries:
            await self._write(add_items(entries))

    async def begin_attempt(self, key: str) -> None:
        """Note that a call is about to be sent. Send only after this has returned.

        If it is cancelled or fails, nothing of it stays: the call was not sent.

        Raises:
            ValueError: An attempt of this photo is open.
            LedgerError: It could not be written.
        """
        if key in self._open_keys:
            raise ValueError(f"an attempt of {key} has begun already and not ended")
        self._open_keys.add(key)
        try:
            await self._write(begin_attempt(key))
        except BaseException as error:
            self._open_keys.discard(key)
            if isinstance(error, asyncio.CancelledError):
                self._withdraw(key)
            raise

    async def end_attempt(self, record: PhotoRecord, *, is_last: bool) -> None:
        """Note what came of an attempt, in place of its intent.

        Args:
            record: `attempts`, `billed` and `maybe_billed` are of this attempt alone (0 or 1) and are added
                to the ledger's totals; everything else replaces what the ledger has, the seconds too.
            is_last: Whether this is what came of the photo in this run. Otherwise another attempt follows:
                the state counts until then, and is where a resumed run begins, but `changed_rows` leaves it
                out.

        Raises:
            ValueError: No attempt of this photo has begun.
            LedgerError: It could not be written; the attempt is still open.
        """
        if record.key not in self._open_keys:
            raise ValueError(f"no attempt of {record.key} has begun")
        self._open_keys.discard(record.key)
        try:
            await self._write(end_attempt(record, is_last=is_last))
        except LedgerError:
            self._open_keys.add(record.key)
            raise

    async def put(self, record: PhotoRecord) -> None:
        """Note what came of a photo without a call. Counts in the record are added, as in `end_attempt`."""
        await self._write(put(record))

    async def resolve_unknown(self, keys: Sequence[str], state: State) -> None:
        """Give another state to those of these photos that are unknown. Their totals stay."""
        if keys:
            await self._write(resolve_unknown(keys, state))

    async def add_run(self, notes: RunNotes) -> None:
        """Note what a run came to, for reports."""
        await self._write(add_run(notes))

    def rows(
        self, *, states: Collection[State] | None = None, batch: int = BATCH
    ) -> Iterator[list[ResultRow]]:
        """Give items with outcomes by their numbers, as `LedgerReader.rows`. For a thread: it reads."""
        with LedgerReader(self.path) as reader:
            yield from reader.rows(states=states, batch=batch)

    def changed_rows(self, after: int, until: int, *, batch: int = BATCH) -> Iterator[list[ResultRow]]:
        """Give items with new outcomes, as `LedgerReader.changed_rows`. For a thread: it reads."""
        with LedgerReader(self.path) as reader:
            yield from reader.changed_rows(after, until, batch=batch)

    async def _write(self, write: Write) -> None:
        await self._writer.submit(write)

    def _withdraw(self, key: str) -> None:
        with suppress(LedgerError):  # closed: the intent stays, and its photo is unknown to the next run
            self._writer.submit(withdraw_attempt(key)).cancel()  # nobody waits for it

    async def _read(self, function: Callable[..., _T], *args: object) -> _T:
        try:
            reading = asyncio.get_running_loop().run_in_executor(self._reading, function, *args)
        except RuntimeError:
            raise LedgerError(f"{self.path} is closed: open it again") from None
        return await reading


@dataclass(frozen=True, slots=True)
class _Files:
    """What is open while a ledger is."""

    lock: FileLock
    connection: sqlite3.Connection
    reader: LedgerReader
    found_intents: int
    reading: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ledger reader"))

    def close(self) -> None:
        """Close everything; the writing connection last, which then leaves one whole file."""
        self.reading.shutdown()
        self.reader.close()
        with suppress(sqlite3.Error):  # the log stays, and the next run copies it into the file
            self.connection.close()
        self.lock.release()


def _open(path: Path, parameters: Parameters, is_forced: bool) -> _Files:  # noqa: FBT001 - for run_in_executor
    with translated(path), ExitStack() as opened:
        refuse_network(path)
        lock = FileLock.take(path)
        opened.callback(lock.release)
        connection, found_intents = open_for_writing(path, parameters, is_forced=is_forced)
        opened.callback(connection.close)
        files = _Files(lock, connection, LedgerReader(path), found_intents)
        opened.pop_all()
        return files


def _close_unused(opening: asyncio.Future[_Files]) -> None:
    """Close what was opened for a task that was cancelled meanwhile."""
    if opening.exception() is None:
        threading.Thread(target=opening.result().close, name="ledger closing").start()
