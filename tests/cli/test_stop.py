from __future__ import annotations

import asyncio
import signal
import threading

import pytest

from tencent_liveness_async.cli._stop import Stop

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS, ids=str)
def test_first_signal_cancels_and_the_second_ends(number: signal.Signals) -> None:
    """The first signal lets the task clean up, the second does not; then the handlers are as before."""
    stop = Stop()
    steps: list[str] = []
    before = signal.getsignal(number)

    async def run() -> None:
        stop.attach()
        try:
            signal.raise_signal(number)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            steps.append("draining")
            stop.request()
            await asyncio.sleep(0)
            steps.append("not cancelled again")
            signal.raise_signal(number)
            await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt), stop.catch_signals():
        asyncio.run(run())
    assert steps == ["draining", "not cancelled again"]
    assert stop.is_requested
    assert signal.getsignal(number) is before


def test_signal_before_the_run_ends_the_program() -> None:
    """Where nothing is under way there is nothing to wait for."""
    with pytest.raises(KeyboardInterrupt), Stop().catch_signals():
        signal.raise_signal(signal.SIGTERM)


def test_ignored_signal_stays_ignored() -> None:
    """What `nohup` protects goes on when its terminal is closed."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop().catch_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_signals_alone() -> None:
    """Only the main thread can take signals; elsewhere the block does nothing."""
    handlers = []

    def run() -> None:
        with Stop().catch_signals():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]


def test_request_after_the_run_does_nothing() -> None:
    """A sink that breaks when the loop has ended has nothing to cancel."""
    stop = Stop()
    stop.request()
    assert not stop.is_requested

    async def run() -> None:
        stop.attach()

    asyncio.run(run())
    stop.request()
    assert stop.is_requested
