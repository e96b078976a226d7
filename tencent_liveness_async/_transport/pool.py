"""A pool of single connections behind httpx's transport interface.

httpx's own pool scans all its connections for every event, which costs 5 to 14 ms of CPU a call at
100 connections, and httpcore 1.0.9 loses pool slots for good when a task is cancelled before its
connection is open. This pool takes and returns a connection in constant time, the last used first, and
has no queue: whoever calls it has been admitted before.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio.to_thread
import httpcore
import httpx

from .._errors import ConfigurationError
from .backend import AsyncioBackend, OpenStreams
from .lane import Connection, ConnectionClass, Lane, Origin, WatchedBody
from .proxies import find_environment_proxy, make_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DEFAULT_KEEPALIVE = 50.0
"""Seconds; the service closes connections that were idle for about 60."""

DEFAULT_STALE_WITHIN = 0.2
"""Seconds; the service takes 0.2 to 1 s for an answer."""

UNSENT = "tencent_liveness.unsent"
"""The request's extension that is set if the request ended before all of it had left this process."""


class StaleConnection(httpx.RemoteProtocolError):
    """A reused connection was closed before any byte of an answer."""


class ConnectionPool(httpx.AsyncBaseTransport):
    """Sends each request over a connection of its own, kept alive for the next one.

    Open connections are as many as requests were ever in flight at once. One that was idle for too long is
    not used again; the next request closes it. Redirects are not followed.

    Args:
        proxy: The proxy for all requests. It takes a slower path.
        verify: An SSL context; True for the usual certificates, False for no verification.
        trust_env: Whether HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR count.
        keepalive: Seconds after which an idle connection is not used again. More than the service's 60
            would send requests into connections it has closed.
        stale_within: Seconds after a request within which the end of a reused connection means that it had
            been closed before and the request was not seen. Higher pays more calls twice.
        connection_class: What speaks HTTP/1.1 on each connection, if there is no proxy.

    Raises:
        ConfigurationError: The proxy is not one.
    """

    def __init__(
        self,
        *,
        proxy: httpx.Proxy | str | None = None,
        verify: ssl.SSLContext | bool = True,
        trust_env: bool = True,
        keepalive: float = DEFAULT_KEEPALIVE,
        stale_within: float = DEFAULT_STALE_WITHIN,
        connection_class: ConnectionClass = httpcore.AsyncHTTPConnection,
    ) -> None:
        self._proxy = None if proxy is None else make_proxy(proxy)
        self._verify = verify
        self._trust_env = trust_env
        self._keepalive = keepalive
        self._stale_within = stale_within
        self._connection_class = connection_class
        self._idle: dict[Origin, deque[Lane]] = {}
        self._in_use: set[Lane] = set()
        self._open_streams = OpenStreams()
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

        However it ends without an answer, the request's extension `UNSENT` says if it was not sent whole.

        Raises:
            httpx.TransportError: Of the class that says how far the request came; a `StaleConnection`
                if a reused connection turned out to be closed.
            ConfigurationError: The proxy or the certificates named by the environment cannot be used.
        """
        length = int(request.headers.get("content-length", 0))
        body = WatchedBody(cast("httpx.AsyncByteStream", request.stream), length)
        request.extensions[UNSENT] = True
        lane = await self._take_lane(request.url)
        self._in_use.add(lane)
        try:
            response = await lane.connection.handle_async_request(_to_httpcore(request, body))
        except BaseException as exc:
            self._drop_lane(lane)
            request.extensions[UNSENT] = not lane.has_sent(body)
            if isinstance(exc, _HTTPCORE_ERRORS):
                raise self._translate(exc, lane, body) from exc
            raise
        request.extensions[UNSENT] = False
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_ResponseStream(response, on_end=partial(self._end, lane)),
            extensions=response.extensions,
        )

    async def warm_up(self, url: str, count: int, *, seconds: float) -> None:
        """Open connections to `url` until `count` are idle; behind a proxy it does nothing.

        Raises:
            httpx.TransportError: One could not be opened, or not in so many seconds.
        """
        target = httpx.URL(url)
        idle = self._idle.setdefault(_find_origin(target), deque())
        await asyncio.gather(*(self._open_idle(target, seconds) for _ in range(count - len(idle))))

    async def _open_idle(self, url: httpx.URL, seconds: float) -> None:
        lane = await self._open_lane(url)
        if lane.proxy is not None:
            return
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            await lane.backend.warm_up(
                url.host,
                port,
                ssl_context=self._ssl_context if url.scheme == "https" else None,
                seconds=seconds,
            )
        except _HTTPCORE_ERRORS as exc:
            raise _HTTPX_CLASSES[type(exc)](str(exc)) from exc
        self._end(lane, is_whole=True)

    async def aclose(self) -> None:
        """Close every connection, those in use included, and wait until they are gone."""
        self._open_streams.is_closed = True
        self._idle.clear()
        for stream in tuple(self._open_streams):
            stream.abort()
        while self._open_streams:  # noqa: ASYNC110 - they are gone after a turn or two of the loop
            await asyncio.sleep(0)

    async def _take_lane(self, url: httpx.URL) -> Lane:
        idle = self._idle.setdefault(_find_origin(url), deque())
        self._close_expired(idle)
        while idle:
            lane = idle.pop()
            if lane.is_alive():
                stream = lane.backend.stream
                lane.received_before = stream.received if stream is not None else 0
                lane.written_before = stream.written if stream is not None else 0
                return lane
            self._drop_lane(lane)
        return await self._open_lane(url)

    def _close_expired(self, idle: deque[Lane]) -> None:
        """The longest idle stand at the left, so only those that go are looked at."""
        oldest = time.monotonic() - self._keepalive
        while idle and idle[0].idle_since < oldest:
            self._drop_lane(idle.popleft())

    async def _open_lane(self, url: httpx.URL) -> Lane:
        backend = AsyncioBackend(self._open_streams)
        proxy = self._proxy
        if proxy is None and self._trust_env:
            proxy = find_environment_proxy(url)
        ssl_context = await self._load_ssl_context() if url.scheme == "https" else None
        connection: Connection
        if proxy is not None:
            connection = self._open_proxied(proxy, ssl_context, backend)
        else:
            connection = self._connection_class(
                httpcore.URL(str(url)).origin, ssl_context=ssl_context, network_backend=backend
            )
        return Lane(_find_origin(url), connection, backend, proxy)

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
        try:
            return httpx.create_ssl_context(verify=self._verify, trust_env=self._trust_env)
        except OSError as exc:
            raise ConfigurationError(
                "the certificates cannot be read; SSL_CERT_FILE and SSL_CERT_DIR are "
                f"{os.environ.get('SSL_CERT_FILE')!r} and {os.environ.get('SSL_CERT_DIR')!r}: {exc}"
            ) from exc

    def _drop_lane(self, lane: Lane) -> None:
        self._in_use.discard(lane)
        if lane.backend.stream is not None:
            lane.backend.stream.abort()

    def _drop_idle(self, origin: Origin) -> None:
        idle = self._idle.setdefault(origin, deque())
        while idle:
            self._drop_lane(idle.pop())

    def _end(self, lane: Lane, *, is_whole: bool) -> None:
        """Take back a lane whose answer has ended; only one that was read to its end is used again."""
        is_usable = is_whole and lane.is_alive() and not lane.has_leftovers()
        if not is_usable or self._open_streams.is_closed:
            self._drop_lane(lane)
            return
        self._in_use.discard(lane)
        lane.idle_since = time.monotonic()
        self._idle.setdefault(lane.origin, deque()).append(lane)

    def _translate(self, exc: Exception, lane: Lane, body: WatchedBody) -> httpx.TransportError:
        """Say by the error's class how far the request came; httpcore calls a failed write a failed read."""
        error_class = _HTTPX_CLASSES[type(exc)]
        text = f"through the proxy {lane.proxy.url.netloc.decode()}: {exc}" if lane.proxy else str(exc)
        if error_class in _AFTER_SENDING and not lane.has_sent(body):
            return httpx.WriteError(f"the connection ended before the request was sent: {text}")
        if error_class in _HUNG_UP and lane.is_stale(body, within=self._stale_within):
            self._drop_idle(lane.origin)  # whatever closed this one has most likely closed the others too
            return StaleConnection(f"a reused connection was closed: {text}")
        return error_class(text or type(exc).__name__)


class _ResponseStream(httpx.AsyncByteStream):
    """The body of an answer; its lane is free again when the body was read, and dropped otherwise."""

    def __init__(self, response: httpcore.Response, *, on_end: Callable[..., None]) -> None:
        self._response = response
        self._on_end = on_end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except _HTTPCORE_ERRORS as exc:
            raise _HTTPX_CLASSES[type(exc)](str(exc)) from exc

    async def aclose(self) -> None:
        try:
            await self._response.aclose()  # keeps the connection only if the body was read to its end
        except BaseException:
            self._on_end(is_whole=False)
            raise
        self._on_end(is_whole=True)


def _find_origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port


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


def _to_httpcore(request: httpx.Request, body: WatchedBody) -> httpcore.Request:
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        ),
        headers=request.headers.raw,
        content=body,
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
_HUNG_UP = (httpx.ReadError, httpx.RemoteProtocolError)
_AFTER_SENDING = (*_HUNG_UP, httpx.ReadTimeout)
