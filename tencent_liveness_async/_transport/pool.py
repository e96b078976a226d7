"""A pool of single connections behind httpx's transport interface.

httpx's own pool scans all its connections for every event, which costs 5 to 14 ms of CPU a call at
100 connections, and httpcore 1.0.9 loses pool slots for good when a task is cancelled before its
connection is open. This pool takes and returns a connection in constant time, the last used first, and
has no queue: whoever calls it has been admitted before.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import anyio.to_thread
import httpcore
import httpx

from .._errors import ConfigurationError
from .backend import AsyncioBackend, AsyncioStream
from .proxies import find_environment_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEFAULT_KEEPALIVE = 50.0
"""Seconds; the service closes connections that were idle for about 60."""

_Connection: TypeAlias = httpcore.AsyncHTTPConnection | httpcore.AsyncConnectionPool
_Origin: TypeAlias = tuple[str, str, int | None]


class StaleConnection(httpx.RemoteProtocolError):
    """A reused connection was closed before any byte of an answer."""


@dataclass(slots=True, eq=False)
class _Lane:
    """One connection, used by one request at a time."""

    origin: _Origin
    connection: _Connection
    backend: AsyncioBackend
    idle_since: float = 0.0
    received_before: int = 0

    @property
    def is_reused(self) -> bool:
        return self.received_before > 0

    def note_start(self) -> None:
        stream = self.backend.stream
        self.received_before = stream.received if stream is not None else 0

    def is_alive(self) -> bool:
        stream = self.backend.stream
        return stream is not None and not stream.get_extra_info("is_readable")


class ConnectionPool(httpx.AsyncBaseTransport):
    """Sends each request over a connection of its own, kept alive for the next one.

    Open connections are as many as requests were ever in flight at once; idle ones are closed before
    the service closes them. Redirects are not followed.

    Args:
        proxy: The proxy for all requests. It takes a slower path.
        verify: An SSL context; True for the usual certificates, False for no verification.
        trust_env: Whether HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR count.
        keepalive: Seconds after which an idle connection is not used again. More than the service's 60
            would send requests into connections it has closed.
    """

    def __init__(
        self,
        *,
        proxy: httpx.Proxy | str | None = None,
        verify: ssl.SSLContext | bool = True,
        trust_env: bool = True,
        keepalive: float = DEFAULT_KEEPALIVE,
    ) -> None:
        self._proxy = httpx.Proxy(proxy) if isinstance(proxy, str) else proxy
        self._verify = verify
        self._trust_env = trust_env
        self._keepalive = keepalive
        self._idle: dict[_Origin, deque[_Lane]] = {}
        self._in_use: set[_Lane] = set()
        self._open_streams: set[AsyncioStream] = set()
        self._ssl_context: ssl.SSLContext | None = verify if isinstance(verify, ssl.SSLContext) else None
        self._ssl_lock = asyncio.Lock()

    def __repr__(self) -> str:
        idle = sum(map(len, self._idle.values()))
        return f"<ConnectionPool: {len(self._in_use)} in use, {idle} idle>"

    @property
    def open_connections(self) -> int:
        """How many connections are open, in use or idle."""
        return len(self._open_streams)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return its answer, whose stream must be read or closed.

        Raises:
            httpx.TransportError: Of the class that says how far the request came; a `StaleConnection`
                if a reused connection turned out to be closed.
        """
        lane = await self._take_lane(request.url)
        self._in_use.add(lane)
        lane.note_start()
        try:
            response = await lane.connection.handle_async_request(_to_httpcore(request))
        except BaseException as exc:
            await self._drop_lane(lane)
            if isinstance(exc, _HTTPCORE_ERRORS):
                raise _translate(exc, lane) from exc
            raise
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_ResponseStream(self, lane, response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection, those in use included, and wait until they are gone."""
        for lane in [*self._in_use, *(lane for lanes in self._idle.values() for lane in lanes)]:
            await self._drop_lane(lane)
        self._idle.clear()
        while self._open_streams:
            for stream in tuple(self._open_streams):
                await stream.aclose()
            await asyncio.sleep(0)

    async def _take_lane(self, url: httpx.URL) -> _Lane:
        origin = (url.scheme, url.host, url.port)
        idle = self._idle.setdefault(origin, deque())
        await self._close_expired(idle)
        while idle:
            lane = idle.pop()
            if lane.is_alive():
                return lane
            await self._drop_lane(lane)
        return await self._open_lane(url, origin)

    async def _close_expired(self, idle: deque[_Lane]) -> None:
        """The longest idle stand at the left, so only those that go are looked at."""
        oldest = time.monotonic() - self._keepalive
        while idle and idle[0].idle_since < oldest:
            await self._drop_lane(idle.popleft())

    async def _open_lane(self, url: httpx.URL, origin: _Origin) -> _Lane:
        backend = AsyncioBackend(self._open_streams)
        proxy = self._proxy
        if proxy is None and self._trust_env:
            proxy = find_environment_proxy(url)
        ssl_context = await self._load_ssl_context() if url.scheme == "https" else None
        if proxy is not None:
            return _Lane(origin, self._open_proxied(proxy, ssl_context, backend), backend)
        connection = httpcore.AsyncHTTPConnection(
            httpcore.URL(str(url)).origin,
            ssl_context=ssl_context,
            keepalive_expiry=self._keepalive,
            network_backend=backend,
        )
        return _Lane(origin, connection, backend)

    def _open_proxied(
        self, proxy: httpx.Proxy, ssl_context: ssl.SSLContext | None, backend: AsyncioBackend
    ) -> httpcore.AsyncConnectionPool:
        proxy_url = httpcore.URL(str(proxy.url))
        if proxy.url.scheme in ("socks5", "socks5h"):
            return _open_socks(proxy, proxy_url, ssl_context, backend)
        return httpcore.AsyncHTTPProxy(
            proxy_url,
            proxy_auth=proxy.raw_auth,
            proxy_headers=proxy.headers.raw,
            proxy_ssl_context=proxy.ssl_context,
            ssl_context=ssl_context,
            max_connections=1,
            keepalive_expiry=self._keepalive,
            network_backend=backend,
        )

    async def _load_ssl_context(self) -> ssl.SSLContext:
        """Build the context once and in a thread: reading the certificates takes 20 ms."""
        async with self._ssl_lock:
            if self._ssl_context is None:
                self._ssl_context = await anyio.to_thread.run_sync(self._create_ssl_context)
            return self._ssl_context

    def _create_ssl_context(self) -> ssl.SSLContext:
        return httpx.create_ssl_context(verify=self._verify, trust_env=self._trust_env)

    async def _drop_lane(self, lane: _Lane) -> None:
        self._in_use.discard(lane)
        if lane.backend.stream is not None:
            await lane.backend.stream.aclose()

    async def _return_lane(self, lane: _Lane) -> None:
        if lane not in self._in_use:
            return
        if not lane.is_alive():
            await self._drop_lane(lane)
            return
        self._in_use.discard(lane)
        lane.idle_since = time.monotonic()
        self._idle.setdefault(lane.origin, deque()).append(lane)


class _ResponseStream(httpx.AsyncByteStream):
    """The body of an answer; its lane is free again when the body was read, and dropped otherwise."""

    def __init__(self, pool: ConnectionPool, lane: _Lane, response: httpcore.Response) -> None:
        self._pool = pool
        self._lane = lane
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except _HTTPCORE_ERRORS as exc:
            raise _translate(exc, self._lane) from exc

    async def aclose(self) -> None:
        await self._response.aclose()  # leaves the connection open only if the body was read to its end
        await self._pool._return_lane(self._lane)  # noqa: SLF001 - the pool's own stream


def _open_socks(
    proxy: httpx.Proxy,
    proxy_url: httpcore.URL,
    ssl_context: ssl.SSLContext | None,
    backend: AsyncioBackend,
) -> httpcore.AsyncConnectionPool:
    try:
        return httpcore.AsyncSOCKSProxy(
            proxy_url,
            proxy_auth=proxy.raw_auth,
            ssl_context=ssl_context,
            max_connections=1,
            network_backend=backend,
        )
    except (ImportError, RuntimeError) as exc:
        raise ConfigurationError(
            "a SOCKS proxy needs the package socksio: pip install 'httpx[socks]'"
        ) from exc


def _to_httpcore(request: httpx.Request) -> httpcore.Request:
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


_HTTPX_CLASSES: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.ConnectionNotAvailable: httpx.ConnectError,
}
_HTTPCORE_ERRORS = tuple(_HTTPX_CLASSES)


def _translate(exc: Exception, lane: _Lane) -> httpx.TransportError:
    """Say by the error's class how far the request came; httpcore reports a failed write as a failed read."""
    stream = lane.backend.stream
    error_class = _HTTPX_CLASSES[type(exc)]
    if stream is not None and issubclass(
        error_class, httpx.ReadError | httpx.RemoteProtocolError | httpx.ReadTimeout
    ):
        if stream.has_unsent:
            return httpx.WriteError(f"the connection ended before the request was written: {exc}")
        if (
            lane.is_reused
            and stream.received == lane.received_before
            and error_class is not httpx.ReadTimeout
        ):
            return StaleConnection(f"a reused connection was closed: {exc}")
    return error_class(str(exc) or type(exc).__name__)
