"""Sources as a job takes them: opened in a thread, read in an event loop that must not be blocked."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio.to_thread
import pytest

from tencent_liveness_async import LivenessError
from tencent_liveness_async.jobs.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tencent_liveness_async.jobs._records import Item

    Taken: TypeAlias = tuple[list[Item], list[bytes | LivenessError | None]]


async def _take_all(source: str | Path, settings: dict[str, Any], *, is_loaded: bool) -> Taken:
    opened = await anyio.to_thread.run_sync(partial(open_source, str(source), **settings))
    items: list[Item] = []
    photos: list[bytes | LivenessError | None] = []
    try:
        async for batch in opened:
            assert 0 < len(batch) <= 1000
            assert all(set(item.extra) <= set(opened.extra_columns) for item in batch)
            items += batch
            if is_loaded:
                photos += await asyncio.gather(*map(_load, batch))
    finally:
        await opened.aclose()
    return items, photos


async def _load(item: Item) -> bytes | LivenessError | None:
    assert [item.path, item.url, item.load, item.error].count(None) == 3
    try:
        return await item.load() if item.load else item.error
    except LivenessError as error:
        return error


@pytest.fixture
def take() -> Callable[..., list[Item]]:
    """Read a source to its end and return its items, without their photos."""
    return lambda source, **settings: asyncio.run(_take_all(source, settings, is_loaded=False))[0]


@pytest.fixture
def take_photos() -> Callable[..., Taken]:
    """Read a source to its end and return its items with their photos or errors."""
    return lambda source, **settings: asyncio.run(_take_all(source, settings, is_loaded=True))
