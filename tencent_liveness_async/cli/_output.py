"""Where the lines of a run go: a file of its own, stdout, or nowhere."""

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
        raise CommandError(f"{path} cannot be written: {error.strerror}", ExitCode.OTHER) from error
    try:
        with stream:
            yield stream
    finally:
        if not is_forced and _is_empty(path):
            path.unlink()


def clear_output(stream: TextIO) -> None:
    """Empty the file, if it is one: from here on it is the new run's."""
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.truncate(0)


def _is_empty(path: Path) -> bool:
    with suppress(FileNotFoundError):  # someone may have moved it away
        return not path.stat().st_size
    return False
