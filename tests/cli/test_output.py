from __future__ import annotations

import os
from pathlib import Path

import pytest

from tencent_liveness_async.cli._context import CommandError, ExitCode
from tencent_liveness_async.cli._output import clear_output, drop_rest, open_output


def test_new_file_keeps_what_it_gets(tmp_path: Path) -> None:
    """A new file holds what was written to it."""
    path = tmp_path / "results.jsonl"
    with open_output(path, is_forced=False) as stream:
        clear_output(stream)
        stream.write("{}\n")
    assert path.read_bytes() == b"{}\n"


def test_new_file_that_gets_nothing_is_removed(tmp_path: Path) -> None:
    """A run that fails before its first outcome leaves no file that the next run would stumble over."""
    path = tmp_path / "results.jsonl"
    with pytest.raises(RuntimeError), open_output(path, is_forced=False):
        raise RuntimeError
    assert not path.exists()


def test_new_file_may_be_moved_away(tmp_path: Path) -> None:
    """Whoever takes the file away during the run does no harm."""
    path = tmp_path / "results.jsonl"
    with open_output(path, is_forced=False):
        path.unlink()
    assert not path.exists()


def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    """What is paid for is not lost to a second run."""
    path = tmp_path / "results.jsonl"
    path.write_text("old")
    with pytest.raises(CommandError, match="--force") as caught, open_output(path, is_forced=False):
        pass
    assert caught.value.code is ExitCode.USAGE
    assert path.read_text() == "old"


def test_forced_file_is_overwritten_when_the_run_begins(tmp_path: Path) -> None:
    """With --force the old results stay until the new run is sure to begin."""
    path = tmp_path / "results.jsonl"
    path.write_text("old")
    with open_output(path, is_forced=True):
        pass
    assert path.read_text() == "old"
    with open_output(path, is_forced=True) as stream:
        clear_output(stream)
        stream.write("new")
    assert path.read_text() == "new"


def test_device_is_written_to() -> None:
    """A device cannot be emptied and need not be."""
    with open_output(Path(os.devnull), is_forced=True) as stream:
        clear_output(stream)
        stream.write("new")


def test_unwritable_file_is_told(tmp_path: Path) -> None:
    """A file in a folder that is not there cannot be written."""
    with (
        pytest.raises(CommandError, match="cannot be written: No such file") as caught,
        open_output(tmp_path / "missing" / "results.jsonl", is_forced=False),
    ):
        pass
    assert caught.value.code is ExitCode.OTHER


def test_closing_that_fails_is_told() -> None:
    """What was in a buffer and did not fit any more is no silent loss."""
    with (
        pytest.raises(CommandError, match="/dev/full cannot be written: No space left"),
        open_output(Path("/dev/full"), is_forced=True) as stream,
    ):
        stream.write("new")


def test_broken_file_does_not_fail_twice(tmp_path: Path) -> None:
    """What a broken file did not take is forgotten, with the torn line at its end."""
    path = tmp_path / "results.jsonl"
    with open_output(path, is_forced=False) as stream:
        stream.write("{}\n{torn")
        stream.flush()
        stream.write("lost")
        drop_rest(stream, kept_bytes=3)
    assert path.read_bytes() == b"{}\n"
