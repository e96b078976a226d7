"""Results as CSV (RFC 4180, UTF-8)."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from ._columns import RESULT_KINDS, to_text
from ._errors import ResultsError, reading
from ._partial import PartialFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .._records import Value


class CsvSink:
    """Writes a header and a record a row; what there is not is an empty field.

    Text is written as it is, also where a spreadsheet would take it for a formula (`=`, `+`, `-`, `@` first):
    ids and carried columns come back as they were. Import untrusted ones as text.

    Args:
        path: The file to be.
        columns: Its columns; other values of a row are left out.

    Raises:
        SinkError: The file cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = columns
        self._file = PartialFile(path)
        self._file.append(_encode([columns]))

    def write(self, rows: Sequence[Mapping[str, Value]]) -> None:
        """Write rows, whole records only.

        Raises:
            SinkError: They cannot be written; those before them are.
        """
        self._file.append(_encode([to_text(row.get(column)) for column in self._columns] for row in rows))

    def finish(self) -> None:
        """Put the file in place.

        Raises:
            SinkError: It cannot be put in place, or not all rows were written.
        """
        self._file.put_in_place()

    def abandon(self) -> None:
        """Leave the records under the name `NAME.partial`."""
        self._file.abandon()


def read_csv(path: Path) -> Iterator[Mapping[str, Value]]:
    """Read the rows of a file one by one; result columns get their types back, carried ones are text.

    Raises:
        ResultsError: The file cannot be read, or a record does not fit the header or the column.
    """
    with reading(path), path.open(encoding="utf-8-sig", newline="") as file:
        records = csv.DictReader(file, strict=True)
        try:
            for record in records:
                yield _convert(record)
        except (ValueError, csv.Error) as error:
            raise ResultsError(path, f"line {records.line_num}: {error}") from error


def _encode(records: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(records)
    # A byte of a file name that is no UTF-8 must not end the run.
    return text.getvalue().encode("utf-8", "backslashreplace")


def _convert(record: Mapping[str | None, str | None]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for column, text in record.items():
        if column is None or text is None:
            raise ValueError("the record has more or fewer fields than the header")
        values[column] = _parse(column, text)
    return values


def _parse(column: str, text: str) -> Value:
    kind = RESULT_KINDS.get(column, str)
    if kind is str:
        return text
    if not text:
        return None
    try:
        return _parse_bool(text) if kind is bool else kind(text)
    except ValueError as error:
        raise ValueError(f"{column} is {text!r}, which is no {kind.__name__}") from error


def _parse_bool(text: str) -> bool:
    """Read `true` and `false`, also as spreadsheets save them."""
    values = {"true": True, "false": False}
    if text.lower() not in values:
        raise ValueError(text)
    return values[text.lower()]
