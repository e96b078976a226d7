"""The load a peer is put under: photos to score, and a meter that every score is told to."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from .stub import SCORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Source: TypeAlias = str | Path

WARM_UP_SECONDS = 2.5

SECRET_ID = "AKIDbenchmark"  # made up, as the key is
SECRET_KEY = "benchmark-key"


class Load:
    """Photos until the time is up; the first calls are not measured.

    Iterating takes photos, `note` tells that one was scored. The measurement begins after `warm_up` calls,
    or after `WARM_UP_SECONDS` of them, and ends after `seconds`; what is in flight then is not counted.

    Args:
        paths: The files to send, over and over; none for small calls that name a URL.
        warm_up: Calls before the measurement begins.
        seconds: How long it takes.
        end: Called where the measurement ends.
        calls: Stop after so many calls instead.
    """

    def __init__(
        self,
        paths: Sequence[str] = (),
        *,
        warm_up: int = 0,
        seconds: float = 0.0,
        end: Callable[[Load], None] = lambda _: None,
        calls: int | None = None,
    ) -> None:
        self._sources: Iterator[Source] = itertools.cycle([Path(path) for path in paths])
        if not paths:
            self._sources = (f"https://photos.test/{number}.jpg" for number in itertools.count())
        if calls is not None:
            self._sources = itertools.islice(self._sources, calls)
        self._warm_up = warm_up
        self._seconds = seconds
        self._end = end
        self._opened = time.perf_counter()
        self._is_limited = calls is not None
        self._began: tuple[int, float, float] | None = None
        self._is_over = False
        self.scored = 0
        self.calls = 0
        self.wall_seconds = 0.0
        self.cpu_seconds = 0.0

    def __iter__(self) -> Iterator[Source]:
        return self

    def __next__(self) -> Source:
        if self._is_over:
            raise StopIteration
        return next(self._sources)

    def note(self, score: float) -> None:
        """Count one answer, and read the clocks where the measurement begins and ends."""
        if score != SCORE:
            raise RuntimeError(f"scored {score} instead of {SCORE}")
        self.scored += 1
        if self._is_limited or self._is_over:
            return
        now = time.perf_counter()
        if self._began is None:
            if self.scored >= self._warm_up or now - self._opened > WARM_UP_SECONDS:
                self._began = self.scored, now, time.process_time()
            return
        scored, began, cpu = self._began
        if now - began >= self._seconds:
            self._is_over = True
            self.calls = self.scored - scored
            self.wall_seconds = now - began
            self.cpu_seconds = time.process_time() - cpu
            self._end(self)
