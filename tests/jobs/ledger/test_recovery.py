from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs._records import Item, PhotoRecord, State
from tencent_liveness_async.jobs.ledger import (
    Ledger,
    LedgerDamagedError,
    LedgerError,
    LedgerLockedError,
    LedgerMismatchError,
    LedgerReader,
    check,
    recover,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tencent_liveness_async.jobs.ledger import Parameters

PHOTOS = 600
PAGE = 4096


async def _fill(path: Path, parameters: Parameters) -> None:
    async with await Ledger.open(path, parameters) as ledger:
        entries = [
            (Item(f"{n}", f"/{n}", version="1", extra={"n": n}), f"key-{n:060}") for n in range(PHOTOS)
        ]
        await ledger.add_items(entries)
        await asyncio.gather(*(ledger.put(PhotoRecord(key, State.SCORED, 50.0)) for _, key in entries))
        await ledger.begin_attempt(entries[0][1])


@pytest.fixture
def filled(path: Path, parameters: Parameters) -> Path:
    """A ledger with an intent of a run that died."""
    asyncio.run(_fill(path, parameters))
    return path


def _damage(path: Path, page: int, content: bytes = b"\xff" * PAGE) -> None:
    """Overwrite a page, counted from 1."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(content)


def _find_roots(path: Path) -> dict[str, int]:
    with LedgerReader(path) as reader:
        return dict(reader._connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0"))


def test_whole_ledger_is_whole(filled: Path) -> None:
    """A check counts everything and finds nothing wrong."""
    report = check(filled)
    assert report.is_whole
    assert (report.items, report.photos, report.intents) == (PHOTOS, PHOTOS, 1)
    assert report.format_version == 1
    assert report.software_version


def test_everything_of_a_whole_ledger_is_saved(filled: Path, tmp_path: Path, parameters: Parameters) -> None:
    """What is recovered from a ledger without damage is the same ledger, in a file of its own."""
    target = tmp_path / "saved.ledger"
    report = recover(filled, target)
    assert (report.items, report.photos, report.intents) == (PHOTOS, PHOTOS, 1)
    assert (report.lost_items, report.lost_photos) == (0, 0)
    with LedgerReader(filled) as old, LedgerReader(target) as new:
        assert list(new.rows()) == list(old.rows())
        assert new.parameters == parameters
        item = Item("1", "/1", version="1")
        assert new.look_up([item]) == old.look_up([item])
    assert {file.name for file in tmp_path.iterdir()} == {filled.name, target.name}


@pytest.mark.parametrize("share", [0.95, 0.6, 0.3])
def test_torn_ledger_is_saved_up_to_its_end(
    filled: Path, tmp_path: Path, parameters: Parameters, share: float
) -> None:
    """Of a file that lost its end a check tells what is left, and that much is saved and opens again."""
    os.truncate(filled, int(filled.stat().st_size * share))
    content = filled.read_bytes()
    checked = check(filled)
    assert not checked.is_whole
    assert 0 < checked.photos < PHOTOS or share > 0.5
    saved = tmp_path / "saved.ledger"
    report = recover(filled, saved)
    assert report.photos == checked.photos > 0
    assert report.items <= checked.items
    assert check(saved).is_whole
    assert filled.read_bytes() == content

    async def use() -> None:
        async with await Ledger.open(saved, parameters) as ledger:
            await ledger.put(PhotoRecord("new", State.SCORED))
            assert (await ledger.count()).photos[State.SCORED] == report.photos + 1 - ledger.found_intents

    asyncio.run(use())


def test_damaged_page_costs_its_rows_only(filled: Path, tmp_path: Path) -> None:
    """One page in the middle of the photos costs the photos on it, and their items."""
    with LedgerReader(filled) as reader:
        pages = reader._connection.execute("PRAGMA page_count").fetchone()[0]
    roots = set(_find_roots(filled).values())
    saved_counts = []
    for page in range(max(roots) + 1, pages + 1, 7):
        copy = tmp_path / f"copy-{page}"
        copy.write_bytes(filled.read_bytes())
        _damage(copy, page)
        checked = check(copy)
        report = recover(copy, tmp_path / f"saved-{page}")
        assert not checked.is_whole
        assert report.photos + report.lost_photos == PHOTOS
        assert report.photos >= PHOTOS - 60
        assert report.items >= report.photos - 120
        saved_counts.append(report.photos)
    assert min(saved_counts) < PHOTOS


def test_lost_header_asks_for_force(filled: Path, tmp_path: Path, parameters: Parameters) -> None:
    """Without its header a ledger is saved, and its parameters are asked for."""
    _damage(filled, _find_roots(filled)["header"])
    saved = tmp_path / "saved.ledger"
    assert check(filled).format_version is None
    assert recover(filled, saved).photos == PHOTOS
    with pytest.raises(LedgerMismatchError, match="not set there"):
        asyncio.run(Ledger.open(saved, parameters))
    asyncio.run(_open_forced(saved, parameters))


async def _open_forced(path: Path, parameters: Parameters) -> None:
    async with await Ledger.open(path, parameters, is_forced=True) as ledger:
        assert (await ledger.count()).photos[State.SCORED] == PHOTOS - 1


def test_ledger_without_its_first_page_cannot_be_saved(filled: Path, tmp_path: Path) -> None:
    """Where not even the tables can be found, that is said and no file is left."""
    _damage(filled, 1, b"SQLite format 3\0" + b"\xff" * 500)
    with pytest.raises(LedgerDamagedError, match="nothing can be saved"):
        check(filled)
    with pytest.raises(LedgerDamagedError, match="nothing can be saved"):
        recover(filled, tmp_path / "saved.ledger")
    assert [file.name for file in tmp_path.iterdir()] == [filled.name]


def test_other_files_are_no_ledgers(tmp_path: Path) -> None:
    """A file of something else, or none, is refused by both."""
    (tmp_path / "x").write_text("id,source\n")
    for name, cls in (("x", LedgerDamagedError), ("missing", LedgerError)):
        with pytest.raises(cls):
            check(tmp_path / name)
        with pytest.raises(cls):
            recover(tmp_path / name, tmp_path / "saved")


def test_target_is_never_overwritten(filled: Path, tmp_path: Path) -> None:
    """What is saved goes into a new file only."""
    (tmp_path / "saved").write_text("mine")
    with pytest.raises(LedgerError, match="is there already"):
        recover(filled, tmp_path / "saved")
    assert (tmp_path / "saved").read_text() == "mine"


async def test_ledger_in_use_is_checked_but_not_recovered(ledger: Ledger, tmp_path: Path) -> None:
    """A check reads beside a run; recovering waits for its end."""
    assert (await asyncio.to_thread(check, ledger.path)).is_whole
    with pytest.raises(LedgerLockedError):
        await asyncio.to_thread(recover, ledger.path, tmp_path / "saved")
