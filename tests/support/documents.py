"""Documents as tests: their programs are saved, their commands are run, their output is compared."""

from __future__ import annotations

import doctest
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_DONE = "~~~ done ~~~"


@dataclass(frozen=True)
class Program:
    """A block of Python that begins with its file's name as a comment."""

    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command and the output that the document shows; `...` stands for anything."""

    text: str
    output: str


def read_document(text: str) -> Iterator[Program | Command]:
    """Yield the programs and the commands of a document, in order."""
    for language, block in _BLOCK.findall(text):
        if language == "python":
            yield Program(block.partition("\n")[0].removeprefix("# "), block)
        elif language == "console":
            yield from _read_console(block)


def _read_console(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        length = next(
            (number for number, line in enumerate(lines) if number and line[:2] != "> "), len(lines)
        )
        command = "".join(line.removeprefix("> ") for line in lines[:length])
        yield Command(command, "".join(lines[length:]))


def is_as_shown(shown: str, found: str) -> bool:
    """Compare what a document shows with what came; `...` matches anything, and white space is folded."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(shown, found, flags)


class Shell:
    """A shell that a reader would type a document's commands into."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._write("set -m\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate("kill $(jobs -p) 2>/dev/null\nwait\n")

    def run(self, command: Command) -> str:
        """Run a command and return what it printed; of one in the background, until it listens."""
        is_background = command.text.rstrip().endswith("&")
        last = "listening on" if is_background else _DONE
        quiet = command.text.rstrip().removesuffix("&") + "2>/dev/null &\n"  # what it says later is not shown
        self._write(quiet if is_background else f"{command.text}\necho '{_DONE}'\n")
        return "".join(line for line in self._read_until(last) if _DONE not in line)

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _read_until(self, last: str) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line
            if last in line:
                return
