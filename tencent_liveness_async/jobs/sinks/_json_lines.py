"""Results as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from ._columns import to_plain
from ._errors import ResultsError, reading
from ._partial import PartialFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .._records import Value


class JsonLinesSink:
    """Writes an object a line, with every column in order; what there is not is null.

    Args:
        path: The file to be.
        columns: Its columns; other values of a row are left out.

    Raises:
        SinkError: The file cannot be written.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = columns
        self._file = PartialFile(path)

    def write(self, rows: Sequence[Mapping[str, Value]]) -> None:
        """Write rows, whole lines only.

        Raises:
            SinkError: They cannot be written; those before them are.
        """
        self._file.append(b"".join(map(self._encode, rows)))

    def finish(self) -> None:
        """Put the file in place.

        Raises:
            SinkError: It cannot be put in place, or not all rows were written.
        """
        self._file.put_in_place()

    def abandon(self) -> None:
        """Leave the lines under the name `NAME.partial`."""
        self._file.abandon()

    def _encode(self, row: Mapping[str, Value]) -> bytes:
        values = {column: row.get(column) for column in self._columns}
        try:
            return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:
            plain = {column: to_plain(value) for column, value in values.items()}
            return orjson.dumps(plain, option=orjson.OPT_APPEND_NEWLINE)


def read_json_lines(path: Path) -> Iterator[Mapping[str, Value]]:
    """Read the rows of a file one by one; empty lines are passed over.

    Raises:
        ResultsError: The file cannot be read, or a line is no JSON object.
    """
    with reading(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ResultsError(path, f"line {number} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise ResultsError(path, f"line {number} is no JSON object")
            yield row
