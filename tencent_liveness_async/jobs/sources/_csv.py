"""CSV manifests."""

from __future__ import annotations

import csv
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ._batches import BatchedSource, batch_items, end_with_error
from ._errors import SourceError
from ._lines import MAX_LINE, NOT_TEXT, TOO_LONG, is_text, open_binary, read_blocks
from ._rows import RowReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from .._records import Item
    from ._rows import Columns


class _Records:
    """The records of a CSV file, with their lines."""

    def __init__(self, stream: BinaryIO) -> None:
        self._rows = csv.reader(_read_lines(stream), strict=True)
        self._first = 0

    @property
    def place(self) -> str:
        """Where the last record is."""
        last = self._rows.line_num
        return f"line {last}" if last <= self._first else f"lines {self._first} to {last}"

    @property
    def line(self) -> int:
        """The last record's first line."""
        return self._first

    def read(self) -> list[str] | None:
        """Return the fields of the next record, none of a blank line; None at the end.

        Raises:
            csv.Error: It is not CSV. The next record begins on the next line.
        """
        self._first = self._rows.line_num + 1
        return next(self._rows, None)


def open_csv(path: str, columns: Columns) -> BatchedSource:
    """Open a CSV manifest, with commas and a header.

    Raises:
        SourceError: It has no header, or a column is missing.
        OSError: The file cannot be read.
    """
    # The limit guards against a quote that is never closed, is one for the whole process, and is too
    # low for a photo in Base64.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    with ExitStack() as resources:
        records = _Records(resources.enter_context(open_binary(path)))
        header = _read_header(path, records)
        folder = os.path.dirname(path)  # noqa: PTH120 - paths are text here
        reader = RowReader(path, folder, columns, header)
        resources.callback(reader.close)
        items = _read_items(reader, header, records)
        return BatchedSource(
            path,
            (reader.check(batch) for batch in batch_items(end_with_error(items, path))),
            extra_columns=reader.extra_columns,
            resources=resources.pop_all(),
        )


def _read_lines(stream: BinaryIO) -> Iterator[str]:
    for block in read_blocks(stream):
        for line in block:
            yield f"{line}\n"


def _read_header(path: str, records: _Records) -> list[str]:
    try:
        header = records.read()
    except csv.Error as exc:
        raise SourceError(f"{path}, {records.place}: the header is not CSV: {exc}") from exc
    if not header:
        raise SourceError(f"{path} begins without a header; its first line has to name the columns")
    if not all(map(is_text, header)):
        raise SourceError(f"{path}, {records.place}: {NOT_TEXT}")
    return [name.strip() for name in header]


def _read_items(reader: RowReader, header: list[str], records: _Records) -> Iterator[Item]:
    while True:
        try:
            values = records.read()
        except csv.Error as exc:
            yield reader.refuse(records.place, f"it is not CSV: {exc}")
            continue
        if values is None:
            return
        if values:
            reason = _find_fault(header, values)
            row = dict(zip(header, values, strict=False))
            yield reader.refuse(records.place, reason) if reason else reader.make(records.line, row)


def _find_fault(header: list[str], values: list[str]) -> str:
    if len(values) != len(header):
        return f"it has {len(values)} fields, and the header {len(header)}"
    if not all(map(is_text, values)):
        return NOT_TEXT
    return TOO_LONG if sum(map(len, values)) > MAX_LINE else ""
