from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs._records import Item, PhotoRecord, State
from tencent_liveness_async.jobs.ledger import LedgerError, LedgerReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tencent_liveness_async.jobs._records import ResultRow
    from tencent_liveness_async.jobs.ledger import Ledger


async def _collect(batches: Iterator[list[ResultRow]]) -> list[list[str]]:
    """Read all in a thread, as a job does."""
    return await asyncio.to_thread(lambda: [[row.id for row in batch] for batch in batches])


async def _add(ledger: Ledger, *names: str) -> None:
    await ledger.add_items([(Item(name, f"/{name}"), f"k-{name[0]}") for name in names])


async def _put(ledger: Ledger, name: str, state: State = State.SCORED) -> None:
    await ledger.put(PhotoRecord(f"k-{name}", state))


async def test_rows_are_in_order_and_in_batches(ledger: Ledger) -> None:
    """Rows come by their numbers, not as outcomes came, so many at a time, and none without an outcome."""
    await _add(ledger, "a", "b", "c", "d")
    for name in "dba":
        await _put(ledger, name)
    assert await _collect(ledger.rows(batch=2)) == [["a", "b"], ["d"]]


async def test_rows_are_chosen_by_state(ledger: Ledger) -> None:
    """Only rows of the states that were asked for are given."""
    await _add(ledger, "a", "b", "c")
    await _put(ledger, "a")
    await _put(ledger, "b", State.UNKNOWN)
    await _put(ledger, "c", State.REFUSED_BILLED)
    assert await _collect(ledger.rows(states={State.UNKNOWN, State.SCORED})) == [["a", "b"]]
    assert await _collect(ledger.rows(states=())) == []


async def test_changes_come_once_in_the_order_of_outcomes(ledger: Ledger) -> None:
    """Results that grow get each item once: when its photo ends, or when it is added to an ended one."""
    assert await ledger.find_last_change() == 0
    await _add(ledger, "a1", "b", "a2", "c")
    await _put(ledger, "b")
    await _put(ledger, "a")
    first = await ledger.find_last_change()
    assert await _collect(ledger.changed_rows(0, first, batch=2)) == [["b", "a1"], ["a2"]]
    await _put(ledger, "c")
    await _add(ledger, "a3", "a1")
    second = await ledger.find_last_change()
    assert await _collect(ledger.changed_rows(first, second)) == [["c", "a3"]]
    assert await _collect(ledger.changed_rows(second, second)) == []
    assert await _collect(ledger.changed_rows(0, first)) == [["b", "a1", "a2"]]


async def test_attempt_that_is_not_the_last_is_no_change(ledger: Ledger) -> None:
    """While another attempt is to follow, a photo's items are not among the results that grow."""
    await _add(ledger, "a1")
    await ledger.begin_attempt("k-a")
    await ledger.end_attempt(PhotoRecord("k-a", State.FAILED_TRANSIENT, attempts=1), is_last=False)
    await _add(ledger, "a2")
    assert await ledger.find_last_change() == 0
    assert await _collect(ledger.rows()) == [["a1", "a2"]]
    await ledger.begin_attempt("k-a")
    await ledger.end_attempt(PhotoRecord("k-a", State.SCORED, attempts=1), is_last=True)
    assert await _collect(ledger.changed_rows(0, await ledger.find_last_change())) == [["a1", "a2"]]


def test_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Reading a ledger that is not there is an error and leaves nothing."""
    with pytest.raises(LedgerError, match=r"no\.ledger"):
        LedgerReader(tmp_path / "no.ledger")
    assert list(tmp_path.iterdir()) == []
