"""One connection of the pool, and how far a request over it came."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    import httpcore

    from .backend import AsyncioBackend

Origin: TypeAlias = tuple[str, str, int | None]


class Connection(Protocol):
    """One connection, opened by its first request."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response: ...


class ConnectionClass(Protocol):
    """Makes the connections of a pool that go through no proxy."""

    def __call__(
        self, origin: httpcore.Origin, *, ssl_context: ssl.SSLContext | None, network_backend: AsyncioBackend
    ) -> Connection: ...


class WatchedBody(httpx.AsyncByteStream):
    """A request's body that knows when httpcore has written all of it."""

    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self._body = body
        self.is_sent = False
        self.sent_at = 0.0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk
        self.is_sent = True
        self.sent_at = time.monotonic()


@dataclass(slots=True, eq=False)
class Lane:
    """One connection, used by one request at a time."""

    origin: Origin
    connection: Connection
    backend: AsyncioBackend
    proxy: httpx.Proxy | None
    idle_since: float = 0.0
    received_before: int = 0

    def is_alive(self) -> bool:
        """Whether it can take a request: open, idle, and of this event loop."""
        stream = self.backend.stream
        return (
            stream is not None
            and not stream.get_extra_info("is_readable")
            and stream.loop is asyncio.get_running_loop()
        )

    def is_stale(self, body: WatchedBody, *, within: float) -> bool:
        """Whether its end so soon after `body` means that it was closed while it was idle."""
        stream = self.backend.stream
        return (
            stream is not None
            and 0 < self.received_before == stream.received
            and time.monotonic() - body.sent_at < within
        )

    def has_sent(self, body: WatchedBody) -> bool:
        """Whether all of the request may have left this process."""
        stream = self.backend.stream
        return body.is_sent and not (stream is not None and stream.has_unsent)
