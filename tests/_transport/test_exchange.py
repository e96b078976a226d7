from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from scripted_server import Exchange, find_closed_port, say_nothing, serving, serving_raw

from tencent_liveness_async._errors import (
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    StaleConnectionError,
)
from tencent_liveness_async._transport import Answer, Timeouts, exchange
from tencent_liveness_async._transport.exchange import translate_error
from tencent_liveness_async._transport.pool import StaleConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeEngine = Callable[..., httpx.AsyncBaseTransport]


async def send(
    make_engine: MakeEngine,
    url: str,
    *,
    timeouts: Timeouts | None = None,
    seconds: float = 15.0,
    limit: int = 1000,
    content: bytes = b'{"Url":"u"}',
) -> Answer:
    """Send one request over an engine of its own."""
    engine = make_engine(trust_env=False)
    try:
        return await exchange(
            engine,
            url,
            headers=[("Host", "photos.test"), ("Content-Length", str(len(content))), ("X-Test", "yes")],
            content=content,
            timeouts=timeouts or Timeouts(),
            seconds=seconds,
            max_response_bytes=limit,
        )
    finally:
        await engine.aclose()
        assert "0 in use" in repr(engine)


async def test_an_answer_is_read_whole(make_engine: MakeEngine) -> None:
    """Status, Date and body come back; headers and body went out as given."""
    async with serving() as server:
        answer = await send(make_engine, server.url)
        assert answer == Answer(200, "Mon, 25 Feb 2019 16:44:25 GMT", b"{}")
        assert server.exchanges[0].body == b'{"Url":"u"}'
        assert b"x-test: yes" in server.exchanges[0].head.lower()


async def test_a_long_answer_is_not_read_to_its_end(make_engine: MakeEngine) -> None:
    """Reading stops at the limit, so that junk costs no memory."""

    async def script(exchange: Exchange) -> None:
        await exchange.answer(b"x" * 10_000_000)

    async with serving(script) as server:
        answer = await send(make_engine, server.url, limit=1000)
        assert 1000 < len(answer.content) < 1_000_000


async def test_a_dripping_answer_ends_with_the_attempt(make_engine: MakeEngine) -> None:
    """The attempt's timeout bounds an answer that never stops coming."""
    stop = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.answer(b"{", length=1000)
        while not stop.is_set():
            exchange.writer.write(b" ")
            await asyncio.sleep(0.001)

    async with serving(script) as server:
        with pytest.raises(OutcomeUnknownError, match=r"0\.05 s"):
            await send(make_engine, server.url, seconds=0.05)
        stop.set()


async def test_an_attempt_that_ends_in_the_handshake_was_not_sent(make_engine: MakeEngine) -> None:
    """When the attempt's time is over before the connection stands, nothing can be billed."""
    async with serving_raw(say_nothing) as address:
        with pytest.raises(NotSentError, match=r"0\.05 s"):
            await send(make_engine, f"https://{address}/", seconds=0.05)


async def test_an_attempt_that_ends_in_the_upload_was_not_sent(make_engine: MakeEngine) -> None:
    """When the attempt's time is over before the body has left, nothing can be billed."""
    async with serving_raw(say_nothing) as address:
        with pytest.raises(NotSentError):
            await send(make_engine, f"http://{address}/", seconds=0.05, content=b"x" * 30_000_000)


async def test_nothing_listening_is_not_sent(make_engine: MakeEngine) -> None:
    """A refused connection is certainly not billed."""
    with pytest.raises(NotSentError) as caught:
        await send(make_engine, f"http://127.0.0.1:{find_closed_port()}/")
    assert caught.value.is_billed is False


async def test_a_hang_up_after_the_request_may_be_billed(make_engine: MakeEngine) -> None:
    """A connection that ends after the request is an unknown outcome."""

    async def script(exchange: Exchange) -> None:
        exchange.reset()

    async with serving(script) as server:
        with pytest.raises(OutcomeUnknownError) as caught:
            await send(make_engine, server.url)
    assert caught.value.is_billed is None


async def test_a_mocks_answer_is_read() -> None:
    """A transport may give an answer that is already whole, as httpx's MockTransport does."""
    answer = await exchange(
        httpx.MockTransport(lambda _: httpx.Response(200, content=b"{}", headers={"Date": "today"})),
        "http://photos.test/",
        headers=[],
        content=b"{}",
        timeouts=Timeouts(),
        seconds=15.0,
        max_response_bytes=1000,
    )
    assert answer == Answer(200, "today", b"{}")


def find_leaves(error_class: type[httpx.RequestError]) -> list[type[httpx.RequestError]]:
    """Return the classes of httpx's error tree below and including this one."""
    return [error_class, *(leaf for each in error_class.__subclasses__() for leaf in find_leaves(each))]


@pytest.mark.parametrize("error_class", find_leaves(httpx.RequestError))
def test_every_httpx_error_has_a_translation(error_class: type[httpx.RequestError]) -> None:
    """Only faults that end before the request is whole are called not sent; the rest may be billed."""
    is_not_sent = any(
        word in error_class.__name__ for word in ("Connect", "Pool", "Write", "Proxy", "Unsupported")
    )
    is_not_sent |= error_class is httpx.LocalProtocolError
    expected = NotSentError if is_not_sent else OutcomeUnknownError
    if error_class is StaleConnection:
        expected = StaleConnectionError
    assert type(translate_error(error_class("boom"))) is expected


@pytest.mark.parametrize("name", ["connect", "write", "read", "attempt"])
def test_timeouts_are_over_zero(name: str) -> None:
    """A timeout of nothing is one clear error that names it."""
    with pytest.raises(ConfigurationError, match=name):
        Timeouts(**{name: 0.0})
