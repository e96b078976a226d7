from __future__ import annotations

import tracemalloc
from itertools import chain
from statistics import mean, median
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async.jobs._compare import HISTOGRAM_STEP, MOVERS, Comparison, Mover, compare
from tencent_liveness_async.jobs._records import PhotoRecord, ResultRow, State
from tencent_liveness_async.jobs.sinks import open_sink, read_results

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tencent_liveness_async.jobs._records import Value

SCORES = st.none() | st.floats(0, 100)
IDS = st.sampled_from("abcdefgh")


def make_rows(scores: Mapping[str, float | None], model: str = "3.0") -> list[dict[str, Value]]:
    """Return rows of photos, each with a key of its own."""
    return [
        {"id": name, "source": f"/{name}", "key": f"{model}:{name}", "score": score, "model_version": model}
        for name, score in scores.items()
    ]


def compare_scores(
    before: Mapping[str, float | None], after: Mapping[str, float | None], threshold: float = 40.0
) -> Comparison:
    """Compare two scorings by another model version."""
    return compare(make_rows(before, "3.0"), make_rows(after, "4.0"), threshold=threshold)


def test_photos_are_counted_by_where_they_are() -> None:
    """A photo is on both sides or on one; of those on both, a score may be won or lost."""
    comparison = compare_scores(
        {"both": 1.0, "won": None, "lost": 2.0, "never": None, "gone": 3.0},
        {"both": 1.0, "won": 4.0, "lost": None, "never": None, "new": 5.0, "newer": None},
    )
    assert (comparison.matched, comparison.only_before, comparison.only_after) == (4, 1, 2)
    assert (comparison.scored, comparison.gained, comparison.lost) == (1, 1, 1)
    assert (comparison.models_before, comparison.models_after) == ({"3.0": 3}, {"4.0": 3})


@pytest.mark.parametrize(
    ("before", "after", "live", "not_live"),
    [(39.9, 40.0, 1, 0), (40.0, 39.9, 0, 1), (40.0, 100.0, 0, 0), (0.0, 39.9, 0, 0), (40.0, 40.0, 0, 0)],
)
def test_threshold_is_crossed_as_in_a_run(before: float, after: float, live: int, not_live: int) -> None:
    """A score at the threshold is live."""
    comparison = compare_scores({"a": before}, {"a": after})
    assert (comparison.became_live, comparison.became_not_live) == (live, not_live)


def test_renamed_photos_are_matched_by_key() -> None:
    """Photos whose ids are not on both sides go together by key, one to one; ids come first."""
    before: list[dict[str, Value]] = [
        {"id": "same", "key": "k1", "score": 10.0},
        {"id": "old1", "key": "k2", "score": 20.0},
        {"id": "old2", "key": "k2", "score": 20.0},
        {"id": "nameless", "key": "", "score": 30.0},
    ]
    after: list[dict[str, Value]] = [
        {"id": "same", "key": "k2", "score": 11.0},
        {"id": "new1", "key": "k2", "score": 22.0},
        {"id": "new2", "key": "k1", "score": 99.0},
        {"id": "unnamed", "key": "", "score": 31.0},
    ]
    comparison = compare(before, after, threshold=40.0)
    assert comparison.movers == (Mover("new1", "", 20.0, 22.0), Mover("same", "", 10.0, 11.0))
    assert (comparison.matched, comparison.only_before, comparison.only_after) == (2, 2, 2)


def test_last_row_of_an_id_counts() -> None:
    """An id that comes twice is one photo."""
    rows = [*make_rows({"a": 1.0}), *make_rows({"a": 9.0})]
    comparison = compare(rows, make_rows({"a": 10.0}), threshold=40.0)
    assert (comparison.matched, comparison.only_before) == (1, 0)
    assert comparison.shift is not None
    assert comparison.shift.mean == 1.0


def test_shift_is_measured_over_photos_with_two_scores() -> None:
    """Mean and quantiles are those of after less before; each quantile is the shift of a photo."""
    before = {str(number): 50.0 for number in range(1, 101)}
    after = {str(number): 50.0 + number / 4 for number in range(1, 101)}
    shift = compare_scores(before | {"x": None}, after | {"x": 1.0}).shift
    assert shift is not None
    assert shift.mean == 101 / 8
    assert shift.quantiles == {5: 5 / 4, 25: 25 / 4, 50: 50 / 4, 75: 75 / 4, 95: 95 / 4}
    assert shift.median == 50 / 4


