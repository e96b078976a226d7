from __future__ import annotations

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


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of one's own, where the file is looked for."""
    monkeypatch.chdir(tmp_path)


def _find(text: str, name: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1:]


def test_option_variable_file_default(invoke: Invoke, tmp_path: Path) -> None:
    """A variable counts before the file, the file before the default, and it is said which."""
    (tmp_path / "tencent-liveness.toml").write_text('rate = 10\nmax_calls = 7\npattern = "*.png"\n')
    shown = invoke("config", "show", environment={"TENCENT_LIVENESS_RATE": "20"}).stdout
    assert _find(shown, "rate") == ["20", "TENCENT_LIVENESS_RATE"]
    assert _find(shown, "max-calls") == ["7", "tencent-liveness.toml"]
    assert _find(shown, "pattern") == ["*.png", "tencent-liveness.toml"]
    assert _find(shown, "threshold") == ["40.0", "default"]


@pytest.mark.parametrize(
    ("arguments", "variables", "calls"),
    [
        (("--max-calls", "1"), {"TENCENT_LIVENESS_MAX_CALLS": "2"}, 1),
        ((), {"TENCENT_LIVENESS_MAX_CALLS": "2"}, 2),
        ((), {}, 3),
    ],
    ids=str,
)
def test_settings_count_in_a_job(
    *,
    invoke: Invoke,
    serve: Serve,
    point: Point,
    make_folder: MakeFolder,
    tmp_path: Path,
    arguments: tuple[str, ...],
    variables: dict[str, str],
    calls: int,
) -> None:
    """An option on the command line counts first."""
    (tmp_path / "tencent-liveness.toml").write_text("max-calls = 3\nrate = 1000\n")
    server = serve()
    command = ("score", make_folder(6), "-o", "r.jsonl", *arguments)
    assert invoke(*command, environment={**point(server), **variables}).code == 8
    assert server.statistics().billed == calls


def test_another_file_may_be_named(invoke: Invoke, tmp_path: Path) -> None:
    """TENCENT_LIVENESS_CONFIG names the file, and then it has to be there."""
    (tmp_path / "mine.toml").write_text("unsorted = true\n")
    shown = invoke("config", "show", environment={"TENCENT_LIVENESS_CONFIG": "mine.toml"})
    assert _find(shown.stdout, "unsorted") == ["true", "mine.toml"]
    ended = invoke("config", "show", environment={"TENCENT_LIVENESS_CONFIG": "missing.toml"})
    assert (ended.code, ended.stderr.count("\n")) == (3, 1)
    assert "missing.toml, named by TENCENT_LIVENESS_CONFIG, is not there" in ended.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rate = ", "is no TOML"),
        ('speed = "hushhush"', "speed is no setting; there are rate,"),
        ("secret-key = 'hushhush'", "secret-key is no setting"),
        ("[score]\nrate = 1", "score is no setting"),
        ("pattern = ['*.jpg']", "pattern is neither text nor a number"),
    ],
)
def test_wrong_file_is_one_line(invoke: Invoke, tmp_path: Path, text: str, words: str) -> None:
    """What the file may not hold is named, without its value."""
    (tmp_path / "tencent-liveness.toml").write_text(text)
    ended = invoke("config", "show")
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert words in ended.stderr
    assert "hushhush" not in ended.stderr


def test_wrong_value_names_its_place(invoke: Invoke, photos: Path) -> None:
    """A value that an option would not take is told with the variable that has it."""
    ended = invoke("score", photos, environment={"TENCENT_LIVENESS_RATE": "fast"})
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert "TENCENT_LIVENESS_RATE" in ended.stderr


def test_secrets_are_never_shown(invoke: Invoke) -> None:
    """Of the key pair it is said that it is there."""
    keys = {"TENCENTCLOUD_SECRET_ID": "AKIDhushhush", "TENCENTCLOUD_SECRET_KEY": "hushhush"}
    shown = invoke("config", "show", environment=keys).stdout
    assert "hushhush" not in shown
    assert _find(shown, "TENCENTCLOUD_SECRET_KEY") == ["set,", "not", "shown", "variable"]


def test_sandbox_is_not_led_elsewhere(invoke: Invoke, photos: Path) -> None:
    """An endpoint that is set does not contradict `--sandbox`."""
    environment = {"TENCENT_LIVENESS_ENDPOINT": "http://127.0.0.1:1"}
    assert invoke("score", photos / "officer.bmp", "--sandbox", environment=environment).code == 0


def test_completion_is_installed(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script for the shell in use is written where that shell looks for it, and names the commands."""
    monkeypatch.setenv("HOME", str(tmp_path))
    ended = invoke("--install-completion", "--shell", "bash")
    script = tmp_path / ".local/share/bash-completion/completions/tencent-liveness"
    assert ended.code == 0
    for word in ("score", "retry", "ledger", "--max-calls"):
        assert word in script.read_text()
