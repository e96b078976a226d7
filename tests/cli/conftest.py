"""The command line with streams of its own, and a sandbox to point it to."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest

from tencent_liveness_async.cli import Context, main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tencent_liveness_async.sandbox import SandboxServer

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended.

    Attributes:
        code: Its exit code.
        stdout: What it wrote to stdout.
        stderr: What it wrote to stderr.
    """

    code: int
    stdout: str
    stderr: str


Invoke = Callable[..., Ended]
Serve = Callable[..., "SandboxServer"]


@pytest.fixture(autouse=True)
def _extra() -> None:
    """Skip where the command line's extra is not installed."""
    pytest.importorskip("cyclopts")


@pytest.fixture
def invoke() -> Invoke:
    """Run the program in this process."""

    def run(
        *arguments: str | Path,
        environment: dict[str, str] | None = None,
        columns: int = 120,
        is_terminal: bool = False,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> Ended:
        out, err = stdout or io.StringIO(), stderr or io.StringIO()
        context = Context(
            stdin=io.StringIO(),
            stdout=out,
            stderr=err,
            environment={"COLUMNS": str(columns), **(environment or {})},
            is_stdout_terminal=is_terminal,
            is_stderr_terminal=is_terminal,
        )
        code = main([str(argument) for argument in arguments], context=context)
        return Ended(code, *(s.getvalue() if isinstance(s, io.StringIO) else "" for s in (out, err)))

    return run


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start sandboxes that do not look for faces."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("PIL")
    from tencent_liveness_async.sandbox import SandboxServer, SandboxSettings

    with ExitStack() as stack:

        def start(**settings: object) -> SandboxServer:
            return stack.enter_context(
                SandboxServer(SandboxSettings(**{"faces": False, "quota": None, **settings}))  # type: ignore[arg-type]
            )

        yield start


@pytest.fixture
def point() -> Callable[[SandboxServer], dict[str, str]]:
    """Return the environment that points the program to a sandbox."""

    def make(server: SandboxServer) -> dict[str, str]:
        settings = server.app.settings
        return {
            "TENCENT_LIVENESS_ENDPOINT": server.endpoint,
            "TENCENTCLOUD_SECRET_ID": settings.secret_id,
            "TENCENTCLOUD_SECRET_KEY": settings.secret_key,
        }

    return make


@pytest.fixture
def photos() -> Path:
    """Return the folder of example photos."""
    return PHOTOS


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[int], Path]:
    """Make a folder with so many acceptable photos, no two of which are equal."""

    def make(count: int) -> Path:
        folder = tmp_path / "many"
        folder.mkdir()
        photo = (PHOTOS / "officer.jpg").read_bytes()
        for number in range(count):
            (folder / f"{number:04}.jpg").write_bytes(photo + number.to_bytes(4))
        return folder

    return make


@pytest.fixture
def process_environment() -> dict[str, str]:
    """Return the environment of a process without a key pair, with coverage's own variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENCENT")}
    return {**kept, "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def program() -> list[str]:
    """Return the command of the program as a process."""
    return [sys.executable, "-m", "tencent_liveness_async.cli"]
