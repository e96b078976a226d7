from __future__ import annotations

import asyncio
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

from tencent_liveness_async._errors import ConfigurationError, PhotoChangedError
from tencent_liveness_async._transport.pool import UNSENT, StaleConnection

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    MakeEngine = Callable[..., httpx.AsyncBaseTransport]


async def post(
    engine: httpx.AsyncBaseTransport, url: str, body: bytes = b"{}", *, seconds: float = 20.0
) -> httpx.Response:
    """Send one request and read its answer to the end."""
    timeout = httpx.Timeout(seconds).as_dict()
    request = httpx.Request("POST", url, content=body, extensions={"timeout": timeout})
    response = await engine.handle_async_request(request)
    try:
        await response.aread()
    finally:
        await response.aclose()
    return response


async def test_requests_one_after_another_share_a_connection(engine: httpx.AsyncBaseTransport) -> None:
    """A connection whose answer was read is used again."""
    async with serving() as server:
        for _ in range(5):
            response = await post(engine, server.url)
            assert (response.status_code, response.content) == (200, b"{}")
        assert [each.number for each in server.exchanges] == [0, 1, 2, 3, 4]


async def test_256_requests_at_once_have_a_connection_each(engine: httpx.AsyncBaseTransport) -> None:
    """Nothing queues in the pool: as many connections are open as requests are in flight."""
    everybody_is_here = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if exchange.connection == 255:
            everybody_is_here.set()
        await everybody_is_here.wait()
        await exchange.answer()

    async with serving(script) as server:
        await asyncio.gather(*(post(engine, server.url) for _ in range(256)))
        assert server.connections == 256
        await asyncio.gather(*(post(engine, server.url) for _ in range(256)))
        assert server.connections == 256


async def test_a_connection_the_server_closed_while_idle_is_not_used(
    engine: httpx.AsyncBaseTransport,
) -> None:
    """A closed idle connection costs no request: another is opened."""
    async with serving() as server:
        await post(engine, server.url)
        server.close_connections()
        async with serving() as other:  # by the time it has answered, the engine has seen the end
            await post(engine, other.url)
        await post(engine, server.url)
        assert server.connections == 2


async def test_a_fresh_connection_that_ends_without_a_byte_is_not_stale(
    engine: httpx.AsyncBaseTransport,
) -> None:
    """On a fresh connection the same fault means that the server got the request."""

    async def script(exchange: Exchange) -> None:
        exchange.close()

    async with serving(script) as server:
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await post(engine, server.url)
        assert not isinstance(caught.value, StaleConnection)


async def test_an_answer_that_is_cut_off_drops_the_connection(engine: httpx.AsyncBaseTransport) -> None:
    """A body that ends early is an error, and its connection is not used again."""

    async def script(exchange: Exchange) -> None:
        if exchange.connection == 0:
            await exchange.answer(b"{", length=99)
            exchange.close()
        else:
            await exchange.answer()

    async with serving(script) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await post(engine, server.url)
        assert (await post(engine, server.url)).content == b"{}"
        assert server.connections == 2


async def test_an_answer_that_is_not_read_drops_the_connection(engine: httpx.AsyncBaseTransport) -> None:
    """Closing an answer early leaves no half-read connection in the pool."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(b"x" * 1_000_000)

    async with serving(script) as server:
        response = await engine.handle_async_request(httpx.Request("POST", server.url, content=b"{}"))
        await response.aclose()
        assert "0 in use" in repr(engine)


async def test_what_the_server_says_it_will_close_is_not_used_again(engine: httpx.AsyncBaseTransport) -> None:
    """`Connection: close` is honoured."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")

    async with serving(script) as server:
        await post(engine, server.url)
        await post(engine, server.url)
        assert server.connections == 2


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
    ids=["after an interim answer", "in chunks", "without a body"],
)
async def test_an_answer_of_any_framing_is_read(
    engine: httpx.AsyncBaseTransport, raw: bytes, body: bytes
) -> None:
    """Whichever way an answer tells its end, it is read whole and its connection is used again."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(raw)

    async with serving(script) as server:
        for _ in range(2):
            assert (await post(engine, server.url)).content == body
        assert server.connections == 1


async def test_an_answer_may_last_until_the_connection_ends(engine: httpx.AsyncBaseTransport) -> None:
    """An answer that names no length ends with its connection."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
        await exchange.writer.drain()
        exchange.close()

    async with serving(script) as server:
        for _ in range(2):
            assert (await post(engine, server.url)).content == b"{}"
        assert server.connections == 2


