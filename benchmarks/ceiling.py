"""How far the stub is from being the bottleneck: raw connections that repeat one request."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

from .stub import run_stub

if TYPE_CHECKING:
    from .stub import Stub, Target

WARM_UP = 0.3


class _Repeat(asyncio.Protocol):
    answers = 0

    def __init__(self, request: bytes) -> None:
        self._request = request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Send again; an answer is small and comes whole, so it is known by its last byte."""
        if data.endswith(b"}"):
            _Repeat.answers += 1
            self._transport.write(self._request)


async def _load(target: Target, request: bytes, connections: int, seconds: float) -> float:
    loop, context = asyncio.get_running_loop(), target.make_context()
    opened = [
        await loop.create_connection(lambda: _Repeat(request), *target.address, ssl=context)
        for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP)
    answers, began = _Repeat.answers, time.perf_counter()
    await asyncio.sleep(seconds)
    rate = (_Repeat.answers - answers) / (time.perf_counter() - began)
    for transport, _ in opened:
        transport.abort()
    return rate


def measure_ceiling(
    stub: Stub, *, body_bytes: int = 60, connections: int = 512, seconds: float = 1.0
) -> float:
    """Return how many calls a second the stub answers to a load that costs next to nothing."""
    head = f"POST / HTTP/1.1\r\nHost: {stub.target.host}\r\nContent-Length: {body_bytes}\r\n\r\n"
    request = head.encode() + bytes(body_bytes)
    return asyncio.run(_load(stub.target, request, connections, seconds))


def describe_ceiling(ceiling: float, fastest: str, rate: float) -> str:
    """Say how far a peer's rate is from the ceiling."""
    return (
        f"the stub answers {ceiling:.0f} calls/s to a raw load, {ceiling / rate:.1f} times the "
        f"{rate:.0f} of the fastest peer ({fastest})"
    )


def main() -> None:
    """Print the ceilings."""
    for is_tls in (False, True):
        with run_stub(is_tls=is_tls) as stub:
            for size, connections in ((60, 512), (2_800_000, 16)):
                rate = measure_ceiling(stub, body_bytes=size, connections=connections)
                print(f"{stub.target.url}: {size} bytes, {connections} connections: {rate:.0f} calls/s")
