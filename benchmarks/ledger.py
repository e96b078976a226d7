"""What the ledger costs a photo, and how fast a resumed run finds out what is finished."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from tencent_liveness_async.jobs._records import Item, PhotoRecord, State
from tencent_liveness_async.jobs.ledger import Ledger, Parameters

from .report import Report, show

ROUNDS = 3
PHOTOS = 10_000
IN_FLIGHT = 64
LATENCY = 0.02
"""Of a call, in the second measurement: commits are smaller when photos do not end together."""
FINISHED = 1_000_000
BATCH = 1000
PARAMETERS = Parameters("3.0", "iai.tencentcloudapi.com")


def make_item(number: int) -> Item:
    """Make an item as a folder gives it."""
    path = f"{number // 1000:04d}/photo-{number:08d}.jpg"
    return Item(path, f"/data/archive/2026/{path}", version=f"283641-1789{number:09d}.123456789")


def make_entry(number: int) -> tuple[Item, str]:
    """Make an item and its key."""
    return make_item(number), hashlib.sha256(b"%d" % number).hexdigest()


def make_record(key: str) -> PhotoRecord:
    """Make the record of a scored photo."""
    request_id = f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:32]}"
    return PhotoRecord(
        key, State.SCORED, 87.5, "3.0", request_id, "", "", 1, 1, 0, 0.1, 0.2, 0.3, time.time()
    )  # fmt: skip


async def measure_photos(path: Path, latency: float) -> tuple[float, float, int]:
    """Write photos, so many at a time; return CPU ms a photo, photos a second, and commits."""
    numbers = count()

    async def work() -> None:
        while (number := next(numbers)) < PHOTOS:
            item, key = make_entry(number)
            await ledger.add_items([(item, key)])
            await ledger.begin_attempt(key)
            if latency:
                await asyncio.sleep(latency)
            await ledger.end_attempt(make_record(key), is_last=True)

    async with await Ledger.open(path, PARAMETERS) as ledger:
        cpu, began = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())
        cpu, took = time.process_time() - cpu, time.perf_counter() - began
        return cpu / PHOTOS * 1000, PHOTOS / took, ledger._writer.commits  # noqa: SLF001


async def fill(path: Path) -> None:
    """Make a ledger of finished photos."""
    async with await Ledger.open(path, PARAMETERS) as ledger:
        for start in range(0, FINISHED, BATCH):
            entries = [make_entry(number) for number in range(start, start + BATCH)]
            await ledger.add_items(entries)
            async with asyncio.TaskGroup() as group:
                for _, key in entries:
                    group.create_task(ledger.put(make_record(key)))


async def resume(path: Path) -> None:
    """Look every finished photo up, as a resumed run does, and print seconds and megabytes."""
    looking = 0.0
    began = time.perf_counter()
    async with await Ledger.open(path, PARAMETERS) as ledger:
        await ledger.count()
        counted = time.perf_counter() - began
        for start in range(0, FINISHED, BATCH):
            items = [make_item(number) for number in range(start, start + BATCH)]
            at = time.perf_counter()
            known = await ledger.look_up(items)
            looking += time.perf_counter() - at
            assert all(one.state is State.SCORED and one.is_listed for one in known)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(looking, counted, time.perf_counter() - began, peak)


def main() -> None:
    """Measure on real files; the resumed run in a process of its own, for its memory."""
    report = Report("ledger", f"{PHOTOS} photos, {IN_FLIGHT} in flight, {ROUNDS} rounds; {FINISHED} finished")
    with tempfile.TemporaryDirectory() as folder:
        for name, latency in (("calls without time", 0.0), (f"calls of {LATENCY * 1000:.0f} ms", LATENCY)):
            runs = [
                asyncio.run(measure_photos(Path(folder, f"{name} {at}.ledger"), latency))
                for at in range(ROUNDS)
            ]
            cpu, rates, commits = zip(*runs, strict=True)
            report.check(f"{name}: CPU a photo", cpu, 0.1, unit="ms")
            report.note(f"{name}: photos a second", "/s", rates)
            report.add_line(f"{name}: {show(rates)} photos a second, {show(commits)} commits a round")
        path = Path(folder, "finished.ledger")
        asyncio.run(fill(path))
        report.add_line(f"{FINISHED} photos take {path.stat().st_size / 1e6:.0f} MB on disk")
        command = [sys.executable, "-m", "benchmarks.ledger", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        looking, counted, seconds, peak = map(float, done.stdout.split())
        report.check("items looked up in a second", [FINISHED / looking], 300_000, unit="/s", is_least=True)
        report.check("of that, opening and counting", [counted], 1, unit="s")
        report.check(f"resuming {FINISHED} finished photos, items made in it", [seconds], 5, unit="s")
        report.check("peak RSS of resuming", [peak], 200, unit="MB")
    report.write()


if __name__ == "__main__":
    asyncio.run(resume(Path(sys.argv[1])))
