"""Text that comes in chunks: lines, JSON lines, and standard input."""

from __future__ import annotations

import codecs
import gzip
import os
import stat
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import anyio
import orjson

from ._batches import DAMAGES, BatchedSource, make_rest
from ._names import is_url
from ._rows import RowReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator

    from .._records import Item
    from ._rows import Columns

MAX_LINE = 16 * 1024 * 1024
"""Characters of a line: the largest photo in Base64, and something beside it."""

_CHUNK_BYTES = 256 * 1024
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

NOT_TEXT = "it is not UTF-8; save the file as UTF-8, or as UTF-16 with a byte order mark"
TOO_LONG = f"it is longer than {MAX_LINE:,} characters"


def open_lines(path: str, columns: Columns) -> BatchedSource:
    """Open a file of JSON lines.

    Carried columns are those of the lines in its first 256 KiB; others that come later are left out.

    Raises:
        SourceError: A column is missing.
        OSError: The file cannot be read.
    """
    with ExitStack() as resources:
        stream = resources.enter_context(open_binary(path))
        folder = os.path.dirname(path)  # noqa: PTH120 - paths are text here
        return _open_stream(path, stream, folder, columns, resources.pop_all(), is_input=False)


def open_input(stream: BinaryIO, columns: Columns) -> BatchedSource:
    """Open standard input: on each line a JSON object, a path or a URL. Waits for the first line.

    Raises:
        SourceError: A column is missing.
    """
    return _open_stream("standard input", stream, str(Path.cwd()), columns, ExitStack(), is_input=True)


def open_binary(path: str) -> BinaryIO:
    """Open a file, a compressed one by its suffix."""
    if path.lower().endswith((".gz", ".tgz")):
        return cast("BinaryIO", gzip.open(path, "rb"))
    return Path(path).open("rb")


def read_blocks(stream: BinaryIO) -> Iterator[list[str]]:
    """Yield lines without their ends, as many as one chunk completes; none is waited for longer.

    A byte that is no UTF-8 becomes a lone surrogate, which `is_text` finds. Of a line that is too long,
    one character more than allowed is kept.
    """
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    chunk = read(_CHUNK_BYTES)
    while 0 < len(chunk) < len(codecs.BOM_UTF16) and (more := read(_CHUNK_BYTES)):
        chunk += more
    decoder = _make_decoder(chunk)
    pending = ""
    while chunk:
        *lines, pending = (pending + decoder.decode(chunk)).split("\n")
        pending = pending[: MAX_LINE + 1]
        yield lines
        chunk = read(_CHUNK_BYTES)
    pending += decoder.decode(b"", final=True)
    if pending:
        yield [pending]


def is_text(line: str) -> bool:
    """Say whether all of a line could be decoded."""
    if line.isascii():
        return True
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _make_decoder(start: bytes) -> codecs.IncrementalDecoder:
    if start.startswith(_UTF_16_MARKS):
        return codecs.getincrementaldecoder("utf-16")("surrogatepass")
    return codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")


def _open_stream(
    name: str, stream: BinaryIO, folder: str, columns: Columns, resources: ExitStack, *, is_input: bool
) -> BatchedSource:
    with resources:
        blocks = read_blocks(stream)
        first = next((block for block in blocks if block), [])
        reader = RowReader(name, folder, columns, _find_columns(first))
        resources.callback(reader.close)
        return BatchedSource(
            "-" if is_input else name,
            _read_items(reader, name, chain([first], blocks), is_input=is_input),
            extra_columns=reader.extra_columns,
            resources=resources.pop_all(),
            wait=_make_wait(stream) if is_input else None,
        )


def _find_columns(lines: Iterable[str]) -> list[str]:
    """Return the keys of all objects on these lines, in the order in which they are met."""
    found: dict[str, None] = {}
    for line in lines:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(row, dict):
            found.update(dict.fromkeys(row))
    return list(found)


def _read_items(
    reader: RowReader, name: str, blocks: Iterable[list[str]], *, is_input: bool
) -> Generator[list[Item]]:
    number = 0
    try:
        for block in blocks:
            numbered = enumerate(block, start=number + 1)
            items = [_read_line(reader, at, line, is_input=is_input) for at, line in numbered]
            number += len(block)
            yield reader.check([item for item in items if item is not None])
    except DAMAGES as exc:
        yield [make_rest(name, f"line {number}", exc)]


def _read_line(reader: RowReader, number: int, line: str, *, is_input: bool) -> Item | None:
    line = line.removesuffix("\r")
    start = line.lstrip()
    if not start:
        return None
    if len(line) > MAX_LINE:
        return reader.refuse(f"line {number}", TOO_LONG)
    is_location = is_input and not start.startswith("{")
    if not is_text(line) and (not is_location or is_url(line)):  # a file's name may be no UTF-8
        return reader.refuse(f"line {number}", NOT_TEXT)
    if is_location:
        return reader.make_of_location(number, line)
    try:
        return reader.make(number, _parse(line))
    except ValueError as exc:
        return reader.refuse(f"line {number}", str(exc))


def _parse(line: str) -> dict[str, object]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise ValueError(f"it is not JSON: {exc}") from exc
    if not isinstance(row, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - the line is wrong, not the call
    return row


def _make_wait(stream: BinaryIO) -> Callable[[], Awaitable[None]] | None:
    """Return what waits for a pipe or terminal without a thread, which a Ctrl-C could not end."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return None
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor):
        return partial(anyio.wait_readable, descriptor)
    return None
