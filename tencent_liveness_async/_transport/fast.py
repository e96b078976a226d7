"""An engine on pyreqwest (reqwest and hyper, in Rust) as an httpx transport; pyreqwest's only home.

pyreqwest's own httpx transport is not used, because its errors cannot be trusted with money: a connection
that is reset after the request is a connect error there, and too long a wait for the answer a connect
timeout. Here the request's body says how far the request came: hyper takes its parts once the connection
stands, and a body that was given up lets no further part be taken.
"""

from __future__ import annotations

import asyncio
import math
import os
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, cast

import anyio.to_thread
import httpx

from .._errors import ConfigurationError
from .handover import Body, BytesBody, StreamBody, Watch
from .pool import DEFAULT_KEEPALIVE, UNSENT
from .proxies import find_environment_proxy, make_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyreqwest.bytes import Bytes
    from pyreqwest.client import Client, ClientBuilder
    from pyreqwest.exceptions import PyreqwestError
    from pyreqwest.proxy import ProxyBuilder
    from pyreqwest.request import StreamRequest
    from pyreqwest.response import Response
    from pyreqwest.types import Stream

_READ_AHEAD_BYTES = 64 * 1024
"""pyreqwest reads so much of an answer, or all of it, before it hands the answer out; as set in `_build`."""
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

_Origin: TypeAlias = tuple[str, str, int | None]


