from __future__ import annotations

import os
import pickle
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from full_disk import limit_file_size
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._errors import ConfigurationError
from tencent_liveness_async.jobs._records import RESULT_COLUMNS, PhotoRecord, ResultRow, State, name_carried
from tencent_liveness_async.jobs.sinks import (
    ResultsError,
    SinkError,
    open_sink,
    read_results,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tencent_liveness_async.jobs._records import Value

needs_parquet = pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs the extra [parquet]")
PARQUET = pytest.param(".parquet", marks=needs_parquet)
every_suffix = pytest.mark.parametrize("suffix", [".jsonl", ".csv", PARQUET])
every_growing_suffix = pytest.mark.parametrize("suffix", [".jsonl", ".csv"])


def make_row(number: int, **extra: Value) -> dict[str, Value]:
    """Return the values of a row."""
    record = PhotoRecord(
        key=f"{number:064x}",
        state=State.SCORED,
        score=float(number % 101),
        model_version="3.0",
        request_id=f"request-{number}",
        attempts=1,
        billed=1,
        queue_seconds=0.1 + 0.2,
        time=1_700_000_000.123 + number,
    )
    return ResultRow(number, f"{number}.jpg", f"/a/{number}.jpg", record, extra).to_values(40.0)


def make_refused_row(number: int, **extra: Value) -> dict[str, Value]:
    """Return the values of a row without a score."""
    record = PhotoRecord(
        key=f"{number:064x}", state=State.REFUSED_BILLED, code="NoFace", message='a "no", \r\n无'
    )
    return ResultRow(number, f"{number}.jpg", f"/a/{number}.jpg", record, extra).to_values(40.0)


@every_suffix
def test_rows_come_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    """Every result column keeps its value and its type, in order, with a score and without."""
    path = tmp_path / f"results{suffix}"
    rows = [make_row(1), make_refused_row(2), make_row(3)]
    sink = open_sink(path, ())
    sink.write(rows[:2])
    sink.write(rows[2:])
    sink.finish()
    assert [dict(row) for row in read_results(path)] == rows
    assert [tuple(row) for row in read_results(path)] == [RESULT_COLUMNS] * 3


@every_suffix
def test_result_of_nothing_is_a_file_without_rows(tmp_path: Path, suffix: str) -> None:
    """A run over nothing ends with a file that can be read."""
    path = tmp_path / f"results{suffix}"
    open_sink(path, ("label",)).finish()
    assert list(read_results(path)) == []
    assert list(tmp_path.iterdir()) == [path]


@every_suffix
def test_finished_file_replaces_the_one_before(tmp_path: Path, suffix: str) -> None:
    """What was there stays until the new file is whole; nothing else is left then."""
    path = tmp_path / f"results{suffix}"
    path.write_text("old")
    sink = open_sink(path, ())
    sink.write([make_row(1)])
    assert path.read_text() == "old"
    sink.finish()
    assert [row["id"] for row in read_results(path)] == ["1.jpg"]
    assert list(tmp_path.iterdir()) == [path]


@every_suffix
def test_abandoned_file_leaves_the_one_before(tmp_path: Path, suffix: str) -> None:
    """A run that is not finished puts nothing in place, and the next one replaces what it left."""
    path = tmp_path / f"results{suffix}"
    path.write_text("old")
    sink = open_sink(path, ())
    sink.write([make_row(1)])
    sink.abandon()
    assert path.read_text() == "old"
    again = open_sink(path, ())
    again.write([make_row(2)])
    again.finish()
    assert [row["id"] for row in read_results(path)] == ["2.jpg"]
    assert list(tmp_path.iterdir()) == [path]


@every_suffix
def test_abandoning_a_finished_file_does_nothing(tmp_path: Path, suffix: str) -> None:
    """Whoever cleans up in any case takes nothing away."""
    path = tmp_path / f"results{suffix}"
    sink = open_sink(path, ())
    sink.write([make_row(1)])
    sink.finish()
    sink.abandon()
    assert len(list(read_results(path))) == 1


@every_growing_suffix
def test_rows_can_be_read_while_the_run_goes_on(tmp_path: Path, suffix: str) -> None:
    """What `write` took is in the file beside when it returns."""
    sink = open_sink(tmp_path / f"results{suffix}", ())
    for number in range(1, 4):
        sink.write([make_row(number)])
        copy = tmp_path / f"copy{suffix}"
        copy.write_bytes((tmp_path / f"results{suffix}.partial").read_bytes())
        assert len(list(read_results(copy))) == number
    sink.abandon()


@every_suffix
def test_carried_columns_follow(tmp_path: Path, suffix: str) -> None:
    """Carried columns come after the results, each once; a row without one has nothing there."""
    path = tmp_path / f"results{suffix}"
    sink = open_sink(path, ("label", "group", "label"))
    sink.write([make_row(1, label="=1+1", group="a"), make_row(2, group="b", other="dropped")])
    sink.finish()
    rows = list(read_results(path))
    assert tuple(rows[0]) == (*RESULT_COLUMNS, "label", "group")
    assert [row["label"] or None for row in rows] == ["=1+1", None]
    assert [row["group"] for row in rows] == ["a", "b"]


@every_suffix
def test_name_that_is_no_utf8_ends_no_run(tmp_path: Path, suffix: str) -> None:
    """A strange byte in a file name and a number beyond 64 bits are written as text."""
    path = tmp_path / f"results{suffix}"
    sink = open_sink(path, ("size",))
    sink.write([make_row(1, size=2**70) | {"id": os.fsdecode(b"caf\xe9.jpg")}])
    sink.finish()
    (row,) = read_results(path)
    assert row["id"] == "caf\\udce9.jpg"
    assert row["size"] == str(2**70)


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("score", "x_score"),
        ("x_score", "x_x_score"),
        ("label", "label"),
        ("x_label", "x_label"),
        ("x_", "x_"),
    ],
)
def test_carried_column_takes_no_name_of_a_result(column: str, name: str) -> None:
    """A carried column whose name is taken gets `x_` before it."""
    assert name_carried(column) == name


