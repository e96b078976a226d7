from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httpcore
import httpx
import pytest

from tencent_liveness_async._transport.backend import AsyncioBackend, AsyncioStream, OpenStreams
from tencent_liveness_async._transport.lane import Lane, WatchedBody

if TYPE_CHECKING:
    from tencent_liveness_async._transport.lane import Connection


class FakeTransport:
    """A transport that has so much left to send and notes what it is told."""

    def __init__(self, unsent: int = 0) -> None:
        self.unsent = unsent
        self.told: list[str] = []

    def get_write_buffer_size(self) -> int:
        """Tell what is left."""
        return self.unsent

    def is_closing(self) -> bool:
        """Tell if it was dropped."""
        return "abort" in self.told

    def write(self, data: bytes) -> None:
        """Take bytes to send."""
        self.unsent += len(data)

    def abort(self) -> None:
        """Be dropped."""
        self.told.append("abort")

    def pause_reading(self) -> None:
        """Be told to stop."""
        self.told.append("pause")

    def resume_reading(self) -> None:
        """Be told to go on."""
        self.told.append("resume")


def connect(transport: FakeTransport) -> AsyncioStream:
    """Return a stream over a transport."""
    stream = AsyncioStream(OpenStreams())
    stream.connection_made(cast("asyncio.Transport", transport))
    return stream


@pytest.mark.parametrize("unsent", [0, 10])
async def test_a_stream_knows_if_all_has_left(unsent: int) -> None:
    """A connection that is dropped with bytes still to send has not sent all that was written."""
    stream = connect(FakeTransport(unsent))
    stream.abort()
    assert stream.has_unsent is (unsent > 0)


async def test_a_write_that_the_end_cuts_off_is_unsent() -> None:
    """A connection that is lost while bytes wait to be sent has not sent all."""
    stream = connect(FakeTransport())
    stream.pause_writing()
    stream.connection_lost(None)
    assert stream.has_unsent is True


async def test_a_connection_that_is_gone_can_be_dropped() -> None:
    """Dropping a connection that asyncio has ended already asks nothing more of it."""
    transport = FakeTransport()
    stream = connect(transport)
    stream.connection_lost(None)
    stream.abort()
    assert transport.told == []


@pytest.mark.parametrize(("given", "has_sent"), [(50, False), (100, True)])
async def test_a_last_chunk_that_is_being_written_may_have_left(given: int, *, has_sent: bool) -> None:
    """Once the kernel may have all of a request, it does not count as unsent."""
    backend = AsyncioBackend(OpenStreams())
    backend.stream = connect(FakeTransport())
    lane = Lane(("http", "photos.test", None), cast("Connection", None), backend, None)
    body = WatchedBody(httpx.ByteStream(b""), 100)
    body.given = given
    backend.stream.written = given
    assert lane.has_sent(body) is has_sent


async def test_reading_pauses_while_nobody_takes_what_came() -> None:
    """A server that sends faster than it is read is held back, and goes on once all is taken."""
    transport = FakeTransport()
    stream = connect(transport)
    stream.data_received(b"x" * 300_000)
    assert transport.told == ["pause"]
    assert len(await stream.read(200_000)) == 200_000
    assert transport.told == ["pause"]
    assert len(await stream.read(200_000)) == 100_000
    assert transport.told == ["pause", "resume"]


async def test_a_write_that_makes_progress_goes_on() -> None:
    """The write timeout begins anew whenever the other side has taken something."""
    transport = FakeTransport()
    stream = connect(transport)
    stream.pause_writing()
    writing = asyncio.ensure_future(stream.write(b"x" * 100, timeout=0.01))
    for unsent in (80, 60, 40):
        before = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < before + 0.008:  # noqa: ASYNC110 - real time has to pass
            await asyncio.sleep(0)
        transport.unsent = unsent
    assert not writing.done()
    stream.resume_writing()
    await writing


async def test_a_write_without_progress_ends() -> None:
    """A write of which nothing is taken ends with the write timeout."""
    stream = connect(FakeTransport())
    stream.pause_writing()
    with pytest.raises(httpcore.WriteTimeout):
        await stream.write(b"x", timeout=0.001)


async def test_a_name_that_cannot_be_looked_up_is_a_connect_error() -> None:
    """A host that no name server can be asked for is an error of connecting."""
    with pytest.raises(httpcore.ConnectError):
        await AsyncioBackend(OpenStreams()).connect_tcp("a" * 70 + ".test", 80, timeout=1)


async def test_an_open_connection_describes_itself() -> None:
    """Other questions of httpcore are answered by the transport."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    stream = await AsyncioBackend(OpenStreams()).connect_tcp("localhost", port, timeout=5)
    assert stream.get_extra_info("peername")[1] == port
    stream.abort()
    server.close()
