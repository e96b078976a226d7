"""An asyncio event loop whose time is virtual: tests of waiting that do not wait.

    async def wait_a_day() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert run_virtual(wait_a_day()) == 86_400

Whenever no callback is ready, `VirtualTimeLoop.time()` jumps to the next timer. Two cases wait in real time
instead, with virtual time standing still: a job in a thread (`run_in_executor`, `asyncio.to_thread`,
`anyio.to_thread.run_sync`), and `with loop.waiting_really():` around anything else that another thread
ends, such as one with a life of its own that answers by `call_soon_threadsafe`. If nothing is ready,
nothing is scheduled and no thread is waited for, the loop raises `DeadlockError` rather than hang. It does
so too after very many jumps, because a timer that renews itself would keep a waiting program going for ever.

What it is not for: sockets whose other end is not in the same loop. Time jumps over whatever they have
not delivered yet. A thread job that is cancelled is not waited for any longer, except with anyio, which
keeps its worker until the job has ended.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from anyio._backends._asyncio import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from concurrent.futures import Executor

T = TypeVar("T")

_Events = list[tuple[selectors.SelectorKey, int]]


class DeadlockError(RuntimeError):
    """Every task waits, and nothing is left that could wake one."""


class _IdleSelector(selectors.DefaultSelector):
    """A selector that asks before it waits, and gives up on threads that keep silent."""

    def __init__(self) -> None:
        super().__init__()
        self.before_waiting: Callable[[float | None], float] = lambda timeout: timeout or 0
        self.before_polling: Callable[[], None] = lambda: None

    def select(self, timeout: float | None = None) -> _Events:
        """Return what is ready; where nothing is, wait for as long as `before_waiting` says."""
        events = super().select(0)
        if timeout is not None and timeout <= 0:
            self.before_polling()
            return events
        if events:
            return events
        real_seconds = self.before_waiting(timeout)
        events = super().select(real_seconds)
        if real_seconds and not events:
            raise DeadlockError(f"a thread has not ended within {real_seconds:g} real seconds")
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer instead of waiting for it.

    Args:
        start: The virtual time to begin with, in seconds.
        patience: Real seconds to wait for threads before giving up. Longer only delays the message.
        max_jumps: Jumps of time before giving up, some 10 microseconds each.
    """

    def __init__(self, *, start: float = 0.0, patience: float = 20.0, max_jumps: int = 2_000_000) -> None:
        self._virtual_now = start
        self._patience = patience
        self._max_jumps = self._jumps_left = max_jumps
        self._thread_jobs = 0
        selector = _IdleSelector()
        super().__init__(selector)
        selector.before_waiting = self._pass_time
        selector.before_polling = self._tick

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual_now

    @contextmanager
    def waiting_really(self) -> Iterator[None]:
        """Let time stand still while a thread the loop cannot know of has something to say."""
        self._thread_jobs += 1
        try:
            yield
        finally:
            self._thread_jobs -= 1

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., T], *args: object
    ) -> asyncio.Future[T]:
        """Run a function in a thread; time stands still until it has ended."""
        future = super().run_in_executor(executor, func, *args)
        self._thread_jobs += 1
        future.add_done_callback(self._forget_thread_job)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Join the executor's threads; a thread of its own does that, so time stands still."""
        with self.waiting_really():
            await super().shutdown_default_executor()

    def _forget_thread_job(self, _: asyncio.Future[T]) -> None:
        self._thread_jobs -= 1

    def _tick(self) -> None:
        """Let a nanosecond pass for a timer that is due, as any real clock does.

        Code that sets a timer for the rounding error of its last one would go round for ever otherwise, and
        so would several tasks that do so in turns, of which one is always ready.
        """
        timers, resolution = self._scheduled, self._clock_resolution  # type: ignore[attr-defined]
        is_due = timers and timers[0].when() <= self._virtual_now + resolution
        if is_due or not self._ready:  # type: ignore[attr-defined]
            self._virtual_now = max(self._virtual_now + 1e-9, math.nextafter(self._virtual_now, math.inf))

    def _pass_time(self, timeout: float | None) -> float:
        """Jump to the next timer, or say how many real seconds to wait for a thread."""
        if self._thread_jobs or self._is_anyio_worker_busy():
            return self._patience
        if timeout is None:
            raise DeadlockError(f"nothing is ready, nothing is scheduled: {self._describe_tasks()}")
        if not self._jumps_left:
            self._jumps_left = self._max_jumps  # for cleaning up
            raise DeadlockError(f"time passes and nothing ends: {self._describe_tasks()}")
        self._jumps_left -= 1
        # The timer's own time, not now + timeout: the sum may round to just before it.
        self._virtual_now = self._scheduled[0].when()  # type: ignore[attr-defined]
        return 0

    def _is_anyio_worker_busy(self) -> bool:
        return any(
            thread.loop is self and thread not in thread.idle_workers
            for thread in threading.enumerate()
            if isinstance(thread, WorkerThread)
        )

    def _describe_tasks(self) -> str:
        return ", ".join(sorted(map(_describe_task, asyncio.all_tasks(self)))) or "no task"


def _describe_task(task: asyncio.Task[object]) -> str:
    frames = task.get_stack(limit=1)
    if not frames:
        return task.get_name()
    return f"{task.get_name()} at {frames[-1].f_code.co_filename}:{frames[-1].f_lineno}"


def run_virtual(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end on a `VirtualTimeLoop` of its own.

    Raises:
        DeadlockError: Everything waits, and nothing is left that could wake it.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)
