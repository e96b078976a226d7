from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import httpx
import pytest
from scripted_server import (
    Exchange,
    ScriptedServer,
    find_closed_port,
    ignore_failed_handshakes,
    say_nothing,
    serving,
    serving_raw,
)

from tencent_liveness_async._errors import ConfigurationError
from tencent_liveness_async._transport import ConnectionPool
from tencent_liveness_async._transport.pool import StaleConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trustme


@pytest.fixture
async def pool(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ConnectionPool]:
    """Return a pool that is closed after the test, and must be empty then."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    pool = ConnectionPool()
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


async def test_requests_one_after_another_share_a_connection(pool: ConnectionPool) -> None:
    """A connection whose answer was read is used again."""
    async with serving() as server:
        for _ in range(5):
            response = await post(pool, server.url)
            assert (response.status_code, response.content) == (200, b"{}")
        assert [each.number for each in server.exchanges] == [0, 1, 2, 3, 4]


async def test_256_requests_at_once_have_a_connection_each(pool: ConnectionPool) -> None:
    """Nothing queues in the pool: as many connections are open as requests are in flight."""
    everybody_is_here = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if exchange.connection == 255:
            everybody_is_here.set()
        await everybody_is_here.wait()
        await exchange.answer()

    async with serving(script) as server:
        await asyncio.gather(*(post(pool, server.url) for _ in range(256)))
        assert server.connections == pool.open_connections == 256
        await asyncio.gather(*(post(pool, server.url) for _ in range(256)))
        assert server.connections == 256


async def test_the_last_used_connection_is_taken_first(pool: ConnectionPool) -> None:
    """After a burst one connection does the work, so that the others can expire."""
    async with serving() as server:
        await asyncio.gather(*(post(pool, server.url) for _ in range(8)))
        server.exchanges.clear()
        for _ in range(5):
            await post(pool, server.url)
        assert len({each.connection for each in server.exchanges}) == 1


async def test_an_expired_connection_is_closed_and_not_used() -> None:
    """A connection that was idle for longer than the keep-alive is replaced."""
    pool = ConnectionPool(keepalive=-1.0)
    async with serving() as server:
        await post(pool, server.url)
        await post(pool, server.url)
        assert server.connections == 2
        assert repr(pool) == "<ConnectionPool: 0 in use, 1 idle>"
    await pool.aclose()


async def test_a_connection_the_server_closed_while_idle_is_not_used(pool: ConnectionPool) -> None:
    """A closed idle connection costs no request: another is opened."""
    async with serving() as server:
        await post(pool, server.url)
        server.close_connections()
        while pool.open_connections:  # noqa: ASYNC110 - the loop's turns are what is waited for
            await asyncio.sleep(0)
        await post(pool, server.url)
        assert server.connections == 2


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


async def test_a_fresh_connection_that_ends_without_a_byte_is_not_stale(pool: ConnectionPool) -> None:
    """On a fresh connection the same fault means that the server got the request."""

    async def script(exchange: Exchange) -> None:
        exchange.close()

    async with serving(script) as server:
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await post(pool, server.url)
        assert not isinstance(caught.value, StaleConnection)


async def test_an_answer_that_is_cut_off_drops_the_connection(pool: ConnectionPool) -> None:
    """A body that ends early is an error, and its connection is not used again."""

    async def script(exchange: Exchange) -> None:
        if exchange.connection == 0:
            await exchange.answer(b"{", length=99)
            exchange.close()
        else:
            await exchange.answer()

    async with serving(script) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await post(pool, server.url)
        assert (await post(pool, server.url)).content == b"{}"
        assert server.connections == 2


async def test_an_answer_that_is_not_read_drops_the_connection(pool: ConnectionPool) -> None:
    """Closing an answer early leaves no half-read connection in the pool."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(b"x" * 1_000_000)

    async with serving(script) as server:
        response = await pool.handle_async_request(httpx.Request("POST", server.url, content=b"{}"))
        await response.aclose()
        assert repr(pool) == "<ConnectionPool: 0 in use, 0 idle>"


async def test_what_the_server_says_it_will_close_is_not_used_again(pool: ConnectionPool) -> None:
    """`Connection: close` is honoured."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")

    async with serving(script) as server:
        await post(pool, server.url)
        await post(pool, server.url)
        assert server.connections == 2


async def test_redirects_are_not_followed(pool: ConnectionPool) -> None:
    """A redirect is an answer like any other."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")

    async with serving(script) as server:
        assert (await post(pool, server.url)).status_code == 302
        assert len(server.exchanges) == 1


async def test_nothing_listening_is_a_connect_error(pool: ConnectionPool) -> None:
    """A refused connection is a connect error that names the address."""
    port = find_closed_port()
    with pytest.raises(httpx.ConnectError, match=str(port)):
        await post(pool, f"http://127.0.0.1:{port}/")


async def test_a_silent_server_is_a_read_timeout(pool: ConnectionPool) -> None:
    """No byte within the read timeout is a read timeout, on a reused connection too."""
    silence = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            await silence.wait()

    async with serving(script) as server:
        await post(pool, server.url)
        with pytest.raises(httpx.ReadTimeout):
            await post(pool, server.url, seconds=0.01)
        silence.set()


