"""What goes wrong with result files."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..._errors import LivenessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SinkError(LivenessError):
    """A result file cannot be written. What was in its place before is as it was.

    Attributes:
        path: The result file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be written: {reason}; what was there before is as it was")
        self.path = path


class ResultsError(LivenessError):
    """A file of results cannot be read back: it is missing, damaged, or holds something else.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be read as results: {reason}")
        self.path = path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a SinkError of the result file."""
    try:
        yield
    except OSError as error:
        raise SinkError(path, _describe(error, path)) from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a ResultsError of the file."""
    try:
        yield
    except OSError as error:
        raise ResultsError(path, _describe(error, path)) from error


def _describe(error: OSError, path: Path) -> str:
    reason = error.strerror or str(error)
    is_elsewhere = isinstance(error.filename, str) and error.filename != str(path)
    return f"{reason} ({error.filename})" if is_elsewhere else reason
