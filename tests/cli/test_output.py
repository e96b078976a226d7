from __future__ import annotations

from typing import TYPE_CHECKING

from tencent_liveness_async.cli._output import drop_rest

if TYPE_CHECKING:
    from pathlib import Path


def test_broken_stream_does_not_fail_twice(tmp_path: Path) -> None:
    """What a broken stream did not take is forgotten."""
    path = tmp_path / "results.jsonl"
    with path.open("w") as stream:
        stream.write("whole")
        stream.flush()
        stream.write("lost")
        drop_rest(stream)
    assert path.read_text() == "whole"
