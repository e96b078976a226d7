"""Large photos as request bodies that are read, encoded, hashed and sent in chunks.

A photo is never held whole: it is hashed once from an open descriptor, in a thread, and read again for
every attempt. A chunk has 96 KiB, 128 KiB in Base64; it is what a body costs in memory, and the most
that a write hands to TLS at once.
"""

from __future__ import annotations

import errno
import os
import stat
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import anyio.to_thread

from ._errors import PhotoChangedError, PhotoRejectedError, PhotoUnreadableError
from ._protocol.body import RequestBody, encode_chunk, frame_image
from ._protocol.limits import check_encoded_size, check_photo, compute_encoded_size
from ._protocol.signing import UNSIGNED_PAYLOAD_SHA256

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CHUNK_BYTES = 96 * 1024
"""A multiple of 3, so that the encoded chunks of a photo join without padding."""
_HEADER_BYTES = 256 * 1024
"""The first bytes are enough for the checks; few photos have more before their frame header."""
_READ_NOW = getattr(os, "RWF_NOWAIT", None)


class PhotoContent(Protocol):
    """A photo's bytes, to be read as often as needed."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, size: int) -> bytes | memoryview:
        """Return exactly so many bytes; may wait for a disk. Raises PhotoChangedError."""

    def read_now(self, offset: int, size: int) -> bytes | bytearray | memoryview | None:
        """Return so many bytes if that takes no waiting, else None."""

    def check_unchanged(self) -> None:
        """Raise PhotoChangedError if the bytes may be others than at first."""

    def close(self) -> None:
        """Let go of the photo."""


class PhotoBytes:
    """A photo in memory; it is not copied."""

    def __init__(self, data: bytes) -> None:
        self._view = memoryview(data)

    @property
    def size(self) -> int:
        return len(self._view)

    def read(self, offset: int, size: int) -> memoryview:
        return self._view[offset : offset + size]

    read_now = read

    def check_unchanged(self) -> None:
        """Bytes do not change."""

    def close(self) -> None:
        self._view.release()


class PhotoFile:
    """A photo's file, held open, and the promise that it does not change meanwhile.

    Raises:
        PhotoUnreadableError: It is missing, no regular file, or cannot be opened.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        self._name = name
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as exc:
            raise _unreadable(name, exc) from exc
        self._status = os.fstat(self._descriptor)
        if not stat.S_ISREG(self._status.st_mode):
            self.close()
            raise PhotoUnreadableError(f"{name} cannot be read: it is not a regular file")

    @property
    def size(self) -> int:
        return self._status.st_size

    def read(self, offset: int, size: int) -> bytes:
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as exc:
            raise _unreadable(self._name, exc) from exc
        if len(data) != size:
            raise self._changed()
        return data

    def read_now(self, offset: int, size: int) -> bytearray | None:
        """Read from the page cache, which costs a tenth of handing the read to a thread."""
        if _READ_NOW is None:
            return None
        buffer = bytearray(size)
        try:
            count = os.preadv(self._descriptor, [buffer], offset, _READ_NOW)
        except OSError:  # not in the cache, or a file system that does not know the flag
            return None
        return buffer if count == size else None

    def check_unchanged(self) -> None:
        now, before = os.fstat(self._descriptor), self._status
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise self._changed()

    def close(self) -> None:
        os.close(self._descriptor)

    def _changed(self) -> PhotoChangedError:
        return PhotoChangedError(f"{self._name} was changed while it was being sent; score it again")


class PhotoBody:
    """A photo's body as an async iterable of chunks, new for every attempt.

    Args:
        content: The photo.
        name: How messages call it.
        model_version: The face model that shall judge; None leaves it to the service.
    """

    def __init__(self, content: PhotoContent, *, name: str, model_version: str | None) -> None:
        self._content = content
        self._name = name
        self._prefix, self._suffix = frame_image(model_version)

    def prepare(self, *, is_signed: bool) -> RequestBody:
        """Check the photo's limits and hash the body; for a thread.

        Raises:
            PhotoError: It breaks a limit, or cannot be read.
        """
        self._check()
        content_length = len(self._prefix) + compute_encoded_size(self._content.size) + len(self._suffix)
        return RequestBody(self, content_length, self._hash() if is_signed else UNSIGNED_PAYLOAD_SHA256)

    def close(self) -> None:
        """Let go of the photo."""
        self._content.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the body in chunks.

        Raises:
            PhotoChangedError: Before the last chunk, so that a body whose hash is wrong is never whole.
        """
        content = self._content
        for offset, size in self._chunks():
            data = content.read_now(offset, size)
            if data is None:
                data = await anyio.to_thread.run_sync(content.read, offset, size)
            chunk = encode_chunk(data)
            if offset == 0:
                chunk = self._prefix + chunk
            if offset + size == content.size:
                content.check_unchanged()
                chunk += self._suffix
            yield chunk

    def _chunks(self) -> list[tuple[int, int]]:
        size = self._content.size
        return [(offset, min(CHUNK_BYTES, size - offset)) for offset in range(0, size, CHUNK_BYTES)]

    def _check(self) -> None:
        size, name = self._content.size, self._name
        check_encoded_size(size, name=name)
        header = bytes(self._content.read(0, min(size, _HEADER_BYTES)))
        try:
            check_photo(header, size=size, name=name)
        except PhotoRejectedError as error:
            if error.rule != "header" or len(header) == size:
                raise
            check_photo(bytes(self._content.read(0, size)), name=name)

    def _hash(self) -> str:
        digest = sha256(self._prefix)
        for offset, size in self._chunks():
            digest.update(encode_chunk(self._content.read(offset, size)))
        digest.update(self._suffix)
        self._content.check_unchanged()
        return digest.hexdigest()


def _unreadable(name: str, exc: OSError | ValueError) -> PhotoUnreadableError:
    reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    if isinstance(exc, OSError) and exc.errno == errno.ENAMETOOLONG:
        reason += "; is it the photo in Base64? Decode it and pass the bytes"
    return PhotoUnreadableError(f"{name} cannot be read: {reason}")
