from __future__ import annotations

import io
import tarfile
import tracemalloc
import zipfile
from random import Random
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tencent_liveness_async import PhotoUnreadableError
from tencent_liveness_async.jobs.sources._archives import open_tar
from tencent_liveness_async.jobs.sources._batches import MAX_HELD_BYTES, MAX_PHOTO_BYTES
from tencent_liveness_async.jobs.sources._names import Selection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tencent_liveness_async import LivenessError
    from tencent_liveness_async.jobs._records import Item

    Take: TypeAlias = Callable[..., list[Item]]
    TakePhotos: TypeAlias = Callable[..., tuple[list[Item], list[bytes | LivenessError | None]]]
    Pack: TypeAlias = Callable[[dict[str, bytes]], Path]


def _pack_tar(path: Path, photos: dict[str, bytes]) -> Path:
    with tarfile.open(
        path, "w:gz" if path.name.endswith("gz") else "w", format=tarfile.GNU_FORMAT
    ) as archive:
        for name, data in photos.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def _pack_zip(path: Path, photos: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in photos.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(params=["m.tar", "m.tar.gz", "m.tgz", "m.zip"])
def pack(request: pytest.FixtureRequest, tmp_path: Path) -> Pack:
    """Pack photos into an archive of each kind."""
    make = _pack_zip if request.param.endswith("zip") else _pack_tar
    return lambda photos: make(tmp_path / request.param, photos)


def test_members_are_read_without_unpacking(pack: Pack, take_photos: TakePhotos) -> None:
    """Members are photos by the rules of folders; each knows its archive, and has a version."""
    photos = {"a/1.jpg": b"one", "b.png": b"two" * 1000, f"{'long' * 40}/3.bmp": b""}
    others = {"a/notes.txt": b"x", ".hidden.jpg": b"x", "__MACOSX/._b.png": b"x"}
    archive = pack(photos | others)
    items, loaded = take_photos(archive)
    assert dict(zip([item.id for item in items], loaded, strict=True)) == photos
    assert items[0].source == f"{archive}!a/1.jpg"
    assert len({item.version for item in items} - {""}) == 3


def test_members_are_chosen(pack: Pack, take: Take) -> None:
    """Pattern and recursion hold in archives; a leading `./` is no part of a name."""
    archive = pack({"./1.dat": b"1", "./a/2.dat": b"2", "3.jpg": b"3"})
    assert [item.id for item in take(archive, pattern="*.dat")] == ["1.dat", "a/2.dat"]
    assert [item.id for item in take(archive, pattern="*.dat", is_recursive=False)] == ["1.dat"]


def test_large_member_is_not_read(pack: Pack, take_photos: TakePhotos) -> None:
    """A member over 10 MB is an outcome that costs no memory; the next one is read."""
    archive = pack({"1.jpg": bytes(MAX_PHOTO_BYTES + 1), "2.jpg": b"two"})
    tracemalloc.start()
    _, (error, photo) = take_photos(archive)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(error, PhotoUnreadableError)
    assert "10,485,761 bytes and is not read" in str(error)
    assert photo == b"two"
    assert peak < MAX_PHOTO_BYTES / 4


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_told_apart(tmp_path: Path, take: Take) -> None:
    """Of members with one name one is read and the others are outcomes, so that ids differ."""
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as archive:
        archive.writestr("a.jpg", b"1")
        archive.writestr("a.jpg", b"2")
    with tarfile.open(tmp_path / "m.tar", "w") as packed:
        for _ in range(2):
            packed.addfile(tarfile.TarInfo("a.jpg"))
    for name in ("m.zip", "m.tar"):
        items = take(tmp_path / name)
        assert len({item.id for item in items}) == 2
        assert [item.id for item in items if item.error is None] == ["a.jpg"]


def test_links_in_a_tar_are_outcomes(tmp_path: Path, take: Take) -> None:
    """A link cannot be followed in an archive that is read forwards, and is not lost."""
    with tarfile.open(tmp_path / "m.tar", "w") as packed:
        packed.addfile(tarfile.TarInfo("a.jpg"))
        for name, kind in (("b.jpg", tarfile.LNKTYPE), ("c.jpg", tarfile.SYMTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "a.jpg"
            packed.addfile(link)
    items = take(tmp_path / "m.tar")
    assert [str(item.error).partition(": ")[2] for item in items[1:]] == ["it is a link to a.jpg"] * 2


@pytest.mark.parametrize("name", ["m.tar", "m.tgz"])
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_cut_tar_is_told(name: str, kept: float, tmp_path: Path, take_photos: TakePhotos) -> None:
    """Where a tar archive is cut off, an outcome stands for the rest; what came before is read."""
    photos = {f"{number}.jpg": Random(number).randbytes(5000) for number in range(100)}
    archive = _pack_tar(tmp_path / name, photos)
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * kept)])
    items, loaded = take_photos(archive)
    assert loaded[:-1] == list(photos.values())[: len(items) - 1]
    assert len(items) > 20
    assert f"{archive} cannot be read beyond {items[-2].id}" in str(loaded[-1])


