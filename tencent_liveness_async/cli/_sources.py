"""From the command line's sources to photos, without ever holding them all."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, replace
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

MAX_NAMED = 5
"""Missing sources that are named."""


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
        is_exhausted: Whether these are all.

    Raises:
        CommandError: Some of them do not exist or cannot be read.
    """

    def __init__(self, names: Sequence[str], *, warn: Callable[[str], None]) -> None:
        self._names = names
        self._warn = warn
        self._folders = _check_names(names)
        self.is_exhausted = False
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
        self.is_exhausted = True

    def _walk(self, notes: FolderNotes, *, warn: Callable[[str], None]) -> Iterator[Photo]:
        for number, name in enumerate(self._names, start=1):
            if _is_url(name):
                yield _make_url_photo(name, number)
            elif name in self._folders:
                yield from (Photo(path=Path(path)) for path in _walk_folder(name, notes, warn))
            else:
                yield Photo(path=Path(name))


def check_output(path: Path, sources: Sequence[str]) -> None:
    """Look that the output is no folder and none of the photos, before anything is opened.

    Raises:
        CommandError: It is one.
    """
    if path.is_dir():
        raise CommandError(f"the output {path} is a folder; name a file", ExitCode.USAGE)
    for name in sources:
        if not _is_url(name) and _is_photo_of(path, Path(name)):
            raise CommandError(f"the output {path} is one of the photos to score", ExitCode.USAGE)


def _is_url(name: str) -> bool:
    """Say whether the service downloads it."""
    return name.lower().startswith(("http://", "https://"))


def _check_names(names: Sequence[str]) -> set[str]:
    """Return those that are folders.

    Raises:
        CommandError: Files or folders are not there, or may not be read; the first of them are named.
    """
    folders, missing = set(), []
    for name in dict.fromkeys(names):
        try:
            if not _is_url(name) and _is_folder(name):
                folders.add(name)
        except (OSError, ValueError) as error:
            missing.append(f"{name}: {getattr(error, 'strerror', None) or error}")
    if missing:
        more = f"; {len(missing) - MAX_NAMED:,} more" if len(missing) > MAX_NAMED else ""
        named = "; ".join(missing[:MAX_NAMED])
        raise CommandError(f"{named}{more}; nothing was sent", ExitCode.NOT_FOUND)
    return folders


def _is_photo_of(path: Path, source: Path) -> bool:
    if source.is_dir():
        is_inside = source.resolve() in path.resolve().parents
        return is_inside and path.suffix.lower() in PHOTO_SUFFIXES
    return path.exists() and path.samefile(source)


def _is_folder(name: str) -> bool:
    """Say whether it is a folder; an OSError or ValueError says that it cannot be read."""
    is_folder = stat.S_ISDIR(Path(name).stat().st_mode)
    if is_folder:
        os.scandir(name).close()
    elif not os.access(name, os.R_OK):
        raise PermissionError(errno.EACCES, "Permission denied")
    return is_folder


def _make_url_photo(url: str, number: int) -> Photo:
    """Make a photo of a URL. Its query may be a signature, so its place stands for it where it is shown."""
    photo = Photo(url=url)
    return replace(photo, id=f"{photo.name}?... (source {number})") if "?" in url else photo


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
