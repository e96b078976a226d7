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
    """A request's body that knows how much of it was taken.

    Attributes:
        length: Its bytes, as the request's headers tell.
        given: Bytes that were taken to be written.
        is_written: Whether all of them were written, and left this process or are about to.
        written_at: When.
    """

    def __init__(self, body: httpx.AsyncByteStream, length: int) -> None:
        self.length = length
        self.given = 0
        self.is_written = False
        self.written_at = 0.0
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            self.given += len(chunk)
            yield chunk
        self.is_written = True
        self.written_at = time.monotonic()


@dataclass(slots=True, eq=False)
class Lane:
    """One connection, used by one request at a time."""

    origin: Origin
    connection: Connection
    backend: AsyncioBackend
    proxy: httpx.Proxy | None
    idle_since: float = 0.0
    received_before: int = 0
    written_before: int = 0

    def is_alive(self) -> bool:
        """Whether it can take a request: open, idle, and of this event loop."""
        stream = self.backend.stream
        return (
            stream is not None
            and not stream.get_extra_info("is_readable")
            and stream.loop is asyncio.get_running_loop()
        )

    def has_leftovers(self) -> bool:
        """Whether httpcore holds bytes behind an answer, which would pass for the next request's answer.

        It does not say so in public; without these attributes, as with other connections, there are none.
        """
        http11 = getattr(self.connection, "_connection", None)
        state = getattr(http11, "_h11_state", None)
        return state is not None and bool(state.trailing_data[0])

    def is_stale(self, body: WatchedBody, *, within: float) -> bool:
        """Whether its end so soon after `body` means that it was closed while it was idle."""
        stream = self.backend.stream
        return (
            stream is not None
            and 0 < self.received_before == stream.received
            and time.monotonic() - body.written_at < within
        )

    def has_sent(self, body: WatchedBody) -> bool:
        """Whether all of the request may have left this process.

        A body whose last chunk is being written may have left, too: the kernel may have taken it in the turn
        of the loop in which the wait for it was cancelled.
        """
        stream = self.backend.stream
        if stream is None or stream.has_unsent:
            return False
        is_taken = stream.written - self.written_before >= body.given >= body.length > 0
        return body.is_written or is_taken
