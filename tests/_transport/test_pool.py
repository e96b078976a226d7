from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import httpx
import pytest
from scripted_server import (
    Exchange,
    find_closed_port,
    serving,
)

from tencent_liveness_async._errors import ConfigurationError
from tencent_liveness_async._transport.pool import StaleConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import trustme

    from tencent_liveness_async._transport import ConnectionPool

    MakePool = Callable[..., ConnectionPool]


@pytest.fixture
async def pool(make_engine: MakePool) -> AsyncIterator[ConnectionPool]:
    """Return a pool that is closed after the test, and must be empty then."""
    pool = make_engine()
    yield pool
    await pool.aclose()
    assert pool.open_connections == 0


async def post(
    pool: ConnectionPool, url: str, body: bytes = b"{}", *, seconds: float = 20.0
) -> httpx.Response:
    """Send one request and read its answer to the end."""
    timeout = httpx.Timeout(seconds).as_dict()
    request = httpx.Request("POST", url, content=body, extensions={"timeout": timeout})
    response = await pool.handle_async_request(request)
    await response.aread()
    return response


async def test_the_last_used_connection_is_taken_first(pool: ConnectionPool) -> None:
    """After a burst one connection does the work, so that the others can expire."""
    async with serving() as server:
        await asyncio.gather(*(post(pool, server.url) for _ in range(8)))
        server.exchanges.clear()
        for _ in range(5):
            await post(pool, server.url)
        assert len({each.connection for each in server.exchanges}) == 1


async def test_an_expired_connection_is_closed_and_not_used(make_engine: MakePool) -> None:
    """A connection that was idle for longer than the keep-alive is replaced."""
    pool = make_engine(keepalive=-1.0)
    async with serving() as server:
        await post(pool, server.url)
        await post(pool, server.url)
        assert server.connections == 2
        assert repr(pool) == "<ConnectionPool: 0 in use, 1 idle>"
    await pool.aclose()


@pytest.mark.parametrize("end", [Exchange.close, Exchange.reset])
async def test_a_reused_connection_that_ends_without_a_byte_is_stale(
    pool: ConnectionPool, end: object
) -> None:
    """Only a reused connection that is closed before any byte of the answer is called stale."""

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            getattr(exchange, end.__name__)()  # type: ignore[attr-defined]

    async with serving(script) as server:
        await post(pool, server.url)
        with pytest.raises(StaleConnection):
            await post(pool, server.url)


async def test_one_stale_connection_clears_out_the_idle_ones(pool: ConnectionPool) -> None:
    """What closed one idle connection has closed the others: the next request gets a fresh one."""

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            exchange.reset()

    async with serving(script) as server:
        await asyncio.gather(*(post(pool, server.url) for _ in range(8)))
        with pytest.raises(StaleConnection):
            await post(pool, server.url)
        assert repr(pool) == "<ConnectionPool: 0 in use, 0 idle>"
        assert (await post(pool, server.url)).status_code == 200


async def test_a_connection_that_ends_late_is_not_stale(make_engine: MakePool) -> None:
    """A reused connection that ends after the time for an answer has most likely seen the request."""
    pool = make_engine(stale_within=0.0)

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            exchange.close()

    async with serving(script) as server:
        await post(pool, server.url)
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await post(pool, server.url)
        assert not isinstance(caught.value, StaleConnection)
    await pool.aclose()


async def test_https_with_a_given_context(
    make_engine: MakePool, ca: trustme.CA, server_context: ssl.SSLContext
) -> None:
    """An SSL context given as `verify` is used; a large body passes both ways."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    pool = make_engine(verify=context, trust_env=False)

    async def script(exchange: Exchange) -> None:
        await exchange.answer(exchange.body)

    async with serving(script, ssl_context=server_context) as server:
        for _ in range(2):
            assert (await post(pool, server.url, b"x" * 2_000_000)).content == b"x" * 2_000_000
        assert server.connections == 1
        await pool.aclose()
        assert pool.open_connections == 0


async def test_a_socks_proxy_without_its_package_says_what_to_install(make_engine: MakePool) -> None:
    """A SOCKS proxy needs a package that is not installed by default."""
    pool = make_engine(proxy="socks5://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="socksio"):
        await post(pool, "https://127.0.0.1:2/")
    await pool.aclose()


async def test_warmed_up_connections_are_used(pool: ConnectionPool) -> None:
    """Connections opened beforehand serve the first requests, and no more are opened."""
    async with serving() as server:
        await pool.warm_up(server.url, 8, seconds=5)
        assert repr(pool) == "<ConnectionPool: 0 in use, 8 idle>"
        await pool.warm_up(server.url, 5, seconds=5)
        await asyncio.gather(*(post(pool, server.url) for _ in range(8)))
        assert server.connections == 8


async def test_warming_up_includes_tls(
    make_engine: MakePool, ca: trustme.CA, server_context: ssl.SSLContext
) -> None:
    """A warmed up https connection is ready for the first byte of a request."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    pool = make_engine(verify=context, trust_env=False)
    async with serving(ssl_context=server_context) as server:
        await pool.warm_up(server.url, 2, seconds=5)
        for _ in range(3):
            assert (await post(pool, server.url)).status_code == 200
        assert server.connections == 2
        await pool.aclose()


async def test_warming_up_says_if_nobody_listens(pool: ConnectionPool) -> None:
    """A server that cannot be reached is found before the first request."""
    with pytest.raises(httpx.ConnectError):
        await pool.warm_up(f"http://127.0.0.1:{find_closed_port()}/", 2, seconds=5)


async def test_warming_up_behind_a_proxy_does_nothing(make_engine: MakePool) -> None:
    """Connections behind a proxy are opened by the requests that need them."""
    pool = make_engine(proxy=f"http://127.0.0.1:{find_closed_port()}")
    await pool.warm_up("https://photos.test/", 2, seconds=5)
    assert repr(pool) == "<ConnectionPool: 0 in use, 0 idle>"
