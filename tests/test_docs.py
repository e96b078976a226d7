from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from documents import Command, Program, Shell, is_as_shown, read_document
from scripted_server import find_closed_port

import tencent_liveness_async
import tencent_liveness_async.jobs

pytest.importorskip("cyclopts")
pytest.importorskip("cv2")

from tencent_liveness_async.sandbox import (
    SANDBOX_SECRET_ID,
    SANDBOX_SECRET_KEY,
    SandboxServer,
    SandboxSettings,
)

PROJECT = Path(__file__).parents[1]
DOCUMENTS = sorted([*PROJECT.glob("docs/**/*.md"), PROJECT / "README.md"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the example photos, as a checkout has them."""
    shutil.copytree(PROJECT / "examples" / "photos", tmp_path / "examples" / "photos")
    return tmp_path


@pytest.fixture
def environment() -> dict[str, str]:
    """Return an environment in which the installed commands are found first, and no account is set."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENCENT")}
    return kept | {"PATH": path, "COLUMNS": "120", "NO_COLOR": "1"}


def test_the_tutorial_is_true(folder: Path, environment: dict[str, str]) -> None:
    """Every program and command of the tutorial runs, in order, and prints what it shows."""
    text = (PROJECT / "docs" / "tutorial.md").read_text()
    for port in ("8000", "8001"):
        text = text.replace(port, str(find_closed_port()))
    ran = 0
    with Shell(folder, environment) as shell:
        for step in read_document(text):
            if isinstance(step, Program):
                (folder / step.name).write_text(step.text)
                continue
            found = shell.run(step)
            assert is_as_shown(step.output, found), (
                f"$ {step.text}\nshows\n{step.output}\nbut prints\n{found}"
            )
            ran += 1
    assert ran >= 14


def test_the_readmes_example_is_true(folder: Path, environment: dict[str, str]) -> None:
    """The example of the README runs and prints a score for each photo."""
    (program,) = [
        step for step in read_document((PROJECT / "README.md").read_text()) if isinstance(step, Program)
    ]
    for name in ("selfie.jpg", "1.jpg", "2.jpg"):
        shutil.copy(PROJECT / "examples" / "photos" / "officer.jpg", folder / name)
    with SandboxServer(SandboxSettings()) as server:
        endpoint = f"LivenessClient(endpoint={server.endpoint!r})"
        (folder / "example.py").write_text(program.text.replace("LivenessClient()", endpoint))
        keys = {"TENCENTCLOUD_SECRET_ID": SANDBOX_SECRET_ID, "TENCENTCLOUD_SECRET_KEY": SANDBOX_SECRET_KEY}
        with Shell(folder, environment | keys) as shell:
            found = shell.run(Command("python example.py\n", ""))
    first, *rest = found.splitlines()
    assert is_as_shown("97.02 True ...", first)
    assert sorted(rest) == ["1.jpg 97.02", "2.jpg 97.02"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of a document leads to a file of the project."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert [target for target in missing if target != "CHANGELOG.md"] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_what_exists(document: Path) -> None:
    """Every error class a document names is public."""
    named = set(re.findall(r"(?<!\.)\b[A-Z][A-Za-z]+Error\b", document.read_text()))
    assert sorted(named - {*tencent_liveness_async.__all__, *tencent_liveness_async.jobs.__all__}) == []


def test_the_readme_is_short() -> None:
    """The README has under 120 lines, and its first code by line 35."""
    lines = (PROJECT / "README.md").read_text().splitlines()
    assert len(lines) < 120
    assert "```python" in lines[:35]


def test_a_wrong_document_is_found() -> None:
    """The comparison can fail: `...` does not stand for a missing line."""
    assert is_as_shown("a ... c\n", "a b c\n")
    assert not is_as_shown("a ... c\n", "a b d\n")
    assert not is_as_shown("a\nb\n", "a\n")
