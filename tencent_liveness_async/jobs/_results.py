"""The rows of a run, on their way from the ledger to the result file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import anyio.to_thread

from ._records import Item, ResultRow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from ._records import Sink
    from .ledger import Ledger, LedgerReader

_BATCH = 200


class Results:
    """Writes rows as photos end, and the whole file, in the order of the items, when the run is over.

    What is in the file comes from the ledger, which is the truth; so it can be written again at any time.

    Args:
        ledger: What is known.
        open_sink: Opens the result file; None where results stay in the ledger.
        threshold: Score from which a row says that the photo is live.
    """

    def __init__(self, ledger: Ledger, open_sink: Callable[[], Sink] | None, *, threshold: float) -> None:
        self._ledger = ledger
        self._open_sink = open_sink
        self._threshold = threshold
        self._sink: Sink | None = None
        self._entries: list[tuple[Item, str]] = []

    async def __aenter__(self) -> Self:
        if self._open_sink is not None:
            self._sink = await anyio.to_thread.run_sync(self._open_sink)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._sink is None:
            return
        sink, self._sink = self._sink, None
        await anyio.to_thread.run_sync(sink.abandon)
        if exc is None or isinstance(exc, Exception):
            await anyio.to_thread.run_sync(self._write_all)

    async def add(self, items: Sequence[Item], key: str) -> None:
        """Take the items of a photo that has an outcome; their rows are written some at a time."""
        if self._sink is None:
            return
        self._entries += [(item, key) for item in items]
        if len(self._entries) >= _BATCH:
            await self.flush()

    async def flush(self) -> None:
        """Write the rows of all items taken so far."""
        entries, self._entries = self._entries, []
        sink = self._sink
        if sink is None or not entries:
            return
        records = await self._ledger.find(list({key for _, key in entries}))
        rows = [ResultRow(0, item.id, item.source, records[key], item.extra) for item, key in entries]
        await anyio.to_thread.run_sync(sink.write, [row.to_values(self._threshold) for row in rows])

    def _write_all(self) -> None:
        if self._open_sink is None:
            return
        write_results(self._ledger, self._open_sink(), threshold=self._threshold)


def write_results(ledger: Ledger | LedgerReader, sink: Sink, *, threshold: float) -> int:
    """Write all that a ledger knows into a result file, put it in place, and return how many rows; blocks.

    Raises:
        SinkError: It cannot be written; nothing was put in place.
        LedgerError: The ledger cannot be read.
    """
    written = 0
    try:
        for rows in ledger.rows():
            sink.write([row.to_values(threshold) for row in rows])
            written += len(rows)
        sink.finish()
    finally:
        sink.abandon()
    return written
