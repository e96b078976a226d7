from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from tencent_liveness_async.jobs._records import Item, PhotoRecord, State
from tencent_liveness_async.jobs.ledger import Ledger, Parameters

CODE, MESSAGE = "OutcomeUnknownError", "the run ended while the call was on its way"
PARAMETERS = Parameters(None, "iai.tencentcloudapi.com")
KEYS = st.sampled_from(["k1", "k2", "k3"])
STATES = st.sampled_from(State)
RECORDS = st.builds(
    PhotoRecord,
    key=KEYS,
    state=STATES,
    score=st.none() | st.floats(0, 100),
    message=st.text(max_size=5),
    attempts=st.integers(0, 2),
    billed=st.integers(0, 1),
    maybe_billed=st.integers(0, 1),
    time=st.floats(0, 2e9),
)
ITEMS = st.builds(
    Item,
    id=st.sampled_from("ab"),
    source=st.sampled_from(["/1", "/2"]),
    version=st.sampled_from(["", "v1", "v2"]),
    extra=st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3), max_size=2),
)
Operation: TypeAlias = "tuple[str, tuple[object, ...]]"
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), st.tuples(ITEMS, KEYS)),
    st.tuples(st.just("begin"), st.tuples(KEYS)),
    st.tuples(st.just("end"), st.tuples(RECORDS, st.booleans())),
    st.tuples(st.just("put"), st.tuples(RECORDS)),
    st.tuples(st.just("resolve"), st.tuples(KEYS, STATES)),
    st.tuples(st.just("reopen"), st.tuples()),
)


class _Model:
    """What a ledger promises, in dictionaries."""

    def __init__(self) -> None:
        self.records: dict[str, PhotoRecord] = {}
        self.open: set[str] = set()
        self.items: dict[tuple[str, str], tuple[str, dict[str, object]]] = {}
        self.names: dict[tuple[str, str], str] = {}

    def add(self, item: Item, key: str) -> None:
        self.items[item.id, item.source] = (key, dict(item.extra))
        if item.version:
            self.names[item.source, item.version] = key

    def set(self, record: PhotoRecord) -> None:
        old = self.records.get(record.key, PhotoRecord(record.key, record.state))
        self.records[record.key] = replace(
            record,
            attempts=old.attempts + record.attempts,
            billed=old.billed + record.billed,
            maybe_billed=old.maybe_billed + record.maybe_billed,
        )

    def die(self) -> None:
        for key in self.open:
            self.set(PhotoRecord(key, State.UNKNOWN, code=CODE, message=MESSAGE, attempts=1, maybe_billed=1))
        self.open.clear()


async def _apply(ledger: Ledger, model: _Model, name: str, values: tuple[object, ...]) -> None:
    match name, values:
        case "add", (Item() as item, str(key)):
            model.add(item, key)
            await ledger.add_items([(item, key)])
        case "begin", (str(key),) if key not in model.open:
            model.open.add(key)
            await ledger.begin_attempt(key)
        case "end", (PhotoRecord() as record, bool(is_last)) if record.key in model.open:
            model.open.discard(record.key)
            model.set(record)
            await ledger.end_attempt(record, is_last=is_last)
        case "put", (PhotoRecord() as record,):
            model.set(record)
            await ledger.put(record)
        case "resolve", (str(key), State() as state):
            if key in model.records and model.records[key].state is State.UNKNOWN:
                model.records[key] = replace(model.records[key], state=state, time=0)
            await ledger.resolve_unknown([key], state)
        case _:  # it restarts, or is not allowed now
            pass


async def _compare(ledger: Ledger, model: _Model) -> None:
    """Hold everything that can be asked against the model."""
    found = await ledger.find(["k1", "k2", "k3", "k4"])
    # Where the ledger looks at its own clock, the model has no time.
    expected = model.records.items()
    assert found == {
        key: record if record.time else replace(record, time=found[key].time) for key, record in expected
    }
    rows = [row for batch in await asyncio.to_thread(lambda: list(ledger.rows(batch=2))) for row in batch]
    ended = {name: item for name, item in model.items.items() if item[0] in model.records}
    assert {(row.id, row.source): (row.record.key, row.extra) for row in rows} == ended
    assert [row.record for row in rows] == [found[row.record.key] for row in rows]
    assert len(rows) == len(ended)
    for (source, version), key in model.names.items():
        known = (await ledger.look_up([Item("a", source, version=version)]))[0]
        assert known.key == key
        assert known.is_listed is (model.items.get(("a", source), ("",))[0] == key)
    counts = await ledger.count()
    assert counts.items == len(model.items)
    assert counts.attempts == sum(record.attempts for record in model.records.values())
    assert counts.billed == sum(record.billed for record in model.records.values())
    assert counts.maybe_billed == sum(record.maybe_billed for record in model.records.values())
    assert counts.intents == len(model.open)


async def _run(path: Path, operations: list[Operation]) -> None:
    model = _Model()
    ledger = await Ledger.open(path, PARAMETERS)
    try:
        for name, values in operations:
            if name == "reopen":
                await ledger.aclose()
                ledger = await Ledger.open(path, PARAMETERS)
                assert ledger.found_intents == len(model.open)
                model.die()
            await _apply(ledger, model, name, values)
        await _compare(ledger, model)
    finally:
        await ledger.aclose()


@settings(max_examples=25)
@given(st.lists(OPERATIONS, max_size=25))
def test_ledger_is_what_dictionaries_would_be(operations: list[Operation]) -> None:
    """After any sequence of writes and restarts the ledger holds what a model of dictionaries holds."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(Path(folder, "model.ledger"), operations))
