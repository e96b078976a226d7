"""Tar and zip archives, read where they are."""

from __future__ import annotations

import tarfile
import zlib
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

import anyio
import anyio.to_thread

from ..._errors import PhotoUnreadableError
from .._records import Item
from ._batches import BatchedSource, HeldBytes, batch_items, check_size, end_with_error, make_unreadable
from ._lines import open_binary
from ._names import clean_name, describe_version
from ._rows import FirstPlaces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zipfile import ZipInfo

    from ._names import Selection

_ZIP_READERS = 4
"""Threads that unpack members of a zip archive at once."""
_ENCRYPTED = 1
_ZIP_DAMAGES = (BadZipFile, OSError, EOFError, zlib.error, NotImplementedError)


def open_tar(path: str, selection: Selection) -> BatchedSource:
    """Open a tar archive, compressed or not. It is read forwards once, its photos with their batch.

    Raises:
        tarfile.TarError: It is no tar archive.
        OSError: The file cannot be read.
    """
    with ExitStack() as resources:
        # Not with "r|gz", which unpacks 10 MB at once and takes a cut-off file for a whole one.
        stream = resources.enter_context(open_binary(path))
        archive = resources.enter_context(tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member))
        first = FirstPlaces()
        resources.callback(first.close)
        items = _read_tar(path, archive, selection, first)
        return BatchedSource(path, batch_items(end_with_error(items, path)), resources=resources.pop_all())


def open_zip(path: str, selection: Selection) -> BatchedSource:
    """Open a zip archive. Its directory is held, about 0.6 KB a member; a photo is read in its turn.

    Raises:
        BadZipFile: It is no zip archive.
        OSError: The file cannot be read.
    """
    with ExitStack() as resources:
        archive = resources.enter_context(ZipFile(path))
        items = _list_zip(path, archive, selection)
        return BatchedSource(path, batch_items(items), resources=resources.pop_all())


class _Member(tarfile.TarInfo):
    """A member whose header is whole: the standard library takes a broken one for the archive's end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as exc:
            if type(exc).__name__ == "EOFHeaderError":
                raise
            raise tarfile.ReadError(f"it is damaged or cut off ({exc})") from exc


def _read_tar(
    path: str, archive: tarfile.TarFile, selection: Selection, first: FirstPlaces
) -> Iterator[Item]:
    version = describe_version(path)
    number = 0
    while (member := archive.next()) is not None:
        vars(archive)["members"].clear()  # where it would keep all of them
        number += 1
        name = clean_name(member.name.removeprefix("./"))
        if member.isdir() or not selection.takes(name):
            continue
        source = f"{path}!{name}"
        if first.note(name, number) != number:
            yield make_unreadable(f"{name} (member {number})", source, "an earlier member has the same name")
        elif member.issym() or member.islnk():
            yield make_unreadable(name, source, f"it is a link to {clean_name(member.linkname)}")
        elif reason := check_size(member.size):
            yield make_unreadable(name, source, reason)
        elif stream := archive.extractfile(member):
            load = HeldBytes(stream.read())
            yield Item(id=name, source=source, load=load, version=f"{version}:{member.offset}")


def _list_zip(path: str, archive: ZipFile, selection: Selection) -> Iterator[Item]:
    limiter = anyio.CapacityLimiter(_ZIP_READERS)
    for number, member in enumerate(archive.infolist(), start=1):
        name = clean_name(member.filename.removeprefix("./"))
        if member.is_dir() or not selection.takes(name):
            continue
        source = f"{path}!{name}"
        if archive.getinfo(member.filename) is not member:
            yield make_unreadable(f"{name} (member {number})", source, "a later member has the same name")
        elif member.flag_bits & _ENCRYPTED:
            yield make_unreadable(name, source, "it is encrypted; unpack the archive with its password")
        elif reason := check_size(member.file_size):
            yield make_unreadable(name, source, reason)
        else:
            load = partial(_load, archive, member, source, limiter)
            version = f"{member.file_size}:{member.CRC:08x}"
            yield Item(id=name, source=source, load=load, version=version)


async def _load(archive: ZipFile, member: ZipInfo, source: str, limiter: anyio.CapacityLimiter) -> bytes:
    try:
        return await anyio.to_thread.run_sync(archive.read, member, limiter=limiter)
    except _ZIP_DAMAGES as exc:
        raise PhotoUnreadableError(f"{source} cannot be read: {exc}") from exc
