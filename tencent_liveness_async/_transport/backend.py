"""TCP and TLS for httpcore on plain asyncio protocols.

httpcore's own backend wraps every read and write in an anyio stream and a cancel scope. This one costs
a third of it a call and knows what error translation needs to know: whether any byte of an answer
arrived and whether all of a request left.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from typing import TYPE_CHECKING, Any, cast

import httpcore

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAUSE_READING_BYTES = 256 * 1024
_HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds after which a host's next address is tried beside the first, as RFC 8305 recommends."""


class OpenStreams(set["AsyncioStream"]):
    """The open connections of a pool.

    Attributes:
        is_closed: True if connections that are still being opened shall be dropped.
    """

    is_closed = False


class AsyncioStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection; at most one reader and one writer at a time.

    Attributes:
        loop: The event loop it belongs to.
        received: Bytes received since the connection was opened.
        written: Bytes that were given to be sent since then.
        has_unsent: True if the connection ended before all that was written had left this process.
    """

    def __init__(self, open_streams: OpenStreams) -> None:
        self.loop = asyncio.get_running_loop()
        self.received = 0
        self.written = 0
        self.has_unsent = False
        self._open_streams = open_streams
        self._transport: asyncio.Transport
        self._chunks = bytearray()
        self._lost: Exception | None = None
        self._is_ended = False
        self._is_writable = True
        self._is_encrypted = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open_streams.add(self)
        if self._open_streams.is_closed:
            self.abort()

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._chunks += data
        if len(self._chunks) > _PAUSE_READING_BYTES:
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        self._is_ended = True
        _wake(self._reader)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_streams.discard(self)
        self._is_ended = True
        self._lost = exc
        if not self._is_writable:  # a flush that had ended would have resumed the writer first
            self.has_unsent = True
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        _wake(self._writer)

    # What httpcore calls.

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        if not self._chunks and not self._is_ended:
            self._reader = self.loop.create_future()
            await self._wait(self._reader, timeout, httpcore.ReadTimeout("no byte of an answer in time"))
        if not self._chunks and self._lost is not None:
            raise httpcore.ReadError(f"the connection was lost: {self._lost}") from self._lost
        data = bytes(self._chunks[:max_bytes])
        del self._chunks[:max_bytes]
        if not self._chunks and not self._is_ended:
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        self._check_writable()
        self._transport.write(buffer)
        self.written += len(buffer)
        while not self._is_writable:
            await self._wait_progress(timeout)
            self._check_writable()

    async def aclose(self) -> None:
        self.abort()

    def abort(self) -> None:
        """Drop the connection at once; it is gone from the loop one turn later."""
        self._is_ended = True
        if self not in self._open_streams:  # it is gone, and asyncio's abort would fail
            return
        if self.loop.is_closed():
            self._open_streams.discard(self)
            return
        if not self._transport.is_closing():
            self.has_unsent = self._transport.get_write_buffer_size() > 0
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> AsyncioStream:
        if self._is_encrypted:  # it was warmed up
            return self
        try:
            transport = await self.loop.start_tls(
                self._transport,
                self,
                ssl_context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=timeout,
            )
        except BaseException as exc:
            self._transport.abort()
            self.connection_lost(None)  # asyncio does not tell a protocol whose handshake has not ended
            if isinstance(exc, OSError):
                raise httpcore.ConnectError(f"the TLS handshake failed: {_describe_tls(exc)}") from exc
            raise
        self._transport = cast("asyncio.Transport", transport)
        self._is_encrypted = True
        return self

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's
        if info == "is_readable":  # httpcore asks this of an idle connection, to see if the server closed it
            return self._is_ended or bool(self._chunks)
        return self._transport.get_extra_info(info)

    async def _wait_progress(self, seconds: float | None) -> None:
        """Wait until the other side has taken enough; the time begins anew whenever it takes something."""
        left = self._transport.get_write_buffer_size()
        self._writer = self.loop.create_future()
        try:
            await self._wait(
                self._writer, seconds, httpcore.WriteTimeout("the request was not taken in time")
            )
        except httpcore.WriteTimeout:
            if self._transport.get_write_buffer_size() >= left:
                raise

    async def _wait(
        self, future: asyncio.Future[None], seconds: float | None, error: httpcore.TimeoutException
    ) -> None:
        timer = None if seconds is None else self.loop.call_later(seconds, _fail, future, error)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()

    def _check_writable(self) -> None:
        if self._is_ended:
            raise httpcore.WriteError("the connection was closed before the request was written")


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens the connections of one lane and remembers the last.

    Attributes:
        stream: The connection that is or was open; None before the first.
    """

    def __init__(self, open_streams: OpenStreams) -> None:
        self.stream: AsyncioStream | None = None
        self._open_streams = open_streams
        self._is_warm = False

    async def warm_up(
        self, host: str, port: int, *, ssl_context: ssl.SSLContext | None, seconds: float
    ) -> None:
        """Open the connection that the first request will use.

        Raises:
            httpcore.ConnectError: It cannot be opened; a `ConnectTimeout` if not in so many seconds.
        """
        stream = await self.connect_tcp(host, port, timeout=seconds)
        if ssl_context is not None:
            await stream.start_tls(ssl_context, host, seconds)
        self._is_warm = True

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,  # noqa: ARG002 - not offered by the pool
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - the same
    ) -> AsyncioStream:
        if self._is_warm:
            self._is_warm = False
            return cast("AsyncioStream", self.stream)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, stream = await loop.create_connection(
                    lambda: AsyncioStream(self._open_streams),
                    host,
                    port,
                    happy_eyeballs_delay=None if _is_address(host) else _HAPPY_EYEBALLS_DELAY,
                )
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout(f"no connection to {host}:{port} within {timeout} s") from exc
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(f"no connection to {host}:{port}: {exc}") from exc
        self.stream = stream
        return stream


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _describe_tls(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLError) and exc.reason == "WRONG_VERSION_NUMBER":
        return f"the server does not speak TLS; is its address http and not https? ({exc})"
    return str(exc)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
