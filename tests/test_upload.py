from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from tencent_liveness_async._errors import PhotoChangedError, PhotoRejectedError, PhotoUnreadableError
from tencent_liveness_async._protocol.body import build_image_body
from tencent_liveness_async._upload import (
    CHUNK_BYTES,
    PhotoBody,
    PhotoBytes,
    PhotoContent,
    PhotoFile,
    Uploads,
)

if TYPE_CHECKING:
    from collections.abc import Callable

JPEG = bytes.fromhex("ffd8ffc0000b080140014003011100") + b"\xff\xda"
"""The header of a JPEG of 320 x 320 pixels; what follows is picture data to every check of ours."""
SIZES = [len(JPEG), 65_537, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3_700_000]


def make_photo(size: int) -> bytes:
    """Return a photo of that many bytes, no two chunks of which are equal."""
    filling = b"".join(sha256(number.to_bytes(4)).digest() for number in range(size // 32 + 1))
    return (JPEG + filling)[:size]


def open_bytes(data: bytes, _: Path) -> PhotoBytes:
    """Hold a photo in memory."""
    return PhotoBytes(data)


def open_file(data: bytes, folder: Path) -> PhotoFile:
    """Hold a photo in a file."""
    path = folder / "photo.jpg"
    path.write_bytes(data)
    return PhotoFile(path, name="photo.jpg")


def make_body(content: PhotoContent, *, model_version: str | None = None) -> PhotoBody:
    """Make a body that shares the loop with no other."""
    return PhotoBody(content, Uploads(), name="photo.jpg", model_version=model_version)


def read_all(body: PhotoBody) -> list[bytes]:
    """Return the chunks of a body."""

    async def collect() -> list[bytes]:
        return [chunk async for chunk in body]

    return anyio.run(collect)


@pytest.mark.parametrize("open_photo", [open_bytes, open_file])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("version", [None, "3.0"])
def test_chunks_are_the_whole_body(
    open_photo: Callable[[bytes, Path], PhotoBytes | PhotoFile],
    size: int,
    version: str | None,
    tmp_path: Path,
) -> None:
    """In chunks a body has the same bytes, length and hash as whole, each time it is sent."""
    data = make_photo(size)
    whole = build_image_body(data, model_version=version)
    body = make_body(open_photo(data, tmp_path), model_version=version)
    prepared = body.prepare(is_signed=True)
    for _ in range(2):
        chunks = read_all(body)
        assert b"".join(chunks) == whole.content
        assert max(map(len, chunks)) <= CHUNK_BYTES * 4 // 3 + 100
    assert (prepared.content_length, prepared.sha256) == (whole.content_length, whole.sha256)
    body.close()


def test_an_unsigned_body_is_not_hashed(tmp_path: Path) -> None:
    """Without a signed payload the body carries the hash of UNSIGNED-PAYLOAD."""
    body = make_body(open_file(make_photo(200_000), tmp_path))
    assert body.prepare(is_signed=False).sha256 == build_image_body(b"", is_signed=False).sha256
    body.close()


def test_a_file_that_cannot_be_read_from_the_cache_is_read_in_a_thread(tmp_path: Path) -> None:
    """Where reading would wait for a disk, a thread waits."""

    class Cold(PhotoFile):
        def read_now(self, offset: int, size: int) -> None:
            """Have nothing in the cache."""

    data, path = make_photo(300_000), tmp_path / "photo.jpg"
    path.write_bytes(data)
    body = make_body(Cold(path, name="photo"))
    body.prepare(is_signed=True)
    sent = json.loads(b"".join(read_all(body)))
    assert base64.b64decode(sent["Image"]) == data
    body.close()


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(150_000)
        file.write(b"other")


def _cut(path: Path) -> None:
    os.truncate(path, 120_000)


@pytest.mark.parametrize("change", [_append, _overwrite, _cut])
def test_a_file_that_changes_is_never_sent_whole(change: Callable[[Path], None], tmp_path: Path) -> None:
    """A file that grows, shrinks or is rewritten after hashing is an error before its last chunk."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(make_photo(300_000))
    body = make_body(PhotoFile(path, name="photo.jpg"))
    content_length = body.prepare(is_signed=True).content_length
    change(path)
    sent: list[bytes] = []

    async def send() -> None:
        async for chunk in body:
            sent.append(chunk)  # noqa: PERF401 - kept when the body breaks off

    with pytest.raises(PhotoChangedError, match=r"photo\.jpg was changed"):
        anyio.run(send)
    assert sum(map(len, sent)) < content_length
    body.close()


def test_a_file_that_is_replaced_is_sent_as_it_was(tmp_path: Path) -> None:
    """A new file under the old name does not change the one that is open."""
    data, path = make_photo(200_000), tmp_path / "photo.jpg"
    path.write_bytes(data)
    body = make_body(PhotoFile(path, name="photo"))
    body.prepare(is_signed=True)
    other = tmp_path / "other.jpg"
    other.write_bytes(make_photo(100_000))
    other.replace(path)
    assert base64.b64decode(json.loads(b"".join(read_all(body)))["Image"]) == data
    body.close()


def test_a_long_header_is_read_on(tmp_path: Path) -> None:
    """A JPEG whose frame header stands behind 300 KB of other segments is not refused for it."""
    segments = b"\xff\xe2\xff\xff" + bytes(65_533)
    data = b"\xff\xd8" + segments * 5 + JPEG[2:] + bytes(100)
    body = make_body(open_file(data, tmp_path))
    assert body.prepare(is_signed=True).content_length > len(data)
    body.close()


def test_a_wrong_header_is_refused(tmp_path: Path) -> None:
    """A large photo is checked like a small one."""
    for data in (b"GIF89a" + bytes(200_000), b"\xff\xd8\xff\xda" + bytes(400_000)):
        content = open_file(data, tmp_path)
        with pytest.raises(PhotoRejectedError):
            make_body(content).prepare(is_signed=True)
        content.close()


def test_what_is_no_file_is_unreadable(tmp_path: Path) -> None:
    """A folder and a pipe are refused at once, without waiting for a writer."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(PhotoUnreadableError, match="not a regular file"):
            PhotoFile(path, name="photo")


def test_reading_that_fails_is_unreadable(tmp_path: Path) -> None:
    """A disk error while reading names the photo."""
    content = open_file(make_photo(1000), tmp_path)
    content.close()
    with pytest.raises(PhotoUnreadableError, match=r"photo\.jpg cannot be read: Bad file descriptor"):
        content.read(0, 10)


async def test_a_turn_of_the_loop_has_one_chunk() -> None:
    """However many photos stream, no turn of the event loop reads and encodes more than one chunk."""
    uploads, turn, turns = Uploads(), 0, []

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def send(data: bytes) -> None:
        body = PhotoBody(PhotoBytes(data), uploads, name="photo", model_version=None)
        turns.extend([turn async for _ in body])

    counting = asyncio.ensure_future(count_turns())
    await asyncio.gather(*(send(make_photo(10 * CHUNK_BYTES)) for _ in range(8)))
    counting.cancel()
    assert len(turns) == 80
    assert len(set(turns)) == 80


async def test_a_cancelled_upload_holds_up_no_other() -> None:
    """A body that is cancelled while it waits for its turn gives the turn to the next."""
    uploads = Uploads()
    waiting = [asyncio.ensure_future(uploads.wait_turn()) for _ in range(20)]
    await asyncio.sleep(0)
    for each in waiting[1:10]:
        each.cancel()
    await asyncio.gather(*waiting[10:])
    assert all(each.cancelled() for each in waiting[1:10])


def test_a_photo_that_is_cancelled_while_it_is_opened_leaves_no_descriptor(tmp_path: Path) -> None:
    """A file that a thread has opened for nobody is closed."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(make_photo(300_000))

    async def cancel_at_once() -> None:
        for turns in range(20):
            opening = asyncio.ensure_future(Uploads().open(path, name="photo"))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            del opening

    before = list(Path("/proc/self/fd").iterdir())
    asyncio.run(cancel_at_once())
    gc.collect()
    assert list(Path("/proc/self/fd").iterdir()) == before
