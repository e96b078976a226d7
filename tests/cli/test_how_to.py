from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from documents import Command, Shell, is_as_shown, read_document
from scripted_server import find_closed_port

PROJECT = Path(__file__).parents[2]


def test_the_guide_to_archives_is_true(tmp_path: Path) -> None:
    """Every command of the guide runs, in order, and prints what it shows."""
    pytest.importorskip("cv2")
    shutil.copytree(PROJECT / "examples" / "photos", tmp_path / "examples" / "photos")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENCENT")}
    text = (PROJECT / "docs" / "how-to" / "archive.md").read_text()
    text = text.replace("8000", str(find_closed_port()))
    ran = 0
    with Shell(tmp_path, kept | {"PATH": path, "COLUMNS": "120", "NO_COLOR": "1"}) as shell:
        for step in read_document(text):
            assert isinstance(step, Command)
            found = shell.run(step)
            assert is_as_shown(step.output, found), (
                f"$ {step.text}\nshows\n{step.output}\nbut prints\n{found}"
            )
            ran += 1
    assert ran == 19
    assert (tmp_path / "report.html").is_file()
