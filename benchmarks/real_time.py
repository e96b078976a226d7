"""A minute at 45 calls a second against the sandbox in a process of its own, whose quota is 50."""

from __future__ import annotations

import asyncio
import itertools
import time

from tencent_liveness_async import Credential, LivenessClient
from tencent_liveness_async.sandbox import SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY

from .report import Report
from .sandbox import run_sandbox

RATE = 45
SECONDS = 60


async def _score_for_a_minute(endpoint: str) -> tuple[int, int, int]:
    client = LivenessClient(
        credentials=Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY), endpoint=endpoint, rate=RATE
    )
    photos = (f"https://photos.test/{number}.jpg" for number in itertools.count())
    async with client, client.score_many(photos) as outcomes:
        ends_at = time.monotonic() + SECONDS
        async for _ in outcomes:
            if time.monotonic() >= ends_at:
                break
        numbers = client.statistics()
    return numbers.attempts, numbers.throttled, numbers.scored


def main() -> None:
    """Run it in real time: timers, sockets and the other process are part of the question."""
    report = Report("real-time", f"{SECONDS} s at {RATE} calls/s, a quota of 50, 0.2 to 0.8 s a call")
    with run_sandbox("--quota", "50", "--latency", "0.2..0.8") as (_, endpoint):
        attempts, throttled, scored = asyncio.run(_score_for_a_minute(endpoint))
    report.add_line(f"{attempts} attempts ended, {scored} scored, {throttled} throttled")
    share = 100 * scored / (RATE * SECONDS)
    report.check(f"share of {RATE} calls/s that is used", [share], 98, unit="%", is_least=True)
    report.check("attempts throttled", [throttled], 0)
    report.write()
