"""Where the lines of a run go: a file of its own, or stdout."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from ._context import CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def open_output(path: Path, *, is_forced: bool) -> Iterator[TextIO]:
    """Open a file for lines. What it had stays until `clear_output`; a new one that gets nothing is removed.

    Raises:
        CommandError: It exists and is not to be overwritten, or cannot be written.
    """
    try:
        stream = path.open("a" if is_forced else "x", encoding="utf-8", newline="\n")
    except FileExistsError:
        raise CommandError(f"{path} exists; --force overwrites it", ExitCode.USAGE) from None
    except OSError as error:
        raise _make_error(path, error) from error
    try:
        yield stream
    finally:
        _close(stream, path)
        if not is_forced and _is_empty(path):
            path.unlink()


def clear_output(stream: TextIO) -> None:
    """Empty the file, if it is one: from here on it is the new run's."""
    if _is_regular(stream):
        stream.truncate(0)


def drop_rest(stream: TextIO, *, kept_bytes: int | None = None) -> None:
    """Let a broken stream forget what it could not write, so that it does not fail again when it is closed.

    Args:
        stream: What is written to it from here on goes nowhere.
        kept_bytes: Where the last whole line in a file ends; the torn one after it is cut off.
    """
    with suppress(OSError):
        number = stream.fileno()
        if kept_bytes is not None and _is_regular(stream):
            os.ftruncate(number, kept_bytes)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def _is_regular(stream: TextIO) -> bool:
    return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


def _close(stream: TextIO, path: Path) -> None:
    try:
        stream.close()
    except OSError as error:
        raise _make_error(path, error) from error


def _make_error(path: Path, error: OSError) -> CommandError:
    return CommandError(f"{path} cannot be written: {error.strerror or error}", ExitCode.OTHER)


def _is_empty(path: Path) -> bool:
    with suppress(FileNotFoundError):  # someone may have moved it away
        return not path.stat().st_size
    return False
