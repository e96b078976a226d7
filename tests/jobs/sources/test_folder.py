from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tencent_liveness_async.jobs.sources._folder import walk_folder
from tencent_liveness_async.jobs.sources._names import Selection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tencent_liveness_async.jobs._records import Item

    Take: TypeAlias = Callable[..., list[Item]]


_COUNT = """
import sys, tracemalloc
from tencent_liveness_async.jobs.sources._folder import walk_folder
from tencent_liveness_async.jobs.sources._names import Selection
items = walk_folder(sys.argv[1], Selection(), is_sorted=False)
next(items)
tracemalloc.start()
print(sum(1 for _ in items), tracemalloc.get_traced_memory()[1])
"""


def _fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_photos_come_in_the_order_of_their_names(take: Take, tmp_path: Path) -> None:
    """Photos of the four suffixes are taken, whatever their case, from inner folders, too."""
    _fill(tmp_path, "b/2.PNG", "a.jpg", "c.bmp", "b/1.jpeg", "notes.txt", "d.gif")
    assert [item.id for item in take(tmp_path)] == ["a.jpg", "b/1.jpeg", "b/2.PNG", "c.bmp"]


def test_version_changes_with_the_file(take: Take, tmp_path: Path) -> None:
    """An item says where its file is, and a version of size and time."""
    _fill(tmp_path, "a/1.jpg")
    (item,) = take(tmp_path)
    path = tmp_path / "a/1.jpg"
    assert (item.path, item.source) == (path, str(path))
    assert item.version == f"{path.stat().st_size}:{path.stat().st_mtime_ns}"
    os.utime(path, ns=(1, 1))
    (later,) = take(tmp_path)
    assert later.version != item.version


def test_hidden_names_are_skipped(take: Take, tmp_path: Path) -> None:
    """Hidden files and folders are never photos, even if a pattern matches them."""
    _fill(tmp_path, ".a.jpg", ".trash/b.jpg", "c/.d.jpg", "e.jpg")
    for pattern in (None, "*"):
        assert [item.id for item in take(tmp_path, pattern=pattern)] == ["e.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*.dat", ["a.dat", "b/c.dat"]), ("b/*", ["b/1.jpg", "b/c.dat"]), ("*.JPG", [])],
)
def test_pattern_is_matched_with_the_path_inside(
    pattern: str, expected: list[str], take: Take, tmp_path: Path
) -> None:
    """A pattern takes the place of the suffixes; its stars match slashes and its letters their own case."""
    _fill(tmp_path, "a.dat", "b/c.dat", "b/1.jpg")
    assert [item.id for item in take(tmp_path, pattern=pattern)] == expected


def test_inner_folders_can_be_left_out(take: Take, tmp_path: Path) -> None:
    """Without recursion only the folder's own photos are taken."""
    _fill(tmp_path, "a.jpg", "b/1.jpg")
    assert [item.id for item in take(tmp_path, is_recursive=False)] == ["a.jpg"]


def test_loop_of_links_ends(take: Take, tmp_path: Path) -> None:
    """A link to a file is a photo, one to a folder is not followed."""
    _fill(tmp_path, "a/1.jpg")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "a/2.jpg").symlink_to("1.jpg")
    (tmp_path / "a/gone.jpg").symlink_to("nowhere")
    items = take(tmp_path)
    assert [item.id for item in items] == ["a/1.jpg", "a/2.jpg", "a/gone.jpg"]
    assert [bool(item.version) for item in items] == [True, True, False]


def test_deep_folders_are_read(take: Take, tmp_path: Path) -> None:
    """Folders may be nested more deeply than calls."""
    folder = tmp_path.joinpath(*("d" * 200))
    _fill(folder, "1.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(190)
    try:
        items = [take(tmp_path, is_sorted=is_sorted) for is_sorted in (True, False)]
    finally:
        sys.setrecursionlimit(limit)
    assert [item.path for (item,) in items] == [folder / "1.jpg"] * 2


def test_folder_that_goes_away_is_an_outcome(tmp_path: Path) -> None:
    """A folder inside that cannot be read is an item with an error; the others are read."""
    _fill(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.jpg")
    items = walk_folder(str(tmp_path), Selection(), is_sorted=True)
    assert next(items).id == "a/1.jpg"
    (tmp_path / "b/1.jpg").unlink()
    (tmp_path / "b").rmdir()
    gone, last = items
    assert (gone.id, last.id) == ("b/", "c/1.jpg")
    assert str(gone.error) == f"{tmp_path}/b/: the folder cannot be read: No such file or directory"


def test_name_without_a_place_in_unicode_is_escaped(take: Take, tmp_path: Path) -> None:
    """A name that is no UTF-8 is shown with escapes, and its file is found."""
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(path, "wb") as file:  # noqa: PTH123 - its name is bytes
        file.write(b"photo")
    (item,) = take(tmp_path)
    assert (item.id, item.path and os.fsencode(item.path)) == ("caf\\udce9.jpg", path)
    item.source.encode()


@pytest.mark.parametrize("is_sorted", [True, False])
def test_long_folder_comes_in_batches(is_sorted: bool, take: Take, tmp_path: Path) -> None:
    """More photos than a batch are all handed out, sorted or not."""
    for number in range(2500):
        (tmp_path / f"{number:04}.jpg").touch()
    items = take(tmp_path, is_sorted=is_sorted)
    assert sorted(item.id for item in items) == [f"{number:04}.jpg" for number in range(2500)]


def test_photos_are_not_kept(tmp_path: Path) -> None:
    """Memory does not grow with the photos of a folder that is not sorted."""
    for number in range(3000):
        (tmp_path / f"{number:04}.jpg").touch()
    # In a process of its own: the guard against blocking calls keeps what a scan returns.
    process = subprocess.run(
        [sys.executable, "-c", _COUNT, str(tmp_path)], check=True, capture_output=True, text=True
    )
    count, peak = map(int, process.stdout.split())
    assert count == 2999
    assert peak < 900_000  # 3,000 items would take 2 MB
