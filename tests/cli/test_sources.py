from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest

from tencent_liveness_async.cli._context import CommandError, ExitCode
from tencent_liveness_async.cli._sources import CHUNK, MAX_NAMED, Sources, check_output

if TYPE_CHECKING:
    from pathlib import Path

    from tencent_liveness_async import Photo


def _collect(sources: Sources) -> list[Photo]:
    async def take() -> list[Photo]:
        return [photo async for photo in sources.stream()]

    return asyncio.run(take())


def _name(sources: Sources) -> list[str]:
    return [photo.name for photo in _collect(sources)]


def _make_files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _make_sources(*names: str | Path, warnings: list[str] | None = None) -> Sources:
    return Sources([str(name) for name in names], warn=(warnings if warnings is not None else []).append)


def test_folders_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    """Folders are read whole and in order, whatever order the file system has."""
    _make_files(tmp_path, "b/2.png", "b/1.JPG", "a/c/1.bmp", "a/0.jpeg", "c.jpg")
    sources = _make_sources(tmp_path)
    expected = ["a/0.jpeg", "a/c/1.bmp", "b/1.JPG", "b/2.png", "c.jpg"]
    assert _name(sources) == [str(tmp_path / name) for name in expected]
    assert sources.taken == sources.count(lambda: False) == 5


def test_refused_pictures_are_taken_and_other_files_counted(tmp_path: Path) -> None:
    """Pictures that the API refuses stay visible; other files are counted; hidden ones are neither."""
    _make_files(tmp_path, "a.gif", "b.webp", "c.heic", "d.heif", "e.avif", "f.tif", "g.tiff")
    _make_files(tmp_path, "notes.txt", "README", ".hidden.jpg", ".git/x.jpg")
    sources = _make_sources(tmp_path)
    assert len(_name(sources)) == 7
    assert (sources.notes.skipped, sources.notes.unreadable) == (2, 0)


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    """A link to a folder cannot make a circle; it is counted as left out."""
    _make_files(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    sources = _make_sources(tmp_path)
    assert _name(sources) == [str(tmp_path / "a" / "1.jpg")]
    assert sources.notes.skipped == 1


def test_files_and_urls_are_taken_as_given(tmp_path: Path) -> None:
    """A file that is named is taken whatever its suffix, in the order of the command line."""
    _make_files(tmp_path, "photo.dat")
    names = ["HTTPS://photos.test/1.jpg", str(tmp_path / "photo.dat"), "http://photos.test/2.jpg"]
    assert _name(_make_sources(*names)) == names


def test_query_of_a_url_is_sent_and_not_shown() -> None:
    """A query may be a signature: the service gets it, the place on the command line stands for it."""
    sources = _make_sources("https://photos.test/p?sign=secret", "https://photos.test/p?sign=other")
    photos = _collect(sources)
    assert [photo.url for photo in photos] == [
        "https://photos.test/p?sign=secret",
        "https://photos.test/p?sign=other",
    ]
    assert [photo.name for photo in photos] == [
        "https://photos.test/p?... (source 1)",
        "https://photos.test/p?... (source 2)",
    ]


def test_long_folder_comes_in_chunks(tmp_path: Path) -> None:
    """More photos than a chunk are all handed out."""
    _make_files(tmp_path, *(f"{number:04}.jpg" for number in range(2 * CHUNK + 1)))
    assert len(_name(_make_sources(tmp_path))) == 2 * CHUNK + 1


def test_folder_that_goes_away_is_told(tmp_path: Path) -> None:
    """A folder that cannot be read is told and counted; the others are read."""
    _make_files(tmp_path, *(f"a/{number:04}.jpg" for number in range(CHUNK)), "b/1.jpg", "c/1.jpg")
    warnings: list[str] = []
    sources = _make_sources(tmp_path, warnings=warnings)

    async def remove_and_take() -> None:
        async for _ in sources.stream():
            if sources.taken == 1:
                await anyio.to_thread.run_sync(shutil.rmtree, tmp_path / "b")

    asyncio.run(remove_and_take())
    assert sources.taken == CHUNK + 1
    assert sources.notes.unreadable == 1
    assert warnings == [f"{tmp_path / 'b'}: No such file or directory; its photos are not scored"]


def test_counting_can_be_stopped(tmp_path: Path) -> None:
    """Counting a large archive ends when the run does."""
    _make_files(tmp_path, *(f"{number:04}.jpg" for number in range(CHUNK)))
    assert _make_sources(tmp_path).count(lambda: True) is None


@pytest.mark.parametrize("name", ["missing.jpg", "missing/", "nul\0.jpg"])
def test_missing_source_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is not there is found before anything is sent."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match="nothing was sent") as caught:
        _make_sources("https://photos.test/1.jpg", name)
    assert caught.value.code is ExitCode.NOT_FOUND


def test_forbidden_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is found before anything is sent."""
    _make_files(tmp_path, "1.jpg")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(CommandError, match=r"1\.jpg: Permission denied"):
        _make_sources(tmp_path / "1.jpg")


def test_missing_sources_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who mistyped several names sees the first of them in one line, and how many more there are."""
    monkeypatch.chdir(tmp_path)
    names = [f"{number}.jpg" for number in range(MAX_NAMED + 2)]
    with pytest.raises(CommandError) as caught:
        _make_sources(*names, names[0])
    text = str(caught.value)
    assert all(f"{name}: No such file" in text for name in names[:MAX_NAMED])
    assert names[MAX_NAMED] not in text
    assert text.endswith("; 2 more; nothing was sent")


def test_password_of_a_url_is_not_shown() -> None:
    """User and password of a URL are sent and not shown, with a query or without."""
    photos = _collect(_make_sources("https://me:hush@photos.test/p", "https://me:hush@photos.test/p?a=b"))
    assert [photo.name for photo in photos] == [
        "https://photos.test/p",
        "https://photos.test/p?... (source 2)",
    ]
    assert all("me:hush@" in str(photo.url) for photo in photos)


@pytest.mark.parametrize("sources", [["1.jpg"], ["linked.jpg"], ["."]], ids=str)
def test_photo_is_no_output(sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo that is to be scored is not overwritten, whichever way it is named."""
    monkeypatch.chdir(tmp_path)
    _make_files(tmp_path, "1.jpg")
    (tmp_path / "linked.jpg").symlink_to("1.jpg")
    with pytest.raises(CommandError, match="is one of the photos") as caught:
        check_output(tmp_path / "1.jpg", ["https://photos.test/1.jpg", *sources])
    assert caught.value.code is ExitCode.USAGE


def test_output_beside_the_photos_is_fine(tmp_path: Path) -> None:
    """Results may stand in the folder of the photos, or beside a single one."""
    _make_files(tmp_path, "1.jpg", "results.jsonl")
    for name in ("results.jsonl", "new.jsonl"):
        check_output(tmp_path / name, [str(tmp_path), str(tmp_path / "1.jpg")])


def test_folder_is_no_output(tmp_path: Path) -> None:
    """A folder is called a folder."""
    with pytest.raises(CommandError, match="is a folder"):
        check_output(tmp_path, [])
