"""What a command gets from outside, and what it gives back."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

PROGRAM = "tencent-liveness"
ENDPOINT_VARIABLE = "TENCENT_LIVENESS_ENDPOINT"
PIPE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe: wide enough for most paths."""


class ExitCode(IntEnum):
    """How the program ended."""

    OK = 0
    """All was done; every photo has a score."""
    OTHER = 1
    """Anything not named below."""
    USAGE = 2
    """The command line, or a file that says how to run, is wrong."""
    NOT_FOUND = 3
    """A source is missing or cannot be read, or has no photos."""
    SOME_FAILED = 4
    """Some photos, or all, have no score."""
    ACCOUNT = 7
    """The account, the key or the service's settings are at fault: every call would fail."""
    INTERRUPTED = 130
    """Ctrl-C."""


class CommandError(Exception):
    """A command cannot go on. Its text is the one line that the person sees."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Context:
    """The streams and the environment of one run of the program.

    Attributes:
        stdin: Not read by any command so far.
        stdout: Results.
        stderr: All that is not a result.
        environment: The variables.
        is_stdout_terminal: Whether a person reads stdout.
        is_stderr_terminal: Whether a person reads stderr.
    """

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environment: Mapping[str, str]
    is_stdout_terminal: bool = False
    is_stderr_terminal: bool = False

    @classmethod
    def of_process(cls) -> Context:
        """Return the process's own streams and environment."""
        return cls(
            stdin=sys.stdin,
            stdout=sys.stdout,
            stderr=sys.stderr,
            environment=os.environ,
            is_stdout_terminal=sys.stdout.isatty(),
            is_stderr_terminal=sys.stderr.isatty(),
        )

    def say(self, message: str) -> None:
        """Write one line to stderr, marked as the program's own."""
        self.stderr.write(fit_encoding(f"{PROGRAM}: {make_printable(message)}\n", self.stderr))
        self.stderr.flush()

    def open_stdout(self) -> Console:
        """Return a console that lays out tables on stdout."""
        return self._open(self.stdout, is_terminal=self.is_stdout_terminal)

    def open_stderr(self) -> Console:
        """Return a console for the live line on stderr."""
        return self._open(self.stderr, is_terminal=self.is_stderr_terminal)

    def _open(self, stream: TextIO, *, is_terminal: bool) -> Console:
        from rich.console import Console

        columns = self.environment.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() and int(columns) else None
        if width is None and not is_terminal:
            width = PIPE_WIDTH
        return Console(
            file=stream,
            force_terminal=is_terminal,
            no_color=bool(self.environment.get("NO_COLOR")),
            width=width,
            highlight=False,
            markup=False,
            emoji=False,
        )


def make_printable(text: str) -> str:
    """Return `text` on one line and without anything that a terminal would obey or refuse.

    File names and the service's messages may hold line breaks, escape sequences and undecodable bytes.
    """
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def fit_encoding(text: str, stream: TextIO) -> str:
    """Return `text` with a question mark for each sign that the stream's encoding does not have."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
