from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs._records import Item, PhotoRecord, State
from tencent_liveness_async.jobs.ledger import Ledger, LedgerError
from tencent_liveness_async.jobs.ledger._writer import MAX_ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from tencent_liveness_async.jobs.ledger import Parameters

RECORD = PhotoRecord("k", State.SCORED, message="x" * 2_000)


async def _limit_disk(ledger: Ledger, pages: int) -> None:
    """Let the file not grow beyond so many pages, which SQLite reports as a full disk."""
    connection = ledger._writer._connection
    await asyncio.to_thread(connection.execute, f"PRAGMA max_page_count = {pages}")


async def test_writes_at_the_same_time_are_one_commit(ledger: Ledger) -> None:
    """Writes of many tasks share commits, and commits are closed at their size."""
    await asyncio.gather(*(ledger.put(replace(RECORD, key=f"k{number}")) for number in range(2_000)))
    assert 2_000 / MAX_ROWS <= ledger._writer.commits <= 100


async def test_full_disk_is_one_clear_error_and_nothing_is_half_written(ledger: Ledger, path: Path) -> None:
    """On a full disk all writes of a commit fail, none is there, and it goes on when there is room."""
    await ledger.put(RECORD)
    await _limit_disk(ledger, 20)
    entries = [(Item(f"{number}", "/" + "x" * 500), f"k{number}") for number in range(400)]
    writes = [ledger.add_items(entries), *(ledger.put(replace(RECORD, key=f"p{n}")) for n in range(9))]
    errors = await asyncio.gather(*writes, return_exceptions=True)
    assert all(isinstance(error, LedgerError) for error in errors)
    assert f"cannot grow (database or disk is full): make room in {path.parent}" in str(errors[0])
    counts = await ledger.count()
    assert (counts.items, counts.untried, counts.photos[State.SCORED]) == (0, 0, 1)
    await _limit_disk(ledger, 10_000)
    await ledger.add_items(entries)
    assert (await ledger.count()).items == 400


async def test_failed_outcome_can_be_written_again(ledger: Ledger) -> None:
    """An attempt whose outcome could not be written is still open and can be ended when there is room."""
    await ledger.begin_attempt("k")
    await _limit_disk(ledger, 1)
    huge = replace(RECORD, message="x" * 200_000)
    with pytest.raises(LedgerError, match="cannot grow"):
        await ledger.end_attempt(huge, is_last=True)
    assert (await ledger.count()).intents == 1
    await ledger.end_attempt(RECORD, is_last=True)
    assert await ledger.find(["k"]) == {"k": RECORD}


async def test_failed_beginning_has_not_begun(ledger: Ledger) -> None:
    """An attempt whose intent could not be written may begin again."""
    key = "k" * 200_000
    await _limit_disk(ledger, 1)
    with pytest.raises(LedgerError, match="cannot grow"):
        await ledger.begin_attempt(key)
    await _limit_disk(ledger, 10_000)
    await ledger.begin_attempt(key)
    assert (await ledger.count()).intents == 1


async def test_failure_that_nobody_was_told_is_told_at_the_end(path: Path, parameters: Parameters) -> None:
    """When a write fails whose task was cancelled, closing raises the error, and the ledger is free."""
    ledger = await Ledger.open(path, parameters)
    await _limit_disk(ledger, 1)
    task = asyncio.create_task(ledger.put(replace(RECORD, message="x" * 200_000)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(LedgerError, match="cannot grow"):
        await ledger.aclose()
    async with await Ledger.open(path, parameters) as again:
        assert (await again.count()).photos == {}


async def test_fault_of_one_write_does_not_end_the_writer(ledger: Ledger) -> None:
    """A value that SQLite cannot keep fails its write with what is wrong, and later ones are written."""
    with pytest.raises(LedgerError, match="OverflowError"):
        await ledger.put(replace(RECORD, attempts=2**70))
    await ledger.put(RECORD)
    assert await ledger.find(["k"]) == {"k": RECORD}
