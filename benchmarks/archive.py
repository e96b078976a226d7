"""What a photo of an archive costs beside its call: source, scheduling and ledger, and how memory grows.

The calls are answered at once and without a connection, so that everything but the network is measured.
`python -m benchmarks archive` scores 100,000 URLs of a manifest; `python -m benchmarks.archive 1000000` more.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tencent_liveness_async import Credential, LivenessClient
from tencent_liveness_async.jobs import JobSettings, Ledger, Parameters, ScoreJob, open_source

from .hot_path import AtOnce
from .load import SECRET_ID, SECRET_KEY
from .report import Report

if TYPE_CHECKING:
    from tencent_liveness_async.jobs import JobProgress

PHOTOS = 100_000
IN_FLIGHT = 64
PARAMETERS = Parameters(None, "benchmark")


def _write_manifest(path: Path, photos: int) -> None:
    with path.open("w") as file:
        for number in range(photos):
            file.write(json.dumps({"id": str(number), "url": f"https://photos.test/{number}.jpg"}) + "\n")


async def score_manifest(manifest: Path, ledger_path: Path, memory: list[float]) -> JobProgress:
    """Run a job over a manifest, with calls that are answered at once; memory is noted each second."""
    client = LivenessClient(
        credentials=Credential(SECRET_ID, SECRET_KEY),
        rate=1e6,
        max_concurrency=IN_FLIGHT,
        transport=AtOnce(),
    )
    ledger = await Ledger.open(ledger_path, PARAMETERS)
    async with ledger, client:
        job = ScoreJob(client, open_source(str(manifest)), ledger, settings=JobSettings())
        watch = asyncio.ensure_future(_watch_memory(memory))
        progress = await job.run()
        watch.cancel()
    return progress


async def _watch_memory(memory: list[float]) -> None:
    while True:
        memory.append(_read_memory())
        await asyncio.sleep(1.0)


def _read_memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024**2


def main(photos: int = PHOTOS) -> None:
    """Score a manifest once."""
    report = Report("archive", f"{photos} URLs of a manifest, {IN_FLIGHT} in flight, calls answered at once")
    with tempfile.TemporaryDirectory() as place:
        manifest, ledger = Path(place) / "photos.jsonl", Path(place) / "photos.ledger"
        _write_manifest(manifest, photos)
        memory: list[float] = []
        began, cpu = time.perf_counter(), time.process_time()
        progress = asyncio.run(score_manifest(manifest, ledger, memory))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        report.add_line(
            f"{sum(progress.outcomes.values())} scored in {seconds:.1f} s, {progress.found} found"
        )
        report.check("CPU a photo: source, scheduling and ledger", [1e3 * cpu / photos], 0.2, unit="ms")
        report.check(
            "memory at the end over that after a tenth",
            [memory[-1] - memory[len(memory) // 10]],
            16,
            unit="MB",
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        report.check("peak memory", [peak], 200, unit="MB")
    report.write()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PHOTOS)
