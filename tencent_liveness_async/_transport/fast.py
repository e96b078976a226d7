"""HTTP/1.1 with a parser in C, in place of httpcore's; httptools' only home.

It goes behind the same pool: connections, timeouts, TLS, proxies and errors stay what they are. It is
stricter than h11: an answer with two lengths, folded headers or bare line feeds is none. A small call
takes a third less CPU than with httpcore and h11 (`python -m benchmarks small_calls`). An engine on
pyreqwest took more: what its thread and the event loop tell each other costs more than h11 does.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore
import httptools

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from .backend import AsyncioBackend, AsyncioStream

_READ_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 100 * 1024
"""An answer with more before its body is junk; h11 has the same limit."""


class FastConnection:
    """One connection to one origin, used by one request at a time."""

    def __init__(
        self,
        origin: httpcore.Origin,
        *,
        ssl_context: ssl.SSLContext | None = None,
        network_backend: AsyncioBackend,
    ) -> None:
        self._origin = origin
        self._ssl_context = ssl_context
        self._backend = network_backend
        self._stream: AsyncioStream | None = None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send `request` and return its answer, which must be read or closed.

        Raises:
            httpcore.TimeoutException: A part took too long.
            httpcore.NetworkError: The connection could not be opened, or was lost.
            httpcore.ProtocolError: The request or the answer is not HTTP/1.1.
        """
        timeouts = request.extensions.get("timeout", {})
        if self._stream is None:
            self._stream = await self._connect(timeouts.get("connect"))
        with suppress(httpcore.WriteError):  # a server that hangs up may have answered before
            await _write(self._stream, request, timeouts.get("write"))
        answer = _Answer(self._stream, timeouts.get("read"))
        await answer.read_head()
        return httpcore.Response(answer.status, headers=answer.headers, content=answer)

    async def _connect(self, seconds: float | None) -> AsyncioStream:
        host = self._origin.host.decode("ascii")
        stream = await self._backend.connect_tcp(host, self._origin.port, timeout=seconds)
        if self._ssl_context is None:
            return stream
        return await stream.start_tls(self._ssl_context, host, seconds)


class _Answer:
    """An answer while it arrives; the names of its `on_` methods are those the parser calls."""

    def __init__(self, stream: AsyncioStream, read_timeout: float | None) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._stream = stream
        self._read_timeout = read_timeout
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._head_bytes = 0
        self._has_head = False
        self._is_whole = False
        self._is_reusable = False

    async def read_head(self) -> None:
        """Read until the headers are whole."""
        while not self._has_head:
            self._head_bytes += await self._read()
            if self._head_bytes > _MAX_HEAD_BYTES and not self._has_head:
                raise httpcore.RemoteProtocolError("the answer's headers are too long")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            chunks, self._chunks = self._chunks, []
            for chunk in chunks:
                yield chunk
            if self._is_whole:
                return
            await self._read()

    async def aclose(self) -> None:
        """Drop the connection unless it can take another request."""
        if not self._is_reusable:
            self._stream.abort()

    async def _read(self) -> int:
        data = await self._stream.read(_READ_BYTES, self._read_timeout)
        if not data:
            self._end()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if self._is_whole:  # what comes behind an answer is no part of it
                self._is_reusable = False
                return len(data)
            raise httpcore.RemoteProtocolError(f"the answer is not HTTP/1.1: {exc}") from exc
        return len(data)

    def _end(self) -> None:
        """The server has closed the connection, which ends an answer that names no length."""
        names = {name.lower() for name, _ in self.headers}
        if not self._has_head or names & {b"content-length", b"transfer-encoding"}:
            raise httpcore.RemoteProtocolError("the server disconnected without a whole answer")
        self._is_whole = True

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self._is_whole:
            raise RuntimeError("a second answer, to nothing that was asked")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200
        if not self._has_head:  # an interim answer, which another follows
            self.headers.clear()

    def on_body(self, data: bytes) -> None:
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        self._is_whole = self._has_head
        self._is_reusable = self._has_head and self._parser.should_keep_alive()


async def _write(stream: AsyncioStream, request: httpcore.Request, seconds: float | None) -> None:
    """Write the request, its head together with the first chunk of its body."""
    unsent = _build_head(request)
    body: Any = request.stream
    async for chunk in body:
        if unsent and stream.get_extra_info("is_readable"):  # an answer to nothing that was asked
            raise httpcore.ConnectionNotAvailable("the connection ended before anything was sent")
        await stream.write(unsent + chunk if unsent else chunk, seconds)
        unsent = b""
    if unsent:
        await stream.write(unsent, seconds)


def _build_head(request: httpcore.Request) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method, request.url.target)]
    lines += [b"%b: %b" % header for header in request.headers]
    head = b"\r\n".join([*lines, b"", b""])
    if head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1 or b"\0" in head:
        raise httpcore.LocalProtocolError("a header has a line break or a NUL in it")
    return head