@given(st.lists(st.sampled_from([f"{'x_' * n}{c}" for n in range(4) for c in ("id", "score", "label")])))
def test_carried_names_stay_different(columns: list[str]) -> None:
    """Different carried columns never get one name, and none that a result has."""
    names = {name_carried(column) for column in columns}
    assert len(names) == len(set(columns))
    assert not names & set(RESULT_COLUMNS)


@pytest.mark.parametrize("name", ["results.txt", "results", "results.jsonl.gz"])
def test_other_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """A format that is not there is told with those that are."""
    with pytest.raises(ConfigurationError, match=r"\.jsonl, \.csv or \.parquet"):
        open_sink(tmp_path / name, ())
    with pytest.raises(ConfigurationError, match=r"\.jsonl, \.csv or \.parquet"):
        read_results(tmp_path / name)


def test_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    """The case of a suffix does not matter."""
    open_sink(tmp_path / "RESULTS.JSONL", ()).finish()
    assert (tmp_path / "RESULTS.JSONL").exists()


def test_missing_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow a Parquet file is refused with the line that installs it."""
    monkeypatch.setitem(sys.modules, "tencent_liveness_async.jobs.sinks._parquet", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tencent-liveness-async\[parquet\]'"):
        open_sink(tmp_path / "results.parquet", ())


@every_suffix
def test_missing_folder_is_told_before_the_run(tmp_path: Path, suffix: str) -> None:
    """A folder that is not there is found when the file is opened, with its name."""
    path = tmp_path / "missing" / f"results{suffix}"
    with pytest.raises(SinkError, match="cannot be written: No such file") as caught:
        open_sink(path, ())
    assert str(path) in str(caught.value)
    assert caught.value.path == path
    assert isinstance(caught.value.__cause__, OSError)


@every_suffix
def test_folder_in_the_way_is_told_before_the_run(tmp_path: Path, suffix: str) -> None:
    """A folder with the file's name is found when the file is opened, not when it is put in place."""
    path = tmp_path / f"results{suffix}"
    path.mkdir()
    with pytest.raises(SinkError, match="it is a folder"):
        open_sink(path, ())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@every_suffix
