"""How far the stub is from being the bottleneck: raw connections that repeat one request."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .stub import run_stub

if TYPE_CHECKING:
    from .stub import Stub

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


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the stub can do.

    Attributes:
        rate: Calls a second it answered to the load. The load's one process may have been the limit, so
            this is the least the stub can do.
        stub_us: CPU of the stub's processes for a call.
    """

    rate: float
    stub_us: float

    def describe(self, fastest: str, rate: float) -> str:
        """Say how far the fastest peer is from it, and warn where it is too near."""
        text = (
            f"the stub answers {self.rate:.0f} calls/s to a raw load ({self.stub_us:.0f} us of its CPU), "
            f"{self.rate / rate:.1f} times the {rate:.0f} of the fastest peer ({fastest})"
        )
        return text if self.rate > 1.2 * rate else f"{text}: TOO NEAR, the stub may hold that peer up"


async def _load(stub: Stub, request: bytes, connections: int, seconds: float) -> Ceiling:
    loop, context = asyncio.get_running_loop(), stub.target.make_context()
    opened = [
        await loop.create_connection(lambda: _Repeat(request), *stub.target.address, ssl=context)
        for _ in range(connections)
    ]
    await asyncio.sleep(WARM_UP)
    answers, cpu, began = _Repeat.answers, stub.read_cpu_seconds(), time.perf_counter()
    await asyncio.sleep(seconds)
    answers, wall = _Repeat.answers - answers, time.perf_counter() - began
    cpu = stub.read_cpu_seconds() - cpu
    for transport, _ in opened:
        transport.abort()
    return Ceiling(answers / wall, 1e6 * cpu / answers)


def measure_ceiling(
    stub: Stub, *, body_bytes: int = 60, connections: int = 1024, seconds: float = 1.0
) -> Ceiling:
    """Put the stub under a load that costs next to nothing."""
    head = f"POST / HTTP/1.1\r\nHost: {stub.target.host}\r\nContent-Length: {body_bytes}\r\n\r\n"
    return asyncio.run(_load(stub, head.encode() + bytes(body_bytes), connections, seconds))


def main() -> None:
    """Print the ceilings."""
    for is_tls in (False, True):
        with run_stub(is_tls=is_tls) as stub:
            for size, connections in ((60, 1024), (2_800_000, 64)):
                found = measure_ceiling(stub, body_bytes=size, connections=connections)
                print(f"{stub.target.url}: {size} bytes, {connections} connections: {found}")
