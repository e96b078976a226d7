"""What is kept of a stream that is too long to be kept."""

from __future__ import annotations

from array import array
from heapq import heappush, heapreplace
from typing import Generic, TypeVar

_FIRST_SLOTS = 1024
_Thing = TypeVar("_Thing")


class Smallest(Generic[_Thing]):
    """Keeps the things of lowest rank, at most `limit`; of equal ranks those that came first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._heap: list[tuple[float, int, _Thing]] = []

    def add(self, rank: float, thing: _Thing) -> None:
        """Keep a thing if it is among the lowest so far."""
        self._count += 1
        entry = (-rank, -self._count, thing)
        if len(self._heap) < self._limit:
            heappush(self._heap, entry)
        elif self._heap and entry > self._heap[0]:
            heapreplace(self._heap, entry)

    def sort(self) -> list[_Thing]:
        """Return what was kept, lowest rank first."""
        return [thing for _, _, thing in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]


class SeenKeys:
    """Tells whether a key came before, in 11 to 32 bytes a key where a set takes 130.

    It keeps 64-bit hashes in an open hash table: two of a million different keys are taken for one with
    a chance of 1 in 37 million.
    """

    def __init__(self) -> None:
        self.count = 0
        self._slots = array("q", bytes(8 * _FIRST_SLOTS))

    def add(self, key: str) -> bool:
        """Take note of a key; return whether it is new."""
        if not self._insert(hash(key) or 1):
            return False
        self.count += 1
        if self.count * 4 > len(self._slots) * 3:
            self._grow()
        return True

    def _insert(self, mark: int) -> bool:
        slots, mask = self._slots, len(self._slots) - 1
        place = mark & mask
        while found := slots[place]:
            if found == mark:
                return False
            place = (place + 1) & mask
        slots[place] = mark
        return True

    def _grow(self) -> None:
        marks = self._slots
        self._slots = array("q", bytes(2 * 8 * len(marks)))
        for mark in marks:
            if mark:
                self._insert(mark)
