"""From a reader that blocks to batches in the event loop."""

from __future__ import annotations

import tarfile
import zlib
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from ..._errors import PhotoUnreadableError
from .._records import Item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Sequence
    from contextlib import ExitStack

MAX_BATCH = 1_000
"""Items of a batch."""

MAX_HELD_BYTES = 32 * 1024 * 1024
"""Bytes of photos that the items of a batch hold together, give or take the last one. With a batch in
work and the next one read, twice as much is held."""

MAX_PHOTO_BYTES = 10 * 1024 * 1024
"""A larger photo is not read into memory; the API takes 3.75 MB."""

DAMAGES = (OSError, EOFError, UnicodeError, tarfile.TarError, zlib.error)
"""What readers of damaged files raise. `gzip.BadGzipFile` is an OSError."""


class HeldBytes:
    """A photo's bytes that were read with its batch."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __call__(self) -> bytes:
        """Return the bytes."""
        return self.data


class BatchedSource:
    """A source over a generator that blocks, which runs in threads, one block of items at a time.

    It is read once. A read under way ends before a cancellation is felt.

    Args:
        name: What was given.
        blocks: Items as they come; a block of any length is handed over in batches.
        extra_columns: Columns that the items carry.
        resources: Closed with the source.
        wait: Returns when there is something to read; not asked for the first block, which is there.
    """

    def __init__(
        self,
        name: str,
        blocks: Generator[list[Item]],
        *,
        extra_columns: Sequence[str] = (),
        resources: ExitStack | None = None,
        wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.name = name
        self.extra_columns = tuple(extra_columns)
        self._blocks = blocks
        self._resources = resources
        self._wait = wait

    async def __aiter__(self) -> AsyncIterator[list[Item]]:
        """Give the items in lists of 1 to 1,000.

        Raises:
            SourceError: The source cannot be read further, and what is missing is not known.
        """
        while (block := await anyio.to_thread.run_sync(next, self._blocks, None)) is not None:
            for start in range(0, len(block), MAX_BATCH):
                yield block[start : start + MAX_BATCH]
            if self._wait is not None:
                await self._wait()

    async def aclose(self) -> None:
        """Let go of files and connections; items that were handed out can no longer be loaded."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        self._blocks.close()
        if self._resources is not None:
            self._resources.close()


def batch_items(items: Iterable[Item]) -> Generator[list[Item]]:
    """Put items into lists of at most `MAX_BATCH` items and about `MAX_HELD_BYTES`."""
    batch: list[Item] = []
    held = 0
    for item in items:
        batch.append(item)
        if isinstance(item.load, HeldBytes):
            held += len(item.load.data)
        if len(batch) == MAX_BATCH or held >= MAX_HELD_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def end_with_error(items: Iterable[Item], name: str) -> Iterator[Item]:
    """Yield items, and one with an error for all that follows a place that cannot be read."""
    last = "its beginning"
    try:
        for item in items:
            last = item.id
            yield item
    except DAMAGES as exc:
        yield make_rest(name, last, exc)


def make_rest(name: str, last: str, exc: Exception) -> Item:
    """Make the item that stands for all that follows `last`."""
    reason = f"{name} cannot be read beyond {last}: {exc}; repair or replace it and run again"
    error = PhotoUnreadableError(reason)
    error.__cause__ = exc
    return Item(id=f"{name} (the rest)", source=name, error=error)


def make_unreadable(name: str, source: str, reason: str) -> Item:
    """Make an item that cannot be read, and says so with its source."""
    return Item(id=name, source=source, error=PhotoUnreadableError(f"{source}: {reason}"))


def check_size(size: int) -> str:
    """Return what is wrong with a photo of so many bytes; empty if nothing is."""
    if size <= MAX_PHOTO_BYTES:
        return ""
    return f"it has {size:,} bytes and is not read; photos over {MAX_PHOTO_BYTES:,} bytes are never accepted"


def give_one(item: Item) -> Generator[list[Item]]:
    """Give a single item."""
    yield [item]
