from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs._records import Item, PhotoRecord, State
from tencent_liveness_async.jobs.ledger import Known, Ledger, LedgerError, LedgerReader

if TYPE_CHECKING:
    from pathlib import Path

    from tencent_liveness_async.jobs.ledger import Parameters

ITEM = Item("a.jpg", "/photos/a.jpg", version="1")
SCORED = PhotoRecord(
    "k1", State.SCORED, 87.5, "3.0", "request-1", "", "", 1, 1, 0, 0.1, 0.2, 0.3, 1_789_000_000.5
)  # fmt: skip
FAILED = PhotoRecord("k1", State.FAILED_TRANSIENT, code="TransportError", message="no answer", attempts=1)


async def test_outcome_is_found_as_it_was_written(ledger: Ledger) -> None:
    """A record comes back with every field, and its item with the photo's key and state."""
    await ledger.add_items([(ITEM, "k1")])
    await ledger.begin_attempt("k1")
    await ledger.end_attempt(SCORED, is_last=True)
    assert await ledger.find(["k1", "k2"]) == {"k1": SCORED}
    assert await ledger.look_up([ITEM]) == [Known("k1", State.SCORED, is_listed=True)]


async def test_listed_photo_without_outcome_has_no_record(ledger: Ledger) -> None:
    """A photo that is only listed, or on its way, has a key and no state."""
    await ledger.add_items([(ITEM, "k1")])
    await ledger.begin_attempt("k1")
    assert await ledger.find(["k1"]) == {}
    assert await ledger.look_up([ITEM]) == [Known("k1", None, is_listed=True)]


async def test_costs_add_up_and_the_rest_is_replaced(ledger: Ledger) -> None:
    """Attempts and what they cost are totals over all attempts; everything else is the last one's."""
    await ledger.begin_attempt("k1")
    await ledger.end_attempt(replace(FAILED, maybe_billed=1, queue_seconds=5), is_last=False)
    await ledger.begin_attempt("k1")
    await ledger.end_attempt(SCORED, is_last=True)
    expected = replace(SCORED, attempts=2, billed=1, maybe_billed=1)
    assert await ledger.find(["k1"]) == {"k1": expected}


async def test_intent_of_a_dead_run_is_unknown(path: Path, parameters: Parameters, ledger: Ledger) -> None:
    """What was sent and has no outcome when a ledger is opened is unknown, and may be billed once."""
    await ledger.add_items([(ITEM, "k1")])
    await ledger.begin_attempt("k1")
    await ledger.end_attempt(FAILED, is_last=False)
    await ledger.begin_attempt("k1")
    assert (await ledger.count()).intents == 1
    await ledger.aclose()
    async with await Ledger.open(path, parameters) as resumed:
        record = (await resumed.find(["k1"]))["k1"]
        counts = await resumed.count()
    assert (record.state, record.attempts, record.maybe_billed, record.billed) == (State.UNKNOWN, 2, 1, 0)
    assert record.time > 0
    assert (counts.found_intents, counts.unknown, counts.intents, counts.maybe_billed) == (1, 1, 0, 1)


async def test_unknown_is_resolved_and_nothing_else(ledger: Ledger) -> None:
    """Another state is given to unknown photos only, and what they cost stays."""
    await ledger.put(PhotoRecord("k1", State.UNKNOWN, attempts=1, maybe_billed=1))
    await ledger.put(PhotoRecord("k2", State.REFUSED_FREE))
    await ledger.resolve_unknown(["k1", "k2", "k3"], State.FAILED_TRANSIENT)
    found = await ledger.find(["k1", "k2", "k3"])
    assert {key: record.state for key, record in found.items()} == {
        "k1": State.FAILED_TRANSIENT,
        "k2": State.REFUSED_FREE,
    }
    assert found["k1"].maybe_billed == 1


