"""Many photos in, one outcome each out, with a bounded number between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, NoReturn, Self, TypeAlias

import anyio

from .._errors import RUN_FAULTS, AccountError, ClientClosedError, ConfigurationError, RunStoppedError
from .._models import Failed, Outcome, Photo, PhotoSource

if TYPE_CHECKING:
    from types import TracebackType

    from .run import PhotoRun

PhotoSources: TypeAlias = Iterable[PhotoSource] | AsyncIterable[PhotoSource]


class OutcomeStream:
    """The outcomes of many photos: an async iterator inside an `async with` block.

    It takes a photo from the source only when there is room, so that it holds at most `window` photos
    and outcomes, however many there are and however slow their reader is. Leaving the block stops the
    intake, drops what waits, and waits for the attempts under way to end.

    Args:
        photos: The source. An exception that it raises is raised here after the outcomes under way.
        start: Begins the run of one photo.
        window: Photos taken and outcomes not handed out yet, together.
        is_ordered: Hand out in input order; one slow photo then holds back up to `window` others.
    """

    def __init__(
        self,
        photos: PhotoSources,
        *,
        start: Callable[[PhotoSource], PhotoRun],
        window: int,
        is_ordered: bool,
    ) -> None:
        self._photos = photos
        self._start = start
        self._room = asyncio.Semaphore(window)
        self._is_ordered = is_ordered
        self._intake: asyncio.Task[None] | None = None
        self._runs: dict[PhotoRun, int] = {}
        self._ready: deque[Outcome] = deque()
        self._early: dict[int, Outcome | None] = {}
        self._taken = 0
        self._next_index = 0
        self._unfinished: list[Photo] = []
        self._run_fault: AccountError | ConfigurationError | None = None
        self._fault: BaseException | None = None
        self._is_stopped = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._intake = asyncio.get_running_loop().create_task(self._take_in(), name="score_many intake")
        self._intake.add_done_callback(self._note_intake_end)
        return self

    def stop(self) -> None:
        """Take in nothing more and drop what waits; attempts under way end and are handed out."""
        self._stop()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()
        with anyio.CancelScope(shield=True):
            while not self._is_drained:
                await self._wait_change()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        """Return the next outcome.

        Raises:
            RunStoppedError: An account fault ended the run. It carries every outcome that was reached
                and not handed out, and the photos without one.
        """
        if self._intake is None:
            raise RuntimeError("enter it first: async with client.score_many(photos) as outcomes")
        while not self._ready or self._run_fault is not None:
            if self._is_drained:
                self._end()
            await self._wait_change()
        self._room.release()
        return self._ready.popleft()

    @property
    def _is_drained(self) -> bool:
        return (self._intake is None or self._intake.done()) and not self._runs

    async def _wait_change(self) -> None:
        self._changed.clear()  # nothing runs between the caller's check and this line
        await self._changed.wait()

    def _end(self) -> NoReturn:
        if self._run_fault is not None and not isinstance(self._fault, RunStoppedError):
            stopped = RunStoppedError(
                self._run_fault,
                finished=(*self._ready, *(outcome for outcome in self._early.values() if outcome)),
                unfinished=tuple(self._unfinished),
            )
            stopped.__cause__ = self._run_fault
            if self._fault is not None:
                stopped.add_note(f"the source of photos failed, too: {self._fault!r}")
            self._fault = stopped
        raise self._fault or StopAsyncIteration

    def _stop(self) -> None:
        self._is_stopped = True
        if self._intake is not None:
            self._intake.cancel()
        for run in tuple(self._runs):
            run.abandon()

    async def _take_in(self) -> None:
        photos = aiter(self._photos) if isinstance(self._photos, AsyncIterable) else _iterate(self._photos)
        try:
            await self._room.acquire()
            async for photo in photos:
                if self._is_stopped:  # the source may have swallowed the cancellation
                    return
                self._begin(photo)
                await self._room.acquire()
        finally:
            if isinstance(photos, AsyncGenerator):
                await photos.aclose()

    def _begin(self, photo: PhotoSource) -> None:
        try:
            run = self._start(photo)
        except TypeError as exc:
            raise TypeError(f"item {self._taken} of the photos: {exc}") from exc
        self._runs[run] = self._taken
        self._taken += 1
        run.task.add_done_callback(lambda _: self._note_end(run))

    def _note_intake_end(self, intake: asyncio.Task[None]) -> None:
        if not intake.cancelled():
            self._fault = self._fault or intake.exception()
        self._changed.set()

    def _note_end(self, run: PhotoRun) -> None:
        index = self._runs.pop(run)
        self._changed.set()
        outcome: Outcome | None = None
        if run.task.cancelled():
            self._unfinished.append(run.photo)
            if not self._is_stopped:
                self._end_with(ClientClosedError("the client was closed during the run"))
        elif fault := run.task.exception():
            self._end_with(fault)
        else:
            outcome = self._take_outcome(run)
        self._hand_out(index, outcome)

    def _end_with(self, fault: BaseException) -> None:
        """Raise `fault` after the outcomes under way; nothing more is taken in."""
        self._fault = self._fault or fault
        self._stop()

    def _take_outcome(self, run: PhotoRun) -> Outcome | None:
        """Return the outcome of a run, unless an account fault has left the photo to be scored again."""
        outcome = run.task.result()
        if isinstance(outcome, Failed) and isinstance(outcome.error, RUN_FAULTS):
            self._run_fault = self._run_fault or outcome.error
            self._stop()
        elif not (self._run_fault and run.is_cut_short):
            return outcome
        self._unfinished.append(run.photo)
        return None

    def _hand_out(self, index: int, outcome: Outcome | None) -> None:
        """Make an outcome ready, in its turn if the order matters; None lets those behind it pass."""
        if not self._is_ordered:
            if outcome is not None:
                self._ready.append(outcome)
            return
        self._early[index] = outcome
        while self._next_index in self._early:
            passed = self._early.pop(self._next_index)
            self._next_index += 1
            if passed is not None:
                self._ready.append(passed)


async def _iterate(photos: Iterable[PhotoSource]) -> AsyncIterator[PhotoSource]:
    for photo in photos:
        yield photo
