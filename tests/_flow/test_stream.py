from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from fake_calls import CallFactory, FakeCall, make_scheduler
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual

from tencent_liveness_async._errors import (
    ClientClosedError,
    MissingCredentialsError,
    OutcomeUnknownError,
    RunStoppedError,
    make_api_error,
)
from tencent_liveness_async._events import Event, OutcomeReached
from tencent_liveness_async._flow import OutcomeStream, RetryPolicy, Scheduler
from tencent_liveness_async._models import Failed, Outcome, Scored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tencent_liveness_async._flow import PhotoSources


def make_stream(
    photos: PhotoSources, start: CallFactory, *, window: int = 8, is_ordered: bool = False
) -> OutcomeStream:
    """Make a stream that holds at most `window` photos and outcomes."""
    return OutcomeStream(photos, start=start, window=window, is_ordered=is_ordered)


def names(outcomes: list[Outcome]) -> list[str]:
    """Return the photos' names in the order of their outcomes."""
    return [outcome.photo.name for outcome in outcomes]


async def read_all(stream: OutcomeStream) -> list[Outcome]:
    """Read a stream to its end."""
    async with stream as outcomes:
        return [outcome async for outcome in outcomes]


@given(
    seconds=st.lists(st.floats(0.01, 5), max_size=40),
    window=st.integers(1, 12),
    concurrency=st.integers(1, 9),
    is_ordered=st.booleans(),
)
def test_every_photo_has_exactly_one_outcome(
    seconds: list[float], window: int, concurrency: int, is_ordered: bool
) -> None:
    """However long the answers take, each photo comes out once; in input order if asked."""

    async def scenario() -> list[Outcome]:
        calls = [FakeCall(str(number), seconds=each) for number, each in enumerate(seconds)]
        start = CallFactory(make_scheduler(max_concurrency=concurrency), calls)
        photos = [call.photo.name for call in calls]
        return await read_all(make_stream(photos, start, window=window, is_ordered=is_ordered))

    found, expected = names(run_virtual(scenario())), [str(number) for number in range(len(seconds))]
    assert (found if is_ordered else sorted(found, key=int)) == expected


def test_an_async_source_is_read_too() -> None:
    """Photos may come from an async iterable."""

    async def photos() -> AsyncIterator[str]:
        for number in range(5):
            await asyncio.sleep(1)
            yield str(number)

    async def scenario() -> list[Outcome]:
        return await read_all(make_stream(photos(), CallFactory(make_scheduler())))

    assert sorted(names(run_virtual(scenario()))) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("is_ordered", [False, True])
def test_a_slow_reader_stops_the_intake(is_ordered: bool) -> None:
    """No more than the window is taken from the source before the reader takes something."""

    async def scenario() -> list[int]:
        start, taken = CallFactory(make_scheduler()), list[int]()
        async with make_stream(map(str, range(100)), start, window=6, is_ordered=is_ordered) as outcomes:
            for _ in range(4):
                await asyncio.sleep(30)
                taken.append(len(start.started))
                await anext(outcomes)
        return taken

    assert run_virtual(scenario()) == [6, 7, 8, 9]


def test_a_slow_photo_holds_back_only_the_window() -> None:
    """In input order, a photo that hangs stops the intake after the window."""

    async def scenario() -> int:
        start = CallFactory(make_scheduler(), [FakeCall("0", seconds=14)])
        async with make_stream(map(str, range(100)), start, window=6, is_ordered=True) as outcomes:
            await anext(outcomes)
            return len(start.started)

    assert run_virtual(scenario()) == 6


def test_leaving_early_stops_the_intake_and_waits_for_attempts() -> None:
    """After leaving the block nothing is taken, nothing waits, and what was sent has its outcome."""
    events: list[Event] = []

    async def scenario() -> tuple[Scheduler, CallFactory]:
        scheduler = make_scheduler(max_concurrency=3, hooks=[events.append])
        start = CallFactory(scheduler)
        async with make_stream(map(str, range(1000)), start) as outcomes:
            await anext(outcomes)
        return scheduler, start

    scheduler, start = run_virtual(scenario())
    statistics = scheduler.statistics()
    assert len(start.started) < 20
    assert (statistics.waiting, statistics.in_flight) == (0, 0)
    assert sum(isinstance(event, OutcomeReached) for event in events) == statistics.attempts


def test_leaving_early_closes_an_async_source() -> None:
    """An async generator that is left early runs its clean-up before the block is left."""
    closed: list[bool] = []

    async def photos() -> AsyncIterator[str]:
        try:
            while True:
                yield "photo"
        finally:
            closed.append(True)

    async def scenario() -> None:
        async with make_stream(photos(), CallFactory(make_scheduler())) as outcomes:
            await anext(outcomes)
        assert closed == [True]

    run_virtual(scenario())


