"""A server whose behaviour on each request is a script: the seam of the transport's tests."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

Script: TypeAlias = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request on one connection.

    Attributes:
        connection: 0 for the first connection the server has accepted.
        number: 0 for the first request on that connection.
        head: The request line and headers.
        body: The request's body.
    """

    connection: int
    number: int
    head: bytes
    body: bytes
    writer: asyncio.StreamWriter

    async def answer(self, body: bytes = b"{}", *, status: str = "200 OK", length: int | None = None) -> None:
        """Send a whole answer, or one that promises `length` bytes."""
        length = len(body) if length is None else length
        head = f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nDate: Mon, 25 Feb 2019 16:44:25 GMT\r\n\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    def close(self) -> None:
        """Close the connection, after what was written."""
        self.writer.close()

    def reset(self) -> None:
        """End the connection with a TCP RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class ScriptedServer:
    """Plays `script` for every request.

    Attributes:
        script: What it does with a request; by default it answers `{}`.
        exchanges: Every request it has read to its end.
        url: Its address.
    """

    script: Script = Exchange.answer
    exchanges: list[Exchange] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        connection, self.connections = self.connections, self.connections + 1
        self._writers.append(writer)
        number = 0
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                exchange = await _read_request(reader, writer, connection, number)
                self.exchanges.append(exchange)
                number += 1
                await self.script(exchange)
        writer.close()

    def close_connections(self) -> None:
        """Close every connection, as a server does with idle ones."""
        for writer in self._writers:
            writer.close()

    def drop_connections(self) -> None:
        """End every connection without waiting for the other side, as TLS would."""
        for writer in self._writers:
            writer.transport.abort()


async def _read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int, number: int
) -> Exchange:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    body = await reader.readexactly(sum(lengths))
    return Exchange(connection, number, head, body, writer)


@asynccontextmanager
async def serving(
    script: Script = Exchange.answer, *, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Run a scripted server on a free port of the loopback."""
    scripted = ScriptedServer(script)
    server = await asyncio.start_server(scripted.handle, "127.0.0.1", 0, ssl=ssl_context, limit=64 * 1024)
    port = server.sockets[0].getsockname()[1]
    scripted.url = f"{'https' if ssl_context else 'http'}://127.0.0.1:{port}/"
    try:
        yield scripted
    finally:
        server.close()
        for _ in range(3):  # a connection that was just accepted is there a turn or two later
            scripted.drop_connections()
            await asyncio.sleep(0)


Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving_raw(handler: Handler) -> AsyncIterator[str]:
    """Run a server that is less than one of HTTP; yield its address, `HOST:PORT`."""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await handler(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1024)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for _ in range(3):  # the turns of the loop in which they close
            await asyncio.sleep(0)


async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what comes for a while and keep silent until the other side leaves."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


def ignore_failed_handshakes() -> None:
    """Let the server's side of a failed TLS handshake pass; asyncio reports it as an error of the loop."""
    loop = asyncio.get_running_loop()
    report = loop.get_exception_handler()

    def pass_resets(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if not isinstance(context.get("exception"), ConnectionResetError) and report is not None:
            report(loop, context)

    loop.set_exception_handler(pass_resets)


def find_closed_port() -> int:
    """Return a port of the loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
