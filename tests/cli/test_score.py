from __future__ import annotations

import errno
import json
import os
import socket
import sys
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

HINT = "Try `tencent-liveness score --help`."
EXAMPLES = 11


@pytest.fixture
def closed_endpoint() -> str:
    """Return an address that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{bound.getsockname()[1]}"


def _read(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_table_of_the_examples(invoke: Invoke, serve: Serve, point: Point, photos: Path) -> None:
    """Every example has its line, each refusal its reason, and the sums are right."""
    ended = invoke("score", photos, environment=point(serve()), columns=160)
    assert ended.code == 4
    for words in (
        "officer.jpg yes",
        "refused-gif.gif format: has GIF format",
        "refused-empty.jpg empty:",
        "refused-too-many-pixels.png long_side:",
        "refused-truncated.jpg FailedOperation.ImageDecodeFailed: The photo cannot be decoded",
    ):
        name, _, rest = words.partition(" ")
        line = next(line for line in ended.stdout.splitlines() if name in line)
        assert rest in line
    assert f"photos    {EXAMPLES} found, 7 scored" in ended.stdout
    assert "refused   3 before sending, 1 by the service" in ended.stdout
    assert "attempts  8: 7 billed, 0 maybe billed, 0 throttled" in ended.stdout
    assert ended.stderr == ""


def test_all_scored_is_success(invoke: Invoke, serve: Serve, point: Point, photos: Path) -> None:
    """Photos that all have a score end with 0, whatever the scores are."""
    server = serve()
    ended = invoke("score", photos / "officer.jpg", photos / "astronaut.png", environment=point(server))
    assert (ended.code, ended.stderr) == (0, "")
    assert server.statistics().calls == 2


def test_json_goes_to_stdout(invoke: Invoke, serve: Serve, point: Point, photos: Path) -> None:
    """JSON has one object a photo on stdout, and the sums on stderr."""
    ended = invoke("score", photos, "--format", "json", environment=point(serve()))
    records = _read(ended.stdout)
    assert ended.code == 4
    assert len({record["source"] for record in records}) == EXAMPLES
    assert len({tuple(record) for record in records}) == 1
    assert f"photos    {EXAMPLES} found" in ended.stderr


def test_threshold_decides_what_is_live(invoke: Invoke, serve: Serve, point: Point, photos: Path) -> None:
    """The threshold is the run's, and changes no score."""
    environment = point(serve())
    low, high = (
        _read(
            invoke(
                "score", photos / "officer.jpg", "--format", "json", *arguments, environment=environment
            ).stdout
        )
        for arguments in (("--threshold", "0"), ("--threshold", "100"))
    )
    assert (low[0]["is_live"], low[0]["threshold"]) == (True, 0)
    assert (high[0]["is_live"], high[0]["threshold"]) == (False, 100)
    assert low[0]["score"] == high[0]["score"]


@pytest.mark.parametrize(
    ("arguments", "is_silent"),
    [(("--format", "table"), False), (("--format", "json"), False)],
    ids=str,
)
def test_quiet_leaves_results_and_errors(
    *,
    invoke: Invoke,
    serve: Serve,
    point: Point,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    is_silent: bool,
) -> None:
    """Quiet keeps the results, and nothing else that is no error."""
    monkeypatch.chdir(tmp_path)
    ended = invoke("score", photos, "--quiet", *arguments, environment=point(serve()), is_terminal=True)
    assert (ended.code, ended.stderr, ended.stdout == "") == (4, "", is_silent)
    assert "seconds   " not in ended.stdout


def test_terminal_has_progress_and_a_table(invoke: Invoke, serve: Serve, point: Point, photos: Path) -> None:
    """On a terminal the live line is on stderr and the table on stdout."""
    ended = invoke("score", photos, environment=point(serve()), is_terminal=True)
    assert "refused/failed" in ended.stderr
    assert "officer.jpg" in ended.stdout


def test_json_on_a_terminal_is_its_own_progress(
    invoke: Invoke, serve: Serve, point: Point, photos: Path
) -> None:
    """A live line would be torn by the lines of results on the same terminal."""
    ended = invoke("score", photos, "--format", "json", environment=point(serve()), is_terminal=True)
    assert "in flight" not in ended.stderr