@pytest.mark.parametrize("is_ordered", [False, True])
def test_a_fault_of_the_source_is_raised_after_the_outcomes(is_ordered: bool) -> None:
    """When the source breaks, every photo taken before still has its outcome; then its error is raised."""

    def photos() -> Iterator[str]:
        yield from ["a", "b", "c"]
        raise OSError("the disk is gone")

    async def scenario() -> list[Outcome]:
        outcomes: list[Outcome] = []
        stream = make_stream(photos(), CallFactory(make_scheduler()), is_ordered=is_ordered)
        with pytest.raises(OSError, match="the disk is gone"):
            async with stream:
                async for outcome in stream:
                    outcomes.append(outcome)  # noqa: PERF401 - kept when the source breaks
        return outcomes

    assert sorted(names(run_virtual(scenario()))) == ["a", "b", "c"]


@pytest.mark.parametrize("is_ordered", [False, True])
def test_an_account_fault_stops_the_run_and_carries_what_was_finished(is_ordered: bool) -> None:
    """After an account fault every photo taken is handed out, in `finished` or in `unfinished`, once."""
    fault = make_api_error("ResourceUnavailable.InArrears", "pay up", request_id="r")

    async def scenario() -> tuple[list[str], list[str], list[str], CallFactory]:
        calls = [FakeCall("7", fault, seconds=2), FakeCall("8", seconds=3)]
        start, handed_out = CallFactory(make_scheduler(max_concurrency=4), calls), list[str]()
        stream = make_stream(map(str, range(1000)), start, is_ordered=is_ordered)
        with pytest.raises(RunStoppedError) as caught:
            async with stream:
                async for outcome in stream:
                    handed_out.append(outcome.photo.name)
        assert caught.value.__cause__ is caught.value.error is fault
        assert all(isinstance(outcome, Scored) for outcome in caught.value.finished)
        unfinished = [photo.name for photo in caught.value.unfinished]
        return handed_out, names(list(caught.value.finished)), unfinished, start

    handed_out, finished, unfinished, start = run_virtual(scenario())
    assert "7" in unfinished
    assert "8" in finished
    assert sorted(handed_out + finished + unfinished, key=int) == sorted(start.started, key=int)
    assert len(start.started) < 30


def test_a_missing_credential_stops_the_run_too() -> None:
    """A credential that is gone is a fault of the run, not of every photo."""

    async def scenario() -> None:
        call = FakeCall("0", prepare_error=MissingCredentialsError("no credentials"))
        stream = make_stream(["0"], CallFactory(make_scheduler(), [call]))
        with pytest.raises(RunStoppedError, match="no credentials"):
            await read_all(stream)

    run_virtual(scenario())


def test_an_ordinary_failure_is_a_value() -> None:
    """A photo that fails is handed out as such and the run goes on."""

    async def scenario() -> list[Outcome]:
        calls = [FakeCall("1", OutcomeUnknownError("a"), OutcomeUnknownError("b"))]
        return await read_all(
            make_stream(["0", "1", "2"], CallFactory(make_scheduler(), calls), is_ordered=True)
        )

    assert [type(outcome) for outcome in run_virtual(scenario())] == [Scored, Failed, Scored]


def test_a_source_item_that_is_no_photo_is_raised() -> None:
    """What the start of a run raises is raised to the reader, after the outcomes before it."""

    class Refusing(CallFactory):
        def __call__(self, source: object) -> object:  # type: ignore[override]
            if source == "bad":
                raise TypeError("not a photo")
            return super().__call__(str(source))

    async def scenario() -> int:
        seen = 0
        with pytest.raises(TypeError, match="not a photo"):
            async with make_stream(["a", "bad"], Refusing(make_scheduler())) as outcomes:
                async for _ in outcomes:
                    seen += 1
        return seen

    assert run_virtual(scenario()) == 1


