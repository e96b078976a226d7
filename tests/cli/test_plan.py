from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tencent_liveness_async.sandbox import SandboxServer

    Invoke = Callable[..., Any]
    Serve = Callable[..., SandboxServer]
    Point = Callable[[SandboxServer], dict[str, str]]
    MakeFolder = Callable[[int], Path]


def test_plan_sends_and_writes_nothing(
    *, invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, photos: Path, tmp_path: Path
) -> None:
    """A plan says what a job would do, with what it would cost, and does none of it."""
    server, folder = serve(), make_folder(3)
    shutil.copy(folder / "0000.jpg", folder / "copy.jpg")
    shutil.copy(photos / "refused-empty.jpg", folder)
    (folder / "gone.jpg").symlink_to("nowhere")
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "CNY"\n[[tiers]]\nprice = 0.5\n')
    before = sorted(tmp_path.iterdir())
    arguments = ("plan", folder, "-o", tmp_path / "r.jsonl", "--prices", prices, "--rate", 1)
    ended = invoke(*arguments, environment=point(server))
    assert ended.code == 0
    assert "6 found, 1 equal, 0 finished before" in ended.stdout
    assert "1 refused before sending (1 empty), 1 unreadable" in ended.stdout
    assert "to be scored  3 photos" in ended.stdout
    assert "3 at best, 6 at worst" in ended.stdout
    assert "0:03 at 1 calls a second" in ended.stdout
    assert "1.50 CNY at best, 3.00 CNY at worst" in ended.stdout
    assert (server.statistics().calls, sorted(tmp_path.iterdir())) == (0, before)


def test_plan_knows_the_ledger(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """What was paid for is not planned again; a plan with nothing left to do ends with 9."""
    folder, environment = make_folder(3), point(serve())
    arguments = (folder, "-o", tmp_path / "r.jsonl")
    invoke("score", *arguments, "--max-calls", 2, environment=environment)
    planned = json.loads(invoke("plan", *arguments, "--json", environment=environment).stdout)
    assert (planned["found"], planned["finished"], planned["to_score"]) == (3, 2, 1)
    invoke("score", *arguments, environment=environment)
    assert invoke("plan", *arguments, environment=environment).code == 9


def test_sample_is_paid_once(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """A sample is scored into the ledger, so that the job pays for the rest alone."""
    server, folder = serve(), make_folder(6)
    arguments = (folder, "-o", tmp_path / "r.jsonl")
    ended = invoke("plan", *arguments, "--sample", 4, environment=point(server))
    assert (ended.code, server.statistics().calls) == (0, 4)
    assert "sample of 4 photos: 0 refused, 0.0 to 49.0 % of all (95 % confidence)" in ended.stdout
    assert "########################################" in ended.stdout
    assert invoke("score", *arguments, environment=point(server)).code == 0
    assert server.statistics().calls == 6


def test_sample_needs_a_ledger(invoke: Invoke, photos: Path) -> None:
    """What is paid for is kept."""
    ended = invoke("plan", photos, "--sample", 1)
    assert (ended.code, ended.stderr.count("\n")) == (2, 1)
    assert "a sample is paid for, so it needs a ledger" in ended.stderr


def test_plan_of_nothing(
    invoke: Invoke, serve: Serve, point: Point, make_folder: MakeFolder, tmp_path: Path
) -> None:
    """A folder without photos is most likely the wrong one, and a finished one has nothing to sample."""
    (tmp_path / "empty").mkdir()
    assert invoke("plan", tmp_path / "empty").code == 3
    arguments, environment = (make_folder(1), "-o", tmp_path / "r.jsonl"), point(serve())
    assert invoke("score", *arguments, environment=environment).code == 0
    ended = invoke("plan", *arguments, "--sample", 1, environment=environment)
    assert (ended.code, "nothing to sample" in ended.stderr) == (9, True)