@pytest.mark.parametrize(
    "raw",
    [
        b"junk\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Junk: %b\r\n" % (b"x" * 300_000) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\njunk\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: junk\r\nConnection: upgrade\r\n\r\njunk",
    ],
    ids=["no answer", "long headers", "wrong chunks", "another protocol"],
)
async def test_an_answer_that_is_not_http_is_a_protocol_error(
    engine: httpx.AsyncBaseTransport, raw: bytes
) -> None:
    """What cannot be an answer is an error at once, and its connection is not used again."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(raw if exchange.connection == 0 else b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(script) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await post(engine, server.url)
        assert (await post(engine, server.url)).status_code == 204


async def test_bytes_behind_an_answer_end_its_connection(engine: httpx.AsyncBaseTransport) -> None:
    """A server that says more than it was asked for is not asked on that connection again."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" * 2)

    async with serving(script) as server:
        for _ in range(2):
            assert (await post(engine, server.url)).content == b"{}"
        assert server.connections == 2


async def test_an_answer_during_the_upload_is_read(engine: httpx.AsyncBaseTransport) -> None:
    """A gateway that refuses a body and hangs up has answered nevertheless."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n{}")
        writer.write_eof()
        await writer.drain()
        while await reader.read(65536):
            pass
        writer.close()

    async with serving_raw(refuse) as address:
        assert (await post(engine, f"http://{address}/", b"x" * 3_000_000)).status_code == 413


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\0b"])
async def test_a_header_cannot_bring_another(engine: httpx.AsyncBaseTransport, value: str) -> None:
    """A header with a line break in it, as a bad token would be, is refused before anything is sent."""
    async with serving() as server:
        request = httpx.Request("POST", server.url, content=b"{}", headers={"X-Token": value})
        with pytest.raises(httpx.LocalProtocolError):
            await engine.handle_async_request(request)
        assert server.exchanges == []


async def test_redirects_are_not_followed(engine: httpx.AsyncBaseTransport) -> None:
    """A redirect is an answer like any other."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")

    async with serving(script) as server:
        assert (await post(engine, server.url)).status_code == 302
        assert len(server.exchanges) == 1


async def test_nothing_listening_is_a_connect_error(engine: httpx.AsyncBaseTransport) -> None:
    """A refused connection is a connect error that names the address."""
    port = find_closed_port()
    with pytest.raises(httpx.ConnectError, match=str(port)):
        await post(engine, f"http://127.0.0.1:{port}/")


async def test_a_silent_server_is_a_read_timeout(engine: httpx.AsyncBaseTransport) -> None:
    """No byte within the read timeout is a read timeout, on a reused connection too."""
    silence = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            await silence.wait()

    async with serving(script) as server:
        await post(engine, server.url)
        with pytest.raises(httpx.ReadTimeout):
            await post(engine, server.url, seconds=0.01)
        silence.set()


async def test_a_server_that_does_not_read_is_a_write_timeout(engine: httpx.AsyncBaseTransport) -> None:
    """A body that is not taken in time is a write error: the request was not sent whole."""
    async with serving_raw(say_nothing) as address:
        with pytest.raises((httpx.WriteTimeout, httpx.WriteError)):
            await post(engine, f"http://{address}/", b"x" * 30_000_000, seconds=0.05)


