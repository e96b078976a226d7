from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.to_thread
import pytest
from virtual_time import DeadlockError, VirtualTimeLoop, run_virtual


def test_a_day_passes_at_once() -> None:
    """A sleep moves virtual time by exactly its length, and real time hardly at all."""

    async def wait_a_day() -> float:
        await asyncio.sleep(86_400)
        await asyncio.sleep(0.1)
        return asyncio.get_running_loop().time()

    started = time.perf_counter()
    assert run_virtual(wait_a_day()) == 86_400.1
    assert time.perf_counter() - started < 5


def test_timers_fire_in_order_at_their_own_time() -> None:
    """Concurrent sleepers wake in the order of their timers, each at its own virtual time."""
    woken: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append((name, anyio.current_time()))

    async def wait_together() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, "late", 3.0)
            tasks.start_soon(wait, "early", 0.3)
            tasks.start_soon(wait, "middle", 1.7)

    run_virtual(wait_together())
    assert woken == [("early", 0.3), ("middle", 1.7), ("late", 3.0)]


def test_time_stands_still_while_something_is_ready() -> None:
    """Callbacks that are ready run before any timer, however many there are."""

    async def count_turns() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(0.001, lambda: None)
        turns = 0
        while turns < 1000:
            await asyncio.sleep(0)
            turns += 1
        timer.cancel()
        return turns, loop.time()

    assert run_virtual(count_turns()) == (1000, 0.0)


def test_timeout_beats_the_longer_wait() -> None:
    """A deadline in virtual time cancels what takes longer."""

    async def give_up() -> float:
        with anyio.move_on_after(2):
            await anyio.sleep(10)
        return anyio.current_time()

    assert run_virtual(give_up()) == 2


def test_deadlock_is_an_error_that_names_the_task() -> None:
    """A program in which nothing can happen any more fails, and says who waits where."""

    async def wait_for_nothing() -> None:
        await asyncio.create_task(asyncio.Event().wait(), name="waits-for-ever")

    with pytest.raises(DeadlockError, match=r"test_virtual_time\.py:\d+, waits-for-ever at .*locks\.py:\d+"):
        run_virtual(wait_for_nothing())


def test_deadlock_lets_tasks_clean_up() -> None:
    """The tasks of a program that deadlocked are cancelled and may finish."""
    cleaned: list[str] = []

    async def wait_for_nothing() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(5)
            cleaned.append("done")

    with pytest.raises(DeadlockError):
        run_virtual(wait_for_nothing())
    assert cleaned == ["done"]


@pytest.mark.parametrize("how", ["executor", "asyncio", "anyio"])
def test_thread_jobs_are_waited_for(how: str) -> None:
    """While a job runs in a thread, virtual time stands still and nothing deadlocks."""

    async def run_job() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        if how == "executor":
            await loop.run_in_executor(None, time.sleep, 0.05)
        elif how == "asyncio":
            await asyncio.to_thread(time.sleep, 0.05)
        else:
            await anyio.to_thread.run_sync(time.sleep, 0.05)
        finished = loop.time()
        await asyncio.sleep(1)
        return how, finished

    assert run_virtual(run_job()) == (how, 0.0)


def test_timer_does_not_overtake_a_thread_job() -> None:
    """A timeout around a thread job does not fire while the job still runs."""

    async def run_job() -> str:
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.05)
        return "in time"

    assert run_virtual(run_job()) == "in time"


def test_idle_worker_does_not_stop_time() -> None:
    """A worker thread that anyio keeps for later does not count as a job."""

    async def sleep_after_a_job() -> float:
        await anyio.to_thread.run_sync(lambda: None)
        await anyio.sleep(3600)
        return anyio.current_time()

    assert run_virtual(sleep_after_a_job()) == 3600


def test_threads_outside_the_loop_are_waited_for_when_told() -> None:
    """A thread that answers by call_soon_threadsafe is waited for inside `waiting_really`."""

    async def wait_for_thread() -> tuple[str, threading.Thread]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        answer: asyncio.Future[str] = loop.create_future()

        def reply() -> None:
            time.sleep(0.05)
            loop.call_soon_threadsafe(answer.set_result, "answered")

        thread = threading.Thread(target=reply)
        thread.start()
        with loop.waiting_really():
            return await answer, thread

    result, thread = run_virtual(wait_for_thread())
    thread.join()
    assert result == "answered"


def test_silent_thread_is_given_up_on() -> None:
    """A thread that never answers ends in an error after the loop's patience."""

    async def wait_for_nobody() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        with loop.waiting_really():
            await loop.create_future()

    with (
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(patience=0.05)) as runner,
        pytest.raises(DeadlockError, match=r"0\.05 real seconds"),
    ):
        runner.run(wait_for_nobody())


def test_timer_that_renews_itself_is_given_up_on() -> None:
    """A heartbeat does not keep a program alive that waits for nothing, and its clean-up still runs."""
    cleaned: list[str] = []

    async def beat() -> None:
        while True:  # noqa: ASYNC110 - a timer that renews itself is the point of the test
            await asyncio.sleep(1)

    async def wait_for_nothing() -> None:
        heart = asyncio.create_task(beat())
        try:
            await asyncio.Event().wait()
        finally:
            heart.cancel()
            await asyncio.sleep(5)
            cleaned.append("done")

    with (
        pytest.raises(DeadlockError, match="nothing ends"),
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(max_jumps=1000)) as runner,
    ):
        runner.run(wait_for_nothing())
    assert cleaned == ["done"]


def test_sockets_within_the_loop_work() -> None:
    """Both ends of a connection may live in the loop; time passes only between their messages."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        await asyncio.sleep(60)
        writer.write(line.upper())
        await writer.drain()
        writer.close()

    async def ask() -> tuple[bytes, float]:
        server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"ping\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return answer, asyncio.get_running_loop().time()

    assert run_virtual(ask()) == (b"PING\n", 60.0)


def test_start_is_chosen() -> None:
    """A loop may begin at any time."""

    async def read_time() -> float:
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(start=1_000.0)) as runner:
        assert runner.run(read_time()) == 1_000.0
