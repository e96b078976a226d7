from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async import sandbox

IMPORT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import tencent_liveness_async.sandbox
"""


def _import_without(missing: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT.format(missing=missing)], capture_output=True, text=True, check=False
    )
    return run.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize("missing", ["PIL", "uvicorn", "httptools"])
def test_missing_extra_is_named(missing: str) -> None:
    """Without its extra the sandbox cannot be imported, and says what to install."""
    message = _import_without(missing)
    assert message.startswith("tencent_liveness_async._errors.ConfigurationError: the sandbox needs an extra")
    assert "pip install 'tencent-liveness-async[sandbox]'" in message


def test_other_missing_module_keeps_its_name() -> None:
    """A broken installation is not blamed on the extra."""
    assert _import_without("statistics") == "ModuleNotFoundError: No module named 'statistics'"


@pytest.mark.parametrize("missing", ["cv2", "numpy"])
def test_nothing_else_is_needed(missing: str) -> None:
    """The sandbox is imported without OpenCV and what belongs to it."""
    assert _import_without(missing) == ""


def test_public_names_are_kept() -> None:
    """What is public is a promise."""
    assert set(sandbox.__all__) == {
        "BANNER",
        "SANDBOX_SECRET_ID",
        "SANDBOX_SECRET_KEY",
        "FaultRule",
        "FaultScript",
        "Latency",
        "SandboxApp",
        "SandboxServer",
        "SandboxSettings",
        "SandboxStatistics",
        "SandboxTransport",
        "invent_score",
        "serve",
    }
    assert all(hasattr(sandbox, name) for name in sandbox.__all__)
