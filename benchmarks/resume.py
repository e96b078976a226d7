"""How long a job takes to pass over a million finished photos, and in what memory."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tencent_liveness_async.jobs import Item, PhotoRecord, State
from tencent_liveness_async.jobs._keys import make_url_key
from tencent_liveness_async.jobs.ledger import _writes
from tencent_liveness_async.jobs.ledger._opening import create

from .archive import PARAMETERS, score_manifest
from .report import Report

PHOTOS = 1_000_000
BATCH = 1000
ROUNDS = 3


def _make_item(number: int) -> Item:
    url = f"https://photos.test/{number}.jpg"
    return Item(id=str(number), source=url, url=url)


def _write_archive(place: Path, photos: int) -> None:
    """Write a manifest, and the ledger of a job that has scored all of it; by the ledger's own statements."""
    with (place / "photos.jsonl").open("w") as file:
        for number in range(photos):
            file.write(json.dumps({"id": str(number), "url": f"https://photos.test/{number}.jpg"}) + "\n")
    connection = sqlite3.connect(place / "photos.ledger", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    create(connection, {"model_version": PARAMETERS.model_version, "endpoint": PARAMETERS.endpoint})
    for start in range(0, photos, BATCH):
        items = [_make_item(number) for number in range(start, min(photos, start + BATCH))]
        entries = [(item, make_url_key(item, "")) for item in items]
        records = [PhotoRecord(key, State.SCORED, 99.5, "3.0", attempts=1, billed=1) for _, key in entries]
        connection.execute("BEGIN")
        for write in (_writes.add_items(entries), *map(_writes.put, records)):
            for statement, rows in write.steps:
                connection.executemany(statement, rows)
        connection.execute("COMMIT")
    connection.close()


def _resume(place: Path) -> None:
    """Resume in this process, and print what it took."""
    began = time.perf_counter()
    progress = asyncio.run(score_manifest(place / "photos.jsonl", place / "photos.ledger", []))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "resumed": progress.resumed}))


def main(photos: int = PHOTOS) -> None:
    """Build the archive once and resume it in fresh processes."""
    report = Report("resume", f"{photos} finished URLs of a manifest, {ROUNDS} fresh processes")
    with tempfile.TemporaryDirectory() as place:
        _write_archive(Path(place), photos)
        command = [sys.executable, "-m", "benchmarks.resume", place]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for _ in range(ROUNDS)
        ]
    report.add_line(f"{runs[0]['resumed']} resumed, no call")
    report.check("seconds until all are passed", [run["seconds"] for run in runs], 5, unit="s")
    report.check("peak memory of the process", [run["peak_mb"] for run in runs], 200, unit="MB")
    report.write()


if __name__ == "__main__":
    _resume(Path(sys.argv[1]))
