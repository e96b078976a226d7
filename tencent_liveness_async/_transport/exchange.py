"""One request and its answer over any httpx transport, with every foreign error translated."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import httpx

from .._errors import (
    ConfigurationError,
    LivenessError,
    NotSentError,
    OutcomeUnknownError,
    StaleConnectionError,
    TransportError,
)
from .pool import UNSENT, ConnectionPool, StaleConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each part of an attempt may take, in seconds.

    The service's own budget for a call is 5 s, upload included.

    Attributes:
        connect: To open a connection, and as long again for its TLS handshake. Lower fails sooner, higher
            survives slow networks.
        write: Without progress while the request is sent. Lower gives up sooner on a stalled upload.
        read: Without a byte of the answer. Lower gives up on calls that may still be billed.
        attempt: For the whole attempt, so that a dripping answer ends too.
    """

    connect: float = 3.0
    write: float = 10.0
    read: float = 10.0
    attempt: float = 15.0

    def __post_init__(self) -> None:
        for name in ("connect", "write", "read", "attempt"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(
                    f"the {name} timeout must be over 0 seconds, not {getattr(self, name)}"
                )


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        date: The Date header; empty if there was none.
        content: The body, cut off after the first chunk over the limit.
    """

    status: int
    date: str
    content: bytes


async def exchange(
    transport: httpx.AsyncBaseTransport,
    url: str,
    *,
    headers: list[tuple[str, str]],
    content: bytes | AsyncIterable[bytes],
    timeouts: Timeouts,
    seconds: float,
    max_response_bytes: int,
) -> Answer:
    """Send one POST and read its answer, both within so many seconds.

    The headers are sent as they are given, so Host and Content-Length must be among them.

    Raises:
        NotSentError: The whole request cannot have reached the service.
        StaleConnectionError: A reused connection turned out to be closed.
        OutcomeUnknownError: The request was sent, and no whole answer came in time.
    """
    request = httpx.Request(
        "POST",
        _parse_url(url),
        headers=headers,
        stream=_to_stream(content),
        extensions={
            "timeout": {
                "connect": timeouts.connect,
                "write": timeouts.write,
                "read": timeouts.read,
                "pool": timeouts.connect,
            }
        },
    )
    try:
        async with asyncio.timeout(seconds):
            return await _send(transport, request, max_response_bytes)
    except TimeoutError as exc:
        if request.extensions.get(UNSENT):
            raise NotSentError(f"the request was not sent within {seconds:.3g} s") from exc
        raise OutcomeUnknownError(f"no whole answer within {seconds:.3g} s") from exc
    except httpx.RequestError as exc:
        raise translate_error(exc) from exc


@lru_cache(maxsize=16)
def _parse_url(url: str) -> httpx.URL:
    """Parse an endpoint once: 15 us a call (`python -m benchmarks hot_path`)."""
    return httpx.URL(url)


def _to_stream(content: bytes | AsyncIterable[bytes]) -> httpx.AsyncByteStream:
    """Wrap a body for httpx, which else looks for the headers that it would add: 10 us a call."""
    return httpx.ByteStream(content) if isinstance(content, bytes) else _ContentStream(content)


class _ContentStream(httpx.AsyncByteStream):
    def __init__(self, content: AsyncIterable[bytes]) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._content)


async def _send(transport: httpx.AsyncBaseTransport, request: httpx.Request, limit: int) -> Answer:
    response = await transport.handle_async_request(request)
    stream = cast("httpx.AsyncByteStream", response.stream)
    try:
        content = await _read(stream, limit)
    finally:
        await stream.aclose()
    return Answer(response.status_code, response.headers.get("date", ""), content)


async def _read(stream: httpx.AsyncByteStream, limit: int) -> bytes:
    content = bytearray()
    async for chunk in stream:
        content += chunk
        if len(content) > limit:
            break
    return bytes(content)


_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.WriteError,
    httpx.WriteTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


async def warm_up(transport: httpx.AsyncBaseTransport, url: str, count: int, *, seconds: float) -> None:
    """Open connections beforehand, if the transport is our pool.

    Raises:
        NotSentError: One could not be opened.
    """
    if not isinstance(transport, ConnectionPool):
        return
    try:
        await transport.warm_up(url, count, seconds=seconds)
    except httpx.TransportError as exc:
        raise translate_error(exc) from exc


def translate_error(exc: httpx.RequestError) -> LivenessError:
    """Return the error of this package that `exc` becomes."""
    error_class: type[TransportError] = OutcomeUnknownError
    if isinstance(exc, StaleConnection):
        error_class = StaleConnectionError
    elif isinstance(exc, _NOT_SENT):
        error_class = NotSentError
    return error_class(f"{type(exc).__name__}: {exc}")
