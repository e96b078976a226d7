"""The pace: one permit for every attempt, at most so many a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiolimiter import AsyncLimiter

from .lanes import LaneQueue

if TYPE_CHECKING:
    from .lanes import Lane

_BURST_SECONDS = 0.02


class Pacer:
    """Hands out permits, interactive ones first, first come, first served within a lane.

    In any window of W seconds it hands out at most `rate x W + 1 + 0.02 x rate` permits. The bucket is
    that small because one of `rate` permits would let twice the rate through in one second, and not
    smaller because a timer that fires late must be made up for. It holds seconds of the rate, not permits,
    so that a change of the rate neither empties nor fills it.

    A waiter that is cancelled costs nothing.

    Args:
        rate: Permits per second.

    Attributes:
        rate: The same; `set_rate` changes it.
        queue: Those that wait.
    """

    def __init__(self, rate: float) -> None:
        self.queue = LaneQueue(give_back=self._grant_again)
        self._limiter = AsyncLimiter(1.0, 1.0)
        self._held_until = 0.0
        self._granting: asyncio.Task[None] | None = None
        self.set_rate(rate)

    def set_rate(self, rate: float) -> None:
        """Change the rate, for those that wait already, too."""
        self.rate = rate
        self._limiter.max_rate = 1 / rate + _BURST_SECONDS
        if self._granting is not None:
            self._granting.cancel()
            self._start_granting()

    async def wait_permit(self, lane: Lane = "bulk") -> None:
        """Wait for a permit."""
        if self._granting is None:
            if not self.hold_left and self._limiter.has_capacity(1 / self.rate):
                await self._limiter.acquire(1 / self.rate)
                return
            self._start_granting()
        try:
            await self.queue.wait_turn(lane)
        finally:
            if self._granting is not None and not self.queue:
                self._granting.cancel()
                self._granting = None

    def hold(self, seconds: float) -> None:
        """Hand out nothing for that long from now on."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)

    @property
    def hold_left(self) -> float:
        """Seconds for which nothing is handed out."""
        return max(0.0, self._held_until - asyncio.get_running_loop().time())

    def _start_granting(self) -> None:
        self._granting = asyncio.get_running_loop().create_task(self._grant(), name="pacer")

    async def _grant(self) -> None:
        """Wait at the limiter for all: in its own queue latecomers would overtake."""
        while True:
            while left := self.hold_left:  # noqa: ASYNC110 - a wait for time, not for a state
                await asyncio.sleep(left)  # the hold may have grown meanwhile
            await self._limiter.acquire(1 / self.rate)
            self._grant_again()

    def _grant_again(self) -> None:
        """Give a permit, taken or given back, to whoever is next."""
        self.queue.wake_next()
