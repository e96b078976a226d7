"""What a command gets from outside, and what it gives back."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

PROGRAM = "tencent-liveness"
ENDPOINT_VARIABLE = "TENCENT_LIVENESS_ENDPOINT"


class ExitCode(IntEnum):
    """How the program ended."""

    OK = 0
    """All was done: every photo has a score, or was refused as it will always be."""
    OTHER = 1
    """Anything not named below."""
    USAGE = 2
    """The command line, or a file that says how to run, is wrong."""
    NOT_FOUND = 3
    """A source is missing or cannot be read, or has no photos."""
    SOME_FAILED = 4
    """Some photos have no score, and running again will not change that by itself."""
    TEMPORARY = 5
    """What failed may pass: running again may finish the job."""
    TOO_MANY_ERRORS = 6
    """The job was stopped because more photos failed than it was allowed."""
    ACCOUNT = 7
    """The account, the key or the service's settings are at fault: every call would fail."""
    BUDGET = 8
    """The budget of calls or money is used up."""
    NOTHING_TO_DO = 9
    """Every photo was finished before."""
    TIME = 10
    """The time that the job was given is over."""
    INTERRUPTED = 130
    """Ctrl-C, SIGTERM or SIGHUP."""


class CommandError(Exception):
    """A command cannot go on. Its text is the one line that the person sees."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def blaming_usage(*errors: type[Exception]) -> Iterator[None]:
    """Turn errors of the block into wrong use, in their own words."""
    try:
        yield
    except errors as error:
        raise CommandError(str(error), ExitCode.USAGE) from error


@dataclass(frozen=True, slots=True)
class Context:
    """The streams and the environment of one run of the program.

    Attributes:
        stdin: A list of sources, if one is asked for, and a person's answer to a question.
        stdout: Results.
        stderr: All that is not a result.
        environment: The variables.
        is_stdout_terminal: Whether a person reads stdout.
        is_stderr_terminal: Whether a person reads stderr.
        is_stdin_terminal: Whether a person can answer.
        arguments: What stood after the program's name, to tell how to go on.
    """

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environment: Mapping[str, str]
    is_stdout_terminal: bool = False
    is_stderr_terminal: bool = False
    is_stdin_terminal: bool = False
    arguments: tuple[str, ...] = ()

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
            is_stdin_terminal=sys.stdin is not None and sys.stdin.isatty(),
        )

    def say(self, message: str) -> None:
        """Write one line to stderr, marked as the program's own; it is dropped if nobody reads."""
        with suppress(OSError):
            self.stderr.write(fit_encoding(f"{PROGRAM}: {make_printable(message)}\n", self.stderr))
            self.stderr.flush()

    def write(self, text: str) -> None:
        """Write text to stdout, with a question mark for what its encoding lacks."""
        self.stdout.write(fit_encoding(text, self.stdout))

    def ask(self, question: str) -> str:
        """Ask the person at the terminal; return the answer without blanks around it, empty at the end."""
        self.stderr.write(fit_encoding(f"{PROGRAM}: {make_printable(question)} ", self.stderr))
        self.stderr.flush()
        return self.stdin.readline().strip()

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
