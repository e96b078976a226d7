"""aiohttp by hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp

from .by_hand import build_body, build_headers, keep_in_flight, parse_score

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.load import Load, Source
    from benchmarks.stub import Target

    from . import Run


@asynccontextmanager
async def open_aiohttp(target: Target, in_flight: int) -> AsyncIterator[Run]:
    """Open a session without a limit on its connections."""
    connector = aiohttp.TCPConnector(limit=0, ssl=target.make_context() or True)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(source: Source) -> float:
            body = build_body(source)
            headers = build_headers(body, target.host)
            async with session.post(target.url, data=body, headers=headers) as answer:
                return parse_score(await answer.read())

        async def run(load: Load) -> None:
            await keep_in_flight(load, in_flight, call)

        yield run