async def test_equal_photos_are_one(ledger: Ledger) -> None:
    """Items with the same key share a record, whichever was added when."""
    other, copy = Item("b.jpg", "/photos/b.jpg", version="1"), Item("c.jpg", "/photos/c.jpg")
    await ledger.add_items([(ITEM, "k1"), (other, "k1")])
    await ledger.put(SCORED)
    await ledger.add_items([(copy, "k1")])
    rows = [row for batch in await asyncio.to_thread(lambda: list(ledger.rows())) for row in batch]
    assert [(row.number, row.id, row.record) for row in rows] == [
        (1, "a.jpg", SCORED),
        (2, "b.jpg", SCORED),
        (3, "c.jpg", SCORED),
    ]
    counts = await ledger.count()
    assert (counts.items, dict(counts.photos)) == (3, {State.SCORED: 1})


async def test_item_added_again_is_the_same_item(ledger: Ledger) -> None:
    """An item is its id and its source: added again it keeps its number and takes the new key and columns."""
    await ledger.put(SCORED)
    await ledger.put(replace(SCORED, key="k2"))
    await ledger.add_items([(replace(ITEM, extra={"person": 1}), "k1")])
    await ledger.add_items([(ITEM, "k1"), (replace(ITEM, source="/copy/a.jpg"), "k1")])
    await ledger.add_items([(replace(ITEM, version="2", extra={"person": 2}), "k2")])
    rows = (await asyncio.to_thread(lambda: list(ledger.rows())))[0]
    assert [(row.number, row.source, row.record.key, row.extra) for row in rows] == [
        (1, "/photos/a.jpg", "k2", {"person": 2}),
        (2, "/copy/a.jpg", "k1", {}),
    ]


async def test_name_is_source_and_version(ledger: Ledger) -> None:
    """Another version of a source, or none, tells nothing; the same source under another id is not listed."""
    await ledger.add_items([(ITEM, "k1")])
    nothing = Known(None, None, is_listed=False)
    asked = [replace(ITEM, version="2"), replace(ITEM, version=""), replace(ITEM, id="b"), ITEM]
    assert await ledger.look_up(asked) == [
        nothing,
        nothing,
        Known("k1", None, is_listed=False),
        Known("k1", None, is_listed=True),
    ]


async def test_url_is_known_by_its_key_alone(ledger: Ledger) -> None:
    """Two URLs that are shown alike, because queries are not shown, do not take each other's photo."""
    one = Item("1", "https://h/photo", url="https://h/photo?id=1", version="1")
    two = Item("2", "https://h/photo", url="https://h/photo?id=2", version="1")
    await ledger.add_items([(one, "k1")])
    await ledger.put(SCORED)
    nothing = Known(None, None, is_listed=False)
    assert await ledger.look_up([one, two]) == [nothing, nothing]
    assert await ledger.look_up_keys([(one, "k1"), (two, "k2")]) == [
        Known("k1", State.SCORED, is_listed=True),
        Known("k2", None, is_listed=False),
    ]


async def test_keys_are_known_whatever_item_has_them(ledger: Ledger) -> None:
    """A key's state is known for items that are not listed, and for those that are under another key."""
    one, two, new = (Item(name, f"u{name}", url=f"u{name}") for name in ("1", "2", "3"))
    await ledger.add_items([(one, "k1"), (two, "k2")])
    await ledger.put(SCORED)
    assert await ledger.look_up_keys([(new, "k1"), (two, "k1"), (one, "k2"), (one, "k3")]) == [
        Known("k1", State.SCORED, is_listed=False),
        Known("k1", State.SCORED, is_listed=False),
        Known("k2", None, is_listed=False),
        Known("k3", None, is_listed=False),
    ]


async def test_many_items_are_looked_up_in_order(ledger: Ledger) -> None:
    """More items than fit in one query come back in order, known or not."""
    items = [Item(f"{number}", f"/{number}", version="1") for number in range(2_345)]
    await ledger.add_items([(item, f"k{item.id}") for item in items[::2]])
    known = await ledger.look_up(items)
    assert [one.key for one in known] == [
        f"k{number}" if number % 2 == 0 else None for number in range(2_345)
    ]
    assert await ledger.look_up([]) == []
    assert await ledger.find([]) == {}


