from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async.jobs._records import RESULT_COLUMNS
from tencent_liveness_async.jobs.sinks import open_sink

if TYPE_CHECKING:
    from pathlib import Path

    from tencent_liveness_async.jobs._records import Value

KILLED = """
import os, signal, sys
from pathlib import Path
from tencent_liveness_async.jobs.sinks import open_sink
sink = open_sink(Path(sys.argv[1]), ())
sink.write([{"id": str(number)} for number in range(1000)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_line_has_every_column_in_order(tmp_path: Path) -> None:
    """What there is not is null, so that every line has the same shape."""
    path = tmp_path / "results.jsonl"
    sink = open_sink(path, ("label",))
    sink.write([{"label": "照片", "id": "a.jpg", "score": 1.5}])
    sink.finish()
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert list(json.loads(line)) == [*RESULT_COLUMNS, "label"]
    assert line.startswith('{"id":"a.jpg","source":null,')
    assert line.endswith('"label":"照片"}')


@pytest.mark.parametrize("value", [True, 0, 2**53 + 1, 0.1, "", "1", None])
def test_carried_value_keeps_its_type(tmp_path: Path, value: Value) -> None:
    """A number stays a number, text stays text, nothing stays null."""
    path = tmp_path / "results.jsonl"
    sink = open_sink(path, ("label",))
    sink.write([{"label": value}])
    sink.finish()
    label = json.loads(path.read_bytes())["label"]
    assert (type(label), label) == (type(value), value)


def test_killed_run_leaves_what_was_written(tmp_path: Path) -> None:
    """Nothing that `write` took is lost when the process is killed at once."""
    path = tmp_path / "results.jsonl"
    process = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert process.returncode == -9
    lines = (tmp_path / "results.jsonl.partial").read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [str(number) for number in range(1000)]
