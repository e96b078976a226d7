from __future__ import annotations

import json
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

SERVER_ERROR = "FailedOperation.ServerError"
TRIES = 4


@pytest.fixture
def failed(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> tuple[Path, Path, dict[str, str]]:
    """Run a job over two photos of which one fails for now; return its folder, output and environment."""
    from tencent_liveness_async.sandbox import FaultRule, FaultScript

    rule = FaultRule(fault="code", code=SERVER_ERROR, calls=tuple(range(1, TRIES + 1)))
    environment = point(serve(faults=FaultScript(rules=(rule,))))
    folder, output = make_folder(2), tmp_path / "r.jsonl"
    arguments = ("score", folder, "-o", output, "--max-concurrency", 1)
    assert invoke(*arguments, environment=environment).code == 5
    return folder, output, environment


@pytest.mark.parametrize(
    ("name", "code", "scored"),
    [("transient", 0, 2), (SERVER_ERROR, 0, 2), ("final", 9, 1), ("unknown", 9, 1), ("Novelty", 9, 1)],
)
def test_retry_sends_a_class(
    *,
    invoke: Invoke,
    failed: tuple[Path, Path, dict[str, str]],
    tmp_path: Path,
    name: str,
    code: int,
    scored: int,
) -> None:
    """A class or a code says what is sent again; what is not in it is left as it is."""
    folder, output, environment = failed
    (folder / "new.jpg").write_bytes((folder / "0000.jpg").read_bytes() + b"new")
    assert invoke("retry", output, folder, "--class", name, environment=environment).code == code
    exported = tmp_path / "again.jsonl"
    invoke("export", output, "-o", exported)
    states = [json.loads(line)["state"] for line in exported.read_text().splitlines()]
    assert states.count("scored") == scored


def test_retry_takes_classes_or_codes(invoke: Invoke, photos: Path, tmp_path: Path) -> None:
    """A mixture would mean two things."""
    ended = invoke("retry", tmp_path / "l.ledger", photos, "--class", "final", "--class", "Novelty")
    assert (ended.code, "not both at once" in ended.stderr) == (2, True)


def test_export_writes_all_again(
    invoke: Invoke, failed: tuple[Path, Path, dict[str, str]], tmp_path: Path
) -> None:
    """An export has every item, in any format, and overwrites nothing by itself."""
    _, output, _ = failed
    target = tmp_path / "results.csv"
    ended = invoke("export", output, "-o", target)
    assert (ended.code, len(target.read_text().splitlines())) == (0, 3)
    assert "2 results in" in ended.stderr
    again = invoke("export", output, "-o", target)
    assert (again.code, "--force overwrites it" in again.stderr) == (2, True)
    assert invoke("export", output, "-o", target, "--force", "--threshold", "100").code == 0
    assert ",false,100.0," in target.read_text()


def test_carried_columns_are_exported(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """Columns of a manifest are in the results, also when they are written from the ledger."""
    manifest, exported = tmp_path / "people.csv", tmp_path / "again.jsonl"
    manifest.write_text(f"person,file\n7,{photos / 'officer.jpg'}\n")
    columns = ("--id-column", "person", "--path-column", "file")
    arguments = ("score", manifest, "-o", tmp_path / "r.jsonl", *columns)
    assert invoke(*arguments, environment=point(serve())).code == 0
    assert invoke("export", tmp_path / "r.jsonl", "-o", exported).code == 0
    assert json.loads(exported.read_text())["id"] == "7"


def test_report_says_what_a_job_came_to(
    invoke: Invoke, serve: Serve, point: Point, photos: Path, tmp_path: Path
) -> None:
    """Outcomes, codes, scores, thresholds, times, calls and money, and the check of inputs and outcomes."""
    output, prices, page = tmp_path / "r.jsonl", tmp_path / "prices.toml", tmp_path / "report.html"
    prices.write_text('currency = "CNY"\n[[tiers]]\nprice = 0.5\n')
    invoke("score", photos, "-o", output, environment=point(serve()))
    ended = invoke("report", output, "--prices", prices, "--html", page)
    assert ended.code == 0
    for words in (
        "every item has an outcome",
        "FailedOperation.ImageDecodeFailed: The photo cannot be decoded",
        "95 to 100",
        "p50       p95       p99",
        "billed        7",
        "3.50 CNY, at most 3.50 CNY",
        "officer.jpg",
    ):
        assert words in ended.stdout
    assert "<html" in page.read_text()


def test_report_of_an_unfinished_job(invoke: Invoke, failed: tuple[Path, Path, dict[str, str]]) -> None:
    """A report names what failed for now."""
    ended = invoke("report", failed[1])
    assert f"1  {SERVER_ERROR}: " in ended.stdout


def test_compare_reads_ledgers_and_results(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """Two scorings may be a ledger and a result file; who crossed the threshold is counted."""
    folder, before, after = make_folder(3), tmp_path / "a.jsonl", tmp_path / "b.csv"
    for output, seed in ((before, 1), (after, 2)):
        assert invoke("score", folder, "-o", output, environment=point(serve(seed=seed))).code == 0
    ended = invoke("compare", f"{before}.ledger", after, "--threshold", "70")
    assert ended.code == 0
    assert "3 on both sides, 0 only before, 0 only after" in ended.stdout
    assert "threshold 70" in ended.stdout
    assert "Moved most" in ended.stdout
    missing = invoke("compare", before, tmp_path / "c.csv")
    assert (missing.code, missing.stderr.count("\n")) == (3, 1)


def test_damaged_ledger_is_told_and_saved(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """A check finds damage, and what can be read of it is a ledger again."""
    output, ledger = tmp_path / "r.jsonl", tmp_path / "r.jsonl.ledger"
    assert (
        invoke("score", make_folder(300), "-o", output, "--rate", 5000, environment=point(serve())).code == 0
    )
    whole = invoke("ledger", "check", output)
    assert (whole.code, "nothing is damaged" in whole.stdout) == (0, True)
    with ledger.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096)
    damaged = invoke("ledger", "check", output)
    assert (damaged.code, "it is damaged" in damaged.stdout) == (1, True)
    saved = tmp_path / "saved.ledger"
    assert invoke("ledger", "recover", ledger, "-o", saved).code == 0
    assert invoke("ledger", "check", saved).code == 0


@pytest.mark.parametrize(
    "arguments",
    [("report", "no.ledger"), ("export", "no.ledger", "-o", "x.csv"), ("ledger", "check", "no.ledger")],
    ids=str,
)
def test_missing_ledger_is_not_found(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    """What is not there is told in one line."""
    ended = invoke(*arguments)
    assert (ended.code, ended.stderr.count("\n")) == (3, 1)
    assert "no.ledger is not there" in ended.stderr