async def test_names_that_are_no_unicode_are_kept(ledger: Ledger) -> None:
    """File names of any bytes, and carried values of any kind, come back as they were."""
    odd = Item(
        "caf\udce9.jpg", "/照片/caf\udce9.jpg", version="1", extra={"n": 2**70, "t": "\udce9", "x": None}
    )
    await ledger.add_items([(odd, "k1"), (ITEM, "k2")])
    await ledger.put(replace(SCORED, message="no \udce9"))
    assert await ledger.look_up([odd, ITEM]) == [
        Known("k1", State.SCORED, is_listed=True),
        Known("k2", None, is_listed=True),
    ]
    row = (await asyncio.to_thread(lambda: list(ledger.rows())))[0][0]
    assert (row.id, row.source, row.extra) == (odd.id, odd.source, odd.extra)
    assert row.record.message == "no \udce9"


async def test_cancelled_task_does_not_lose_its_outcome(ledger: Ledger) -> None:
    """An outcome is written although its task is cancelled, and the photo may begin again."""
    await ledger.begin_attempt("k1")
    ending = asyncio.create_task(ledger.end_attempt(SCORED, is_last=True))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    await ledger.begin_attempt("k1")
    assert await ledger.find(["k1"]) == {"k1": SCORED}


async def test_cancelled_beginning_leaves_no_intent(
    path: Path, parameters: Parameters, ledger: Ledger
) -> None:
    """A call that was never sent, because its task was cancelled before, is not unknown."""
    beginning = asyncio.create_task(ledger.begin_attempt("k1"))
    await asyncio.sleep(0)
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    await ledger.aclose()
    async with await Ledger.open(path, parameters) as resumed:
        assert resumed.found_intents == 0
        assert (await resumed.count()).unknown == 0


async def test_attempts_begin_and_end_in_turn(ledger: Ledger) -> None:
    """An attempt that has begun cannot begin again, and one that has not cannot end."""
    with pytest.raises(ValueError, match="no attempt of k1 has begun"):
        await ledger.end_attempt(SCORED, is_last=True)
    await ledger.begin_attempt("k1")
    with pytest.raises(ValueError, match="k1 has begun already"):
        await ledger.begin_attempt("k1")


async def test_closing_writes_everything(path: Path, parameters: Parameters, ledger: Ledger) -> None:
    """Closing waits for writes that nobody waits for any more, ends the threads, and leaves one file."""
    tasks = [asyncio.create_task(ledger.put(replace(SCORED, key=f"k{n}"))) for n in range(1_200)]
    await asyncio.sleep(0)
    await ledger.aclose()
    await ledger.aclose()
    await asyncio.gather(*tasks)
    for thread in threading.enumerate():
        if thread.name.startswith(
            "ledger"
        ):  # it has said that it is done, and may be on its last instruction
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()
    assert await asyncio.to_thread(os.listdir, path.parent) == [path.name]
    async with await Ledger.open(path, parameters) as resumed:
        assert (await resumed.count()).photos[State.SCORED] == 1_200


async def test_closed_ledger_says_so(ledger: Ledger) -> None:
    """A closed ledger neither writes nor reads."""
    await ledger.aclose()
    for call in (ledger.put(SCORED), ledger.find(["k1"]), ledger.begin_attempt("k1")):
        with pytest.raises(LedgerError, match="is closed"):
            await call


async def test_nothing_is_written_for_nothing(ledger: Ledger) -> None:
    """Empty lists cost no commit."""
    await ledger.add_items([])
    await ledger.resolve_unknown([], State.FAILED_FINAL)
    assert "0 attempts open, 0 commits" in repr(ledger)


async def test_reader_reads_while_a_run_writes(ledger: Ledger, parameters: Parameters) -> None:
    """A reader of its own sees what is committed and what the ledger was made with."""
    await ledger.put(SCORED)

    def read() -> tuple[object, ...]:
        with LedgerReader(ledger.path) as reader:
            return reader.parameters, reader.find(["k1"])["k1"], reader.count().photos[State.SCORED]

    assert await asyncio.to_thread(read) == (parameters, SCORED, 1)
