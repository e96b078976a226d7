"""One HTTP request and its answer, over ASGI.

The sandbox's own server and its in-process transport offer two ASGI extensions beside the standard:
callables, without arguments, that end the connection under an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from hashlib import sha256
from typing import Final, NotRequired, TypeAlias, TypedDict

from ._answers import RefusalError

ABORT: Final = "tencent_liveness.abort"
"""Resets the connection (TCP RST)."""
CLOSE: Final = "tencent_liveness.close"
"""Sends what was written and closes the connection."""
MAX_BODY_SIZE = 10 * 1024 * 1024
STAMP = (b"x-sandbox", b"judges nothing")


class Scope(TypedDict):
    """What ASGI says about a request."""

    type: str
    method: str
    path: str
    headers: Iterable[tuple[bytes, bytes]]
    extensions: NotRequired[Mapping[str, Callable[[], None]]]


class RequestEvent(TypedDict):
    """A part of a request's body, or its peer's leaving."""

    type: str
    body: NotRequired[bytes]
    more_body: NotRequired[bool]


Receive: TypeAlias = Callable[[], Awaitable[RequestEvent]]
Send: TypeAlias = Callable[[MutableMapping[str, object]], Awaitable[None]]


class PeerGoneError(Exception):
    """The peer has left, or its connection was ended; nothing more can be sent."""


class Exchange:
    """A request that is read and answered once."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method = scope["method"]
        self.path = scope["path"]
        self.headers = {
            name.decode("latin-1"): value.decode("utf-8", "replace").strip()
            for name, value in scope["headers"]
        }
        self._extensions = scope.get("extensions", {})
        self._receive = receive
        self._send = send

    @property
    def language(self) -> str:
        """What messages are to be written in."""
        return self.headers.get("x-tc-language", "en-US")

    async def read_body(self, *, is_hashed: bool = True) -> tuple[bytes, str]:
        """Return the body and its SHA-256, empty unless `is_hashed`.

        It is hashed as it arrives, so that a large one does not hold the loop at its end.

        Raises:
            RefusalError: It is over 10 MB; it was read to its end and thrown away.
            PeerGoneError: The peer left before its end.
        """
        chunks: list[bytes] = []
        size = 0
        digest = sha256()
        more_body = True
        while more_body:
            chunk, more_body = await self._receive_chunk()
            size += len(chunk)
            if size <= MAX_BODY_SIZE:
                chunks.append(chunk)
                if is_hashed:
                    digest.update(chunk)
        if size > MAX_BODY_SIZE:
            raise RefusalError("RequestSizeLimitExceeded", str(size))
        return b"".join(chunks), digest.hexdigest() if is_hashed else ""

    async def _receive_chunk(self) -> tuple[bytes, bool]:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise PeerGoneError
        return event.get("body", b""), event.get("more_body", False)

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until the peer leaves.

        Raises:
            PeerGoneError: It left.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    continue
                raise PeerGoneError

    async def start(self, status: int, *, content_type: bytes, size: int, date: bytes) -> None:
        """Send the status and the headers."""
        headers = [
            (b"date", date),
            (b"content-type", content_type),
            (b"content-length", b"%d" % size),
            STAMP,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send_body(self, body: bytes, *, more_body: bool = False) -> None:
        """Send a part of the answer's body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": more_body})

    def abort(self) -> None:
        """Reset the connection.

        Raises:
            PeerGoneError: Always: nothing more can be sent.
        """
        self._end(ABORT)

    def close(self) -> None:
        """Close the connection after what was written.

        Raises:
            PeerGoneError: Always: nothing more can be sent.
        """
        self._end(CLOSE)

    def _end(self, name: str) -> None:
        end = self._extensions.get(name)
        if end is not None:
            end()
        raise PeerGoneError
