"""This client, by its public face."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.load import SECRET_ID, SECRET_KEY
from tencent_liveness_async import Credential, Failed, LivenessClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.load import Load
    from benchmarks.stub import Target

    from . import Run

NO_PACE = 1e6
"""Calls per second, so high that the pace is no limit; every call still takes its permit."""


def make_client(target: Target, **settings: Any) -> LivenessClient:  # noqa: ANN401 - the client's own settings
    """Make a client for the stub; it trusts SSL_CERT_FILE, as both engines do."""
    return LivenessClient(
        credentials=Credential(SECRET_ID, SECRET_KEY),
        endpoint=target.url,
        **settings,
    )


async def score_all(client: LivenessClient, load: Load) -> None:
    """Score a load's photos; the first that fails ends the run."""
    async with client.score_many(load) as outcomes:
        async for outcome in outcomes:
            if isinstance(outcome, Failed):
                raise outcome.error
            load.note(outcome.result.score)


@asynccontextmanager
async def open_default(target: Target, in_flight: int) -> AsyncIterator[Run]:
    """Open the client as the bare install has it."""
    async with make_client(target, rate=NO_PACE, max_concurrency=in_flight) as client:
        yield lambda load: score_all(client, load)


@asynccontextmanager
async def open_fast(target: Target, in_flight: int) -> AsyncIterator[Run]:
    """Open the client with the engine of the extra `fast`."""
    async with make_client(target, rate=NO_PACE, max_concurrency=in_flight, transport="fast") as client:
        yield lambda load: score_all(client, load)
