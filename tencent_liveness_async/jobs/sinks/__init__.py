"""Result files, chosen by their suffix: JSON lines, CSV and Parquet, written and read back.

Each is written from rows of the ledger, which is the truth: an unfinished file is worth nothing but a look,
and the next run writes it anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..._errors import ConfigurationError
from ._columns import name_columns
from ._csv import CsvSink, read_csv
from ._errors import ResultsError, SinkError
from ._json_lines import JsonLinesSink, read_json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .._records import Sink, Value

    _Write: TypeAlias = Callable[[Path, Sequence[str]], Sink]
    _Read: TypeAlias = Callable[[Path], Iterator[Mapping[str, Value]]]

__all__ = ["ResultsError", "SinkError", "open_sink", "read_results"]


def open_sink(path: Path, extra_columns: Sequence[str]) -> Sink:
    """Open a result file by its suffix: `.jsonl`, `.csv` or `.parquet`.

    It grows beside its place and is put there by `finish`; until then what was there stays. The columns are
    `RESULT_COLUMNS` and then the carried ones under the names that `name_carried` gives them, which the rows
    have to have, too.

    Args:
        path: The file to be. What an earlier unfinished run left beside it is replaced.
        extra_columns: Carried columns, as the source names them.

    Raises:
        ConfigurationError: The suffix is another one, or Parquet is asked for without its extra.
        SinkError: The file cannot be written.
    """
    write, _ = _find_format(path)
    return write(path, name_columns(extra_columns))


def read_results(path: Path) -> Iterator[Mapping[str, Value]]:
    """Read the rows of a result file, one by one in flat memory, with the values that were written.

    CSV knows no types, so that carried columns are text there, and nothing is empty text.

    Raises:
        ConfigurationError: The suffix is another one, or Parquet is asked for without its extra.
        ResultsError: While it is read: the file is missing, damaged, or no result file.
    """
    _, read = _find_format(path)
    return _check(path, read(path))


def _find_format(path: Path) -> tuple[_Write, _Read]:
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return JsonLinesSink, read_json_lines
    if suffix == ".csv":
        return CsvSink, read_csv
    if suffix == ".parquet":
        return _load_parquet()
    raise ConfigurationError(f"{path}: the name of a result file ends in .jsonl, .csv or .parquet")


def _load_parquet() -> tuple[_Write, _Read]:
    try:
        from ._parquet import ParquetSink, read_parquet
    except ImportError as exc:
        raise ConfigurationError(
            "Parquet files need an extra: pip install 'tencent-liveness-async[parquet]'"
        ) from exc
    return ParquetSink, read_parquet


def _check(path: Path, rows: Iterator[Mapping[str, Value]]) -> Iterator[Mapping[str, Value]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("id"), str):
            raise ResultsError(path, f"row {number} has no text as `id`; it is no result file")
        if not isinstance(row.get("score", ""), int | float | None):
            raise ResultsError(path, f"row {number} has no number as `score`; it is no result file")
        yield row