def test_histograms_count_both_sides() -> None:
    """A bar spans 5 points from its lower end on; the last one holds 100, too."""
    comparison = compare_scores(
        {"a": 0.0, "b": 4.9, "c": 5.0, "d": 100.0}, {"a": 95.0, "b": 94.9, "c": 100.0, "d": 99.0}
    )
    bars = 100 // HISTOGRAM_STEP
    assert comparison.histogram_before == (2, 1, *[0] * (bars - 3), 1)
    assert comparison.histogram_after == (*[0] * (bars - 2), 1, 3)


def test_farthest_movers_are_named_in_both_directions() -> None:
    """The photos that moved most come first, up or down; those that did not move do not come."""
    before = {f"{number:02}": 50.0 for number in range(30)}
    after = {f"{number:02}": 50.0 + number * (-1) ** number for number in range(30)}
    movers = compare_scores(before, after).movers
    assert len(movers) == MOVERS
    assert movers[0] == Mover("29", "/29", 50.0, 21.0)
    assert [mover.shift for mover in movers] == [n * (-1) ** n for n in range(29, 29 - MOVERS, -1)]
    assert compare_scores(before, before).movers == ()


def test_nothing_is_compared_with_nothing() -> None:
    """Two empty scorings have no shift and no photo."""
    comparison = compare_scores({}, {"a": 1.0})
    assert (comparison.matched, comparison.only_after, comparison.shift) == (0, 1, None)
    assert sum(comparison.histogram_after) == 0


@given(st.dictionaries(IDS, SCORES), st.dictionaries(IDS, SCORES), st.floats(0, 100))
def test_numbers_are_those_of_a_plain_count(
    before: dict[str, float | None], after: dict[str, float | None], threshold: float
) -> None:
    """Whatever the scorings are, the comparison is what counting by hand gives."""
    comparison = compare_scores(before, after, threshold)
    both = [(before[name], after[name]) for name in before.keys() & after.keys()]
    pairs = [(b, a) for b, a in both if b is not None and a is not None]
    assert (comparison.matched, comparison.scored) == (len(both), len(pairs))
    assert comparison.only_before == len(before.keys() - after.keys())
    assert comparison.only_after == len(after.keys() - before.keys())
    assert comparison.became_live == sum(b < threshold <= a for b, a in pairs)
    assert comparison.became_not_live == sum(a < threshold <= b for b, a in pairs)
    assert sum(comparison.histogram_before) == sum(comparison.histogram_after) == len(pairs)
    if pairs and comparison.shift:
        shifts = sorted(a - b for b, a in pairs)
        assert comparison.shift.mean == pytest.approx(mean(shifts), abs=1e-9)
        assert comparison.shift.median == shifts[(len(shifts) - 1) // 2]
        assert len(shifts) % 2 == 0 or comparison.shift.median == median(shifts)


def test_result_files_are_compared(tmp_path: Path) -> None:
    """Rows read back from files of two formats can be compared with each other."""
    for suffix, score in ((".jsonl", 30.0), (".csv", 60.0)):
        sink = open_sink(tmp_path / f"results{suffix}", ())
        record = PhotoRecord(key="k", state=State.SCORED, score=score, model_version="3.0")
        refused = PhotoRecord(key="r", state=State.REFUSED_FREE)
        rows = [ResultRow(1, "a", "/a", record, {}), ResultRow(2, "b", "/b", refused, {})]
        sink.write([row.to_values(40.0) for row in rows])
        sink.finish()
    before, after = read_results(tmp_path / "results.jsonl"), read_results(tmp_path / "results.csv")
    comparison = compare(before, after, threshold=40.0)
    assert comparison.movers == (Mover("a", "/a", 30.0, 60.0),)
    assert (comparison.matched, comparison.scored, comparison.became_live) == (2, 1, 1)


def test_memory_stays_flat() -> None:
    """Rows are never held: twenty times as many take no more of Python's memory."""

    def measure_peak(count: int) -> int:
        sides = [(make_rows({str(n): n % 100}) for n in range(count)) for _ in range(2)]
        tracemalloc.start()
        compare(*map(chain.from_iterable, sides), threshold=40.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    measure_peak(10)
    assert measure_peak(10_000) < measure_peak(500) + 100_000
