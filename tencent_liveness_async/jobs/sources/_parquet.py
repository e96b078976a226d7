"""Parquet manifests; needs the extra `parquet`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from ._batches import MAX_BATCH, MAX_HELD_BYTES, BatchedSource, batch_items, end_with_error
from ._errors import SourceError
from ._rows import RowReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._records import Item
    from ._rows import Columns


def open_parquet(path: str, columns: Columns) -> BatchedSource:
    """Open a Parquet manifest.

    Raises:
        SourceError: It is no Parquet file, or a column is missing.
        OSError: The file cannot be read.
    """
    with ExitStack() as resources:
        try:
            file = resources.enter_context(parquet.ParquetFile(path, pre_buffer=False))
        except pa.ArrowException as exc:
            raise SourceError(f"{path} is not a whole Parquet file: {exc}; write it again") from exc
        folder = os.path.dirname(path)  # noqa: PTH120 - paths are text here
        reader = RowReader(path, folder, columns, file.schema_arrow.names, unit="row")
        resources.callback(reader.close)
        return BatchedSource(
            path,
            batch_items(end_with_error(_read_items(reader, file), path)),
            extra_columns=reader.extra_columns,
            resources=resources.pop_all(),
        )


def _read_items(reader: RowReader, file: parquet.ParquetFile) -> Iterator[Item]:
    names = [name for name in file.schema_arrow.names if name in reader.used_columns]
    number = 0
    try:
        for batch in file.iter_batches(_find_batch_size(reader, file), columns=names, use_threads=False):
            for number, row in enumerate(batch.to_pylist(), start=number + 1):  # noqa: B020
                yield reader.read(number, row)
    except pa.ArrowException as exc:
        raise OSError(str(exc)) from exc


def _find_batch_size(reader: RowReader, file: parquet.ParquetFile) -> int:
    """Return how many rows hold about `MAX_HELD_BYTES`, by the largest group."""
    if reader.bytes_column not in file.schema_arrow.names:
        return MAX_BATCH
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    row_bytes = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=1)
    return max(1, min(MAX_BATCH, MAX_HELD_BYTES // max(1, row_bytes)))
