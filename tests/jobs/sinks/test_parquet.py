from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from full_disk import limit_file_size
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async.jobs._records import RESULT_COLUMNS
from tencent_liveness_async.jobs.sinks import ResultsError, SinkError, open_sink, read_results

pytest.importorskip("pyarrow", reason="needs the extra [parquet]")

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from tencent_liveness_async.jobs.sinks._parquet import PART_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tencent_liveness_async.jobs._records import Value

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)


def write_labels(path: Path, *parts: Sequence[Value]) -> None:
    """Write a file that carries labels, each sequence first in a part of its own."""
    sink = open_sink(path, ("label",))
    for labels in parts:
        sink.write([{"id": "label", "label": label} for label in labels])
        sink.write([{"id": "filler"}] * (PART_ROWS - len(labels)))
    sink.finish()


def read_labels(path: Path) -> list[Value]:
    """Return the labels that a file carries."""
    return [row["label"] for row in read_results(path) if row["id"] == "label"]


def read_label_type(path: Path) -> str:
    """Return the type of the labels."""
    return str(pq.read_schema(path).field("label").type)


def test_schema_is_fixed(tmp_path: Path) -> None:
    """Result columns have their types even where a file has no value for them."""
    path = tmp_path / "results.parquet"
    open_sink(path, ()).finish()
    types = {field.name: str(field.type) for field in pq.read_schema(path)}
    assert tuple(types) == RESULT_COLUMNS
    assert types == dict.fromkeys(RESULT_COLUMNS, "string") | {
        "score": "double",
        "is_live": "bool",
        "threshold": "double",
        "attempts": "int64",
        "billed": "int64",
        "maybe_billed": "int64",
        "queue_seconds": "double",
        "rate_seconds": "double",
        "attempt_seconds": "double",
        "time": "timestamp[ms, tz=UTC]",
    }


def test_time_is_a_time(tmp_path: Path) -> None:
    """Other programs get a point in time, not text."""
    path = tmp_path / "results.parquet"
    sink = open_sink(path, ())
    sink.write([{"id": "a", "time": "2024-05-06T07:08:09.123+00:00"}])
    sink.finish()
    at = datetime(2024, 5, 6, 7, 8, 9, 123_000, tzinfo=UTC)
    assert pq.read_table(path).column("time").to_pylist() == [at]


def test_file_is_compressed_in_row_groups(tmp_path: Path) -> None:
    """A row group holds a part, and columns are compressed with zstd."""
    path = tmp_path / "results.parquet"
    write_labels(path, ["a"], ["b"])
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [PART_ROWS] * 2
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_parts_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    """Full parts are whole files; rows of one that is not full are on disk when the sink is abandoned."""
    sink = open_sink(tmp_path / "results.parquet", ())
    parts = tmp_path / "results.parquet.parts"
    sink.write([{"id": str(number)} for number in range(PART_ROWS)])
    sink.write([{"id": str(number)} for number in range(PART_ROWS, PART_ROWS + 5)])
    assert [path.name for path in parts.iterdir()] == ["part-00001.parquet"]
    assert pq.read_metadata(parts / "part-00001.parquet").num_rows == PART_ROWS
    sink.abandon()
    rows = [row["id"] for path in sorted(parts.iterdir()) for row in read_results(path)]
    assert rows == [str(number) for number in range(PART_ROWS + 5)]
    assert not (tmp_path / "results.parquet").exists()


def test_rows_keep_their_order_over_parts(tmp_path: Path) -> None:
    """The file has all rows in the order they were written."""
    path = tmp_path / "results.parquet"
    sink = open_sink(path, ())
    for begin in range(0, 2 * PART_ROWS + 500, 500):
        sink.write([{"id": str(number)} for number in range(begin, begin + 500)])
    sink.finish()
    assert [row["id"] for row in read_results(path)] == [str(n) for n in range(2 * PART_ROWS + 500)]


def test_what_an_earlier_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """Parts of a killed run, whole or torn, do not get into the new file; a stranger's file stays."""
    path = tmp_path / "results.parquet"
    parts = tmp_path / "results.parquet.parts"
    parts.mkdir()
    for name in ("part-00001.parquet", "part-00007.parquet", "part-00008.parquet.partial", "notes.txt"):
        (parts / name).write_text("old")
    sink = open_sink(path, ())
    assert [left.name for left in parts.iterdir()] == ["notes.txt"]
    sink.write([{"id": "new"}])
    sink.finish()
    assert [row["id"] for row in read_results(path)] == ["new"]
    assert (parts / "notes.txt").exists()


