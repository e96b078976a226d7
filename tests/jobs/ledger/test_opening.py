from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs._records import Item, PhotoRecord, State
from tencent_liveness_async.jobs.ledger import (
    Known,
    Ledger,
    LedgerDamagedError,
    LedgerError,
    LedgerLockedError,
    LedgerMismatchError,
    LedgerReader,
    Parameters,
)
from tencent_liveness_async.jobs.ledger._place import find_type, refuse_network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOLDER = """
import asyncio, sys
from pathlib import Path
from tencent_liveness_async.jobs.ledger import Ledger, Parameters

async def main():
    async with await Ledger.open(Path(sys.argv[1]), Parameters("3.0", "iai.tencentcloudapi.com")):
        print("open", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def _open(
    path: Path, parameters: Parameters, *, is_forced: bool = False, puts: Sequence[PhotoRecord] = ()
) -> None:
    """Open a ledger, write records, and close it."""

    async def use() -> None:
        async with await Ledger.open(path, parameters, is_forced=is_forced) as ledger:
            for record in puts:
                await ledger.put(record)

    asyncio.run(use())


def _change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_second_process_is_refused_while_the_first_lives(path: Path, parameters: Parameters) -> None:
    """The holder of a ledger is named to others; `kill -9` makes it free at once."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert os.read(holder.stdout.fileno(), 4) == b"open"
        with pytest.raises(LedgerLockedError, match=f"in use by process {holder.pid}") as caught:
            _open(path, parameters)
        holder.kill()
        holder.wait()
    assert caught.value.pid == holder.pid
    _open(path, parameters)


async def test_ledger_is_opened_once_in_a_process(ledger: Ledger, parameters: Parameters) -> None:
    """The same process cannot open a ledger twice, and can when it is closed."""
    with pytest.raises(LedgerLockedError):
        await Ledger.open(ledger.path, parameters)
    await ledger.aclose()
    await (await Ledger.open(ledger.path, parameters)).aclose()


async def test_other_parameters_are_refused(ledger: Ledger, path: Path, parameters: Parameters) -> None:
    """Only parameters that differ are named, with both values and what to do; the ledger is free again."""
    await ledger.aclose()
    with pytest.raises(LedgerMismatchError, match=r"'3.0' there and not set here.*--force") as caught:
        await Ledger.open(path, replace(parameters, model_version=None))
    assert caught.value.differences == {"model_version": ("3.0", None)}
    await (await Ledger.open(path, parameters)).aclose()


async def test_forced_parameters_are_adopted(ledger: Ledger, path: Path, parameters: Parameters) -> None:
    """Forced, other parameters are the ledger's, old results stay, and no item keeps its old key."""
    item = Item("a", "/a", version="1")
    await ledger.add_items([(item, "k1")])
    await ledger.put(PhotoRecord("k1", State.SCORED, 50.0))
    await ledger.aclose()
    other = replace(parameters, model_version="4.0")
    async with await Ledger.open(path, other, is_forced=True) as forced:
        assert await forced.look_up([item]) == [Known(None, None, is_listed=False)]
        assert (await forced.find(["k1"]))["k1"].score == 50.0
    await (await Ledger.open(path, other)).aclose()


@pytest.mark.parametrize("content", [b"id,source\n1,a.jpg\n", b"SQLite form", b"\0" * 5000])
def test_other_file_is_not_touched(path: Path, parameters: Parameters, content: bytes) -> None:
    """A file that is no database is refused, says so, and is as it was."""
    path.write_bytes(content)
    with pytest.raises(LedgerDamagedError, match="is no ledger"):
        _open(path, parameters, is_forced=True)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_other_database_is_not_touched(path: Path, parameters: Parameters) -> None:
    """A database of something else is refused and is as it was."""
    _change(path, "CREATE TABLE photos (key)")
    content = path.read_bytes()
    with pytest.raises(LedgerDamagedError, match="of something else"):
        _open(path, parameters)
    assert path.read_bytes() == content


def test_newer_format_is_refused(path: Path, parameters: Parameters) -> None:
    """A ledger of newer software is not opened by older."""
    _open(path, parameters)
    _change(path, "UPDATE header SET value = '2' WHERE name = 'format_version'")
    with pytest.raises(LedgerError, match="has format 2, and this software knows 1: update"):
        _open(path, parameters)


def test_torn_file_says_what_to_do(path: Path, parameters: Parameters) -> None:
    """A file that lost its end is refused, and the way to save the rest is named."""
    _open(path, parameters, puts=[PhotoRecord(f"k{n}", State.SCORED, message="x" * 300) for n in range(50)])
    os.truncate(path, path.stat().st_size - 4096)
    with pytest.raises(LedgerDamagedError, match=r"damaged.*ledger recover") as caught:
        _open(path, parameters)
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)


def test_empty_file_becomes_a_ledger(path: Path, parameters: Parameters) -> None:
    """What a kill in the moment of making leaves, an empty file, is as good as none."""
    path.touch()
    _open(path, parameters, puts=[PhotoRecord("k", State.SCORED)])
    with LedgerReader(path) as reader:
        assert reader.count().photos == {State.SCORED: 1}


def test_missing_folder_is_an_error(tmp_path: Path, parameters: Parameters) -> None:
    """A ledger in a folder that is not there is an error that names it."""
    with pytest.raises(LedgerError, match=r"nowhere/x\.ledger cannot be opened"):
        _open(tmp_path / "nowhere" / "x.ledger", parameters)


def test_folder_that_takes_no_files_is_an_error(parameters: Parameters, tmp_path: Path) -> None:
    """A ledger in a folder that cannot be written, as /proc even for root, is an error that names it."""
    folder = tmp_path / "results"
    folder.symlink_to("/proc/self/task")
    with pytest.raises(LedgerError, match=r"results/x.ledger cannot be opened"):
        _open(folder / "x.ledger", parameters)


async def test_log_of_a_dead_run_is_read(ledger: Ledger, tmp_path: Path, parameters: Parameters) -> None:
    """What is committed and not yet in the file itself is read from the log beside it."""
    await ledger.put(PhotoRecord("k1", State.SCORED))
    copy = tmp_path / "copy.ledger"
    for suffix in ("", "-wal"):
        await asyncio.to_thread(shutil.copy, f"{ledger.path}{suffix}", f"{copy}{suffix}")
    async with await Ledger.open(copy, parameters) as opened:
        assert (await opened.find(["k1"]))["k1"].state is State.SCORED


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", "cifs"])
def test_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    """A ledger on a network file system is refused, and a local disk is proposed."""
    mounts = tmp_path / "mountinfo"
    device = tmp_path.stat().st_dev
    mounts.write_text(
        f"21 1 0:999 / /proc rw - proc proc rw\n"
        f"22 1 {os.major(device)}:{os.minor(device)} / /mnt rw,noatime shared:1 - {kind} server:/x rw\n"
    )
    with pytest.raises(LedgerError, match=rf"network file system \({kind}\).*local disk"):
        refuse_network(tmp_path / "x.ledger", mounts)


def test_unknown_file_system_is_not_refused(tmp_path: Path) -> None:
    """Where the file system cannot be told, the ledger is taken."""
    assert find_type(tmp_path, tmp_path / "no mounts") == ""
    refuse_network(tmp_path / "x.ledger", tmp_path / "no mounts")
    refuse_network(tmp_path / "x.ledger")
