"""How far a run has come: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ._context import PROGRAM, make_printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from ._context import Context

    Counter = Callable[[Callable[[], bool]], int | None]

PLAIN_INTERVAL = 10.0
"""Seconds between the lines where there is no terminal."""
RATE_WINDOW = 5.0
"""Seconds over which the rate is taken."""
REFRESHES = 8
"""Updates of the live line per second."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands.

    Attributes:
        scored: Photos with a score.
        without_score: Photos that were refused or failed.
        in_flight: Attempts under way.
        is_stopping: Whether no more photos are taken.
    """

    scored: int
    without_score: int
    in_flight: int
    is_stopping: bool = False

    @property
    def done(self) -> int:
        return self.scored + self.without_score


class Progress:
    """Shows how far a run has come, while its block lasts.

    Args:
        context: Gives stderr.
        read: Returns how the run stands; called from another thread.
        count: Counts all photos, in a thread of its own, until it is told to stop.
        interval: Seconds between lines where there is no terminal.
        clock: Seconds.
    """

    def __init__(
        self,
        context: Context,
        *,
        read: Callable[[], Standing],
        count: Counter,
        interval: float = PLAIN_INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._read = read
        self._count = count
        self._interval = interval
        self._clock = clock
        self._began = clock()
        self._total: int | None = None
        self._samples: deque[tuple[float, int]] = deque([(self._began, 0)])
        self._stopped = threading.Event()
        self._console: Console | None = None
        self._live: Live | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._start(self._count_total)
        if self._context.is_stderr_terminal and self._context.environment.get("TERM") != "dumb":
            from rich.live import Live

            self._console = self._context.open_stderr()
            self._live = Live(
                get_renderable=self._render,
                console=self._console,
                refresh_per_second=REFRESHES,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._stack.enter_context(self._live)
        else:
            self._start(self._write_lines)
        self._stack.callback(self._stopped.set)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def say(self, message: str) -> None:
        """Write one line to stderr, above the live line if there is one."""
        if self._console is None:
            self._context.say(message)
        else:
            self._console.print(f"{PROGRAM}: {make_printable(message)}", soft_wrap=True)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Take the live line, if there is one, from the terminal while something else is written to it."""
        if self._live is None:
            yield
            return
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def describe(self, width: int | None = None) -> str:
        """Say how far the run has come, in so many columns."""
        standing = self._read()
        now = self._clock()
        rate = self._measure_rate(now, standing.done)
        of_total = "" if self._total is None else f"/{self._total:,}"
        parts = [
            f"{standing.done:,}{of_total}",
            f"{standing.scored:,} scored",
            f"{standing.without_score:,} refused/failed",
            f"{rate:.1f}/s",
            f"{standing.in_flight} in flight",
            tell_duration(now - self._began),
        ]
        if standing.is_stopping:
            parts[0] = f"stopping: {parts[0]}"
        elif self._total is not None and standing.done:
            # Of the whole run, as the last seconds may have been idle.
            seconds_each = (now - self._began) / standing.done
            parts.append(f"{tell_duration(max(self._total - standing.done, 0) * seconds_each)} left")
        return _join(parts, width)

    def _measure_rate(self, now: float, done: int) -> float:
        samples = self._samples
        samples.append((now, done))
        while samples[0][0] < now - RATE_WINDOW and len(samples) > 2:
            samples.popleft()
        seconds = now - samples[0][0]
        return (done - samples[0][1]) / seconds if seconds > 0 else 0.0

    def _render(self) -> Text:
        from rich.text import Text

        width = self._console.width if self._console else None
        return Text(self.describe(width), no_wrap=True, overflow="ellipsis")

    def _write_lines(self) -> None:
        while not self._stopped.wait(self._interval):
            self._context.say(self.describe())

    def _count_total(self) -> None:
        self._total = self._count(self._stopped.is_set)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"progress {target.__name__}", daemon=True)
        thread.start()
        self._stack.callback(thread.join)


_DISPENSABLE = (6, 4, 1)
"""What a narrow terminal goes without, first to last: the time left, the attempts in flight, the scored."""


def _join(parts: list[str], width: int | None) -> str:
    kept = list(parts)
    for index in _DISPENSABLE:
        if width is None or len(" · ".join(kept)) <= width:
            break
        if index < len(kept):
            del kept[index]
    return " · ".join(kept)


def tell_duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
