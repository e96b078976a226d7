"""What a job would do, found out without a call."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from math import sqrt
from random import Random
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from .._errors import LivenessError, PhotoRejectedError, PhotoUnreadableError
from .._flow import RetryPolicy
from .._protocol.limits import check_photo, check_url
from ._keys import make_bytes_key, make_item_key, make_url_key
from ._records import State
from ._selection import SeenKeys
from .ledger import Known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from ._records import Item, PhotoRecord, Source
    from .ledger import LedgerReader, Parameters

_READERS = 8
_HANDFUL = 64
_MAX_BYTES = 10 * 1024 * 1024
"""A larger file is refused by its size alone; its bytes are not read."""
_NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job would do.

    Attributes:
        found: Items of the source.
        equal: Items that equal another one and need no call of their own.
        finished: Items whose photo the ledger has as scored or refused.
        unknown: Items whose photo may be paid, because it was sent and no answer came.
        refused: Items refused before sending, by the rule that they break.
        unreadable: Items that cannot be read.
        to_score: Photos that would be sent.
        sample: Some of them, chosen at random, in no order.
    """

    found: int
    equal: int
    finished: int
    unknown: int
    refused: Mapping[str, int]
    unreadable: int
    to_score: int
    sample: tuple[Item, ...] = field(default=(), repr=False)

    @property
    def calls_at_best(self) -> int:
        """Calls that may be billed if every photo has its answer at once."""
        return self.to_score

    @property
    def calls_at_worst(self) -> int:
        """Calls that may be billed if every photo is sent as often as the client would."""
        return self.to_score * (1 + RetryPolicy().max_maybe_billed)


async def make_plan(
    source: Source,
    ledger: LedgerReader | None,
    parameters: Parameters,
    *,
    retries_unknown: bool = False,
    sample: int = 0,
    seed: int = 0,
) -> Plan:
    """Read a source and say what a job over it would do. Nothing is sent and nothing is written.

    Files that the ledger does not know are read, to hash them and to check the API's limits. Memory grows by
    at most 32 bytes a photo.

    Args:
        source: Where the photos are; it is not closed.
        ledger: What is known; None if there is no ledger yet.
        parameters: What the job scores with.
        retries_unknown: Whether photos that may be paid would be sent again.
        sample: How many of the photos to be sent are chosen.
        seed: Decides which; the same source in the same order gives the same.

    Raises:
        SourceError: The source cannot be read on.
        LedgerError: The ledger cannot be read.
    """
    planner = _Planner(ledger, parameters, retries_unknown=retries_unknown, sample=sample, seed=seed)
    async for batch in source:
        await planner.take(batch)
    return planner.sum_up()


class GivenItems:
    """Some items of another source, which is closed with this one.

    Args:
        source: Where they are from.
        items: The items.
    """

    def __init__(self, source: Source, items: Sequence[Item]) -> None:
        self.name = source.name
        self.extra_columns = tuple(source.extra_columns)
        self._source = source
        self._items = list(items)

    async def __aiter__(self) -> AsyncIterator[list[Item]]:
        for start in range(0, len(self._items), 1000):
            yield self._items[start : start + 1000]

    async def aclose(self) -> None:
        """Let go of the source that the items are from."""
        await self._source.aclose()


def estimate_share(part: int, whole: int) -> tuple[float, float]:
    """Return between which shares the true one lies, with 95 % confidence (Wilson's interval).

    Args:
        part: How many of the sample have it.
        whole: How many the sample has; with 0 nothing is known.
    """
    if not whole:
        return 0.0, 1.0
    share, square = part / whole, _NORMAL_95**2
    middle = share + square / (2 * whole)
    width = _NORMAL_95 * sqrt(share * (1 - share) / whole + square / (4 * whole * whole))
    scale = 1 + square / whole
    return max(0.0, (middle - width) / scale), min(1.0, (middle + width) / scale)