def test_sandbox_of_its_own(invoke: Invoke, photos: Path) -> None:
    """`--sandbox` needs no key pair, reaches no other endpoint and says what it is."""
    environment = {"TENCENT_LIVENESS_ENDPOINT": "http://127.0.0.1:1", "TENCENTCLOUD_SECRET_ID": "another"}
    ended = invoke("score", photos / "officer.bmp", "--sandbox", environment=environment)
    assert ended.code == 0
    assert ended.stderr.startswith("tencent-liveness: sandbox at http://127.0.0.1:")
    assert ended.stderr.count("\n") == 1
    assert "judges nothing" in ended.stderr


def test_quiet_sandbox(invoke: Invoke, photos: Path) -> None:
    """A quiet run does not tell of its sandbox."""
    ended = invoke("score", photos / "officer.bmp", "--sandbox", "-q")
    assert (ended.code, ended.stderr) == (0, "")


def test_missing_sandbox_extra_is_named(
    invoke: Invoke, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its extra the sandbox says what to install."""
    for name in [name for name in sys.modules if name.startswith("tencent_liveness_async.sandbox")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setitem(sys.modules, "uvicorn.config", None)
    ended = invoke("score", photos, "--sandbox")
    assert (ended.code, ended.stderr.count("\n")) == (1, 1)
    assert "pip install 'tencent-liveness-async[sandbox]'" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "score needs photos"),
        (("x.jpg", ""), 2, "'' is no file, folder or URL. Try `tencent-liveness score --help`."),
        (("https://photos.test/1.jpg", "-o", ""), 2, "'' is no name of an output file"),
        (("https://photos.test/1.jpg", "-o", "/"), 2, "the output / is a folder"),
        (("/dev/zero", "-o", "/dev/zero", "--force"), 2, "the output /dev/zero is one of the photos"),
        (("--sandbox", "--endpoint", "http://127.0.0.1", "x.jpg"), 2, "exclude each other"),
        (("a", "b", "-o", "x.csv"), 2, "a job takes one source"),
        (("a", "-o", "x.csv", "--format", "json"), 2, "--format is for scores on stdout"),
        (("a", "--max-calls", "9"), 2, "are for jobs: give --output or --ledger"),
        (("a", "-o", "x.txt"), 2, "x.txt: a result file ends in .jsonl, .csv, .parquet"),
        (("a", "-o", "x.csv", "--max-cost", "5"), 2, "--max-cost needs --prices"),
        (("missing.jpg",), 3, "missing.jpg: No such file or directory; nothing was sent"),
        (("https://photos.test/1.jpg", "--endpoint", "http://a/b"), 2, "the endpoint 'http://a/b' has more"),
    ],
    ids=str,
)
def test_wrong_use_is_one_line(invoke: Invoke, arguments: tuple[str, ...], code: int, words: str) -> None:
    """What cannot be run says why in one line."""
    keys = {"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "key"}
    ended = invoke("score", *arguments, environment=keys)
    assert (ended.code, ended.stdout, ended.stderr.count("\n")) == (code, "", 1)
    assert words in ended.stderr


def test_folder_without_photos_is_not_success(invoke: Invoke, tmp_path: Path) -> None:
    """A folder without photos is most likely the wrong folder."""
    keys = {"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "key"}
    (tmp_path / "notes.txt").touch()
    ended = invoke("score", tmp_path, environment=keys)
    assert (ended.code, ended.stdout) == (3, "")
    assert "no photos in" in ended.stderr
    assert "only 1 file without a picture's suffix" in ended.stderr


def test_missing_credentials_name_the_variables(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    """Without a key pair nothing is begun, and the line says what to set."""
    output = tmp_path / "results.jsonl"
    ended = invoke("score", photos, "-o", output, environment={"TENCENTCLOUD_SECRET_KEY": "hushhush"})
    assert (ended.code, ended.stdout, ended.stderr.count("\n")) == (7, "", 1)
    assert "TENCENTCLOUD_SECRET_ID not set" in ended.stderr
    assert "--sandbox" in ended.stderr
    assert "hushhush" not in ended.stderr
    assert not output.exists()


def test_malformed_credentials_are_told(invoke: Invoke, photos: Path) -> None:
    """A key with a blank in it was pasted wrongly; it is not shown."""
    keys = {"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "hush hush"}
    ended = invoke("score", photos, environment=keys)
    assert (ended.code, ended.stderr.count("\n")) == (7, 1)
    assert "secret_key" in ended.stderr
    assert "hush" not in ended.stderr


def test_wrong_key_stops_the_run(invoke: Invoke, serve: Serve, point: Point, photos: Path) -> None:
    """A fault of the account ends the run with its meaning and what to do."""
    environment = {**point(serve()), "TENCENTCLOUD_SECRET_KEY": "hushhush"}
    ended = invoke("score", photos / "officer.jpg", environment=environment)
    assert (ended.code, ended.stderr.count("\n")) == (7, 1)
    for words in ("AuthFailure.SignatureFailure: ", "wrong secret key", "Check the secret id", "request id "):
        assert words in ended.stderr
    assert "hushhush" not in ended.stdout + ended.stderr
    assert "1 without an outcome" in ended.stdout


def test_undocumented_account_fault_quotes_the_service(
    invoke: Invoke, serve: Serve, point: Point, photos: Path
) -> None:
    """A code that nobody knows comes with the service's own words."""
    from tencent_liveness_async.sandbox import FaultRule, FaultScript

    rule = FaultRule(fault="code", code="AuthFailure.Novelty", message="Something new.", after=0)
    ended = invoke("score", photos, environment=point(serve(faults=FaultScript(rules=(rule,)))))
    assert ended.code == 7
    assert "The service says: Something new." in ended.stderr


@pytest.mark.parametrize("deadline", [(), ("--deadline", "0.2")], ids=str)
def test_endpoint_that_does_not_answer(
    invoke: Invoke, photos: Path, closed_endpoint: str, deadline: tuple[str, ...]
) -> None:
    """If nobody listens, the reason is in the table, one line says what to check, and it is no success."""
    keys = {"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "key"}
    arguments = (photos / "officer.jpg", photos / "refused-empty.jpg", *deadline)
    ended = invoke("score", *arguments, "--endpoint", closed_endpoint, environment=keys, columns=200)
    assert (ended.code, ended.stderr.count("\n")) == (4, 1)
    assert "NotSentError" in ended.stdout or "DeadlineExceededError" in ended.stdout
    assert f"{closed_endpoint} gave no answer to any photo: check the endpoint" in ended.stderr


def test_key_that_goes_away_is_told(invoke: Invoke, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key pair that is taken away during the run ends it as an account fault."""
    from tencent_liveness_async import EnvironmentCredentials, MissingCredentialsError
    from tencent_liveness_async.cli import _service

    class Vanishing(EnvironmentCredentials):
        reads = 0

        async def get(self) -> Any:
            self.reads += 1
            if self.reads > 2:
                raise MissingCredentialsError("no credentials any more")
            return await super().get()

    monkeypatch.setattr(_service, "EnvironmentCredentials", Vanishing)
    keys = {"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "key"}
    ended = invoke("score", photos / "officer.bmp", environment=keys)
    assert ended.code == 7
    assert ended.stderr == (
        "tencent-liveness: the run was stopped: no credentials any more; "
        "0 outcomes on stdout, 1 photo taken without one\n"
    )


def test_throttles_are_counted(invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder) -> None:
    """A rate above the quota costs attempts, which the summary tells."""
    ended = invoke("score", make_folder(12), "--rate", 500, environment=point(serve(quota=5)))
    assert ended.code == 0
    assert "12 scored" in ended.stdout
    assert ", 0 throttled" not in ended.stdout


def test_every_score_is_shown_without_an_output_file(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder
) -> None:
    """What was paid for is on stdout, however many photos there are, on a terminal and in a pipe."""
    folder, environment = make_folder(120), point(serve())
    for is_terminal in (True, False):
        ended = invoke("score", folder, "--rate", 1000, environment=environment, is_terminal=is_terminal)
        assert ended.code == 0
        assert all(f"/{number:04}.jpg" in ended.stdout for number in range(120))


def test_folder_that_goes_away_is_no_success(
    *,
    invoke: Invoke,
    serve: Serve,
    point: Point,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder that could not be read leaves photos without a score."""
    (tmp_path / "gone").mkdir()
    (tmp_path / "a.bmp").write_bytes((photos / "officer.bmp").read_bytes())
    listed = os.scandir

    def scan(folder: Any = ".") -> Any:
        if str(folder).endswith("gone"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scan)
    ended = invoke("score", tmp_path, environment=point(serve()), is_terminal=True)
    assert ended.code == 4
    assert "gone: Permission denied; its photos are not scored" in ended.stderr
    assert "0 files, 1 folder" in ended.stdout