class FastTransport(httpx.AsyncBaseTransport):
    """Sends each request over hyper's pool of HTTP/1.1 connections, in a thread of its own.

    Redirects are not followed, answers are not decompressed, and cookies are not kept. A connection that
    turns out to be closed is replaced only if no part of the request was taken; hyper does not tell if a
    connection was used before, so there is no `StaleConnection`: its outcome counts as unknown.

    The connect timeout covers the TLS handshake; the read timeout covers an answer of up to 64 KB whole.

    Args:
        proxy: The proxy for all requests.
        verify: True for the usual certificates and those of the system, False for no verification.
        trust_env: Whether HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR
            count. They are read at the first request to an origin.
        keepalive: Seconds after which an idle connection is closed.

    Raises:
        ConfigurationError: The extra is not installed, the proxy is not one, or `verify` is an SSL
            context, which rustls cannot use.
    """

    def __init__(
        self,
        *,
        proxy: httpx.Proxy | str | None = None,
        verify: ssl.SSLContext | bool = True,
        trust_env: bool = True,
        keepalive: float = DEFAULT_KEEPALIVE,
    ) -> None:
        if isinstance(verify, ssl.SSLContext):
            raise ConfigurationError(
                "the fast transport cannot use an SSL context; name your certificates with SSL_CERT_FILE "
                "or SSL_CERT_DIR, or leave out transport='fast'"
            )
        self.errors = _import_errors()
        self._proxy = None if proxy is None else make_proxy(proxy)
        self._verify = verify
        self._trust_env = trust_env
        self._keepalive = keepalive
        self._origins: dict[_Origin, _OriginClient] = {}
        self._lock = asyncio.Lock()
        self._is_closed = False
        self._in_use = 0

    def __repr__(self) -> str:
        return f"<FastTransport: {self._in_use} in use>"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return its answer, whose stream must be read or closed.

        However it ends without an answer, the request's extension `UNSENT` says if it was not sent whole.

        Raises:
            httpx.TransportError: Of the class that says how far the request came.
            ConfigurationError: The proxy or the certificates named by the environment cannot be used.
        """
        request.extensions[UNSENT] = True
        url = request.url
        origin = self._origins.get((url.scheme, url.host, url.port)) or await self._open_origin(url)
        body = _make_body(request)
        watch = Watch(body, request.extensions.get("timeout", {}))
        self._in_use += 1
        try:
            exchange = _build(origin.client, request, body)
            response = await watch.run(exchange.__aenter__())
        except BaseException as exc:
            self._in_use -= 1
            body.is_refused = True
            request.extensions[UNSENT] = not body.is_sent
            await body.aclose()
            if body.error is not None and not isinstance(exc, asyncio.CancelledError):
                raise body.error from None
            if isinstance(exc, self.errors):
                raise _translate(exc, body, origin.proxy) from exc
            raise
        request.extensions[UNSENT] = False
        headers = list(response.headers.items())
        stream: httpx.AsyncByteStream
        if _is_whole(response):  # no generator, no timeout, one call of Rust: 140 us a call instead of 200
            stream = httpx.ByteStream((await response.bytes()).to_bytes())
            self._in_use -= 1
        else:
            stream = _AnswerStream(self, exchange, response, watch.read)
        return httpx.Response(status_code=response.status, headers=headers, stream=stream)

    def release(self) -> None:
        """Count an answer that has ended."""
        self._in_use -= 1

    async def aclose(self) -> None:
        """Close every connection, those in use included, and wait until the engine's thread is done."""
        async with self._lock:  # a client that is being made is closed too
            self._is_closed = True
            for origin in self._origins.values():
                await origin.client.close()
            self._origins.clear()
        await anyio.to_thread.run_sync(_wait_for_engine)

    async def _open_origin(self, url: httpx.URL) -> _OriginClient:
        """Make an origin's client once and in a thread: reading the certificates takes 20 ms."""
        key = (url.scheme, url.host, url.port)
        async with self._lock:
            if key not in self._origins:
                if self._is_closed:
                    raise httpx.ConnectError("the transport was closed")
                proxy = self._proxy
                if proxy is None and self._trust_env:
                    proxy = find_environment_proxy(url)
                client = await anyio.to_thread.run_sync(self._build_client, url.scheme, proxy)
                self._origins[key] = _OriginClient(client, proxy)
            return self._origins[key]

    def _build_client(self, scheme: str, proxy: httpx.Proxy | None) -> Client:
        from pyreqwest.client import ClientBuilder

        builder = (
            ClientBuilder()
            .runtime_multithreaded(enable=False)
            .no_proxy()
            .http1_only()
            .follow_redirects(enable=False)
            .referer(enable=False)
            .default_cookie_store(enable=False)
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            .pool_idle_timeout(timedelta(seconds=max(self._keepalive, 0.0)))
        )
        if proxy is not None:
            builder = builder.proxy(_convert_proxy(proxy))
        if scheme != "https" or not self._verify:  # then no certificates are read
            return builder.danger_accept_invalid_certs(enable=True).build()
        try:
            return self._trust(builder).build()
        except self.errors as exc:
            raise ConfigurationError(
                "the fast transport cannot use the system's certificates; install them (ca-certificates), or "
                f"name others with SSL_CERT_FILE: {_describe(exc)}"
            ) from exc

    def _trust(self, builder: ClientBuilder) -> ClientBuilder:
        """Trust what the pool trusts, beside the system's certificates, which rustls reads by itself."""
        given = {name: os.environ.get(name) for name in _CERTIFICATE_VARIABLES}
        if any(given.values()) and not self._trust_env:
            raise ConfigurationError(
                "the fast transport trusts SSL_CERT_FILE and SSL_CERT_DIR whatever trust_env says; "
                "unset them, or leave out transport='fast'"
            )
        try:
            context = httpx.create_ssl_context(trust_env=self._trust_env)
        except OSError as exc:
            raise ConfigurationError(
                "the certificates cannot be read; SSL_CERT_FILE and SSL_CERT_DIR are "
                f"{given['SSL_CERT_FILE']!r} and {given['SSL_CERT_DIR']!r}: {exc}"
            ) from exc
        for certificate in context.get_ca_certs(binary_form=True):
            builder = builder.add_root_certificate_der(certificate)
        return builder


class _OriginClient:
    """An origin's client and the proxy it goes through."""

    __slots__ = ("client", "proxy")

    def __init__(self, client: Client, proxy: httpx.Proxy | None) -> None:
        self.client = client
        self.proxy = proxy


