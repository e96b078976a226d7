from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async.jobs.sinks import open_sink, read_results

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


def test_file_is_as_the_standard_says(tmp_path: Path) -> None:
    """UTF-8 without a mark, a header, lines that end with CR and LF, quotes where they are needed."""
    path = tmp_path / "results.csv"
    sink = open_sink(path, ("label",))
    sink.write([{"id": 'a,"b".jpg', "source": "照片", "score": 1.5, "is_live": False, "label": "-2"}])
    sink.finish()
    header, record, rest = path.read_bytes().decode().split("\r\n")
    assert header.startswith("id,source,key,state,score,is_live,")
    assert header.endswith(",time,label")
    assert record.startswith('"a,""b"".jpg",照片,,,1.5,false,')
    assert record.endswith(",-2")
    assert rest == ""


@given(label=TEXTS, name=TEXTS)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, label: str, name: str) -> None:
    """Whatever is carried is read back as it was: no sign is escaped for spreadsheets."""
    path = tmp_path_factory.mktemp("csv") / "results.csv"
    sink = open_sink(path, ("label",))
    sink.write([{"id": name, "label": label}])
    sink.finish()
    (row,) = read_results(path)
    assert (row["id"], row["label"]) == (name, label)


def test_values_saved_by_a_spreadsheet_are_read(tmp_path: Path) -> None:
    """A byte order mark and TRUE in capitals do no harm."""
    path = tmp_path / "results.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([("id", "score", "is_live"), ("a", "41", "TRUE"), ("b", "", "")])
    assert [tuple(row.values()) for row in read_results(path)] == [("a", 41.0, True), ("b", None, None)]
