from __future__ import annotations

import errno
import io
import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tencent_liveness_async.sandbox import SandboxServer

    Invoke = Callable[..., Any]
    Serve = Callable[..., SandboxServer]
    Point = Callable[[SandboxServer], dict[str, str]]
    MakeFolder = Callable[[int], Path]

PATIENCE = 30.0


class _Interrupting(io.StringIO):
    """A stream that interrupts the process with its first line."""

    def write(self, text: str) -> int:
        if not self.getvalue():
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


class _Full(io.StringIO):
    """A disk without space."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def _read(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_full_disk_is_one_line(invoke: Invoke, serve: Serve, point: Point, photos: Path) -> None:
    """If the results cannot be written the run ends, and says how many are lost."""
    ended = invoke("score", photos, "--format", "json", environment=point(serve()), stdout=_Full())
    assert ended.code == 1
    line = ended.stderr.splitlines()[-1]
    assert "cannot be written: No space left on device; the run was stopped, and" in line
    assert line.endswith("outcomes were not written")


def test_interruption_writes_what_was_paid(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder
) -> None:
    """After Ctrl-C every attempt that was sent is waited for, written and told."""
    from tencent_liveness_async.sandbox import Latency

    server = serve(latency=Latency.uniform(0.0, 0.1))
    stdout = _Interrupting()
    ended = invoke(
        "score",
        make_folder(150),
        *("--format", "json", "--rate", 1000),
        environment=point(server),
        stdout=stdout,
    )
    records = _read(stdout.getvalue())
    assert ended.code == 130
    assert len(records) == server.statistics().billed < 150
    assert f"interrupted; {len(records)} outcomes on stdout, " in ended.stderr
    assert "; the rest of the sources was not taken\n" in ended.stderr
    assert "stopping; " in ended.stderr
    assert "attempts under way are waited for" in ended.stderr


def test_signal_to_the_process(
    *,
    serve: Serve,
    point: Point,
    make_folder: MakeFolder,
    tmp_path: Path,
    program: list[str],
    process_environment: dict[str, str],
) -> None:
    """SIGINT to the process ends it with 130, no traceback, and every billed score in the file."""
    from tencent_liveness_async.sandbox import Latency

    server = serve(latency=Latency.constant(0.3))
    output = tmp_path / "results.jsonl"
    with subprocess.Popen(
        [*program, "score", str(make_folder(300)), "--rate", "100", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**process_environment, **point(server)},
    ) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, stderr = process.stdout.read(), process.stderr.read()
    output.write_text(first + rest)
    records = _read(output.read_text())
    assert process.returncode == 130
    assert len(records) == server.statistics().billed < 300
    assert "Traceback" not in stderr
    assert f"interrupted; {len(records)} outcomes on stdout, " in stderr


def test_reader_that_goes_away(
    serve: Serve,
    point: Point,
    make_folder: MakeFolder,
    program: list[str],
    process_environment: dict[str, str],
) -> None:
    """A pipe that is closed stops the run without a traceback."""
    with subprocess.Popen(
        [*program, "score", str(make_folder(100)), "--rate", "200", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**process_environment, **point(serve())},
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
        process.wait(PATIENCE)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert "cannot be written: Broken pipe; the run was stopped" in stderr


def test_table_that_cannot_be_written_is_one_line(
    invoke: Invoke, serve: Serve, point: Point, photos: Path
) -> None:
    """A table's stream that breaks is told once, with what is lost."""
    ended = invoke("score", photos / "officer.jpg", environment=point(serve()), stdout=_Full())
    assert ended.code == 1
    assert ended.stderr == (
        "tencent-liveness: stdout cannot be written: No space left on device; the run was stopped, "
        "and 1 outcome was not written\n"
    )


def test_proxy_without_its_package_is_a_usage_error(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that stops a run is no fault of the account."""
    from tencent_liveness_async import ConfigurationError
    from tencent_liveness_async.cli import _service

    class Misconfigured:
        reads = 0

        def __init__(self, environment: object) -> None:
            pass

        async def get(self) -> Any:
            from tencent_liveness_async import Credential

            self.reads += 1
            if self.reads > 2:
                raise ConfigurationError("a SOCKS proxy needs socksio")
            return Credential("id", "key")

    monkeypatch.setattr(_service, "EnvironmentCredentials", Misconfigured)
    ended = invoke("score", photos / "officer.bmp", environment=point(serve()))
    assert ended.code == 2
    assert "the run was stopped: a SOCKS proxy needs socksio; 0 outcomes" in ended.stderr


def test_bug_in_writing_is_raised(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody expected is not told as a full disk."""
    from tencent_liveness_async.cli import _records

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(_records, "make_record", fail)
    with pytest.raises(ZeroDivisionError):
        invoke("score", photos / "officer.bmp", "--format", "json", environment=point(serve()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_other_signals_are_drained_too(
    *,
    serve: Serve,
    point: Point,
    make_folder: MakeFolder,
    tmp_path: Path,
    program: list[str],
    process_environment: dict[str, str],
    number: signal.Signals,
) -> None:
    """SIGTERM and SIGHUP wait for what is paid for; a second one does not, and the file is whole."""
    from tencent_liveness_async.sandbox import FaultRule, FaultScript, Latency

    stalled = FaultScript(rules=(FaultRule(fault="stall", after=10, seconds=20),))
    server = serve(faults=stalled, latency=Latency.constant(0.3))
    with subprocess.Popen(
        [*program, "score", str(make_folder(300)), "--rate", "100", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**process_environment, **point(server)},
    ) as process:
        assert process.stdout
        assert process.stderr
        first = [process.stdout.readline() for _ in range(10)]
        process.send_signal(number)
        told = process.stderr.readline()
        process.send_signal(number)
        rest, stderr = process.stdout.read(), process.stderr.read()
    records = _read("".join(first) + rest)
    assert process.returncode == 130
    assert "stopping; " in told
    assert "Traceback" not in stderr
    assert f"interrupted; {len(records)} outcomes on stdout, " in stderr
    assert {record["is_billed"] for record in records} == {True, None}