class _Planner:
    """Counts items, batch by batch."""

    def __init__(
        self,
        ledger: LedgerReader | None,
        parameters: Parameters,
        *,
        retries_unknown: bool,
        sample: int,
        seed: int,
    ) -> None:
        self._ledger = ledger
        self._parameters = parameters.model_version or ""
        self._retries_unknown = retries_unknown
        self._readers = anyio.CapacityLimiter(_READERS)
        self._random = Random(seed)
        self._size = sample
        self._sample: list[Item] = []
        self._seen = SeenKeys()
        self._counts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    async def take(self, batch: Sequence[Item]) -> None:
        """Count a batch."""
        self._counts["found"] += len(batch)
        open_items: list[tuple[Item, str | None]] = []
        for item, known in zip(batch, await self._look_up(batch), strict=True):
            if known.key and known.state and known.state.is_finished and item.error is None:
                self._note_finished(known.key)
            else:
                open_items.append((item, known.key))
        for start in range(0, len(open_items), _HANDFUL):
            await self._take_handful(open_items[start : start + _HANDFUL])

    def sum_up(self) -> Plan:
        """Return what was counted."""
        counts = self._counts
        return Plan(
            found=counts["found"],
            equal=counts["equal"],
            finished=counts["finished"],
            unknown=counts["unknown"],
            refused=dict(self._refused.most_common()),
            unreadable=counts["unreadable"],
            to_score=counts["to_score"],
            sample=tuple(self._sample),
        )

    async def _look_up(self, batch: Sequence[Item]) -> Sequence[Known]:
        if self._ledger is None:
            return [Known(None, None, is_listed=False)] * len(batch)
        return await anyio.to_thread.run_sync(self._ledger.look_up, batch)

    async def _take_handful(self, handful: Sequence[tuple[Item, str | None]]) -> None:
        read = await asyncio.gather(*(self._read(item, key) for item, key in handful))
        records = await self._find([key for key, _ in read])
        for (item, _), (key, error) in zip(handful, read, strict=True):
            self._count(item, key, error, records.get(key))

    async def _find(self, keys: Sequence[str]) -> dict[str, PhotoRecord]:
        if self._ledger is None:
            return {}
        return await anyio.to_thread.run_sync(self._ledger.find, keys)

    def _note_finished(self, key: str) -> None:
        self._seen.add(key)
        self._counts["finished"] += 1

    def _count(self, item: Item, key: str, error: LivenessError | None, record: PhotoRecord | None) -> None:
        if record is not None and record.state.is_finished:
            self._note_finished(key)
        elif isinstance(error, PhotoRejectedError):
            self._refused[error.rule] += 1
        elif error is not None:
            self._counts["unreadable"] += 1
        elif not self._seen.add(key):
            self._counts["equal"] += 1
        else:
            is_unknown = record is not None and record.state is State.UNKNOWN
            self._counts["unknown"] += is_unknown
            if not is_unknown or self._retries_unknown:
                self._note_to_score(item)

    def _note_to_score(self, item: Item) -> None:
        """Count a photo that would be sent, and keep each with the same chance for the sample."""
        self._counts["to_score"] += 1
        if len(self._sample) < self._size:
            self._sample.append(item)
        elif (place := self._random.randrange(self._counts["to_score"])) < self._size:
            self._sample[place] = item

    async def _read(self, item: Item, key: str | None) -> tuple[str, LivenessError | None]:
        """Return an item's key, and what keeps its photo from being sent."""
        try:
            if item.error is not None:
                raise item.error
            if item.url is not None:
                check_url(item.url, name=item.id)
                return make_url_key(item, self._parameters), None
            if item.path is not None:
                return await anyio.to_thread.run_sync(self._read_file, item.path, limiter=self._readers)
            if item.load is None:
                raise AssertionError("an item has exactly one of path, url, load and error")
            async with self._readers:
                return self._examine(await item.load(), item.id)
        except LivenessError as error:
            return key or make_item_key(item), error

    def _read_file(self, path: Path) -> tuple[str, LivenessError | None]:
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise PhotoUnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
        return self._examine(data, path.name)

    def _examine(self, data: bytes, name: str) -> tuple[str, LivenessError | None]:
        key = make_bytes_key(data, self._parameters)
        try:
            check_photo(data, name=name)
        except PhotoRejectedError as error:
            return key, error
        return key, None
