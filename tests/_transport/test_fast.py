from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from scripted_server import Exchange, serving

from tencent_liveness_async import ConfigurationError, Credential, LivenessClient
from tencent_liveness_async._transport import ConnectionPool, load_fast_connection
from tencent_liveness_async._transport.pool import UNSENT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER = b'{"Response":{"Score":95.5,"FaceModelVersion":"3.0","RequestId":"f1e2d3c4"}}'


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choosing the engine without its package is one error that names the install line."""
    monkeypatch.setitem(sys.modules, "tencent_liveness_async._transport.fast", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tencent-liveness-async\[fast\]'"):
        LivenessClient(transport="fast")


def test_an_unknown_engine_is_refused() -> None:
    """A wrong name is one error that names the right one."""
    with pytest.raises(ConfigurationError, match="'fast'"):
        LivenessClient(transport="quick")  # type: ignore[arg-type]


async def test_the_client_scores_over_the_fast_engine() -> None:
    """The client makes the engine, uses it and closes it."""
    pytest.importorskip("httptools")

    async def script(exchange: Exchange) -> None:
        await exchange.answer(ANSWER)

    async with serving(script) as server:
        client = LivenessClient(credentials=Credential("id", "key"), endpoint=server.url, transport="fast")
        async with client:
            assert (await client.score("https://photos.test/1.jpg")).score == 95.5


async def test_an_answer_to_nothing_is_no_answer() -> None:
    """What arrives on an idle connection while the first bytes of a body are waited for is not its answer."""
    pytest.importorskip("httptools")
    pool = ConnectionPool(connection_class=load_fast_connection(), trust_env=False)
    arrived = asyncio.Event()

    class LateBody(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            server.exchanges[0].writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            lane = next(iter(pool._in_use))
            while lane.is_alive():  # noqa: ASYNC110 - the loop's turns are what is waited for
                await asyncio.sleep(0)
            arrived.set()
            yield b"{}"

    async with serving() as server:
        first = await pool.handle_async_request(httpx.Request("POST", server.url, content=b"{}"))
        await first.aread()
        late = httpx.Request("POST", server.url, stream=LateBody(), headers={"Content-Length": "2"})
        with pytest.raises(httpx.ConnectError):
            await pool.handle_async_request(late)
        assert arrived.is_set()
        assert late.extensions[UNSENT] is True
        assert len(server.exchanges) == 1
    await pool.aclose()
