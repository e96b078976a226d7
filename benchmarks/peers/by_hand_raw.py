"""asyncio streams and as little HTTP as this stub needs: the limit for a client in Python."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .by_hand import build_body, build_headers, parse_score

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.load import Load
    from benchmarks.stub import Target

    from . import Run


@asynccontextmanager
async def open_raw(target: Target, in_flight: int) -> AsyncIterator[Run]:
    """Prepare connections, one for each call in flight; they open when a load begins."""
    context = target.make_context()

    async def work(load: Load) -> None:
        reader, writer = await asyncio.open_connection(*target.address, ssl=context)
        for source in load:
            body = build_body(source)
            headers = {"Host": target.host, "Content-Length": len(body), **build_headers(body, target.host)}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"POST / HTTP/1.1\r\n{lines}\r\n"
            writer.write(head.encode())
            writer.write(body)
            await writer.drain()
            head_read = await reader.readuntil(b"\r\n\r\n")
            length = int(head_read.rpartition(b"Content-Length: ")[2])
            load.note(parse_score(await reader.readexactly(length)))
        writer.close()
        await writer.wait_closed()

    async def run(load: Load) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(work(load))

    yield run
