"""Two lanes for waiting: interactive calls before bulk ones, and never nothing for bulk."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Lane: TypeAlias = Literal["interactive", "bulk"]
"""Who waits: somebody for one score, or a run for many."""

BULK_TURNS = 10
"""While both lanes wait, one turn in so many is bulk's."""


class LaneQueue:
    """Waiters in two lanes, first come, first served within each.

    Args:
        give_back: Called when a waiter was cancelled in the moment in which it got its turn.

    Attributes:
        waiting: How many wait in each lane.
    """

    def __init__(self, give_back: Callable[[], object]) -> None:
        self.waiting: dict[Lane, int] = {"interactive": 0, "bulk": 0}
        self._give_back = give_back
        self._lanes: dict[Lane, deque[asyncio.Future[None]]] = {"interactive": deque(), "bulk": deque()}
        self._turns = 0

    def __bool__(self) -> bool:
        return self._has_waiter("interactive") or self._has_waiter("bulk")

    def count_ahead(self, lane: Lane) -> int:
        """Return how many turns come before that of a newcomer in a lane."""
        interactive, bulk = self.waiting["interactive"], self.waiting["bulk"]
        if lane == "bulk":
            return interactive + bulk
        return interactive + min(bulk, interactive // (BULK_TURNS - 1))

    async def wait_turn(self, lane: Lane) -> None:
        """Wait in a lane. Cancelling the wait costs nobody a turn."""
        waiter = asyncio.get_running_loop().create_future()
        self._lanes[lane].append(waiter)
        self.waiting[lane] += 1
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self.waiting[lane] -= 1
            else:
                self._give_back()
            raise

    def wake_next(self) -> bool:
        """Give the next waiter its turn; False if nobody waits."""
        if not self:
            return False
        lane = self._choose_lane()
        waiter = self._lanes[lane].popleft()
        self.waiting[lane] -= 1
        waiter.set_result(None)
        return True

    def _choose_lane(self) -> Lane:
        if not self._has_waiter("interactive"):
            return "bulk"
        if not self._has_waiter("bulk"):
            return "interactive"
        self._turns += 1
        return "bulk" if self._turns % BULK_TURNS == 0 else "interactive"

    def _has_waiter(self, lane: Lane) -> bool:
        """Whether anybody waits in a lane, past those that were cancelled and have not noticed yet."""
        waiters = self._lanes[lane]
        while waiters and waiters[0].done():
            del waiters[0]
        return bool(waiters)


class Slots:
    """So many photos at the same time, interactive ones first.

    Attributes:
        limit: How many. It may change: a lower one comes true as photos end.
        taken: How many there are.
        queue: Those that wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self.queue = LaneQueue(give_back=self.release)

    async def acquire(self, lane: Lane) -> None:
        """Wait for a slot. Cancelling the wait costs nothing."""
        if self.taken < self.limit and not self.queue:
            self.taken += 1
        else:
            await self.queue.wait_turn(lane)

    def release(self) -> None:
        """Give a slot back."""
        self.taken -= 1
        self._fill()

    def set_limit(self, limit: int) -> None:
        """Change how many slots there are."""
        self.limit = limit
        self._fill()

    def _fill(self) -> None:
        while self.taken < self.limit and self.queue.wake_next():
            self.taken += 1
