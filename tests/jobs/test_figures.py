from __future__ import annotations

import math
import sys
from collections import Counter
from dataclasses import astuple, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async.jobs._figures import BANDS, NEAREST, SLOWEST, compute_figures
from tencent_liveness_async.jobs._records import PhotoRecord, ResultRow, RunNotes, State
from tencent_liveness_async.jobs._selection import SeenKeys, Smallest

if TYPE_CHECKING:
    from pathlib import Path

RUN = RunNotes(
    began=100.0,
    ended=160.0,
    calls=9,
    throttled=2,
    seconds_throttled=1.5,
    skipped_by_resume=7,
    rate_changes=3,
)
CODES = ("FailedOperation.FaceDetectFailed", "InternalError", "PhotoUnreadableError")


def make_row(number: int, record: PhotoRecord) -> ResultRow:
    """Make an item of its own name with this record."""
    return ResultRow(number, f"{number}.jpg", f"/nowhere/{number}.jpg", record, {})


def score(key: str, value: float) -> PhotoRecord:
    """Make the record of a photo that was scored in one call."""
    return PhotoRecord(key, State.SCORED, score=value, attempts=1, billed=1)


@st.composite
def make_rows(draw: st.DrawFn) -> list[ResultRow]:
    """Draw items, of which some share a photo, with records as a job writes them."""
    seconds = st.floats(0, 100)
    errors = st.sampled_from([state for state in State if state is not State.SCORED])
    fields = {
        "attempts": st.integers(0, 4),
        "billed": st.integers(0, 4),
        "maybe_billed": st.integers(0, 2),
        "queue_seconds": seconds,
        "rate_seconds": seconds,
        "attempt_seconds": seconds,
    }
    keys = st.sampled_from([f"key {number}" for number in range(20)])
    scores = st.floats(0, 100) | st.sampled_from(BANDS)
    scored = st.builds(PhotoRecord, keys, st.just(State.SCORED), score=scores, **fields)
    failed = st.builds(PhotoRecord, keys, errors, code=st.sampled_from(CODES), message=st.text(), **fields)
    photos = {record.key: record for record in draw(st.lists(scored | failed, min_size=1))}
    shared = draw(st.lists(st.sampled_from(list(photos.values())), max_size=60))
    return [make_row(number, record) for number, record in enumerate(shared, start=1)]


def take_first(rows: list[ResultRow]) -> list[ResultRow]:
    """Return the first item of every photo."""
    first = {row.record.key: row for row in reversed(rows)}
    return sorted(first.values(), key=lambda row: row.number)