class _AnswerStream(httpx.AsyncByteStream):
    """The body of an answer; up to 64 KB of it are there, and then its connection is free already."""

    def __init__(
        self, transport: FastTransport, exchange: StreamRequest, response: Response, read_timeout: float
    ) -> None:
        self._transport = transport
        self._exchange: StreamRequest | None = exchange
        self._response = response
        self._read_timeout = None if read_timeout == math.inf else read_timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._read_chunk()) is not None:
            yield chunk.to_bytes()

    async def _read_chunk(self) -> Bytes | None:
        try:
            async with asyncio.timeout(self._read_timeout):
                return await self._response.body_reader.read_chunk()
        except self._transport.errors as exc:
            raise _describe_lost_answer(exc) from exc
        except TimeoutError as exc:
            raise httpx.ReadTimeout(f"no byte of the answer within {self._read_timeout} s") from exc

    async def aclose(self) -> None:
        if self._exchange is None:
            return
        exchange, self._exchange = self._exchange, None
        self._transport.release()
        await exchange.__aexit__(None, None, None)


def _import_errors() -> type[PyreqwestError]:
    try:
        from pyreqwest.exceptions import PyreqwestError
    except ImportError as exc:
        raise ConfigurationError(
            "the fast transport needs an extra: pip install 'tencent-liveness-async[fast]'"
        ) from exc
    return PyreqwestError


def _make_body(request: httpx.Request) -> BytesBody | StreamBody:
    stream = request.stream
    if isinstance(stream, httpx.ByteStream):
        return BytesBody(request.read())
    return StreamBody(cast("httpx.AsyncByteStream", stream))


def _build(client: Client, request: httpx.Request, body: BytesBody | StreamBody) -> StreamRequest:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    return (
        client.request(request.method, str(request.url))
        .headers(headers)
        .body_stream(cast("Stream", body))
        .build_streamed()
    )


def _convert_proxy(proxy: httpx.Proxy) -> ProxyBuilder:
    from pyreqwest.proxy import ProxyBuilder

    if proxy.ssl_context is not None:
        raise ConfigurationError("the fast transport cannot use a proxy's SSL context")
    builder = ProxyBuilder.all(str(proxy.url))
    if proxy.raw_auth is not None:
        user, password = proxy.raw_auth
        builder = builder.basic_auth(user.decode(), password.decode())
    return builder.headers(proxy.headers.multi_items()) if proxy.headers else builder


def _translate(exc: PyreqwestError, body: Body, proxy: httpx.Proxy | None) -> httpx.TransportError:
    """Say by the error's class how far the request came."""
    text = _describe(exc)
    if proxy is not None:
        text = f"through the proxy {proxy.url.netloc.decode()}: {text}"
    if body.is_sent:
        return _describe_lost_answer(exc, text)
    if body.taken_at:
        return httpx.WriteError(f"the connection ended before the request was sent: {text}")
    if "InvalidContentType" in text:
        text = f"the server does not speak TLS; is its address http and not https? ({text})"
    return httpx.ConnectError(text)


def _describe_lost_answer(exc: PyreqwestError, text: str | None = None) -> httpx.TransportError:
    from pyreqwest.exceptions import ClientClosedError, NetworkError

    text = text or _describe(exc)
    is_hung_up = "before message completed" in text
    if isinstance(exc, NetworkError | ClientClosedError) and not is_hung_up:
        return httpx.ReadError(text)
    return httpx.RemoteProtocolError(text)


def _describe(exc: PyreqwestError) -> str:
    details = getattr(exc, "details", None) or {}
    return ": ".join([exc.message, *(cause["message"] for cause in details.get("causes") or ())])


def _is_whole(response: Response) -> bool:
    """Whether all of the answer was read before the answer was handed out."""
    length = response.get_header("content-length")
    return length is not None and length.isdigit() and int(length) < _READ_AHEAD_BYTES


def _wait_for_engine() -> None:
    """Wait until the engine's thread has done what it was told before.

    It may still be about to wake an event loop, and a Python that ends at that moment aborts (about one
    process in ten after a burst of calls). A call without a loop, to a port that is none, stands behind it.
    """
    from pyreqwest.client import SyncClientBuilder
    from pyreqwest.exceptions import PyreqwestError

    builder = SyncClientBuilder().runtime_multithreaded(enable=False).no_proxy()
    client = builder.danger_accept_invalid_certs(enable=True).build()  # reads no certificates
    try:
        client.get("http://127.0.0.1:0/").build().send()
    except PyreqwestError:
        pass
    finally:
        client.close()
