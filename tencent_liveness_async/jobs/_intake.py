"""Which items of a source have to be sent, and with which key."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from .._errors import LivenessError, PhotoUnreadableError
from .._models import Photo
from ._keys import make_bytes_key, make_file_key, make_item_key, make_url_key
from ._outcomes import make_item_record
from ._records import Item, State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from ._job import JobSettings
    from ._records import Source
    from ._results import Results
    from .ledger import Known, Ledger

_HANDFUL = 32
"""Items that are read and hashed together; the ledger is asked once for all of them."""
_FINISHED = tuple(state for state in State if state.is_finished)
"""To ask once and not a million times."""
_READERS = 8
_HELD_BYTES = 48 * 1024 * 1024
"""Bytes of photos from archives and object stores that are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """An item that has to be sent.

    Attributes:
        item: The item.
        key: Its photo's key.
        photo: What is sent; its id is the item's.
    """

    item: Item
    key: str
    photo: Photo


class Intake:
    """Takes items from a source, sorts out those that need no call, and gives the others, prepared.

    Args:
        source: Where they come from.
        ledger: Knows what was paid before.
        results: Gets the items that cannot be read.
        settings: Which states are sent again.

    Attributes:
        found: Items taken so far.
        is_complete: Whether the source has ended.
        resumed: Items whose photo was finished before.
        equal: Items whose photo is in flight for another item.
        skipped_unknown: Items left alone because their photo may be paid.
        unreadable: Items that could not be read.
    """

    def __init__(self, source: Source, ledger: Ledger, results: Results, settings: JobSettings) -> None:
        self.found = 0
        self.is_complete = False
        self.resumed = 0
        self.equal = 0
        self.skipped_unknown = 0
        self.unreadable = 0
        self._source = source
        self._ledger = ledger
        self._results = results
        self._settings = settings
        self._parameters = ledger.parameters.model_version or ""
        self._in_flight: dict[str, list[Item]] = {}
        self._readers = anyio.CapacityLimiter(_READERS)
        self._held = 0
        self._room = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[Prepared]:
        async for batch in self._source:
            self.found += len(batch)
            open_items = await self._pass_finished(batch)
            for start in range(0, len(open_items), _HANDFUL):
                for prepared in await self._prepare(open_items[start : start + _HANDFUL]):
                    await self._wait_room(prepared.photo)
                    yield prepared
        self.is_complete = True

    async def aclose(self) -> None:
        """Let go of the source."""
        await self._source.aclose()

    def forget(self, prepared: Prepared) -> list[Item]:
        """Return all items that waited for a photo's outcome, which is there."""
        self._held -= len(prepared.photo.data or b"")
        self._room.set()
        return self._in_flight.pop(prepared.key)

    async def _pass_finished(self, batch: Sequence[Item]) -> list[tuple[Item, str | None]]:
        """Pass over items that are finished, and return the others with their key, where it is known."""
        unlisted: list[tuple[Item, str]] = []
        others: list[tuple[Item, str | None]] = []
        for item, (key, state, is_listed) in zip(batch, await self._look_up(batch), strict=True):
            if key is None or state not in _FINISHED:
                others.append((item, key))
            elif not is_listed:
                unlisted.append((item, key))
        self.resumed += len(batch) - len(others)
        await self._ledger.add_items(unlisted)
        return others

    async def _look_up(self, batch: Sequence[Item]) -> list[Known]:
        if any(item.url is None for item in batch):
            return await self._ledger.look_up(batch)
        parameters = self._parameters
        return await self._ledger.look_up_keys([(item, make_url_key(item, parameters)) for item in batch])

    async def _prepare(self, handful: Sequence[tuple[Item, str | None]]) -> list[Prepared]:
        """Read what has to be read, and return what has to be sent."""
        read = await asyncio.gather(*(self._read(item, key) for item, key in handful))
        records = await self._ledger.find([each.key for each in read if isinstance(each, Prepared)])
        entries: list[tuple[Item, str]] = []
        to_send: list[Prepared] = []
        for each in read:
            if not isinstance(each, Prepared):
                await self._note_unreadable(*each)
                continue
            entries.append((each.item, each.key))
            waiting = self._in_flight.get(each.key)
            record = records.get(each.key)
            if waiting is not None:
                self.equal += 1
                waiting.append(each.item)
            elif self._needs_call(record.state if record else None):
                self._in_flight[each.key] = [each.item]
                to_send.append(each)
        await self._ledger.add_items(entries)
        return to_send

    def _needs_call(self, state: State | None) -> bool:
        if state is not None and state.is_finished:
            self.resumed += 1
            return False
        if state is State.UNKNOWN and self._settings.on_unknown == "skip":
            self.skipped_unknown += 1
            return False
        only = self._settings.only
        return only is None or state in only

    async def _read(self, item: Item, key: str | None) -> Prepared | tuple[Item, LivenessError]:
        parameters = self._parameters
        try:
            if item.error is not None:
                return item, item.error
            if item.url is not None:
                return Prepared(item, make_url_key(item, parameters), Photo(url=item.url, id=item.id))
            if item.path is not None:
                if key is None:
                    key = await anyio.to_thread.run_sync(
                        make_file_key, item.path, parameters, limiter=self._readers
                    )
                return Prepared(item, key, Photo(path=item.path, id=item.id))
            if item.load is None:
                raise AssertionError("an item has exactly one of path, url, load and error")
            async with self._readers:
                data = await item.load()
            return Prepared(item, make_bytes_key(data, parameters), Photo(data=data, id=item.id))
        except OSError as exc:
            return item, PhotoUnreadableError(f"{item.source} cannot be read: {exc.strerror or exc}")
        except LivenessError as exc:
            return item, exc

    async def _note_unreadable(self, item: Item, error: LivenessError) -> None:
        self.unreadable += 1
        key = make_item_key(item)
        await self._ledger.add_items([(item, key)])
        await self._ledger.put(make_item_record(key, error))
        await self._results.add([item], key)

    async def _wait_room(self, photo: Photo) -> None:
        """Hold no more photos in memory than there is room for; files are not held."""
        size = len(photo.data or b"")
        while size and self._held and self._held + size > _HELD_BYTES:
            self._room.clear()
            await self._room.wait()
        self._held += size
