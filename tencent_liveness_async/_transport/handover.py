"""How far a request's body was taken by an engine in another thread, and the timeouts that follow from it."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, TypeVar

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Mapping

_T = TypeVar("_T")

_CHUNK_BYTES = 256 * 1024
"""A body is handed over in parts of this size, so that the last one is taken only when most have left."""


class Body:
    """A request's body that knows how far it was taken.

    Attributes:
        taken_at: When the last part so far was taken; 0 before the first, when no connection stands.
        is_sent: Whether the last part was taken, so that the service may see the whole request.
        is_refused: Set to let no further part be taken. Whoever sets it reads `is_sent` afterwards, and a
            part that is taken sets `is_sent` before it reads this: so the two threads cannot miss each other.
        error: What the source of the body raised.
    """

    def __init__(self) -> None:
        self.taken_at = 0.0
        self.is_sent = False
        self.is_refused = False
        self.error: BaseException | None = None

    async def aclose(self) -> None:
        """Let go of the source."""

    def _take(self, *, is_last: bool) -> None:
        self.is_sent = is_last
        self.taken_at = time.monotonic()
        if self.is_refused:
            self.is_sent = False
            raise RuntimeError("the request was given up")


class BytesBody(Body):
    """A body in memory; the engine's thread takes it in slices, without copying."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = content
        self._start = 0
        self.is_sent = not content

    def __iter__(self) -> BytesBody:
        return self

    def __next__(self) -> bytes | memoryview:
        content, start = self._content, self._start
        if start >= len(content):
            raise StopIteration
        self._start = end = start + _CHUNK_BYTES
        self._take(is_last=end >= len(content))
        return content if len(content) <= _CHUNK_BYTES else memoryview(content)[start:end]


class StreamBody(Body):
    """A body from an async iterable, read one chunk ahead: its source ends before the last is taken."""

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        super().__init__()
        self._chunks = aiter(source)
        self._ahead: bytes | None = None
        self._task: asyncio.Task[object] | None = None

    def __aiter__(self) -> StreamBody:
        return self

    async def __anext__(self) -> bytes:
        if self.is_refused:
            raise StopAsyncIteration
        self._task = asyncio.current_task()
        try:
            if not self.taken_at:
                self._ahead = await anext(self._chunks, None)
            chunk, self._ahead = self._ahead, await anext(self._chunks, None)
        except Exception as exc:
            self.error = exc
            raise
        finally:
            self._task = None
        if chunk is None:
            raise StopAsyncIteration
        self._take(is_last=self._ahead is None)
        return chunk

    async def aclose(self) -> None:
        """End a chunk that is being read, in whatever task of the engine, and close the source."""
        if self._task is not None:
            task = self._task
            task.cancel()
            await asyncio.wait([task])
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


class Watch:
    """The timeouts of a request, with one timer that looks how far its body was taken.

    A timer of its own for each phase, or one that the engine's thread sets, would cost more a call.
    """

    def __init__(self, body: Body, timeouts: Mapping[str, float | None]) -> None:
        self._body = body
        self._connect = _or_never(timeouts.get("connect"))
        self._write = _or_never(timeouts.get("write"))
        self.read = _or_never(timeouts.get("read"))
        self._began = 0.0
        self._error: httpx.TimeoutException | None = None

    async def run(self, sending: Awaitable[_T]) -> _T:
        """Wait for the answer, and end the wait when a phase takes too long.

        Raises:
            httpx.TimeoutException: Of the phase that took too long.
        """
        self._began = time.monotonic()
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as self._scope:
                self._wait(min(self._connect, self._write, self.read))
                try:
                    return await sending
                finally:
                    self._timer.cancel()
        except TimeoutError as exc:
            if self._error is None:
                raise
            raise self._error from exc

    def _wait(self, seconds: float) -> None:
        self._timer = self._loop.call_later(min(seconds, 3600.0), self._check)

    def _check(self) -> None:
        body, now = self._body, time.monotonic()
        if body.is_sent:
            left = (body.taken_at or self._began) + self.read - now
            error: httpx.TimeoutException = httpx.ReadTimeout(f"no answer within {self.read} s")
        elif body.taken_at:
            left = body.taken_at + self._write - now
            error = httpx.WriteTimeout(f"the request was not taken within {self._write} s")
        else:
            left = self._began + self._connect - now
            error = httpx.ConnectTimeout(f"no connection within {self._connect} s")
        if left > 0:  # the next phase may begin right now, and may be shorter
            self._wait(min(left, self._write, self.read))
            return
        self._error = error
        self._scope.reschedule(self._loop.time())


def _or_never(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