async def test_a_server_that_hangs_up_during_the_body_is_a_write_error(
    engine: httpx.AsyncBaseTransport,
) -> None:
    """A connection that ends while the body is sent is a write error, not an unknown outcome."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with serving_raw(hang_up) as address:
        with pytest.raises(httpx.WriteError):
            await post(engine, f"http://{address}/", b"x" * 30_000_000)


async def test_cancelled_requests_leave_the_engine_usable(engine: httpx.AsyncBaseTransport) -> None:
    """Requests cancelled while connecting, sending or waiting leave no connection in use."""
    go_on = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await go_on.wait()
        await exchange.answer()

    async with serving(script) as server:
        requests = [asyncio.ensure_future(post(engine, server.url)) for _ in range(50)]
        for turn in range(50):
            requests[turn].cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*requests, return_exceptions=True)
        assert "0 in use" in repr(engine)
        go_on.set()
        await asyncio.gather(*(post(engine, server.url) for _ in range(50)))


async def test_requests_cancelled_at_any_turn_of_the_loop_leave_nothing(
    engine: httpx.AsyncBaseTransport,
) -> None:
    """Wherever a cancellation hits, while an answer is read too, no connection stays in use."""
    async with serving() as server:
        for turns in range(60):
            request = asyncio.ensure_future(post(engine, server.url))
            for _ in range(turns):
                await asyncio.sleep(0)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            assert "0 in use" in repr(engine)
        assert (await post(engine, server.url)).status_code == 200


async def test_a_connection_that_ends_within_the_answer_is_not_stale(
    engine: httpx.AsyncBaseTransport,
) -> None:
    """Once a byte of the answer came, the request was seen."""

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            exchange.writer.write(b"HTTP/1.1 2")
            await exchange.writer.drain()
            exchange.close()

    async with serving(script) as server:
        await post(engine, server.url)
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            await post(engine, server.url)
        assert not isinstance(caught.value, StaleConnection)


async def test_closing_ends_connections_that_are_being_opened(make_engine: MakeEngine) -> None:
    """A connection that stands only after the pool was closed is dropped."""
    engine = make_engine()
    async with serving() as server:
        request = asyncio.ensure_future(post(engine, server.url))
        await asyncio.sleep(0)
        await engine.aclose()
        await asyncio.gather(request, return_exceptions=True)
        assert "0 in use" in repr(engine)


def test_an_engine_can_be_used_in_a_second_loop(make_engine: MakeEngine) -> None:
    """What is left of the first loop does no harm in the second."""
    engine = make_engine(trust_env=False)

    async def scenario() -> int:
        async with serving() as server:
            return (await post(engine, server.url)).status_code

    assert asyncio.run(scenario()) == 200
    assert asyncio.run(scenario()) == 200
    asyncio.run(engine.aclose())


async def test_closing_ends_connections_in_use(make_engine: MakeEngine) -> None:
    """After closing no connection is open, whatever was under way."""
    engine, silence = make_engine(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        if exchange.number == 0:
            await exchange.answer()
        else:
            await silence.wait()

    async with serving(script) as server:
        await post(engine, server.url)
        hanging = asyncio.ensure_future(post(engine, server.url))
        while len(server.exchanges) < 2:  # noqa: ASYNC110 - the loop's turns are what is waited for
            await asyncio.sleep(0)
        await engine.aclose()
        with pytest.raises(httpx.TransportError):
            await hanging
        silence.set()


async def test_https_with_the_environments_certificates(
    make_engine: MakeEngine, bundle: Path, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names the authorities to trust."""
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    engine = make_engine()
    async with serving(ssl_context=server_context) as server:
        assert (await post(engine, server.url)).status_code == 200
        await engine.aclose()


