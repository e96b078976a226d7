from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tencent_liveness_async import (
    AttemptStarted,
    AuthenticationError,
    Failed,
    LivenessScore,
    OutcomeReached,
    OutcomeUnknownError,
    Photo,
    Scored,
    Timings,
)
from tencent_liveness_async._errors import make_api_error
from tencent_liveness_async.cli._tally import Tally
from tencent_liveness_async.cli._writer import MAX_QUEUED, Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tencent_liveness_async import LivenessError, Outcome

PATIENCE = 10.0
PHOTO = Photo(path=Path("a.jpg"))
SCORED = Scored(PHOTO, LivenessScore(40.0, "3.0", "request-1"), 2, 1, Timings())


class _Sink:
    """A sink that keeps what it gets, and breaks at the outcome of that number."""

    name = "kept"

    def __init__(self, *, breaks_at: int | None = None, error: Exception | None = None) -> None:
        self.kept: list[Outcome] = []
        self.has_one = threading.Event()
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_finished = False
        self._breaks_at = breaks_at
        self._error = error or OSError(28, "No space left on device")

    @property
    def written(self) -> int:
        return len(self.kept)

    @written.setter
    def written(self, value: int) -> None:
        raise NotImplementedError

    def write(self, outcome: Outcome) -> None:
        assert self.may_write.wait(PATIENCE)
        if self._breaks_at == len(self.kept):
            raise self._error
        self.kept.append(outcome)
        self.has_one.set()

    def finish(self) -> None:
        self.is_finished = True


def _fail(error: LivenessError) -> Failed:
    return Failed(PHOTO, error, 1, 0, Timings())


def _make_writer(sink: _Sink, *, stop: Callable[[], None] = lambda: None) -> tuple[Tally, Writer]:
    tally = Tally()
    return tally, Writer(tally, sink, stop=stop)


def _reach(writer: Writer, outcome: Outcome, *, is_abandoned: bool = False) -> None:
    writer.note(OutcomeReached(outcome, is_abandoned=is_abandoned))


def test_outcome_is_written_when_it_is_reached() -> None:
    """An outcome is in the sink and counted before the run ends, also if nobody asks for it any more."""
    sink = _Sink()
    tally, writer = _make_writer(sink)
    left = _fail(OutcomeUnknownError("no answer"))
    with writer:
        writer.note(AttemptStarted(PHOTO, 1))
        _reach(writer, left, is_abandoned=True)
        assert sink.has_one.wait(PATIENCE)
        _reach(writer, SCORED)
    assert sink.kept == [left, SCORED]
    assert (tally.scored, tally.failed, writer.unwritten, sink.is_finished) == (1, 1, 0, True)


def test_account_fault_is_no_outcome() -> None:
    """A photo whose call met a fault of the account may be scored again and has no record."""
    sink = _Sink()
    tally, writer = _make_writer(sink)
    error = make_api_error("AuthFailure.SignatureFailure", "wrong")
    assert isinstance(error, AuthenticationError)
    with writer:
        _reach(writer, _fail(error))
    assert (sink.kept, tally.done) == ([], 0)


def test_broken_sink_stops_the_run_once() -> None:
    """After the first error nothing is written any more; what is reached is counted as not written."""
    stops: list[None] = []
    sink = _Sink(breaks_at=1)
    tally, writer = _make_writer(sink, stop=lambda: stops.append(None))
    with writer:
        for _ in range(4):
            _reach(writer, SCORED)
    assert isinstance(writer.error, OSError)
    assert (tally.done, writer.unwritten, len(stops), sink.is_finished) == (4, 3, 1, False)


def test_unexpected_error_is_not_lost_in_the_thread() -> None:
    """What the thread did not expect ends the run too, and is there to be raised."""
    error = ValueError("a bug")
    _, writer = _make_writer(_Sink(breaks_at=0, error=error))
    with writer:
        _reach(writer, SCORED)
    assert writer.error is error


def test_slow_sink_holds_the_run() -> None:
    """The run waits while too many outcomes are not written, and goes on when they are."""
    sink = _Sink()
    sink.may_write.clear()
    _, writer = _make_writer(sink)

    async def run() -> tuple[bool, int]:
        await writer.wait_room()
        for _ in range(MAX_QUEUED + 2):
            _reach(writer, SCORED)
        waiting = asyncio.ensure_future(writer.wait_room())
        await asyncio.sleep(0)
        is_held = not waiting.done()
        sink.may_write.set()
        await waiting
        return is_held, sink.written

    with writer:
        is_held, written = asyncio.run(run())
    assert (is_held, written) == (True, MAX_QUEUED + 2)


def test_wait_that_was_cancelled_does_no_harm() -> None:
    """The thread goes on when the loop that waited for it has ended."""
    sink = _Sink()
    sink.may_write.clear()
    _, writer = _make_writer(sink)

    async def run() -> None:
        for _ in range(MAX_QUEUED + 2):
            _reach(writer, SCORED)
        waiting = asyncio.ensure_future(writer.wait_room())
        await asyncio.sleep(0)
        waiting.cancel()

    with writer:
        asyncio.run(run())
        sink.may_write.set()
        _reach(writer, SCORED)
    assert sink.written == MAX_QUEUED + 3
