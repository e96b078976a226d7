from __future__ import annotations

import asyncio
import ssl
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from scripted_server import Exchange, serving

from tencent_liveness_async import ConfigurationError, Credential, LivenessClient
from tencent_liveness_async._transport.fast import FastTransport
from tencent_liveness_async._transport.handover import BytesBody, StreamBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ANSWER = b'{"Response":{"Score":95.5,"FaceModelVersion":"3.0","RequestId":"f1e2d3c4"}}'


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choosing the engine without its package is one error that names the install line."""
    monkeypatch.setitem(sys.modules, "pyreqwest.exceptions", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tencent-liveness-async\[fast\]'"):
        LivenessClient(transport="fast")


def test_an_unknown_engine_is_refused() -> None:
    """A wrong name is one error that names the right one."""
    with pytest.raises(ConfigurationError, match="'fast'"):
        LivenessClient(transport="quick")  # type: ignore[arg-type]


async def test_the_client_scores_over_the_fast_engine() -> None:
    """The client makes the engine, uses it and closes it."""
    pytest.importorskip("pyreqwest")

    async def script(exchange: Exchange) -> None:
        await exchange.answer(ANSWER)

    async with serving(script) as server:
        client = LivenessClient(credentials=Credential("id", "key"), endpoint=server.url, transport="fast")
        async with client:
            assert (await client.score("https://photos.test/1.jpg")).score == 95.5


def test_an_ssl_context_is_refused() -> None:
    """An SSL context belongs to OpenSSL; rustls cannot use it, and says so."""
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        FastTransport(verify=ssl.create_default_context())


async def test_certificates_of_the_environment_cannot_be_left_out(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine reads the variables by itself, so not trusting them is refused and not ignored."""
    pytest.importorskip("pyreqwest")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    transport = FastTransport(trust_env=False)
    with pytest.raises(ConfigurationError, match="trust_env"):
        await transport.handle_async_request(httpx.Request("POST", "https://127.0.0.1:1/", content=b"{}"))
    await transport.aclose()


async def test_closing_leaves_no_connection() -> None:
    """Once closed, the server sees every connection end; another request is refused."""
    pytest.importorskip("pyreqwest")
    transport = FastTransport(trust_env=False)

    async with serving() as server:
        requests = [httpx.Request("POST", server.url, content=b"{}") for _ in range(8)]
        await asyncio.gather(*map(transport.handle_async_request, requests))
        await transport.aclose()
        while not all(each.writer.is_closing() for each in server.exchanges):  # noqa: ASYNC110 - the loop's turns
            await asyncio.sleep(0)
        with pytest.raises(httpx.ConnectError, match="closed"):
            await transport.handle_async_request(requests[0])


def test_bytes_are_taken_in_slices() -> None:
    """A large body is whole only with its last slice, and slices are no copies."""
    content = b"x" * 600_000
    body = BytesBody(content)
    slices = []
    for each in body:
        slices.append(each)
        assert body.is_sent is (sum(map(len, slices)) == len(content))
    assert b"".join(slices) == content
    assert len(slices) == 3


def test_a_body_that_was_given_up_is_not_taken() -> None:
    """Once refused, a body gives no further part, and so the request is not whole."""
    body = BytesBody(b"{}")
    body.is_refused = True
    with pytest.raises(RuntimeError):
        next(iter(body))
    assert body.is_sent is False


async def test_a_source_ends_before_its_last_chunk_is_taken() -> None:
    """A fault that the source finds at its end comes before the request is whole."""

    async def fail_at_the_end() -> AsyncIterator[bytes]:
        yield b"{}"
        raise ValueError("changed")

    body = StreamBody(fail_at_the_end())
    with pytest.raises(ValueError, match="changed"):
        await anext(body)
    assert body.is_sent is False
    assert isinstance(body.error, ValueError)