def test_read_only_folder_is_told(tmp_path: Path, suffix: str) -> None:
    """A folder that cannot be written to is found when the file is opened."""
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(SinkError, match="Permission denied"):
            open_sink(tmp_path / f"results{suffix}", ())
    finally:
        tmp_path.chmod(0o755)


@every_growing_suffix
def test_full_disk_leaves_whole_rows_and_the_target(tmp_path: Path, suffix: str) -> None:
    """Rows that do not fit leave those before them whole, and the file is never put in place."""
    path = tmp_path / f"results{suffix}"
    path.write_text("old")
    sink = open_sink(path, ())
    sink.write([make_row(1)])
    partial = tmp_path / f"results{suffix}.partial"
    whole = partial.read_bytes()
    with limit_file_size(len(whole) + 100), pytest.raises(SinkError, match="File too large"):
        sink.write([make_row(2)])
    assert partial.read_bytes() == whole
    with pytest.raises(SinkError, match="File too large"):
        sink.write([make_row(3)])
    with pytest.raises(SinkError, match="File too large"):
        sink.finish()
    sink.abandon()
    assert path.read_text() == "old"
    assert partial.read_bytes() == whole


def test_error_survives_pickling() -> None:
    """Errors of result files keep what they carry."""
    for error in (SinkError(Path("a.csv"), "full"), ResultsError(Path("a.csv"), "torn")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.path) == (type(error), str(error), Path("a.csv"))


@every_suffix
def test_missing_results_are_told(tmp_path: Path, suffix: str) -> None:
    """A file that is not there is told with its name."""
    path = tmp_path / f"results{suffix}"
    with pytest.raises(ResultsError, match="No such file") as caught:
        list(read_results(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "content", "match"),
    [
        (".jsonl", b'{"id": "a", "score": 1}\n{"id": ', "line 2 is no JSON"),
        (".jsonl", b"[1]\n", "line 1 is no JSON object"),
        (".jsonl", b'\n{"score": 1}\n', "row 1 has no text as `id`"),
        (".jsonl", b'{"id": "a", "score": "high"}\n', "row 1 has no number as `score`"),
        (".jsonl", b'{"id": "a"}\n', "row 1 has no number as `score`"),
        (".csv", b"id,score\r\na,1\r\nb,high\r\n", "line 3: score is 'high', which is no float"),
        (".csv", b"id,score,is_live\r\na,1,maybe\r\n", "is_live is 'maybe', which is no bool"),
        (".csv", b"id,score\r\na,1,2\r\n", "line 2: the record has more or fewer fields"),
        (".csv", b"id,score\r\na\r\n", "line 2: the record has more or fewer fields"),
        (".csv", b'id,score\r\n"a,1\r\n', "unexpected end of data"),
        (".csv", b"id,score\r\n\xff,1\r\n", "can't decode byte 0xff"),
        (".csv", b"name,score\r\na,1\r\n", "row 1 has no text as `id`"),
        pytest.param(".parquet", b"PAR", "Parquet", marks=needs_parquet),
    ],
)
def test_damaged_results_are_told(tmp_path: Path, suffix: str, content: bytes, match: str) -> None:
    """What is no result file is told with the place where it is none."""
    path = tmp_path / f"results{suffix}"
    path.write_bytes(content)
    with pytest.raises(ResultsError, match=match):
        list(read_results(path))


def test_reading_is_lazy(tmp_path: Path) -> None:
    """Rows before a damage can be had: nothing is read ahead of need."""
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"id": "a", "score": null}\n{"id": ')
    rows: Iterator[Mapping[str, Value]] = read_results(path)
    assert next(rows)["id"] == "a"
    with pytest.raises(ResultsError):
        next(rows)