async def test_certificates_that_are_not_there_are_a_fault_of_the_settings(
    engine: httpx.AsyncBaseTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE that cannot be read is one error that names the variable and the file."""
    monkeypatch.setenv("SSL_CERT_FILE", "/missing/authorities.pem")
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE.*/missing/authorities\.pem"):
        await post(engine, "https://127.0.0.1:1/")


async def test_https_to_a_server_without_tls_says_so(engine: httpx.AsyncBaseTransport) -> None:
    """An https address of an http server is the usual mistake, and is named."""

    async def complain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving_raw(complain) as address:
        with pytest.raises(httpx.ConnectError, match="http and not https"):
            await post(engine, f"https://{address}/")


async def test_an_unknown_certificate_is_a_connect_error(
    engine: httpx.AsyncBaseTransport, server_context: ssl.SSLContext
) -> None:
    """A certificate that cannot be verified ends before anything is sent."""
    ignore_failed_handshakes()
    async with serving(ssl_context=server_context) as server:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await post(engine, server.url)
        assert server.exchanges == []


async def test_a_tls_handshake_that_hangs_is_a_connect_error(engine: httpx.AsyncBaseTransport) -> None:
    """The connect timeout bounds the handshake."""
    async with serving_raw(say_nothing) as address:
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
            await post(engine, f"https://{address}/", seconds=0.05)


async def test_https_goes_through_the_environments_proxy(
    make_engine: MakeEngine, server_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY is used with a tunnel that is kept alive; NO_PROXY goes around it."""
    proxy = ForwardingProxy()
    listening = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    monkeypatch.setenv("HTTPS_PROXY", address)
    async with serving(ssl_context=server_context) as server:
        engine = make_engine(verify=False)
        for _ in range(3):
            await post(engine, server.url)
        assert proxy.targets == [server.url.removeprefix("https://").strip("/").encode()]
        assert server.connections == 1
        await engine.aclose()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        await _check_direct(make_engine(verify=False), server, proxy)
        monkeypatch.delenv("NO_PROXY")
        await _check_direct(make_engine(verify=False, trust_env=False), server, proxy)
    listening.close()


@pytest.mark.parametrize("name", ["ALL_PROXY", "HTTP_PROXY"])
async def test_the_other_proxy_variables_count(
    engine: httpx.AsyncBaseTransport, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """ALL_PROXY is for every scheme, HTTP_PROXY for http; an error names the proxy."""
    port = find_closed_port()
    monkeypatch.setenv(name, f"127.0.0.1:{port}")
    with pytest.raises(httpx.ConnectError, match=f"through the proxy 127.0.0.1:{port}"):
        await post(engine, "http://photos.test/")


@pytest.mark.parametrize("address", ["socks4://127.0.0.1:1", "http://user:hush@[::1", "nonsense://x"])
async def test_a_proxy_that_is_none_is_a_fault_of_the_settings(
    make_engine: MakeEngine,
    engine: httpx.AsyncBaseTransport,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
) -> None:
    """A wrong proxy is one error, given as a setting or by the environment, and shows no password."""
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        await post(engine, "https://photos.test/")
    assert "hush" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        make_engine(proxy=address)


async def test_a_proxy_that_hangs_up_before_the_tunnel_has_sent_nothing(make_engine: MakeEngine) -> None:
    """What ends before the tunnel stands was not sent to the service."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with serving_raw(hang_up) as address:
        engine = make_engine(proxy=f"http://{address}")
        with pytest.raises((httpx.ConnectError, httpx.WriteError)):
            await post(engine, "https://photos.test/")
        await engine.aclose()


async def test_a_given_proxy_that_is_down_is_a_connect_error(make_engine: MakeEngine) -> None:
    """A proxy given as a setting is used, and its failure means that nothing was sent."""
    engine = make_engine(proxy=f"http://127.0.0.1:{find_closed_port()}")
    async with serving() as server:
        with pytest.raises(httpx.ConnectError):
            await post(engine, server.url)
        assert server.connections == 0
    await engine.aclose()


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


async def _check_direct(
    engine: httpx.AsyncBaseTransport, server: ScriptedServer, proxy: ForwardingProxy
) -> None:
    await post(engine, server.url)
    assert len(proxy.targets) == 1
    await engine.aclose()


class Chunks:
    """A body that gives one chunk after another, and ends with an error if it has one."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.count, self.error = count, error
        self.given = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the chunks, and wait before the last."""
        for number in range(self.count):
            if number == self.count - 1:
                self.given.set()
                await self.go_on.wait()
            yield b"x" * 100_000
        if self.error is not None:
            raise self.error


def make_request(url: str, chunks: Chunks) -> httpx.Request:
    """Make a request whose length is told in advance."""
    length = str(chunks.count * 100_000)
    return httpx.Request("POST", url, content=chunks, headers={"Content-Length": length})


async def test_a_body_in_chunks_arrives_whole(engine: httpx.AsyncBaseTransport) -> None:
    """A body that is an async iterable is sent with the length that was given."""
    async with serving() as server:
        request = make_request(server.url, Chunks(20))
        response = await engine.handle_async_request(request)
        assert await response.aread() == b"{}"
        assert server.exchanges[0].body == b"x" * 2_000_000
        assert b"transfer-encoding" not in server.exchanges[0].head.lower()
        assert request.extensions[UNSENT] is False


async def test_an_error_of_the_body_comes_out_as_itself(engine: httpx.AsyncBaseTransport) -> None:
    """A photo that changed is that error, and the request was not sent whole."""
    async with serving() as server:
        error = PhotoChangedError("it was changed")
        request = make_request(server.url, Chunks(5, error))
        with pytest.raises(PhotoChangedError) as caught:
            await engine.handle_async_request(request)
        assert caught.value is error
        assert server.exchanges == []
        assert (await post(engine, server.url)).status_code == 200


async def test_a_cancelled_upload_leaves_no_task(engine: httpx.AsyncBaseTransport) -> None:
    """A request that is cancelled while its body waits was not sent, and nothing of it goes on."""
    async with serving() as server:
        chunks = Chunks(5)
        chunks.go_on.clear()
        request = make_request(server.url, chunks)
        before = asyncio.all_tasks()
        sending = asyncio.ensure_future(engine.handle_async_request(request))
        await chunks.given.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert request.extensions[UNSENT] is True
        while len(asyncio.all_tasks() - before) > 1:  # noqa: ASYNC110 - the server's own task may stay
            await asyncio.sleep(0)
        assert server.exchanges == []
        assert (await post(engine, server.url)).status_code == 200


async def test_a_request_that_was_sent_is_not_called_unsent(engine: httpx.AsyncBaseTransport) -> None:
    """Cancelling the wait for an answer does not take the request back."""
    arrived = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with serving(script) as server:
        request = httpx.Request("POST", server.url, content=b"{}")
        sending = asyncio.ensure_future(engine.handle_async_request(request))
        await arrived.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert request.extensions[UNSENT] is False


@pytest.mark.parametrize("end", [Exchange.close, Exchange.reset])
async def test_a_request_is_not_sent_twice(
    engine: httpx.AsyncBaseTransport, end: Callable[[Exchange], None]
) -> None:
    """A reused connection that ends once the request was read is an error, not another attempt."""

    async def script(exchange: Exchange) -> None:
        if len(server.exchanges) == 1:
            await exchange.answer()
        else:
            end(exchange)

    async with serving(script) as server:
        await post(engine, server.url)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await post(engine, server.url)
        assert len(server.exchanges) == 2


async def test_answers_come_as_they_are(engine: httpx.AsyncBaseTransport) -> None:
    """Nothing is decompressed, and no cookie is kept."""

    async def script(exchange: Exchange) -> None:
        exchange.writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nSet-Cookie: a=b\r\nContent-Length: 4\r\n\r\njunk"
        )

    async with serving(script) as server:
        for _ in range(2):
            request = httpx.Request("POST", server.url, content=b"{}")
            response = await engine.handle_async_request(request)
            assert b"".join([chunk async for chunk in response.aiter_raw()]) == b"junk"
            await response.aclose()
        assert b"cookie" not in server.exchanges[1].head.lower()
        assert b"accept-encoding" not in server.exchanges[1].head.lower()
