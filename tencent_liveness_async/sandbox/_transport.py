"""The sandbox without sockets: an httpx transport that runs it inside the caller's task.

httpx is imported here because this is a transport of its; no other module of the sandbox needs it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httpx

from ._exchange import ABORT, CLOSE, RequestEvent, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

    from ._app import SandboxApp


class SandboxTransport(httpx.AsyncBaseTransport):
    """Hands an `httpx.AsyncClient`'s requests to a sandbox, in process.

    The whole exchange takes place while the request is sent, in the caller's task: there is no
    socket, no task and, for photos by URL, no thread, so that it runs under a virtual clock. What
    was sent before a fault is read first, the fault is raised after it. A caller that is cancelled
    is a peer that has left: a call that was billed by then counts as unanswered. A call cancelled
    while its picture is being decoded is not billed.

    A read timeout (`timeout=` of httpx) is the longest time between two parts of the answer, and
    raises `httpx.ReadTimeout`; a reset raises `httpx.ReadError`, an answer that is cut
    `httpx.RemoteProtocolError`. Connect, write and pool timeouts cannot happen.

    Example:
        >>> from tencent_liveness_async.sandbox import SandboxApp
        >>> client = httpx.AsyncClient(transport=SandboxTransport(SandboxApp()))
    """

    def __init__(self, app: SandboxApp) -> None:
        self.app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Run one request to its end.

        Raises:
            httpx.ReadTimeout: No answer began within the read timeout.
            httpx.ReadError: The connection was reset before the answer.
        """
        exchange = _InProcessExchange(request)
        await exchange.run(self.app)
        return exchange.make_response()


class _Body(httpx.AsyncByteStream):
    """An answer's body, and the error that ends it."""

    def __init__(self, chunks: list[bytes], error: httpx.TransportError | None) -> None:
        self._chunks = chunks
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._error is not None:
            raise self._error


class _InProcessExchange:
    """One request, played through an ASGI application."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._parts = cast("httpx.AsyncByteStream", request.stream).__aiter__()
        self._has_sent_all = False
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._error: httpx.TransportError | None = None
        self._read_timeout: float | None = request.extensions.get("timeout", {}).get("read")
        self._timer = asyncio.timeout(None)

    async def run(self, app: SandboxApp) -> None:
        """Run the application until it ends or is late."""
        scope: Scope = {
            "type": "http",
            "method": self._request.method,
            "path": self._request.url.path,
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "extensions": {ABORT: self._abort, CLOSE: self._close},
        }
        try:
            async with self._timer:
                await app(scope, self._receive, self._send)
        except TimeoutError:
            self._error = httpx.ReadTimeout("the sandbox is late", request=self._request)

    def make_response(self) -> httpx.Response:
        """Return what was answered, or raise what came in its place."""
        if not self._status:
            raise self._error or httpx.ReadError("no answer", request=self._request)
        body = _Body(self._chunks, self._error)
        extensions = {"http_version": b"HTTP/1.1"}
        return httpx.Response(self._status, headers=self._headers, stream=body, extensions=extensions)

    async def _receive(self) -> RequestEvent:
        """Return the next part of the body; after the last one wait until the caller gives up."""
        if self._has_sent_all:
            await asyncio.get_running_loop().create_future()
        chunk = await anext(self._parts, None)
        self._has_sent_all = chunk is None
        if self._has_sent_all:
            self._restart_timer()
        return {"type": "http.request", "body": chunk or b"", "more_body": not self._has_sent_all}

    async def _send(self, message: MutableMapping[str, object]) -> None:
        self._restart_timer()
        if message["type"] == "http.response.start":
            self._status = cast("int", message["status"])
            self._headers = cast("list[tuple[bytes, bytes]]", message["headers"])
        else:
            self._chunks.append(cast("bytes", message["body"]))

    def _restart_timer(self) -> None:
        if self._read_timeout is not None:
            self._timer.reschedule(asyncio.get_running_loop().time() + self._read_timeout)

    def _abort(self) -> None:
        self._error = httpx.ReadError("connection reset by the sandbox", request=self._request)

    def _close(self) -> None:
        self._error = httpx.RemoteProtocolError(
            "the sandbox closed the connection before the end of its answer", request=self._request
        )
