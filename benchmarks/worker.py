"""One measurement in a process of its own, so that its CPU and its memory are nobody else's.

`python -m benchmarks.worker JOB` prints what it measured as JSON; `harness.measure` starts it.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
import time
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING

from tencent_liveness_async import AttemptStarted

from .jobs import Job
from .load import Load
from .peers import find_peer
from .peers.ours import make_client, score_all
from .stub import Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tencent_liveness_async import Event

    from .jobs import Figures

HEARTBEAT = 0.001
IDLE_SECONDS = 1.3


async def measure_cpu(job: Job, target: Target) -> Figures:
    """CPU and calls per second.

    The process ends with the measurement: with a slow peer, what is in flight takes longer than that.
    """

    def end(load: Load) -> None:
        print(json.dumps(_describe_cpu(load)), flush=True)
        os._exit(0)

    async with find_peer(job.peer)(target, job.in_flight) as run:
        await run(
            Load(
                job.paths,
                warm_up=job.in_flight if job.paths else 2 * job.in_flight,
                seconds=job.seconds,
                end=end,
            )
        )
    raise RuntimeError("the load ended before its measurement")


def _describe_cpu(load: Load) -> Figures:
    return {
        "cpu_us": 1e6 * load.cpu_seconds / load.calls,
        "calls_per_second": load.calls / load.wall_seconds,
    }


async def measure_memory(job: Job, target: Target) -> Figures:
    """Peak memory over that of the idle client, which has made a small call before."""
    async with find_peer(job.peer)(target, job.in_flight) as run:
        await run(Load(calls=1))
        idle = _read_status("VmRSS")
        _reset_peak()
        await run(Load(job.paths, calls=job.calls))
        peak = _read_status("VmHWM")
    return {"idle_mb": idle / 1024, "over_idle_mb": (peak - idle) / 1024}


async def measure_stalls(job: Job, target: Target) -> Figures:
    """How late a heartbeat of the loop is, with the client idle and while photos stream."""
    in_flight = job.in_flight
    async with find_peer(job.peer)(target, in_flight) as run:
        await run(Load(calls=1))
        idle = await _beat_while(lambda: asyncio.sleep(IDLE_SECONDS))
        load = Load(job.paths, warm_up=in_flight, seconds=job.seconds)
        busy = await _beat_while(lambda: run(load))
    return {f"idle_{key}": value for key, value in _describe(idle).items()} | _describe(busy)


async def _beat_while(work: Callable[[], Awaitable[None]]) -> list[float]:
    delays: list[float] = []

    async def beat() -> None:
        while True:
            due = time.perf_counter() + HEARTBEAT
            await asyncio.sleep(HEARTBEAT)
            delays.append(time.perf_counter() - due)

    heart = asyncio.create_task(beat())
    await work()
    heart.cancel()
    return delays


def _describe(delays: list[float]) -> Figures:
    """Describe beats; `of_time` weighs them, because a long stall is one beat but many milliseconds.

    With fewer than a thousand beats their p99.9 is their maximum.
    """
    beats = [1e3 * delay for delay in delays]
    moments = [delay - passed for delay in beats for passed in range(max(1, math.ceil(delay)))]
    return {
        "beats": len(beats),
        "p50_ms": _find_quantile(beats, 500),
        "p999_ms": _find_quantile(beats, 999),
        "of_time_p999_ms": _find_quantile(moments, 999),
        "max_ms": max(beats),
    }


def _find_quantile(values: list[float], per_mille: int) -> float:
    return sorted(values)[len(values) * per_mille // 1000]


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _read_status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise KeyError(key)


async def measure_pace(job: Job, target: Target) -> Figures:
    """How much of a rate the client uses, and the most attempts it begins in any one second."""
    times: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, AttemptStarted):
            times.append(time.perf_counter())

    client = make_client(target, rate=job.rate, max_concurrency=job.in_flight, hooks=[note])
    async with client:
        await score_all(client, Load(calls=job.calls))
    return {
        "share_percent": 100 * (len(times) - 1) / (times[-1] - times[0]) / job.rate,
        "worst_second": max(bisect_left(times, at + 1) - index for index, at in enumerate(times)),
    }


MEASURES = {"pace": measure_pace, "cpu": measure_cpu, "memory": measure_memory, "stalls": measure_stalls}


def main() -> None:
    """Do the job that the argument describes."""
    job = Job(**json.loads(sys.argv[1]))
    if job.ca_file:
        os.environ["SSL_CERT_FILE"] = job.ca_file  # where clients look that take no certificate
    figures = asyncio.run(MEASURES[job.measure](job, Target(job.url, job.ca_file)))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
