from __future__ import annotations

import signal
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tencent_liveness_async.sandbox import SandboxServer

    Serve = Callable[..., SandboxServer]
    Point = Callable[[SandboxServer], dict[str, str]]
    MakeFolder = Callable[[int], Path]


def _begin(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def _wait_progress(process: subprocess.Popen[str]) -> None:
    """Wait until the job says how it goes."""
    assert process.stderr
    for line in process.stderr:
        if '"event": "progress"' in line:
            return


def _read_states(ledger: Path) -> dict[str, int]:
    with closing(sqlite3.connect(ledger)) as connection:
        query = "SELECT coalesce(state, 'none'), count(*) FROM photos GROUP BY state"
        states: dict[str, int] = dict(connection.execute(query).fetchall())
        (states["intents"],) = connection.execute("SELECT count(*) FROM intents").fetchone()
    return states


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_first_signal_finishes_what_was_taken(
    *,
    serve: Serve,
    point: Point,
    make_folder: MakeFolder,
    tmp_path: Path,
    program: list[str],
    process_environment: dict[str, str],
    number: signal.Signals,
) -> None:
    """A signal stops the intake; every billed call has its outcome in ledger and results, and 130 ends it."""
    server, output = serve(), tmp_path / "r.jsonl"
    command = [*program, "score", str(make_folder(600)), "-o", str(output), "--rate", "100", "--json"]
    with _begin(command, {**process_environment, **point(server)}) as process:
        _wait_progress(process)
        process.send_signal(number)
        stdout, stderr = process.communicate()
    states = _read_states(tmp_path / "r.jsonl.ledger")
    assert (process.returncode, stdout) == (130, "")
    assert "interrupted; to go on: tencent-liveness score " in stderr
    assert states["scored"] == server.statistics().billed < 600
    assert (states["intents"], len(output.read_text().splitlines())) == (0, states["scored"])


def test_second_signal_ends_at_once(
    *,
    serve: Serve,
    point: Point,
    make_folder: MakeFolder,
    tmp_path: Path,
    program: list[str],
    process_environment: dict[str, str],
) -> None:
    """What is cut off stays in the ledger as an intent, which the next run finds."""
    from tencent_liveness_async.sandbox import FaultRule, FaultScript

    stalled = FaultScript(rules=(FaultRule(fault="stall", after=10, seconds=20),))
    server, ledger = serve(faults=stalled), tmp_path / "l.ledger"
    command = [*program, "score", str(make_folder(100)), "--ledger", str(ledger), "--json"]
    environment = {**process_environment, **point(server)}
    with _begin(command, environment) as process:
        _wait_progress(process)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "stopping; " in told + stderr
    assert "Traceback" not in stderr
    states = _read_states(ledger)
    assert states["intents"] + states.get("unknown", 0) > 0
    assert states["scored"] == 10


def test_kill_is_survived(
    *,
    invoke: Callable[..., Any],
    serve: Serve,
    point: Point,
    make_folder: MakeFolder,
    tmp_path: Path,
    program: list[str],
    process_environment: dict[str, str],
) -> None:
    """After kill -9 no photo that has an outcome is called again, and what is unknown was in flight."""
    server, output, folder = serve(), tmp_path / "r.jsonl", make_folder(200)
    command = [*program, "score", str(folder), "-o", str(output), "--rate", "100", "--json"]
    with _begin(command, {**process_environment, **point(server)}) as process:
        _wait_progress(process)
        process.kill()
        process.communicate()
    arguments = ("score", folder, "-o", output, "--rate", "2000", "--on-unknown", "retry")
    assert invoke(*arguments, environment=point(server)).code == 0
    assert len(output.read_text().splitlines()) == 200
    with closing(sqlite3.connect(tmp_path / "r.jsonl.ledger")) as connection:
        billed, maybe = connection.execute("SELECT sum(billed), sum(maybe_billed) FROM photos").fetchone()
    assert billed == 200
    assert 0 <= server.statistics().billed - billed <= maybe