async def test_a_server_that_does_not_read_is_a_write_timeout(pool: ConnectionPool) -> None:
    """A body that is not taken in time is a write error: the request was not sent whole."""
    async with serving_raw(say_nothing) as address:
        with pytest.raises((httpx.WriteTimeout, httpx.WriteError)):
            await post(pool, f"http://{address}/", b"x" * 30_000_000, seconds=0.05)


async def test_a_server_that_hangs_up_during_the_body_is_a_write_error(pool: ConnectionPool) -> None:
    """A connection that ends while the body is sent is a write error, not an unknown outcome."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with serving_raw(hang_up) as address:
        with pytest.raises(httpx.WriteError):
            await post(pool, f"http://{address}/", b"x" * 30_000_000)


async def test_cancelled_requests_leave_the_pool_usable(pool: ConnectionPool) -> None:
    """Requests cancelled while connecting, sending or waiting leave no connection in use."""
    go_on = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await go_on.wait()
        await exchange.answer()

    async with serving(script) as server:
        requests = [asyncio.ensure_future(post(pool, server.url)) for _ in range(50)]
        for turn in range(50):
            requests[turn].cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*requests, return_exceptions=True)
        assert repr(pool) == "<ConnectionPool: 0 in use, 0 idle>"
        go_on.set()
        await asyncio.gather(*(post(pool, server.url) for _ in range(50)))


async def test_requests_cancelled_at_any_turn_of_the_loop_leave_nothing(pool: ConnectionPool) -> None:
    """Wherever a cancellation hits, while an answer is read too, no connection stays in use."""
    async with serving() as server:
        for turns in range(60):
            request = asyncio.ensure_future(post(pool, server.url))
            for _ in range(turns):
                await asyncio.sleep(0)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            assert repr(pool).startswith("<ConnectionPool: 0 in use")
        assert pool.open_connections <= 2
        assert (await post(pool, server.url)).status_code == 200


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


async def test_a_connection_that_ends_late_is_not_stale() -> None:
    """A reused connection that ends after the time for an answer has most likely seen the request."""
    pool = ConnectionPool(stale_within=0.0)

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


async def test_a_connection_that_ends_within_the_answer_is_not_stale(pool: ConnectionPool) -> None:
    """Once a byte of the answer came, the request was seen."""

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            exchange.writer.write(b"HTTP/1.1 2")
            await exchange.writer.drain()
            exchange.close()

    async with serving(script) as server:
        await post(pool, server.url)
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await post(pool, server.url)
        assert not isinstance(caught.value, StaleConnection)


async def test_closing_ends_connections_that_are_being_opened() -> None:
    """A connection that stands only after the pool was closed is dropped."""
    pool = ConnectionPool()
    async with serving() as server:
        request = asyncio.ensure_future(post(pool, server.url))
        await asyncio.sleep(0)
        await pool.aclose()
        await asyncio.gather(request, return_exceptions=True)
        await asyncio.sleep(0)
        assert pool.open_connections == 0


def test_a_pool_in_a_second_loop_opens_connections_of_its_own() -> None:
    """A connection belongs to its loop; in another one it counts as dead."""
    pool = ConnectionPool(trust_env=False)

    async def scenario() -> int:
        async with serving() as server:
            return (await post(pool, server.url)).status_code

    assert asyncio.run(scenario()) == 200
    assert asyncio.run(scenario()) == 200
    asyncio.run(pool.aclose())
    assert pool.open_connections == 0


async def test_closing_ends_connections_in_use() -> None:
    """After closing no connection is open, whatever was under way."""
    pool, silence = ConnectionPool(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            await silence.wait()

    async with serving(script) as server:
        await post(pool, server.url)
        hanging = asyncio.ensure_future(post(pool, server.url))
        while len(server.exchanges) < 2:  # noqa: ASYNC110 - the loop's turns are what is waited for
            await asyncio.sleep(0)
        await pool.aclose()
        assert pool.open_connections == 0
        with pytest.raises(httpx.TransportError):
            await hanging
        silence.set()


@pytest.fixture
def server_context(ca: trustme.CA) -> ssl.SSLContext:
    """Return a context for a server on the loopback, signed by the test's own authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """Return a certificate authority of the test's own."""
    pytest.importorskip("trustme")
    from trustme import CA

    return CA()


@pytest.fixture
def bundle(ca: trustme.CA, tmp_path: Path) -> Path:
    """Return a file with the authority's certificate."""
    path = tmp_path / "authorities.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