def find_nearest_rank(values: list[float], percent: int) -> float:
    """Return the smallest value that so many per cent of the values are not over."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@given(rows=make_rows(), size=st.integers(1, 7), threshold=st.floats(0, 100))
def test_items_are_counted_as_naively(rows: list[ResultRow], size: int, threshold: float) -> None:
    """States, codes, scores and bands are those of all items, whatever the batches."""
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    figures = compute_figures(batches, threshold=threshold, run=RUN)
    scores = [row.record.score for row in rows if row.record.score is not None]
    states = Counter(row.record.state for row in rows)
    codes = Counter(row.record.code for row in rows if row.record.code)
    assert dict(figures.states) == {state: states[state] for state in State}
    assert {code.code: code.items for code in figures.codes} == codes
    assert figures.scores == tuple(sum(min(int(s), 99) == bar for s in scores) for bar in range(100))
    expected = {one: sum(s >= one for s in scores) for one in sorted({*BANDS, threshold})}
    assert {band.threshold: band.live for band in figures.bands} == expected
    assert figures.live == expected[threshold]
    assert figures.inputs == len(rows)
    assert figures.outcomes == len(rows) - states[State.UNKNOWN]


@given(rows=make_rows())
def test_photos_are_counted_once(rows: list[ResultRow]) -> None:
    """Calls and money are those of different photos; what equal ones did not cost is saved."""
    figures = compute_figures([rows], threshold=40, run=RUN)
    sent = [row.record for row in take_first(rows) if row.record.attempts]
    assert figures.photos == len(take_first(rows))
    assert figures.sent == len(sent)
    assert figures.money.calls == sum(record.attempts for record in sent)
    assert figures.money.billed == sum(record.billed for record in sent)
    assert figures.money.maybe_billed == sum(record.maybe_billed for record in sent)
    assert figures.money.saved_by_equality == sum(row.record.attempts > 0 for row in rows) - len(sent)


@given(rows=make_rows())
def test_quantiles_are_within_five_percent(rows: list[ResultRow]) -> None:
    """Each quantile of the photos that were sent is within 5 %; times under 1 ms count as 1 ms."""
    figures = compute_figures([rows], threshold=40, run=None)
    sent = [row.record for row in take_first(rows) if row.record.attempts]
    for part in ("queue", "rate", "attempt"):
        values = [max(getattr(record, f"{part}_seconds"), 0.001) for record in sent] or [0.0]
        for percent, found in zip((50, 95, 99), astuple(getattr(figures, part)), strict=True):
            assert found == pytest.approx(find_nearest_rank(values, percent), rel=0.05)


@given(rows=make_rows(), threshold=st.floats(0, 100))
def test_the_slowest_and_the_nearest_are_found(rows: list[ResultRow], threshold: float) -> None:
    """The slowest photos sent and those with a score nearest to the threshold; the first of equal ones."""
    figures = compute_figures([rows], threshold=threshold, run=None)
    first = take_first(rows)

    def sum_seconds(row: ResultRow) -> float:
        return row.record.queue_seconds + row.record.rate_seconds + row.record.attempt_seconds

    slowest = sorted((row for row in first if row.record.attempts), key=lambda row: -sum_seconds(row))
    assert [slow.id for slow in figures.slowest] == [row.id for row in slowest[:SLOWEST]]
    assert [slow.seconds for slow in figures.slowest] == [sum_seconds(row) for row in slowest[:SLOWEST]]
    scored = [(row.record.score, row.id) for row in first if row.record.score is not None]
    nearest = sorted(scored, key=lambda entry: abs(entry[0] - threshold))
    assert [(near.score, near.id) for near in figures.nearest] == nearest[:NEAREST]


def test_nothing_makes_figures_of_nothing() -> None:
    """Without a row all numbers are zero, and inputs equal outcomes."""
    figures = compute_figures([], threshold=40, run=None)
    assert figures.is_complete
    assert (figures.live, figures.photos, figures.money.calls) == (0, 0, 0)
    assert not figures.codes
    assert not figures.slowest
    assert not figures.nearest


def test_codes_come_by_frequency_with_the_first_message() -> None:
    """The most frequent error is first; its state and example are those of its first photo."""
    lost = PhotoRecord("a", State.FAILED_FINAL, code="PhotoUnreadableError", message="first")
    busy = PhotoRecord("b", State.FAILED_TRANSIENT, code="InternalError", message="busy")
    later = replace(lost, key="c", message="second")
    rows = [make_row(number, record) for number, record in enumerate((busy, lost, later))]
    codes = compute_figures([rows], threshold=40, run=None).codes
    assert [astuple(code) for code in codes] == [
        ("PhotoUnreadableError", State.FAILED_FINAL, 2, "first"),
        ("InternalError", State.FAILED_TRANSIENT, 1, "busy"),
    ]


def test_an_input_without_a_known_outcome_is_told() -> None:
    """Inputs equal outcomes only if every item has a row, and none is unknown."""
    rows = [make_row(1, score("a", 50.0))]
    unknown = make_row(2, PhotoRecord("b", State.UNKNOWN, attempts=1, maybe_billed=1))
    assert compute_figures([rows], threshold=40, run=None, inputs=1).is_complete
    assert not compute_figures([rows], threshold=40, run=None, inputs=2).is_complete
    assert not compute_figures([[*rows, unknown]], threshold=40, run=None).is_complete


def test_money_is_priced_by_who_knows_the_price() -> None:
    """The cost is the text of the given function: for billed calls, and for all that may be."""
    record = PhotoRecord("a", State.UNKNOWN, attempts=5, billed=3, maybe_billed=2)
    figures = compute_figures([[make_row(1, record)]], threshold=40, run=RUN, price=lambda n: f"{n} coins")
    assert (figures.money.cost, figures.money.cost_at_most) == ("3 coins", "5 coins")
    assert figures.money.saved_by_resume == 7
    assert figures.run is RUN


def test_a_near_photo_has_its_path_if_it_is_a_file_here(tmp_path: Path) -> None:
    """A source that is an address, a member of an archive, or no possible name has no path."""
    file = tmp_path / "a.jpg"
    file.write_bytes(b"")
    sources = [str(file), str(tmp_path), f"{file}!b.jpg", "https://example.com/a.jpg", "a\0b", "a" * 5000]
    rows = [
        replace(make_row(number, score(str(number), 50.0)), source=source)
        for number, source in enumerate(sources)
    ]
    nearest = compute_figures([rows], threshold=40, run=None).nearest
    assert [near.path for near in nearest] == [file, None, None, None, None, None]


@given(ranks=st.lists(st.integers(0, 5)), limit=st.integers(0, 8))
def test_smallest_keeps_the_first_of_equals(ranks: list[int], limit: int) -> None:
    """What is kept is the head of a stable sort."""
    kept: Smallest[int] = Smallest(limit)
    for place, rank in enumerate(ranks):
        kept.add(rank, place)
    assert kept.sort() == sorted(range(len(ranks)), key=ranks.__getitem__)[:limit]


@given(keys=st.lists(st.text(max_size=2)))
def test_a_key_is_new_once(keys: list[str]) -> None:
    """Seen keys are told from new ones as by a set."""
    seen, known = SeenKeys(), set[str]()
    for key in keys:
        assert seen.add(key) is (key not in known)
        known.add(key)
    assert seen.count == len(known)


def test_seen_keys_stay_small() -> None:
    """Twenty thousand keys are told apart in at most 32 bytes each."""
    seen = SeenKeys()
    for turn in range(2):
        assert all(seen.add(f"key {number}") is (turn == 0) for number in range(20_000))
    assert sys.getsizeof(seen._slots) <= 32 * 20_000
