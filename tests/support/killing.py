"""Kills jobs at random moments and looks at what is left.

`python tests/support/killing.py --kills 200` runs the whole campaign.
The moment is a number of calls that the sandbox has seen, drawn from the seed. After the kill the ledger is
read, the job is run to its end, and both sides' bills are compared.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from kill_child import MAX_CONCURRENCY

from tencent_liveness_async.jobs._records import State
from tencent_liveness_async.jobs.ledger import LedgerReader
from tencent_liveness_async.sandbox import FaultRule, FaultScript, Latency, SandboxServer, SandboxSettings

if TYPE_CHECKING:
    from tencent_liveness_async.jobs._records import PhotoRecord

PHOTOS = 400
PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "officer.jpg"
CHILD = Path(__file__).parent / "kill_child.py"
PATIENCE = 60.0
RUNS = 3
FAULTS = (
    FaultRule(fault="reset", at="answer", rate=0.02),
    FaultRule(fault="code", code="FailedOperation.ServerError", rate=0.02),
    FaultRule(fault="truncate", rate=0.01),
)


@dataclass(frozen=True, slots=True)
class Killed:
    """What one campaign of kills came to.

    Attributes:
        kills: Processes killed.
        unknown: Calls whose outcome the kills left unknown.
        most_unknown: The most that one kill left.
        calls: Calls the sandbox has seen.
    """

    kills: int
    unknown: int
    most_unknown: int
    calls: int


def make_photos(folder: Path) -> None:
    """Make an archive of photos of which no two are equal."""
    folder.mkdir()
    data = PHOTO.read_bytes()
    for number in range(PHOTOS):
        (folder / f"{number:04}.jpg").write_bytes(data + number.to_bytes(4))


def kill_and_resume(folder: Path, *, seed: int, kills: int = 1, has_faults: bool = False) -> Killed:
    """Kill a job so many times, resume it to its end, and check every promise.

    Raises:
        AssertionError: A promise was broken; the message says which.
    """
    random = Random(seed)
    settings = SandboxSettings(
        quota=None,
        faces=False,
        latency=Latency.uniform(0.005, 0.03),
        faults=FaultScript(seed, FAULTS if has_faults else ()),
    )
    unknown, most = 0, 0
    with SandboxServer(settings) as server, tempfile.TemporaryDirectory() as place:
        ledger = Path(place) / "archive.ledger"
        before: dict[str, PhotoRecord] = {}
        for _ in range(kills):
            at = server.statistics().calls + random.randint(1, PHOTOS // (kills + 1))
            _kill_at(server, folder, ledger, calls=at)
            intents = _count_intents(ledger)
            assert intents <= MAX_CONCURRENCY, f"{intents} calls are unknown of {MAX_CONCURRENCY} in flight"
            _check_unchanged(before, records := _read(ledger))
            before = {key: record for key, record in records.items() if record.state.is_finished}
            unknown, most = unknown + intents, max(most, intents)
        after = _run_to_the_end(folder, ledger, server.endpoint)
        _check_unchanged(before, after)
        _check_bill(server, after)
        return Killed(kills, unknown, most, server.statistics().calls)


def _kill_at(server: SandboxServer, folder: Path, ledger: Path, *, calls: int) -> None:
    with _start(folder, ledger, server.endpoint) as process:
        ends_at = time.monotonic() + PATIENCE
        while server.statistics().calls < calls and process.poll() is None:
            assert time.monotonic() < ends_at, "the job makes no calls"
            time.sleep(0.0005)
        process.send_signal(signal.SIGKILL)
        process.wait()


def _run_to_the_end(folder: Path, ledger: Path, endpoint: str) -> dict[str, PhotoRecord]:
    """Run again while photos have failed in a way that may pass, as faults make a few of them."""
    records: dict[str, PhotoRecord] = {}
    for _ in range(RUNS):
        _run(folder, ledger, endpoint)
        records = _read(ledger)
        if all(record.state.is_finished for record in records.values()):
            break
    return records


def _run(folder: Path, ledger: Path, endpoint: str) -> None:
    with _start(folder, ledger, endpoint) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, f"the resumed job failed:\n{errors}"


def _start(folder: Path, ledger: Path, endpoint: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), str(folder), str(ledger), endpoint]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def _read(ledger: Path) -> dict[str, PhotoRecord]:
    if not ledger.exists():
        return {}
    with LedgerReader(ledger) as reader:
        return {row.record.key: row.record for rows in reader.rows() for row in rows}


def _count_intents(ledger: Path) -> int:
    if not ledger.exists():
        return 0
    with LedgerReader(ledger) as reader:
        return reader.count().intents


def _check_unchanged(before: dict[str, PhotoRecord], after: dict[str, PhotoRecord]) -> None:
    for key, record in before.items():
        assert after[key].attempts == record.attempts, f"{key} had an outcome and was called again"
        assert after[key].score == record.score, f"{key} has another score than before"


def _check_bill(server: SandboxServer, records: dict[str, PhotoRecord]) -> None:
    sandbox = server.statistics()
    assert len(records) == PHOTOS, f"{len(records)} of {PHOTOS} photos have an outcome"
    failed = [record for record in records.values() if record.state is not State.SCORED]
    assert not failed, f"photos without a score: {failed}"
    attempts = sum(record.attempts for record in records.values())
    billed = sum(record.billed for record in records.values())
    maybe = sum(record.maybe_billed for record in records.values())
    # An intent may have been written and its call not sent yet: then it is unknown and was never seen.
    assert attempts - maybe <= sandbox.calls <= attempts, f"{sandbox.calls} calls seen, {attempts} known"
    assert billed <= sandbox.billed <= billed + maybe, f"{sandbox.billed} billed, {billed} + {maybe} known"


def main() -> None:
    """Run a campaign: a third plain, a third with faults, a third with two kills in a row."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=200)
    settings = parser.parse_args()
    began, unknown, most = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "photos"
        make_photos(folder)
        done = 0
        while done < settings.kills:
            kind = done % 3
            result = kill_and_resume(folder, seed=done, kills=1 + (kind == 2), has_faults=kind == 1)
            done += result.kills
            unknown, most = unknown + result.unknown, max(most, result.most_unknown)
            sys.stdout.write(f"{done} kills, {unknown} unknown in all, {most} at most\n")
    sys.stdout.write(f"every promise held; took {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
