"""A job in a process of its own, to be killed: `python kill_child.py FOLDER LEDGER ENDPOINT`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tencent_liveness_async import Credential, LivenessClient, RetryPolicy, Timeouts
from tencent_liveness_async.jobs._job import JobSettings, ScoreJob
from tencent_liveness_async.jobs.ledger import Ledger, Parameters
from tencent_liveness_async.jobs.sources import open_source
from tencent_liveness_async.sandbox import SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY

MAX_CONCURRENCY = 32


async def run(folder: str, ledger_path: str, endpoint: str) -> None:
    """Score the folder into the ledger; photos whose outcome is unknown are sent again."""
    client = LivenessClient(
        credentials=Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY),
        endpoint=endpoint,
        rate=5000,
        max_concurrency=MAX_CONCURRENCY,
        trust_env=False,
        retry=RetryPolicy(max_maybe_billed=3, budget=1e6),
        timeouts=Timeouts(read=1.0, attempt=2.0),
    )
    ledger = await Ledger.open(Path(ledger_path), Parameters(None, endpoint="sandbox"))
    async with ledger, client:
        await ScoreJob(client, open_source(folder), ledger, settings=JobSettings(on_unknown="retry")).run()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
