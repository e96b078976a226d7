from __future__ import annotations

import sys

import httpx
import pytest
from scripted_server import Exchange, serving

from tencent_liveness_async import ConfigurationError, Credential, LivenessClient
from tencent_liveness_async._transport import ConnectionPool, load_fast_connection

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


async def test_bytes_behind_an_answer_end_its_connection() -> None:
    """A server that says more than it was asked for is not asked on that connection again."""
    pytest.importorskip("httptools")
    pool = ConnectionPool(connection_class=load_fast_connection(), trust_env=False)

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" * 2)

    async with serving(script) as server:
        for _ in range(2):
            response = await pool.handle_async_request(httpx.Request("POST", server.url, content=b"{}"))
            assert await response.aread() == b"{}"
        assert server.connections == 2
    await pool.aclose()
