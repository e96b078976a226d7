from __future__ import annotations

import io
import json
import re
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Invoke = Callable[..., Any]

PATIENCE = 30.0
KEYS = {"TENCENTCLOUD_SECRET_ID": "AKIDfromTheEnvironment", "TENCENTCLOUD_SECRET_KEY": "hushhush"}


@pytest.fixture(autouse=True)
def _extra() -> None:
    """Skip where the sandbox's extra is not installed."""
    pytest.importorskip("cyclopts")
    pytest.importorskip("uvicorn")
    pytest.importorskip("PIL")


class _Stopping(io.StringIO):
    """A stream that sends the process a signal when the banner ends, or after what `act` does before."""

    def __init__(self, number: int = signal.SIGTERM, act: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._number = number
        self._act = act

    def write(self, text: str) -> int:
        written = super().write(text)
        if "sandbox of DetectLiveFaceAccurate" in text:
            self._act()
            signal.raise_signal(self._number)
        return written


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_end_it(invoke: Invoke, number: int, code: int) -> None:
    """SIGTERM ends it as asked for, Ctrl-C as interrupted; handlers are as before afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    stderr = _Stopping(number)
    ended = invoke("sandbox", stderr=stderr)
    assert ended.code == code
    assert re.fullmatch(r"listening on http://127\.0\.0\.1:\d+\n", ended.stdout)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_banner_says_what_it_is_and_how_to_reach_it(invoke: Invoke) -> None:
    """The banner says that nothing is judged, and has the lines that point a client to it."""
    from tencent_liveness_async.sandbox import SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY

    ended = invoke("sandbox", stderr=(stderr := _Stopping()))
    endpoint = ended.stdout.removeprefix("listening on ").strip()
    for words in (
        "It judges nothing",
        f"export TENCENT_LIVENESS_ENDPOINT={endpoint}",
        f"export TENCENTCLOUD_SECRET_ID={SANDBOX_SECRET_ID}",
        f"export TENCENTCLOUD_SECRET_KEY={SANDBOX_SECRET_KEY}",
        "0 calls, 0 would be billed",
    ):
        assert words in stderr.getvalue()


@pytest.mark.parametrize(
    ("arguments", "origin"),
    [
        ((), "of TENCENTCLOUD_SECRET_ID in the environment"),
        (("--secret-id", "AKIDfromTheOption", "--secret-key", "hushhush"), "given with --secret-id"),
    ],
    ids=["environment", "options"],
)
def test_key_of_a_person_is_not_shown(invoke: Invoke, arguments: tuple[str, ...], origin: str) -> None:
    """A key pair that is not the sandbox's own is named by its origin alone."""
    ended = invoke("sandbox", *arguments, environment=KEYS, stderr=(stderr := _Stopping()))
    shown = ended.stdout + stderr.getvalue()
    assert f"It knows the key pair {origin}" in shown
    assert "hushhush" not in shown
    assert "sandboxSecretKey" not in shown


@pytest.mark.parametrize("token", [{}, {"TENCENTCLOUD_SESSION_TOKEN": "token"}], ids=["key", "temporary key"])
def test_client_and_sandbox_share_an_environment(invoke: Invoke, photos: Path, token: dict[str, str]) -> None:
    """Both read the same variables, so that a client in the same shell is accepted."""
    ended = _score_beside(invoke, [], [photos / "officer.bmp"], environment={**KEYS, **token})
    assert ended.code == 0


def test_options_change_the_sandbox(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    """Faults, faces, latency, quota and seed are the sandbox's."""
    script = tmp_path / "faults.json"
    script.write_text(
        json.dumps({"rules": [{"fault": "code", "code": "FailedOperation.Novelty", "calls": [1]}]})
    )
    options = ["--faults", script, "--no-faces", "--quota", "0", "--latency", "0.01..0.02", "--seed", "7"]
    names = [photos / "refused-no-face.jpg", photos / "officer.bmp"]
    ended = _score_beside(invoke, options, [*names, "--max-concurrency", "1"], environment=KEYS)
    assert ended.code == 4
    first, second = map(json.loads, ended.stdout.splitlines())
    assert (first["code"], second["code"]) == ("FailedOperation.Novelty", None)


def test_quota_options_change_the_sandbox(invoke: Invoke, photos: Path) -> None:
    """Where another process uses up a sliding quota at any moment, no photo gets a score."""
    options = ["--quota", "5", "--quota-window", "sliding", "--quota-offset", "0.25", "--other-calls", "9.5"]
    ended = _score_beside(invoke, options, [photos / "officer.bmp", "--deadline", "0.5"], environment=KEYS)
    assert "which exceeds the frequency limit `5`" in json.loads(ended.stdout)["message"]


def _score_beside(
    invoke: Invoke, options: list[Any], arguments: list[Any], *, environment: dict[str, str]
) -> Any:
    """Score against a sandbox of the program's own, and return how that ended."""
    stdout = io.StringIO()
    ended: list[Any] = []

    def score() -> None:
        endpoint = stdout.getvalue().removeprefix("listening on ").strip()
        target = ("--endpoint", endpoint, "--format", "json")
        ended.append(invoke("score", *arguments, *target, environment=environment))

    assert (
        invoke("sandbox", *options, environment=environment, stdout=stdout, stderr=_Stopping(act=score)).code
        == 0
    )
    return ended[0]


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("--secret-id", "id"), {}, "--secret-key has no secret key; give both or neither"),
        (("--secret-key", "hushhush"), KEYS, "has no secret id; give both or neither"),
        ((), {"TENCENTCLOUD_SECRET_KEY": "hushhush"}, "in the environment has no secret id"),
        (("--secret-id", "i d", "--secret-key", "hushhush"), {}, "secret_id is empty or has characters"),
        (("--latency", "slow"), {}, "latency 'slow' is none of"),
        (("--quota-window", "hopping"), {}, "--quota-window"),
        (("--quota-offset", "1"), {}, "quota_offset must be from 0 to less than 1 second, not 1"),
        (("--other-calls", "inf"), {}, "other_calls must be from 0 to 1,000,000 calls per second"),
    ],
    ids=str,
)
def test_wrong_use_is_one_line(
    invoke: Invoke, arguments: tuple[str, ...], environment: dict[str, str], words: str
) -> None:
    """Options that do not fit end with 2 and one line."""
    ended = invoke("sandbox", *arguments, environment=environment)
    assert (ended.code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert words in ended.stderr
    assert "hushhush" not in ended.stderr


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ('{"rules": [}', "line 1 column 12"),
        ('{"rules": [{"fault": "stall", "rate": 1}]}', "rules[0].seconds is missing"),
        ("[]", "must be an object"),
        ("\udcff", "decode"),
    ],
    ids=["syntax", "field", "kind", "bytes"],
)
def test_wrong_fault_script_names_the_place(invoke: Invoke, tmp_path: Path, script: str, place: str) -> None:
    """A fault script that cannot be used ends with 2 and says where it is wrong."""
    path = tmp_path / "faults.json"
    path.write_bytes(script.encode("utf-8", "surrogateescape"))
    ended = invoke("sandbox", "--faults", path)
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert str(path) in ended.stderr
    assert place in ended.stderr


def test_missing_fault_script_is_named(invoke: Invoke, tmp_path: Path) -> None:
    """A fault script that is not there is an input that is not found."""
    path = tmp_path / "faults.json"
    ended = invoke("sandbox", "--faults", path)
    assert (ended.code, ended.stderr) == (3, f"tencent-liveness: {path}: No such file or directory\n")


def test_port_in_use_is_one_line(invoke: Invoke) -> None:
    """Two sandboxes cannot have one port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = invoke("sandbox", "--port", port)
    assert (ended.code, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert f"port {port} of 127.0.0.1 is in use" in ended.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_process_ends_with_its_signal(
    program: list[str], process_environment: dict[str, str], number: int, code: int
) -> None:
    """As a process it tells its address at once, also into a pipe, and ends without a traceback."""
    with subprocess.Popen(
        [*program, "sandbox"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**process_environment, "PYTHONUNBUFFERED": ""},
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=PATIENCE)
    assert line.startswith("listening on http://127.0.0.1:")
    assert process.returncode == code
    assert "Traceback" not in stderr