async def test_https_with_a_given_context(ca: trustme.CA, server_context: ssl.SSLContext) -> None:
    """An SSL context given as `verify` is used; a large body passes both ways."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    pool = ConnectionPool(verify=context, trust_env=False)

    async def script(exchange: Exchange) -> None:
        await exchange.answer(exchange.body)

    async with serving(script, ssl_context=server_context) as server:
        for _ in range(2):
            assert (await post(pool, server.url, b"x" * 2_000_000)).content == b"x" * 2_000_000
        assert server.connections == 1
        await pool.aclose()
        assert pool.open_connections == 0


async def test_https_with_the_environments_certificates(
    bundle: Path, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names the authorities to trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    pool = ConnectionPool()
    async with serving(ssl_context=server_context) as server:
        assert (await post(pool, server.url)).status_code == 200
        await pool.aclose()


async def test_certificates_that_are_not_there_are_a_fault_of_the_settings(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE that cannot be read is one error that names the variable and the file."""
    monkeypatch.setenv("SSL_CERT_FILE", "/missing/authorities.pem")
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE.*/missing/authorities\.pem"):
        await post(pool, "https://127.0.0.1:1/")


async def test_https_to_a_server_without_tls_says_so(pool: ConnectionPool) -> None:
    """An https address of an http server is the usual mistake, and is named."""

    async def complain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving_raw(complain) as address:
        with pytest.raises(httpx.ConnectError, match="http and not https"):
            await post(pool, f"https://{address}/")


async def test_an_unknown_certificate_is_a_connect_error(
    pool: ConnectionPool, server_context: ssl.SSLContext
) -> None:
    """A certificate that cannot be verified ends before anything is sent."""
    ignore_failed_handshakes()
    async with serving(ssl_context=server_context) as server:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await post(pool, server.url)
        assert server.exchanges == []


async def test_a_tls_handshake_that_hangs_is_a_connect_error(pool: ConnectionPool) -> None:
    """The connect timeout bounds the handshake."""
    async with serving_raw(say_nothing) as address:
        with pytest.raises(httpx.ConnectError):
            await post(pool, f"https://{address}/", seconds=0.05)


class ForwardingProxy:
    """A proxy that understands CONNECT and counts what it was asked for."""

    def __init__(self) -> None:
        self.targets: list[bytes] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Open a tunnel and carry bytes both ways until either side ends it."""
        head = await reader.readuntil(b"\r\n\r\n")
        target = head.split()[1]
        self.targets.append(target)
        host, _, port = target.decode().partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_https_goes_through_the_environments_proxy(
    ca: trustme.CA, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY is used with a tunnel that is kept alive; NO_PROXY goes around it."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    proxy = ForwardingProxy()
    listening = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    monkeypatch.setenv("HTTPS_PROXY", address)
    async with serving(ssl_context=server_context) as server:
        pool = ConnectionPool(verify=context)
        for _ in range(3):
            await post(pool, server.url)
        assert proxy.targets == [server.url.removeprefix("https://").strip("/").encode()]
        assert server.connections == 1
        await pool.aclose()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        await _check_direct(ConnectionPool(verify=context), server, proxy)
        monkeypatch.delenv("NO_PROXY")
        await _check_direct(ConnectionPool(verify=context, trust_env=False), server, proxy)
    listening.close()


async def _check_direct(pool: ConnectionPool, server: ScriptedServer, proxy: ForwardingProxy) -> None:
    await post(pool, server.url)
    assert len(proxy.targets) == 1
    await pool.aclose()


@pytest.mark.parametrize("name", ["ALL_PROXY", "HTTP_PROXY"])
async def test_the_other_proxy_variables_count(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """ALL_PROXY is for every scheme, HTTP_PROXY for http; an error names the proxy."""
    port = find_closed_port()
    monkeypatch.setenv(name, f"127.0.0.1:{port}")
    with pytest.raises(httpx.ConnectError, match=f"through the proxy 127.0.0.1:{port}"):
        await post(pool, "http://photos.test/")


@pytest.mark.parametrize("address", ["socks4://127.0.0.1:1", "http://user:hush@[::1", "nonsense://x"])
async def test_a_proxy_that_is_none_is_a_fault_of_the_settings(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """A wrong proxy is one error, given as a setting or by the environment, and shows no password."""
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        await post(pool, "https://photos.test/")
    assert "hush" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        ConnectionPool(proxy=address)


async def test_a_proxy_that_hangs_up_before_the_tunnel_has_sent_nothing() -> None:
    """What ends before the tunnel stands was not sent to the service."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with serving_raw(hang_up) as address:
        pool = ConnectionPool(proxy=f"http://{address}")
        with pytest.raises(httpx.WriteError):
            await post(pool, "https://photos.test/")
        await pool.aclose()


async def test_a_given_proxy_that_is_down_is_a_connect_error() -> None:
    """A proxy given as a setting is used, and its failure means that nothing was sent."""
    pool = ConnectionPool(proxy=f"http://127.0.0.1:{find_closed_port()}")
    async with serving() as server:
        with pytest.raises(httpx.ConnectError):
            await post(pool, server.url)
        assert server.connections == 0
    await pool.aclose()


async def test_a_socks_proxy_without_its_package_says_what_to_install() -> None:
    """A SOCKS proxy needs a package that is not installed by default."""
    pool = ConnectionPool(proxy="socks5://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="socksio"):
        await post(pool, "https://127.0.0.1:2/")
    await pool.aclose()
