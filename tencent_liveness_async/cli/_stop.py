"""How a run is ended early: by a signal, or from another thread."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP


class Stop:
    """Cancels a run's task, once: a second cancellation would cut off the attempts that the first waits for.

    Attributes:
        is_requested: Whether the run is being stopped.
    """

    def __init__(self) -> None:
        self.is_requested = False
        self._has_signal = False
        self._begin: Callable[[], object] | None = None
        self._task: asyncio.Task[object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, begin: Callable[[], object] | None = None) -> None:
        """Make the current task the one that is stopped.

        Args:
            begin: Called in its event loop to stop it; by default the task is cancelled.
        """
        self._loop, self._task, self._begin = asyncio.get_running_loop(), asyncio.current_task(), begin

    def request(self) -> None:
        """Cancel the task; from any thread."""
        if self.is_requested or self._loop is None or self._task is None:
            return
        self.is_requested = True
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._begin or self._task.cancel)

    @contextmanager
    def catch_signals(self) -> Iterator[None]:
        """Stop the run on the first signal, end it at once on the second. An ignored one stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._take_signal) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._task is None or self._loop is None:
            raise KeyboardInterrupt
        if not self._has_signal:
            self._has_signal = True
            self.request()
            return
        for caught in _SIGNALS:
            signal.signal(caught, signal.SIG_DFL)  # whatever still hangs, a third signal ends it
        if self._task.done():  # what hangs is the reader of the results
            signal.raise_signal(number)
        # Raised in the loop itself: raised here, it could hit the task, whose clean-up would then wait again.
        self._loop.call_soon_threadsafe(_interrupt)


def _interrupt() -> None:
    raise KeyboardInterrupt
