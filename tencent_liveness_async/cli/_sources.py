"""From the command line's sources to photos, without ever holding them all."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from .._models import Photo
from ._context import CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".heic", ".heif", ".avif", ".tif", ".tiff"}
)
"""Files with these are taken from folders: what the API accepts, and pictures that it visibly refuses."""

CHUNK = 256
"""Photos handed from the reading thread to the event loop at a time; a hop for each would cost too much."""


@dataclass(slots=True)
class FolderNotes:
    """What reading the folders has met.

    Attributes:
        skipped: Files that are no pictures by their suffix, and links to folders. Hidden ones do not count.
        unreadable: Folders inside the sources that could not be read.
    """

    skipped: int = 0
    unreadable: int = 0


class Sources:
    """Files, folders and URLs, as photos.

    Args:
        names: As given on the command line.
        warn: Told of folders that cannot be read; called from the reading thread.

    Attributes:
        notes: What reading the folders has met.
        taken: Photos handed out so far.

    Raises:
        CommandError: One of them does not exist or cannot be read.
    """

    def __init__(self, names: Sequence[str], *, warn: Callable[[str], None]) -> None:
        self._names = names
        self._warn = warn
        self._folders = {name for name in names if not _is_url(name) and _check_path(name)}
        self.notes = FolderNotes()
        self.taken = 0

    def count(self, is_stopped: Callable[[], bool]) -> int | None:
        """Count the photos, by reading all folders; None if it was told to stop."""
        found = 0
        for found, _ in enumerate(self._walk(FolderNotes(), warn=lambda _: None), start=1):
            if found % CHUNK == 0 and is_stopped():
                return None
        return found

    async def stream(self) -> AsyncIterator[Photo]:
        """Hand out the photos in order; folders are read in a thread, as far as photos are asked for."""
        photos = self._walk(self.notes, warn=self._warn)
        while chunk := await anyio.to_thread.run_sync(lambda: list(islice(photos, CHUNK))):
            for photo in chunk:
                self.taken += 1
                yield photo

    def _walk(self, notes: FolderNotes, *, warn: Callable[[str], None]) -> Iterator[Photo]:
        for number, name in enumerate(self._names, start=1):
            if _is_url(name):
                yield _make_url_photo(name, number)
            elif name in self._folders:
                yield from (Photo(path=Path(path)) for path in _walk_folder(name, notes, warn))
            else:
                yield Photo(path=Path(name))


def _is_url(name: str) -> bool:
    return name.lower().startswith(("http://", "https://"))


def _check_path(name: str) -> bool:
    """Say whether it is a folder.

    Raises:
        CommandError: It is not there, or may not be read.
    """
    try:
        is_folder = stat.S_ISDIR(Path(name).stat().st_mode)
        if is_folder:
            os.scandir(name).close()
        elif not os.access(name, os.R_OK):
            raise PermissionError(13, "Permission denied")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"{name}: {reason}; nothing was sent", ExitCode.NOT_FOUND) from error
    return is_folder


def _make_url_photo(url: str, number: int) -> Photo:
    """Make a photo of a URL. Its query may be a signature, so its place stands for it where it is shown."""
    address, question_mark, _ = url.partition("?")
    return Photo(url=url, id=f"{address}?... (source {number})" if question_mark else None)


def _walk_folder(folder: str, notes: FolderNotes, warn: Callable[[str], None]) -> Iterator[str]:
    """Yield the paths of pictures in a folder and in those inside it, in the order of their names."""
    for name in _list_folder(folder, notes, warn):
        path = os.path.join(folder, name)  # noqa: PTH118 - a million Path objects cost a second
        if name.endswith("/"):
            yield from _walk_folder(path[:-1], notes, warn)
        elif os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES:  # noqa: PTH122 - as above
            yield path
        else:
            notes.skipped += 1


def _list_folder(folder: str, notes: FolderNotes, warn: Callable[[str], None]) -> list[str]:
    """Return the sorted names in a folder, of folders with a slash: 70 bytes each, a DirEntry takes 300."""
    try:
        with os.scandir(folder) as entries:
            return sorted(_mark_folder(entry) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        notes.unreadable += 1
        warn(f"{folder}: {error.strerror}; its photos are not scored")
        return []


def _mark_folder(entry: os.DirEntry[str]) -> str:
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
