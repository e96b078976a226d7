"""httpx.AsyncClient with a semaphore, as most programs have it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from .by_hand import build_body, build_headers, parse_score

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.load import Load, Source
    from benchmarks.stub import Target

    from . import Run


@asynccontextmanager
async def open_httpx(target: Target, in_flight: int) -> AsyncIterator[Run]:
    """Open a client with as many connections as calls in flight."""
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(limits=limits, verify=target.make_context() or True, timeout=60) as client:
        semaphore = asyncio.Semaphore(in_flight)

        async def call(load: Load, source: Source) -> None:
            try:
                body = build_body(source)
                answer = await client.post(target.url, content=body, headers=build_headers(body, target.host))
                load.note(parse_score(answer.content))
            finally:
                semaphore.release()

        async def run(load: Load) -> None:
            async with asyncio.TaskGroup() as tasks:
                await semaphore.acquire()
                for source in load:
                    tasks.create_task(call(load, source))
                    await semaphore.acquire()
                semaphore.release()

        yield run
