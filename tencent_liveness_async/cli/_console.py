"""Where tables are laid out: a console that breaks as any stream does, and leaves no trailing blanks."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from ._context import fit_encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

PIPE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe: wide enough for most paths."""

_TRAILING_BLANKS = re.compile(r" +(?=\n)")


class _Console(Console):
    """A console whose broken pipe is an error like others; rich's own ends the program without a word."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class _Stream:
    """A text stream in its own encoding.

    Args:
        stream: Where the text goes.
        is_trimmed: Whether blanks at the ends of lines are left out.
        is_optional: Whether it does no harm if the text gets nowhere.
    """

    def __init__(self, stream: TextIO, *, is_trimmed: bool, is_optional: bool) -> None:
        self._stream = stream
        self._is_trimmed = is_trimmed
        self._errors = (OSError,) if is_optional else ()
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        kept = _TRAILING_BLANKS.sub("", text) if self._is_trimmed else text
        with suppress(*self._errors):
            self._stream.write(fit_encoding(kept, self._stream))
        return len(text)

    def flush(self) -> None:
        with suppress(*self._errors):
            self._stream.flush()


def open_console(
    stream: TextIO, environment: Mapping[str, str], *, is_terminal: bool, is_optional: bool
) -> Console:
    """Return a console on `stream`, as wide as COLUMNS, the terminal or `PIPE_WIDTH` says."""
    columns = environment.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) else None
    if width is None and not is_terminal:
        width = PIPE_WIDTH
    return _Console(
        file=_Stream(stream, is_trimmed=not is_terminal, is_optional=is_optional),  # type: ignore[arg-type]
        force_terminal=is_terminal,
        no_color=bool(environment.get("NO_COLOR")),
        width=width,
        highlight=False,
        markup=False,
        emoji=False,
    )