@pytest.mark.parametrize(
    ("parts", "kind", "expected"),
    [
        ([[1, None, 2]], "int64", [1, None, 2]),
        ([[True, False]], "bool", [True, False]),
        ([[1, 2.5]], "double", [1.0, 2.5]),
        ([["a", None]], "string", ["a", None]),
        ([[None]], "string", [None]),
        ([[1, True, "a", 2.5]], "string", ["1", "true", "a", "2.5"]),
        ([[None], [1]], "int64", [None, 1]),
        ([[1], [None]], "int64", [1, None]),
        ([[1], [2.5]], "double", [1.0, 2.5]),
        ([[2.5], [1]], "double", [2.5, 1.0]),
        ([[2**60 + 1, 2.5]], "double", [float(2**60), 2.5]),
        ([[2**60 + 1], [2.5]], "double", [float(2**60), 2.5]),
        ([[True], [1]], "string", ["true", "1"]),
        ([[1], ["a"], [2]], "string", ["1", "a", "2"]),
        ([[2**63]], "string", [str(2**63)]),
    ],
)
def test_carried_column_is_as_wide_as_its_values_need(
    tmp_path: Path, parts: list[list[Value]], kind: str, expected: list[Value]
) -> None:
    """A column keeps its type where all values have it, over all parts, and is text where they differ."""
    path = tmp_path / "results.parquet"
    write_labels(path, *parts)
    assert read_label_type(path) == kind
    assert read_labels(path) == expected


@given(st.lists(VALUES, max_size=8))
def test_any_values_can_be_carried(tmp_path_factory: pytest.TempPathFactory, labels: list[Value]) -> None:
    """No mixture of values breaks the file, and none becomes another row's."""
    path = tmp_path_factory.mktemp("parquet") / "results.parquet"
    sink = open_sink(path, ("label",))
    sink.write([{"id": str(number), "label": label} for number, label in enumerate(labels)])
    sink.finish()
    found = [(row["id"], row["label"] is None) for row in read_results(path)]
    assert found == [(str(number), label is None) for number, label in enumerate(labels)]


def test_file_in_the_place_of_the_parts_is_told(tmp_path: Path) -> None:
    """What is in the way is named."""
    (tmp_path / "results.parquet.parts").write_text("mine")
    with pytest.raises(SinkError, match=r"File exists \(.*results\.parquet\.parts\)"):
        open_sink(tmp_path / "results.parquet", ())


def test_part_that_does_not_fit_is_tried_again(tmp_path: Path) -> None:
    """A part on a full disk leaves no piece of itself, and its rows are not lost."""
    path = tmp_path / "results.parquet"
    path.write_text("old")
    sink = open_sink(path, ())
    sink.write([{"id": "a"}])
    with limit_file_size(100), pytest.raises(SinkError, match="File too large"):
        sink.finish()
    assert path.read_text() == "old"
    assert list((tmp_path / "results.parquet.parts").iterdir()) == []
    sink.finish()
    assert [row["id"] for row in read_results(path)] == ["a"]


def test_file_that_does_not_fit_leaves_the_parts(tmp_path: Path) -> None:
    """Parts stay where there is no room for the file of all of them, which leaves no piece of itself."""
    path = tmp_path / "results.parquet"
    path.write_text("old")
    sink = open_sink(path, ())
    for part in range(3):
        sink.write([{"id": f"{part}-{number}"} for number in range(PART_ROWS)])
    parts = sorted((tmp_path / "results.parquet.parts").iterdir())
    with limit_file_size(parts[0].stat().st_size * 2), pytest.raises(SinkError, match="File too large"):
        sink.finish()
    assert path.read_text() == "old"
    assert sorted(tmp_path.rglob("*.parquet*")) == sorted([path, parts[0].parent, *parts])
    sink.finish()
    assert len(list(read_results(path))) == 3 * PART_ROWS


def test_abandoning_on_a_full_disk_raises_nothing(tmp_path: Path) -> None:
    """Leaving a broken run is quiet: its own error is the one that counts."""
    sink = open_sink(tmp_path / "results.parquet", ())
    sink.write([{"id": "a"}])
    (tmp_path / "results.parquet.parts").rmdir()
    sink.abandon()


def test_other_parquet_is_no_result(tmp_path: Path) -> None:
    """A table without the columns of results is told."""
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"name": ["a"]}), path)
    with pytest.raises(ResultsError, match="row 1 has no text as `id`"):
        list(read_results(path))
