"""The pace: one permit for every attempt, at most so many a second."""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

_BURST_SECONDS = 0.02


class Pacer:
    """Hands out permits first come, first served.

    In any window of W seconds it hands out at most `rate x W + 1 + 0.02 x rate` permits. The bucket is
    that small because one of `rate` permits would let twice the rate through in one second, and not
    smaller because a timer that fires late must be made up for.
    A waiter that is cancelled costs nothing.

    Args:
        rate: Permits per second.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        burst = 1 + _BURST_SECONDS * rate
        self._limiter = AsyncLimiter(burst, burst / rate)
        self._turn = asyncio.Lock()
        self._held_until = 0.0

    async def wait_permit(self) -> None:
        """Wait for a permit.

        Only one waiter at a time stands at the limiter, whose own queue would let latecomers overtake.
        """
        async with self._turn:
            await self._wait_hold()
            await self._limiter.acquire()

    def hold(self, seconds: float) -> None:
        """Hand out nothing for that long from now on."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)

    async def _wait_hold(self) -> None:
        now = asyncio.get_running_loop().time
        while (left := self._held_until - now()) > 0:  # noqa: ASYNC110 - a wait for time, not for a state
            await asyncio.sleep(left)  # the hold may have grown meanwhile
