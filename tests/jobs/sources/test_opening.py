from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio.to_thread
import pytest
from blockbuster import BlockingError

from tencent_liveness_async import ConfigurationError, LivenessError
from tencent_liveness_async.jobs.sources import SourceError, open_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from tencent_liveness_async.jobs._records import Item

    Take: TypeAlias = Callable[..., list[Item]]


@pytest.mark.parametrize("name", ["missing", "missing.csv", "missing.jpg", "nul\0.jpg", "missing.zip"])
def test_what_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    """A source that is not there is one kind of error, which says what to do."""
    with pytest.raises(SourceError, match="check"):
        open_source(str(tmp_path / name))
    assert issubclass(SourceError, LivenessError)


@pytest.mark.parametrize("name", ["m.tar", "m.zip", "m.parquet", "m.csv.gz", "m.jsonl.gz", "m.tgz"])
def test_what_is_no_archive_is_refused(name: str, tmp_path: Path) -> None:
    """A file that is not what its suffix says cannot be opened, and leaves nothing open."""
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="needs the extra parquet")
    (tmp_path / name).write_bytes(b"this is something else" * 100)
    with pytest.raises(SourceError, match=name):
        open_source(str(tmp_path / name))


def test_single_file_is_a_photo(take: Take, tmp_path: Path) -> None:
    """A file that is neither manifest nor archive is one photo, whatever its suffix."""
    (tmp_path / "photo.dat").write_bytes(b"photo")
    (item,) = take(tmp_path / "photo.dat")
    assert (item.id, item.path) == ("photo.dat", tmp_path / "photo.dat")
    assert item.version.startswith("5:")


def test_single_url_is_a_photo(take: Take) -> None:
    """A URL is one photo, shown without password and query."""
    (item,) = take("https://me:hush@photos.test/1.jpg?sign=secret")
    assert item.url == "https://me:hush@photos.test/1.jpg?sign=secret"
    assert item.source.startswith("https://photos.test/1.jpg?sha256=")
    assert "hush" not in item.id + item.source
    assert "secret" not in item.id + item.source


def test_path_does_not_depend_on_the_folder_of_the_process(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative source gives the same items from anywhere, so that the ledger knows them again."""
    (tmp_path / "1.jpg").write_bytes(b"photo")
    monkeypatch.chdir(tmp_path)
    assert take(".") == take(tmp_path)


async def test_opening_in_the_loop_is_found(tmp_path: Path) -> None:
    """Opening blocks, and the suite's guard would find reading in the loop if it did, too."""
    with pytest.raises(BlockingError):
        open_source(str(tmp_path))


def _count_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("is_begun", [True, False])
def test_closing_early_leaves_nothing_open(is_begun: bool, tmp_path: Path) -> None:
    """A source that is closed before its end, or before its beginning, lets go of its files."""
    (tmp_path / "m.csv").write_text("path\n" + "a.jpg\n" * 5000)
    before = _count_open_files()

    async def begin_and_close() -> None:
        source = await anyio.to_thread.run_sync(open_source, str(tmp_path / "m.csv"))
        if is_begun:
            assert len(await anext(aiter(source))) == 1000
        await source.aclose()

    asyncio.run(begin_and_close())
    assert _count_open_files() == before


@pytest.mark.parametrize(
    ("module", "source", "extra"),
    [("pyarrow", "m.parquet", r"\[parquet\]"), ("obstore.store", "s3://bucket", r"\[cos\]")],
)
def test_missing_extra_names_the_install_line(
    module: str, source: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that needs an extra says which."""
    (tmp_path / "m.parquet").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("_parquet", "_object_store"):
        monkeypatch.delitem(sys.modules, f"tencent_liveness_async.jobs.sources.{name}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=extra):
        open_source(source)
