from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tencent_liveness_async
from tencent_liveness_async import cli
from tencent_liveness_async.cli import Context, ExitCode, main

if TYPE_CHECKING:
    from collections.abc import Callable

    Invoke = Callable[..., Any]

PACKAGE = Path(tencent_liveness_async.__file__).parent
# The root package loads the client; a stand-in shows what the command line itself loads.
HELP_ALONE = """
import sys, types
root = types.ModuleType("tencent_liveness_async")
root.__path__ = [sys.argv.pop(1)]
sys.modules[root.__name__] = root
from tencent_liveness_async.cli import main
code = main(["--help"])
heavy = {"httpx", "httpcore", "asyncio", "anyio", "uvicorn", "PIL", "orjson", "rich.live", "rich.markdown"}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or code)
"""


class _Refusing(io.StringIO):
    """A stream that raises when it is written to."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error


def test_public_names_are_kept() -> None:
    """What is public is a promise."""
    assert set(cli.__all__) == {"Context", "ExitCode", "main"}


def test_exit_codes_are_kept() -> None:
    """Scripts rely on the numbers."""
    assert [int(code) for code in ExitCode] == [*range(11), 130]


def test_version_is_the_package_s(invoke: Invoke) -> None:
    """The version is written to stdout."""
    ended = invoke("--version")
    assert (ended.code, ended.stdout) == (0, f"tencent-liveness {tencent_liveness_async.__version__}\n")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)], ids=str)
def test_help_lists_commands_and_exit_codes(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    """Help, asked for or not, names every command and every exit code."""
    ended = invoke(*arguments)
    assert ended.code == 0
    for word in ("score", "explain", "sandbox", "130 interrupted"):
        assert word in " ".join(ended.stdout.split())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("score", ("SRC...", "--rate", "--output -o", "TENCENTCLOUD_SECRET_ID", "maybe_billed")),
        ("explain", ("[CODE...]", "--all", "--json")),
        ("sandbox", ("--faults", "--latency", "--no-faces", "listening on")),
    ],
)
def test_help_of_a_command_is_whole(invoke: Invoke, command: str, words: tuple[str, ...]) -> None:
    """A command's help has its options and what they do."""
    ended = invoke(command, "--help")
    assert ended.code == 0
    for word in words:
        assert word in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scor", "x.jpg"), ("scor", "Did you mean")),
        (("score", "--colour", "x.jpg"), ("--colour",)),
        (("score", "--rate", "fast", "x.jpg"), ("--rate", "fast")),
        (("score", "--rate", "0", "x.jpg"), ("--rate", "> 0")),
        (("score", "--threshold", "101", "x.jpg"), ("--threshold", "100")),
        (("score", "--format", "xml", "x.jpg"), ("--format", "json")),
        (("sandbox", "--port", "70000"), ("--port", "65535")),
    ],
    ids=str,
)
def test_usage_error_is_one_line(invoke: Invoke, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """A wrong command line ends with 2 and one line on stderr."""
    ended = invoke(*arguments)
    assert (ended.code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    for word in words:
        assert word in ended.stderr
    command = "" if arguments[0] == "scor" else f" {arguments[0]}"
    assert ended.stderr.endswith(f"Try `tencent-liveness{command} --help`.\n")


def test_missing_extra_is_named(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its extra the program says what to install."""
    monkeypatch.delitem(sys.modules, "tencent_liveness_async.cli._app", raising=False)
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    ended = invoke("--help")
    assert (ended.code, ended.stderr) == (
        1,
        "tencent-liveness: cyclopts is not installed: pip install 'tencent-liveness-async[cli]'\n",
    )


def test_other_missing_module_is_not_blamed_on_the_extra(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken installation is not blamed on the extra."""
    monkeypatch.setitem(sys.modules, "tencent_liveness_async.cli._app", None)
    with pytest.raises(ModuleNotFoundError):
        invoke("--help")


def test_help_loads_no_client() -> None:
    """Help does not load the transport, the event loop or the sandbox."""
    run = subprocess.run(
        [sys.executable, "-c", HELP_ALONE, str(PACKAGE)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_module_is_the_program(program: list[str], process_environment: dict[str, str]) -> None:
    """`python -m tencent_liveness_async.cli` takes arguments, streams and environment of the process."""
    run = subprocess.run(
        [*program, "explain"], capture_output=True, text=True, check=False, env=process_environment
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("tencent-liveness: explain needs error codes, or --all. Try")


def test_interruption_is_no_traceback(invoke: Invoke) -> None:
    """Ctrl-C anywhere ends with 130 and one line."""
    ended = invoke("--version", stdout=_Refusing(KeyboardInterrupt()))
    assert (ended.code, ended.stderr) == (130, "tencent-liveness: interrupted\n")


def test_closed_reader_is_no_traceback(invoke: Invoke) -> None:
    """A reader of stdout that goes away ends the program with one line."""
    ended = invoke("explain", "--all", "--json", stdout=_Refusing(BrokenPipeError()))
    assert (ended.code, ended.stderr) == (1, "tencent-liveness: stdout was closed before all was written\n")


def test_closed_reader_is_not_written_to_at_the_end(invoke: Invoke) -> None:
    """What is still buffered for a reader that has gone away is dropped."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        ended = invoke("explain", "InternalError", "--json", stdout=stdout)
        stdout.write("more")
    assert ended.code == 0


def test_full_device_is_no_traceback(invoke: Invoke) -> None:
    """Stdout that takes nothing is told in one line, also when it is flushed at the end."""
    with Path("/dev/full").open("w", encoding="utf-8") as stdout:
        ended = invoke("explain", "--all", stdout=stdout)
    assert (ended.code, ended.stderr) == (1, "tencent-liveness: stdout: No space left on device\n")


def test_table_for_a_closed_reader_is_no_silent_exit(invoke: Invoke) -> None:
    """A table's broken pipe is told as any other."""
    ended = invoke("explain", "--all", stdout=_Refusing(BrokenPipeError()))
    assert (ended.code, ended.stderr) == (1, "tencent-liveness: stdout was closed before all was written\n")


def test_closed_stderr_does_no_harm(invoke: Invoke) -> None:
    """If nobody can read what the program says, it ends with its exit code all the same."""
    assert invoke("explain", stderr=_Refusing(OSError(5, "Input/output error"))).code == 2


def test_undrawable_signs_are_replaced() -> None:
    """A terminal without a sign gets a question mark, and none that it would obey."""
    raw = io.BytesIO()
    stderr = io.TextIOWrapper(raw, encoding="ascii")
    Context(io.StringIO(), io.StringIO(), stderr, {}).say("a\x1b[2J\nb\udcffé")
    assert raw.getvalue() == b"tencent-liveness: a?[2J?b??\n"


def test_streams_are_the_process_s_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a context the program uses the process's arguments and streams."""
    monkeypatch.setattr(sys, "argv", ["tencent-liveness", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("tencent-liveness ")


def test_reference_names_commands_options_and_codes() -> None:
    """The reference has every command, option of jobs, exit code and field of a progress event."""
    from dataclasses import fields

    from tencent_liveness_async.cli._config import SETTINGS
    from tencent_liveness_async.cli._job_standing import JobStanding

    text = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
    commands = ("score", "plan", "retry", "report", "export", "compare", "config show", "explain", "sandbox")
    wanted = [
        *(f"| `{command}" for command in commands),
        *(f"--{name}`" for name in SETTINGS),
        *(f"| {int(code)} |" for code in ExitCode),
        *(f"`{field.name}`" for field in fields(JobStanding)),
    ]
    assert [words for words in wanted if words not in text] == []
