"""pyreqwest by hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pyreqwest.client import ClientBuilder

from .by_hand import build_body, build_headers, keep_in_flight, parse_score

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.load import Load, Source
    from benchmarks.stub import Target

    from . import Run


@asynccontextmanager
async def open_pyreqwest(target: Target, in_flight: int) -> AsyncIterator[Run]:
    """Open a client with its default settings."""
    builder = ClientBuilder().no_proxy()
    if (certificate := target.read_certificate()) is not None:
        builder = builder.add_root_certificate_pem(certificate)
    async with builder.build() as client:

        async def call(source: Source) -> float:
            body = build_body(source)
            headers = build_headers(body, target.host)
            answer = await client.post(target.url).headers(headers).body_bytes(body).build().send()
            return parse_score(memoryview(await answer.bytes()))

        async def run(load: Load) -> None:
            await keep_in_flight(load, in_flight, call)

        yield run