def test_every_cut_of_a_tar_is_told(tmp_path: Path, take: Take) -> None:
    """Wherever a tar archive is cut before its end mark, also between members, it is told."""
    archive = _pack_tar(tmp_path / "m.tar", {"1.jpg": b"1", "2.jpg": b"2"})
    whole = archive.read_bytes()
    for length in range(512, 2048 + 1, 256):
        archive.write_bytes(whole[:length])
        *items, rest = take(archive)
        assert rest.id.endswith("(the rest)")
        assert all(item.error is None for item in items)


def test_broken_header_in_a_tar_is_told(tmp_path: Path, take: Take) -> None:
    """A member whose header is damaged is not taken for the end."""
    archive = _pack_tar(tmp_path / "m.tar", {"1.jpg": b"1", "2.jpg": b"2", "3.jpg": b"3"})
    data = bytearray(archive.read_bytes())
    data[1024:1030] = b"broken"
    archive.write_bytes(data)
    first, rest = take(archive)
    assert first.id == "1.jpg"
    assert "cannot be read beyond 1.jpg: it is damaged" in str(rest.error)


def test_damaged_member_of_a_zip_is_an_outcome(tmp_path: Path, take_photos: TakePhotos) -> None:
    """A zip member that is damaged fails when it is loaded; the others are read."""
    photos = {f"{number}.jpg": Random(number).randbytes(5000) for number in range(3)}
    archive = _pack_zip(tmp_path / "m.zip", photos)
    data = bytearray(archive.read_bytes())
    data[7000:7100] = bytes(100)
    archive.write_bytes(data)
    _, loaded = take_photos(archive)
    assert [loaded[0], loaded[2]] == [photos["0.jpg"], photos["2.jpg"]]
    assert isinstance(loaded[1], PhotoUnreadableError)
    assert f"{archive}!1.jpg cannot be read" in str(loaded[1])


def test_encrypted_member_of_a_zip_is_an_outcome(tmp_path: Path, take: Take) -> None:
    """A zip member with a password says so."""
    archive = _pack_zip(tmp_path / "m.zip", {"1.jpg": b"1"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    (item,) = take(archive)
    assert "it is encrypted" in str(item.error)


def test_tar_is_read_no_further_than_a_batch(tmp_path: Path) -> None:
    """Photos of a tar archive are read with their batch, which ends when it holds enough bytes."""
    photo = bytes(4 * 1024 * 1024)
    archive = _pack_tar(tmp_path / "m.tar", {f"{number}.jpg": photo for number in range(24)})
    source = open_tar(str(archive), Selection())
    tracemalloc.start()
    sizes = [len(batch) for batch in source._blocks]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    source._close()
    assert sizes == [8, 8, 8]
    assert peak < 2 * MAX_HELD_BYTES + 3 * len(photo)


def test_members_of_a_tar_are_not_kept(tmp_path: Path) -> None:
    """Memory does not grow with the members of a tar archive."""
    archive = _pack_tar(tmp_path / "m.tar", {f"{number}.jpg": b"" for number in range(6000)})
    source = open_tar(str(archive), Selection())
    next(source._blocks)
    tracemalloc.start()
    assert sum(map(len, source._blocks)) == 5000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    source._close()
    assert peak < 2_500_000
