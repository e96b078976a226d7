from __future__ import annotations

import io
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tencent_liveness_async.cli import Context, main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tencent_liveness_async.sandbox import SandboxServer

    Invoke = Callable[..., Any]
    Serve = Callable[..., SandboxServer]
    Point = Callable[[SandboxServer], dict[str, str]]
    MakeFolder = Callable[[int], Path]

FAST = ("--rate", "1000")
TRIES = 4


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _fail_first(fault: str, calls: int, **values: str) -> Any:
    """Return a script by which so many calls go wrong, as many as the client makes for one photo."""
    from tencent_liveness_async.sandbox import FaultRule, FaultScript

    return FaultScript(rules=(FaultRule(fault=fault, calls=tuple(range(1, calls + 1)), **values),))  # type: ignore[arg-type]


def test_job_writes_results_and_a_ledger(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """Photos that are refused are allowed: the job is done, and its files say what came of each."""
    output = tmp_path / "results.jsonl"
    ended = invoke("score", photos, "-o", output, environment=point(serve()))
    rows = _read(output)
    assert ended.code == 0
    assert {row["state"] for row in rows} == {"scored", "refused_free"}
    assert f"{len(rows)} found" in ended.stdout
    assert (tmp_path / "results.jsonl.ledger").is_file()


def test_job_is_paid_once(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """The same command again pays for what is new alone, and says when there is nothing to do."""
    server, output = serve(), tmp_path / "results.csv"
    folder = make_folder(4)
    arguments = ("score", folder, "-o", output, *FAST)
    assert invoke(*arguments, environment=point(server)).code == 0
    again = invoke(*arguments, environment=point(server))
    assert (again.code, server.statistics().calls) == (9, 4)
    assert "nothing to do: every photo was finished before" in again.stderr
    (folder / "new.jpg").write_bytes((folder / "0000.jpg").read_bytes() + b"new")
    assert invoke(*arguments, environment=point(server)).code == 0
    assert server.statistics().calls == 5
    assert len(output.read_text().splitlines()) == 6


def test_equal_photos_are_paid_once(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """Five names of one photo are one call and five results."""
    server, folder = serve(), make_folder(1)
    for number in range(4):
        shutil.copy(folder / "0000.jpg", folder / f"copy{number}.jpg")
    output = tmp_path / "results.jsonl"
    assert invoke("score", folder, "-o", output, environment=point(server)).code == 0
    assert (server.statistics().calls, len(_read(output))) == (1, 5)


def test_ledger_alone_is_a_job(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """With a ledger and no output the results stay in the ledger."""
    ledger = tmp_path / "mine.ledger"
    ended = invoke("score", photos / "officer.jpg", "--ledger", ledger, environment=point(serve()))
    assert (ended.code, ledger.is_file(), list(tmp_path.iterdir())) == (0, True, [ledger])


def test_results_of_another_ledger_are_not_overwritten(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """A result file without its ledger stops the job before anything is sent, unless it is forced."""
    server, output = serve(), tmp_path / "results.jsonl"
    output.write_text("paid for\n")
    arguments = ("score", photos / "officer.jpg", "-o", output)
    ended = invoke(*arguments, environment=point(server))
    assert (ended.code, output.read_text(), server.statistics().calls) == (2, "paid for\n", 0)
    assert "--force overwrites it" in ended.stderr
    assert invoke(*arguments, "--force", environment=point(server)).code == 0
    assert len(_read(output)) == 1


def test_other_parameters_need_another_ledger(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """A ledger of another model version is not gone on with, unless it is forced."""
    environment = point(serve())
    arguments = ("score", photos / "officer.jpg", "--ledger", tmp_path / "l.ledger")
    assert invoke(*arguments, environment=environment).code == 0
    ended = invoke(*arguments, "--model-version", "3.0", environment=environment)
    assert ended.code == 2
    assert "--force" in ended.stderr
    assert invoke(*arguments, "--model-version", "3.0", "--force", environment=environment).code == 0


def test_budget_of_calls_is_never_exceeded(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """A job stops at its budget with a code of its own, and the line that goes on."""
    server = serve()
    arguments = ("score", make_folder(9), "-o", tmp_path / "r.jsonl", "--max-calls", 3, *FAST)
    ended = invoke(*arguments, environment=point(server))
    assert (ended.code, server.statistics().billed) == (8, 3)
    assert f"the budget is used up; to go on: tencent-liveness score {arguments[1]} -o" in ended.stderr


def test_budget_of_money_needs_prices(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """Money is turned into calls by the user's own prices."""
    server, prices = serve(), tmp_path / "prices.toml"
    prices.write_text('currency = "CNY"\n[[tiers]]\nprice = 0.25\n')
    arguments = ("score", make_folder(9), "-o", tmp_path / "r.jsonl", "--max-cost", "0.99", *FAST)
    ended = invoke(*arguments, "--prices", prices, environment=point(server))
    assert (ended.code, server.statistics().billed) == (8, 3)
    assert "0.75 CNY" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-cost", "5"), "--max-cost needs --prices"),
        (("--max-cost", "much", "--prices", "prices.toml"), "--max-cost is a sum of money"),
        (("--prices", "missing.toml"), "missing.toml cannot be read"),
        (("--max-errors", "some"), "neither a number of photos"),
        (("--max-errors", "101%"), "neither a number of photos"),
        (("--max-duration", "soon"), "no duration over 0"),
        (("--max-duration", "0"), "no duration over 0"),
        (("--endpoint", "http://a/b"), "has more than a scheme"),
    ],
    ids=str,
)
def test_wrong_options_are_one_line(
    *,
    invoke: Invoke,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    """What a job cannot be run with is told in one line, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.toml").write_text('currency = "CNY"\n[[tiers]]\nprice = 1\n')
    keys = {"TENCENTCLOUD_SECRET_ID": "id", "TENCENTCLOUD_SECRET_KEY": "key"}
    ended = invoke("score", photos, "-o", "r.jsonl", *arguments, environment=keys)
    assert (ended.code, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert words in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["prices.toml"]


def test_too_many_errors_stop_a_job(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """Beyond the errors that are allowed no more photos are taken."""
    server, folder = serve(), make_folder(400)
    for path in folder.glob("000*.jpg"):
        path.unlink()
        path.symlink_to("nowhere")
    arguments = ("score", folder, "-o", tmp_path / "r.jsonl", "--max-errors", 5, *FAST)
    ended = invoke(*arguments, environment=point(server))
    assert ended.code == 6
    assert "too many photos failed; to go on: " in ended.stderr
    assert server.statistics().calls < 390


def test_time_that_is_over_stops_a_job(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """After its time a job takes in nothing more."""
    arguments = ("score", make_folder(300), "-o", tmp_path / "r.jsonl", "--rate", 50)
    ended = invoke(*arguments, "--max-duration", "0.2", environment=point(serve()))
    assert ended.code == 10
    assert "the time is over; to go on: " in ended.stderr


def test_failures_that_may_pass_have_their_code(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """A service that fails ends a job with 5, and the next run finishes it."""
    server, output = (
        serve(faults=_fail_first("code", TRIES, code="FailedOperation.ServerError")),
        tmp_path / "r.jsonl",
    )
    arguments = ("score", photos / "officer.jpg", "-o", output)
    ended = invoke(*arguments, environment=point(server))
    assert (ended.code, _read(output)[0]["state"]) == (5, "failed_transient")
    assert "1 photo failed or may be paid; to go on: " in ended.stderr
    assert invoke(*arguments, environment=point(server)).code == 0
    assert [row["state"] for row in _read(output)] == ["scored"]


def test_unreadable_photo_is_a_failure(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """A photo that cannot be read is an outcome, and the job ends with 4."""
    folder, output = make_folder(2), tmp_path / "r.jsonl"
    (folder / "gone.jpg").symlink_to("nowhere")
    ended = invoke("score", folder, "-o", output, environment=point(serve()))
    assert ended.code == 4
    assert sorted(row["state"] for row in _read(output)) == ["failed_final", "scored", "scored"]


@pytest.mark.parametrize(
    ("arguments", "is_terminal", "answer", "calls"),
    [
        ((), False, "", 0),
        ((), True, "n\n", 0),
        ((), True, "y\n", 1),
        (("--on-unknown", "retry"), False, "", 1),
        (("--on-unknown", "skip"), True, "y\n", 0),
    ],
    ids=str,
)
def test_what_may_be_paid_is_asked(
    *,
    invoke: Invoke,
    serve: Serve,
    point: Point,
    photos: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    is_terminal: bool,
    answer: str,
    calls: int,
) -> None:
    """Photos without an answer are sent again only if a person or an option says so."""
    server = serve(faults=_fail_first("reset", 2, at="answer"))
    command = ["score", str(photos / "officer.jpg"), "--ledger", str(tmp_path / "l.ledger")]
    assert invoke(*command, environment=point(server)).code == 5
    assert server.statistics().calls == 2
    stderr = io.StringIO()
    context = Context(
        stdin=io.StringIO(answer),
        stdout=io.StringIO(),
        stderr=stderr,
        environment={"COLUMNS": "120", "TERM": "dumb", **point(server)},
        is_stderr_terminal=is_terminal,
        is_stdin_terminal=is_terminal,
    )
    main([*command, *arguments], context=context)
    assert server.statistics().calls == 2 + calls
    if not arguments:
        assert "1 photo of an earlier run may be paid" in stderr.getvalue()


def test_account_fault_keeps_what_was_paid(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """When the account falls into arrears, every score that was billed is in the file."""
    from tencent_liveness_async.sandbox import FaultRule, FaultScript

    server = serve(faults=FaultScript(rules=(FaultRule(fault="arrears", after=20),)))
    output = tmp_path / "results.jsonl"
    ended = invoke("score", make_folder(60), "-o", output, *FAST, environment=point(server))
    assert ended.code == 7
    assert "ResourceUnavailable.InArrears: The account is in arrears." in ended.stderr
    assert sum(row["score"] is not None for row in _read(output)) == server.statistics().billed


def test_missing_key_pair_leaves_nothing(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    """Without a key pair no job is begun, and no file is made."""
    ended = invoke("score", photos, "-o", tmp_path / "r.jsonl", environment={})
    assert (ended.code, ended.stdout, list(tmp_path.iterdir())) == (7, "", [])


def test_events_are_json_on_stderr(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """Events have a start, a look each second and an end, and nothing else is written anywhere."""
    arguments = ("score", make_folder(24), "-o", tmp_path / "r.jsonl", "--rate", 10, "--json")
    ended = invoke(*arguments, environment=point(serve()))
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert (ended.code, ended.stdout) == (0, "")
    assert [event["event"] for event in events[:2]] == ["start", "progress"]
    assert (events[-1]["event"], events[-1]["exit_code"], events[-1]["billed"]) == ("end", 0, 24)
    assert 0 < events[1]["done"] < events[1]["total"] == 24


def test_quiet_job_says_nothing(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """A quiet job that is done leaves its files and its code."""
    arguments = ("score", photos / "officer.jpg", "-o", tmp_path / "r.jsonl", "-q")
    ended = invoke(*arguments, environment=point(serve()), is_terminal=True)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


def test_ledger_in_use_is_temporary(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """A second job on a ledger is refused while the first lives."""
    import asyncio

    from tencent_liveness_async.jobs.ledger import Ledger, Parameters

    path, environment = tmp_path / "l.ledger", point(serve())

    async def hold() -> Any:
        async with await Ledger.open(path, Parameters(None, "sandbox")):
            return await asyncio.to_thread(
                invoke, "score", photos / "officer.jpg", "--ledger", path, environment=environment
            )

    ended = asyncio.run(hold())
    assert ended.code == 5
    assert "is in use by" in ended.stderr
