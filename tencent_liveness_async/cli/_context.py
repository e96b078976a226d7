"""What a command gets from outside, and what it gives back."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

PROGRAM = "tencent-liveness"
ENDPOINT_VARIABLE = "TENCENT_LIVENESS_ENDPOINT"


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
    """Ctrl-C, SIGTERM or SIGHUP."""


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
        """Write one line to stderr, marked as the program's own; it is dropped if nobody reads."""
        with suppress(OSError):
            self.stderr.write(fit_encoding(f"{PROGRAM}: {make_printable(message)}\n", self.stderr))
            self.stderr.flush()

    def open_stdout(self) -> Console:
        """Return a console that lays out tables on stdout."""
        from ._console import open_console

        return open_console(
            self.stdout, self.environment, is_terminal=self.is_stdout_terminal, is_optional=False
        )

    def open_stderr(self) -> Console:
        """Return a console for the live line on stderr."""
        from ._console import open_console

        return open_console(
            self.stderr, self.environment, is_terminal=self.is_stderr_terminal, is_optional=True
        )


def count_noun(count: int, noun: str) -> str:
    """Return a number and what it counts: 1 outcome, 1,200 outcomes."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def make_printable(text: str) -> str:
    """Return `text` on one line and without anything that a terminal would obey or refuse.

    File names and the service's messages may hold line breaks, escape sequences and undecodable bytes.
    """
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def fit_encoding(text: str, stream: TextIO) -> str:
    """Return `text` with a question mark for each sign that the stream's encoding does not have."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
