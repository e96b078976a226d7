from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tencent_liveness_async import LivenessError, PhotoUnreadableError
from tencent_liveness_async.jobs.sources import SourceError, open_source
from tencent_liveness_async.jobs.sources._batches import MAX_PHOTO_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from object_server import ObjectServer

    from tencent_liveness_async.jobs._records import Item

    Take: TypeAlias = Callable[..., list[Item]]
    TakePhotos: TypeAlias = Callable[..., tuple[list[Item], list[bytes | LivenessError | None]]]

COS_BUCKET = "photos-1250000000"
COS_HOST = f"{COS_BUCKET}.cos.ap-guangzhou.myqcloud.com"
PHOTOS = {f"2024/{number:04}.jpg": b"photo %d" % number for number in range(2000)}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the machine's own environment says of object stores and proxies."""
    for name in os.environ:
        if name.upper().startswith(("AWS_", "TENCENTCLOUD_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    """Run an S3-compatible server."""
    pytest.importorskip("obstore", reason="needs the extra cos")
    pytest.importorskip("moto.server", reason="needs moto[server]")
    from object_server import serving_objects

    with serving_objects() as serving:
        yield serving


@pytest.fixture
def s3(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """Set the keys for `s3://` and the server's address."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    return server


@pytest.fixture
def cos(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """Set the keys for `cos://`, and the server as the proxy behind which COS is."""
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", "made-up")
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "made-up")
    monkeypatch.setenv("HTTP_PROXY", server.url)
    return server


def test_objects_are_photos(s3: ObjectServer, take_photos: TakePhotos) -> None:
    """Objects below the prefix are photos by the rules of folders, named relative to it."""
    s3.fill(
        "photos", {"a/1.jpg": b"one", "a/b/2.png": b"two", "a/x.txt": b"", "a/.h.jpg": b"", "ab/3.jpg": b""}
    )
    items, loaded = take_photos("s3://photos/a/")
    assert [item.id for item in items] == ["1.jpg", "b/2.png"]
    assert [item.source for item in items] == ["s3://photos/a/1.jpg", "s3://photos/a/b/2.png"]
    assert loaded == [b"one", b"two"]


def test_objects_are_chosen(s3: ObjectServer, take: Take) -> None:
    """Pattern and recursion hold in buckets; without a prefix all of it is read."""
    s3.fill("photos", {"1.dat": b"", "b/2.dat": b"", "3.jpg": b""})
    assert [item.id for item in take("s3://photos", pattern="*.dat")] == ["1.dat", "b/2.dat"]
    assert [item.id for item in take("s3://photos", pattern="*.dat", is_recursive=False)] == ["1.dat"]


def test_version_changes_with_the_object(s3: ObjectServer, take: Take) -> None:
    """An object's version is its ETag."""
    versions = []
    for data in (b"one", b"two"):
        s3.fill("photos", {"1.jpg": data})
        versions += [item.version for item in take("s3://photos")]
    assert len(set(versions)) == 2
    assert all(len(version) == 32 for version in versions)


def test_object_that_changed_since_the_list_is_an_outcome(s3: ObjectServer, take: Take) -> None:
    """An object is read as it was listed: other bytes must not be kept under its version."""
    s3.fill("photos", {"1.jpg": b"one"})
    (item,) = take("s3://photos")
    s3.fill("photos", {"1.jpg": b"two"})

    async def load() -> bytes:
        assert item.load is not None
        return await item.load()

    with pytest.raises(PhotoUnreadableError, match=r"s3://photos/1\.jpg cannot be read"):
        asyncio.run(load())


def test_every_object_is_read_from_a_server_that_fails(cos: ObjectServer, take_photos: TakePhotos) -> None:
    """Of 2,000 objects in COS all are read, though 5 % of reads are refused, reset or cut off.

    Addresses begin with the bucket, the only ones that COS takes; few reads are under way at once.
    """
    cos.fill(COS_BUCKET, PHOTOS)
    cos.fault_every = 20
    source = f"cos://{COS_BUCKET}/2024?region=ap-guangzhou"
    items, loaded = take_photos(source, endpoint=f"http://{COS_HOST}")
    assert dict(zip([item.source for item in items], loaded, strict=True)) == {
        f"cos://{COS_BUCKET}/{key}": data for key, data in PHOTOS.items()
    }
    assert cos.faults >= 100
    assert cos.hosts == {COS_HOST}
    assert cos.most_at_once <= 16


def test_object_that_cannot_be_read_is_an_outcome(s3: ObjectServer, take_photos: TakePhotos) -> None:
    """A read that fails five times is given up, and is not the end."""
    s3.fill("photos", {"1.jpg": b"one", "2.jpg": bytes(MAX_PHOTO_BYTES + 1)})
    s3.is_broken = True
    _, (failed, large) = take_photos("s3://photos")
    assert isinstance(failed, PhotoUnreadableError)
    assert "503" in str(failed)
    assert s3.reads == 5
    assert "bytes and is not read" in str(large)


def test_list_that_breaks_off_ends_the_source(s3: ObjectServer, take: Take) -> None:
    """What is missing of a list is not known, so a page that cannot be had is no outcome of a photo."""
    s3.fill("photos", PHOTOS)
    s3.is_broken = True
    with pytest.raises(SourceError, match=r"listing s3://photos/2024 failed: .*503.*; run again"):
        take("s3://photos/2024")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("cos://photos-1/a", "has no region"),
        ("cos:///a?region=x", "names no bucket"),
        ("cos://me:hush@photos-1/a?region=x", "names no bucket"),
        ("cos://photos-1/a?region=x&secret_key=hush", "names no bucket"),
        ("cos://photos-1/a?region=x", "set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY"),
        ("s3://photos/a", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_what_is_missing_is_named(source: str, reason: str) -> None:
    """A bucket that cannot be asked for is refused without a call, and no secret is shown."""
    pytest.importorskip("obstore", reason="needs the extra cos")
    with pytest.raises(SourceError, match=reason) as caught:
        open_source(source)
    assert "hush" not in str(caught.value)


def test_missing_bucket_is_named(s3: ObjectServer) -> None:
    """A bucket that is not there is found when it is opened."""
    with pytest.raises(SourceError, match=r"s3://gone/ cannot be listed: .*404.*; check bucket"):
        open_source("s3://gone")


def test_keys_of_another_store_are_not_sent(
    cos: ObjectServer, monkeypatch: pytest.MonkeyPatch, take: Take
) -> None:
    """The session token and address of another store in the environment have no part in COS."""
    cos.fill(COS_BUCKET, {"1.jpg": b"one"})
    for name in ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "of-another-store")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TENCENTCLOUD_TOKEN", "its-own")
    (item,) = take(f"cos://{COS_BUCKET}?region=ap-guangzhou", endpoint=f"http://{COS_HOST}")
    assert item.id == "1.jpg"
    assert cos.hosts == {COS_HOST}
    assert cos.tokens == {"its-own"}