def test_a_bug_in_a_run_is_raised() -> None:
    """What is no LivenessError is not swallowed."""

    async def scenario() -> None:
        call = FakeCall("0", prepare_error=ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await read_all(make_stream(["0", "1"], CallFactory(make_scheduler(), [call])))

    run_virtual(scenario())


def test_closing_the_scheduler_ends_the_stream_with_an_error() -> None:
    """A stream whose client is closed under it says so and does not hang."""

    async def scenario() -> None:
        scheduler = make_scheduler(max_concurrency=1)
        with pytest.raises(ClientClosedError):
            async with make_stream(map(str, range(9)), CallFactory(scheduler)) as outcomes:
                await anext(outcomes)
                await scheduler.aclose(grace=60)
                async for _ in outcomes:
                    pass

    run_virtual(scenario())


def test_a_stream_that_was_not_entered_says_so() -> None:
    """Iterating without `async with` is one clear error."""

    async def scenario() -> None:
        with pytest.raises(RuntimeError, match="async with"):
            await anext(make_stream([], CallFactory(make_scheduler())))

    run_virtual(scenario())


def test_cancelling_the_reader_leaves_nothing_behind() -> None:
    """A reader that is cancelled ends the run as leaving the block does."""

    async def scenario() -> Scheduler:
        scheduler = make_scheduler(max_concurrency=3)
        reader = asyncio.ensure_future(read_all(make_stream(map(str, range(1000)), CallFactory(scheduler))))
        await asyncio.sleep(2.2)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        return scheduler

    statistics = run_virtual(scenario()).statistics()
    assert (statistics.waiting, statistics.in_flight) == (0, 0)


def test_a_photo_without_an_outcome_holds_nobody_back() -> None:
    """In input order, a photo that ends without an outcome lets those behind it pass: they are paid."""

    async def scenario() -> list[str]:
        handed_out: list[str] = []
        calls = [FakeCall("0", prepare_error=ZeroDivisionError())]
        start = CallFactory(make_scheduler(max_concurrency=9), calls)
        with pytest.raises(ZeroDivisionError):
            async with make_stream(map(str, range(4)), start, is_ordered=True) as outcomes:
                async for outcome in outcomes:
                    handed_out.append(outcome.photo.name)  # noqa: PERF401 - kept when the run breaks
        return handed_out

    assert run_virtual(scenario()) == ["1", "2", "3"]


def test_a_source_that_swallows_its_cancellation_is_left_all_the_same() -> None:
    """Leaving the block takes nothing more, even from a source that will not be cancelled."""

    async def photos() -> AsyncIterator[str]:
        number = 0
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
            yield str(number)
            number += 1

    async def scenario() -> int:
        start = CallFactory(make_scheduler())
        async with make_stream(photos(), start) as outcomes:
            await anext(outcomes)
        return len(start.started)

    assert run_virtual(scenario()) <= 2


def test_photos_cut_short_by_an_account_fault_are_unfinished() -> None:
    """A photo that would have been tried again, had the run not been stopped, is not finished."""
    fault = make_api_error("ResourceUnavailable.InArrears", "pay up")
    transient = make_api_error("InternalError", "again")

    async def scenario() -> RunStoppedError:
        retry = RetryPolicy(wait_initial=50, wait_max=50)
        calls = [
            FakeCall("arrears", fault, seconds=1),
            FakeCall("in back-off", OutcomeUnknownError("reset"), seconds=0.1),
            FakeCall("in flight", transient, seconds=2),
            FakeCall("scored", seconds=2),
        ]
        start = CallFactory(make_scheduler(retry=retry), calls, deadline=600)
        with pytest.raises(RunStoppedError) as caught:
            await read_all(make_stream([call.photo.name for call in calls], start))
        return caught.value

    stopped = run_virtual(scenario())
    assert names(list(stopped.finished)) == ["scored"]
    assert {photo.name for photo in stopped.unfinished} == {"arrears", "in back-off", "in flight"}


def test_a_source_that_fails_beside_an_account_fault_is_named() -> None:
    """Neither of two faults hides the other."""
    fault = make_api_error("ResourceUnavailable.InArrears", "pay up")

    def photos() -> Iterator[str]:
        yield "0"
        raise OSError("the disk is gone")

    async def scenario() -> None:
        start = CallFactory(make_scheduler(), [FakeCall("0", fault)])
        with pytest.raises(RunStoppedError) as caught:
            await read_all(make_stream(photos(), start))
        assert any("the disk is gone" in note for note in caught.value.__notes__)

    run_virtual(scenario())


def test_after_its_block_a_stream_is_at_its_end() -> None:
    """Reading on after leaving the block ends the iteration."""

    async def scenario() -> None:
        async with make_stream(map(str, range(99)), CallFactory(make_scheduler())) as outcomes:
            await anext(outcomes)
        with pytest.raises(StopAsyncIteration):
            while True:
                await anext(outcomes)

    run_virtual(scenario())


@pytest.mark.parametrize("is_ordered", [False, True])
def test_a_bug_in_every_run_ends_a_long_stream(is_ordered: bool) -> None:
    """Runs that end without an outcome end the stream, however many photos are still to come."""

    async def scenario() -> int:
        calls = [FakeCall(str(number), prepare_error=ZeroDivisionError()) for number in range(500)]
        start = CallFactory(make_scheduler(), calls)
        with pytest.raises(ZeroDivisionError):
            await read_all(make_stream(map(str, range(500)), start, is_ordered=is_ordered))
        return len(start.started)

    assert run_virtual(scenario()) < 20


def test_closing_the_scheduler_ends_a_long_stream() -> None:
    """A stream whose photos were all dropped by closing does not wait for room that nobody makes."""

    async def scenario() -> None:
        scheduler = make_scheduler(max_concurrency=1)
        start = CallFactory(scheduler, [FakeCall("0", seconds=30)], deadline=600)
        with pytest.raises(ClientClosedError):
            async with make_stream(map(str, range(500)), start) as outcomes:
                await asyncio.sleep(1)
                await scheduler.aclose(grace=60)
                async for _ in outcomes:
                    pass

    run_virtual(scenario())
