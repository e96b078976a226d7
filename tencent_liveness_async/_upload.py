"""Large photos as request bodies that are read, encoded, hashed and sent in chunks.

A photo is never held whole: it is hashed once from an open descriptor, in a thread, and read again for
every attempt. A chunk has 96 KiB, 128 KiB in Base64; it is what a body costs in memory, and the most
that a write hands to TLS at once.

The event loop stays free: a heartbeat beside 16 photos of 3.7 MB is 3 ms late at worst, and was 30 ms late
without the rules of `Uploads` (`python -m benchmarks stalls`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections import deque
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread

from ._errors import PhotoChangedError, PhotoRejectedError, PhotoUnreadableError
from ._protocol.body import RequestBody, encode_chunk, frame_image
from ._protocol.limits import MAX_ENCODED_BYTES, check_encoded_size, check_photo, compute_encoded_size
from ._protocol.signing import UNSIGNED_PAYLOAD_SHA256

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CHUNK_BYTES = 96 * 1024
"""A multiple of 3, so that the encoded chunks of a photo join without padding."""
_HEADER_BYTES = 256 * 1024
"""The first bytes are enough for the checks; few photos have more before their frame header."""
_READERS = 8
"""Threads that wait for a disk; a slow one needs several reads at once for the rate."""
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
        self._descriptor = -1
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

    def load(self) -> None:
        """Wait for the disk, so that nothing later has to."""
        for offset, size in cut(self.size):
            if self.read_now(offset, 1) is None:
                self.read(offset, size)

    def check_unchanged(self) -> None:
        now, before = os.fstat(self._descriptor), self._status
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise self._changed()

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        """Close a file that was opened for a photo whose turn was cancelled meanwhile."""
        self.close()

    def _changed(self) -> PhotoChangedError:
        return PhotoChangedError(f"{self._name} was changed while it was being sent; score it again")


class Uploads:
    """What the large photos of a client share: few threads, and one chunk in each turn of the event loop.

    A thread that hashes competes with the loop for the interpreter and for a processor, and a loop that
    encodes and encrypts a chunk of every photo in one turn is late for everything else.
    """

    def __init__(self) -> None:
        self._readers = anyio.CapacityLimiter(_READERS)
        self._hashers = anyio.CapacityLimiter(max(1, (os.cpu_count() or 1) // 2))
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_turn_taken = False

    async def open(self, path: Path, *, name: str) -> PhotoFile:
        """Open a photo and have it read into the system's cache, in a thread that may wait for a disk.

        Raises:
            PhotoUnreadableError: It cannot be read.
        """
        return await anyio.to_thread.run_sync(_open, path, name, limiter=self._readers)

    async def prepare(self, body: PhotoBody, *, is_signed: bool) -> RequestBody:
        """Check and hash a photo, in a thread.

        Raises:
            PhotoError: It breaks a limit, or cannot be read.
        """
        prepare = partial(body.prepare, is_signed=is_signed)
        return await anyio.to_thread.run_sync(prepare, limiter=self._hashers)

    async def wait_turn(self) -> None:
        """Wait for a turn of the loop that no other chunk has, first come, first served."""
        loop = asyncio.get_running_loop()
        if not self._is_turn_taken:
            self._is_turn_taken = True
            loop.call_soon(self._end_turn, loop)
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else whoever waited was cancelled
                turn.set_result(None)
                loop.call_soon(self._end_turn, loop)
                return
        self._is_turn_taken = False


class PhotoBody:
    """A photo's body as an async iterable of chunks, new for every attempt.

    Args:
        content: The photo.
        uploads: What it shares with the other photos of its client.
        name: How messages call it.
        model_version: The face model that shall judge; None leaves it to the service.
    """

    def __init__(
        self, content: PhotoContent, uploads: Uploads, *, name: str, model_version: str | None
    ) -> None:
        self._content = content
        self._uploads = uploads
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
        for offset, size in cut(content.size):
            await self._uploads.wait_turn()
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
        for offset, size in cut(self._content.size):
            digest.update(encode_chunk(self._content.read(offset, size)))
        digest.update(self._suffix)
        self._content.check_unchanged()
        return digest.hexdigest()


def cut(size: int) -> list[tuple[int, int]]:
    """Return the offsets and sizes of a photo's chunks."""
    return [(offset, min(CHUNK_BYTES, size - offset)) for offset in range(0, size, CHUNK_BYTES)]


def _open(path: Path, name: str) -> PhotoFile:
    file = PhotoFile(path, name=name)
    if compute_encoded_size(file.size) <= MAX_ENCODED_BYTES:  # else it will be refused
        file.load()
    return file


def _unreadable(name: str, exc: OSError | ValueError) -> PhotoUnreadableError:
    reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    if isinstance(exc, OSError) and exc.errno == errno.ENAMETOOLONG:
        reason += "; is it the photo in Base64? Decode it and pass the bytes"
    return PhotoUnreadableError(f"{name} cannot be read: {reason}")
