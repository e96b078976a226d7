"""A file that grows under another name until it is whole."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ._errors import SinkError, writing

if TYPE_CHECKING:
    from pathlib import Path


class PartialFile:
    """Takes chunks of bytes under the name `TARGET.partial`, each whole or not at all.

    Nothing waits in a buffer of this process, so what was taken survives its death. A chunk that is being
    written when the process is killed may be cut short.

    Args:
        target: The file to be. One that is there stays as it is until `put_in_place`; an old partial one is
            replaced at once.

    Raises:
        SinkError: The folder is missing, cannot be written to, or the target is a folder.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._partial = name_partial(target)
        self._error: SinkError | None = None
        self._size = 0
        refuse_folder(target)
        with writing(target):
            self._file = self._partial.open("wb", buffering=0)

    def append(self, chunk: bytes) -> None:
        """Write a chunk.

        Raises:
            SinkError: It does not fit, or the file broke before. A chunk taken in part is cut off.
        """
        self._raise_earlier()
        try:
            with writing(self._target):
                _write_all(self._file.fileno(), chunk)
        except SinkError as error:
            self._error = error
            with suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(chunk)

    def put_in_place(self) -> None:
        """Make the file durable and give it the target's name.

        Raises:
            SinkError: It cannot, or the file broke before; the target is as it was.
        """
        self._raise_earlier()
        with writing(self._target):
            os.fsync(self._file.fileno())
            self._file.close()
            replace(self._partial, self._target)

    def abandon(self) -> None:
        """Close the file and leave it under its other name. After `put_in_place` it does nothing."""
        with suppress(OSError):
            self._file.close()

    def _raise_earlier(self) -> None:
        if self._error is not None:
            raise self._error


def name_partial(target: Path) -> Path:
    """Return the name that a file has until it is whole."""
    return target.with_name(f"{target.name}.partial")


def refuse_folder(target: Path) -> None:
    """Find out before the run, not at its end, that a folder is in the way.

    Raises:
        SinkError: The target is a folder.
    """
    if target.is_dir():
        raise SinkError(target, "it is a folder")


def replace(partial: Path, target: Path) -> None:
    """Give a whole and durable file its name, and make the name durable where the file system can.

    Raises:
        OSError: The target is as it was.
    """
    partial.replace(target)
    # The results are in place. Should the power fail before the folder is durable, the same bytes are there
    # under the other name, so a file system that cannot do it is no reason to fail.
    with suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_all(number: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(number, rest) :]
