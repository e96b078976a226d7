"""Results as Parquet; the home of pyarrow among the sinks, which the extra `[parquet]` installs."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from ._columns import RESULT_KINDS, Kind, to_plain, to_text
from ._errors import ResultsError, SinkError, reading, writing
from ._partial import name_partial, refuse_folder, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .._records import Value

PART_ROWS: Final = 2_000
"""Rows after which a part is full; also of a row group. More make a file that is read a little faster, take
more memory (38 MB over pyarrow's own 65 at 2,000, 61 at 10,000) and are seen later."""

_READ_ROWS = 1_000

_TYPES: Final = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_TIME_TYPE: Final = pa.timestamp("ms", tz="UTC")


class ParquetSink:
    """Writes parts, each a whole Parquet file, and in the end one file of all of them.

    Without its footer a Parquet file cannot be read, so rows go to `NAME.parts/part-00001.parquet` and so on,
    some `PART_ROWS` each, which can be read while the run goes on and after it was killed. A carried column
    is as wide as the values seen so far need: whole numbers, numbers, true and false, or text for everything
    else. Parts may therefore differ in it; the file does not.

    Args:
        path: The file to be. Parts of an earlier run are removed.
        columns: Its columns; other values of a row are left out.

    Raises:
        SinkError: The parts cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._folder = path.with_name(f"{path.name}.parts")
        self._kinds: dict[str, Kind | None] = {column: RESULT_KINDS.get(column) for column in columns}
        self._waiting: list[pa.Table] = []
        self._parts: list[Path] = []
        refuse_folder(path)
        with writing(path):
            self._folder.mkdir(exist_ok=True)
            self._remove_parts()

    def write(self, rows: Sequence[Mapping[str, Value]]) -> None:
        """Take rows; they are in the file system when a part is full.

        Raises:
            SinkError: A part cannot be written. Its rows are kept and tried again with the next ones.
        """
        self._waiting.append(self._make_table(rows))
        if sum(table.num_rows for table in self._waiting) >= PART_ROWS:
            self._write_part()

    def finish(self) -> None:
        """Merge the parts into the file, put it in place and remove them.

        Raises:
            SinkError: It cannot be written; the parts stay.
        """
        if self._waiting:
            self._write_part()
        partial = name_partial(self._path)
        with writing(self._path):
            _write_file(partial, self._make_schema(), map(_read_part, self._parts))
            replace(partial, self._path)
        with suppress(OSError):  # the results are in place; the next run removes the parts
            self._remove_parts()
            self._folder.rmdir()

    def abandon(self) -> None:
        """Leave the parts, with one for the rows that wait, if it can be written."""
        if self._waiting:
            with suppress(SinkError):
                self._write_part()

    def _make_table(self, rows: Sequence[Mapping[str, Value]]) -> pa.Table:
        values = {column: [to_plain(row.get(column)) for row in rows] for column in self._kinds}
        self._kinds.update({c: _widen(self._kinds[c], values[c]) for c in values if c not in RESULT_KINDS})
        schema = self._make_schema()
        return pa.table([_make_array(values[field.name], field.type) for field in schema], schema=schema)

    def _write_part(self) -> None:
        part = self._folder / f"part-{len(self._parts) + 1:05}.parquet"
        schema = self._make_schema()
        table = pa.concat_tables(_cast(table, schema) for table in self._waiting)
        with writing(self._path):
            # Whoever reads all `*.parquet` of the folder must not meet one that is being written.
            _write_file(name_partial(part), schema, [table])
            name_partial(part).replace(part)
        self._parts.append(part)
        self._waiting.clear()

    def _make_schema(self) -> pa.Schema:
        fields = [(column, _TYPES[kind or str]) for column, kind in self._kinds.items()]
        return pa.schema([(c, _TIME_TYPE if c == "time" else kind) for c, kind in fields])

    def _remove_parts(self) -> None:
        for part in self._folder.glob("part-*.parquet*"):
            part.unlink()


def read_parquet(path: Path) -> Iterator[Mapping[str, Value]]:
    """Read the rows of a file, a thousand at a time; `time` is text again.

    Raises:
        ResultsError: The file cannot be read, or is no Parquet.
    """
    try:
        with reading(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_READ_ROWS, use_threads=False):
                yield from map(_restore_time, batch.to_pylist())
    except pa.ArrowException as error:
        raise ResultsError(path, str(error)) from error


def _widen(kind: Kind | None, values: Iterable[Value]) -> Kind | None:
    """Return what a column is that was this kind so far and gets these values; None if it had none."""
    kinds: set[Kind] = {type(value) for value in values if value is not None}
    if kind is not None:
        kinds.add(kind)
    if len(kinds) < 2:
        return next(iter(kinds), None)
    return float if kinds == {int, float} else str


def _make_array(values: Sequence[Value], kind: pa.DataType) -> pa.Array:
    if kind == _TYPES[str]:
        values = [None if value is None else to_text(value) for value in values]
    if kind == _TIME_TYPE:
        return pa.array(values, pa.string()).cast(kind)
    if kind == _TYPES[float]:
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, kind)


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    # A whole number that a float cannot hold exactly is rounded, not refused.
    return table.cast(schema, safe=False)


def _read_part(part: Path) -> pa.Table:
    with pq.ParquetFile(part) as file:
        return file.read(use_threads=False)


def _write_file(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write a durable file with a row group a table, each cast to the schema."""
    try:
        with path.open("wb") as file:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(_cast(table, schema))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):  # without its footer it is of no use, and the disk may be full
            path.unlink()
        raise


def _restore_time(row: Mapping[str, Value | datetime]) -> dict[str, Value]:
    return {
        column: value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
        for column, value in row.items()
    }
