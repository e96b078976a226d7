"""Every outcome of a run counted and written when it is reached, however the run ends."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol, Self

from .._errors import RUN_FAULTS
from .._events import OutcomeReached
from .._models import Failed, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .._events import Event
    from ._tally import Tally

MAX_QUEUED = 256
"""Outcomes that may wait to be written before the run waits for them: a slow reader slows the run."""


class Sink(Protocol):
    """Where outcomes go. It raises OSError when it breaks, and is not used any more then."""

    name: str
    written: int

    def write(self, outcome: Outcome) -> None:
        """Take an outcome."""

    def finish(self) -> None:
        """Write what was taken and is not written yet."""


class Writer:
    """Takes every outcome from the client's hook to the tally and to the sink, in a thread of its own.

    Leaving its block waits until all is written.

    Args:
        tally: Counts.
        sink: Writes.
        stop: Called from the thread when the sink breaks, to end the run.

    Attributes:
        error: Why the sink broke, if it did.
    """

    def __init__(self, tally: Tally, sink: Sink, *, stop: Callable[[], None]) -> None:
        self.error: Exception | None = None
        self._tally = tally
        self._sink = sink
        self._stop = stop
        self._queue: SimpleQueue[Outcome | Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="outcome writer", daemon=True)

    @property
    def unwritten(self) -> int:
        """Outcomes that were reached and are not in the sink."""
        return self._tally.done - self._sink.written

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._queue.put(None)
        self._thread.join()

    def note(self, event: Event) -> None:
        """Hand an outcome to the thread; the client's hook. A fault of the account is no outcome."""
        if not isinstance(event, OutcomeReached):
            return
        outcome = event.outcome
        if not (isinstance(outcome, Failed) and isinstance(outcome.error, RUN_FAULTS)):
            self._queue.put(outcome)

    async def wait_room(self) -> None:
        """Wait, if too many outcomes are not written yet, until they are."""
        if self._queue.qsize() < MAX_QUEUED:
            return
        written = asyncio.Event()
        self._queue.put(partial(asyncio.get_running_loop().call_soon_threadsafe, written.set))
        await written.wait()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            if callable(item):
                with suppress(RuntimeError):  # the loop that waited is closed
                    item()
            else:
                self._tally.add(item)
                self._try(partial(self._sink.write, item))
        self._try(self._sink.finish)

    def _try(self, write: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            write()
        except Exception as error:  # noqa: BLE001 - the run ends with it, in its own thread
            self.error = error
            self._stop()
