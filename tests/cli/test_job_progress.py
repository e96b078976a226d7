from __future__ import annotations

import asyncio
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tencent_liveness_async import Statistics
from tencent_liveness_async.cli import Context
from tencent_liveness_async.jobs._job import JobProgress
from tencent_liveness_async.jobs._price import PriceTable, PriceTier
from tencent_liveness_async.jobs._records import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tencent_liveness_async.cli._job_standing import JobWatch


class _Job:
    """A job whose progress, client and time are set by the test."""

    def __init__(self) -> None:
        self.now = 0.0
        self.outcomes: dict[State, int] = {}
        self.resumed = 0
        self.stopped: Any = None
        self.client = Statistics()

    def read(self) -> JobProgress:
        return JobProgress(
            found=0,
            is_complete=False,
            resumed=self.resumed,
            equal=0,
            skipped_unknown=0,
            outcomes=self.outcomes,
            billed=sum(self.outcomes.values()),
            maybe_billed=0,
            stopped=self.stopped,
        )

    def watch(self, *, finished_before: int = 0, max_calls: int | None = None, price: str = "") -> JobWatch:
        from tencent_liveness_async.cli._job_standing import JobWatch

        return JobWatch(
            read_job=self.read,
            read_client=lambda: self.client,
            finished_before=finished_before,
            max_calls=max_calls,
            prices=PriceTable("CNY", (PriceTier(Decimal(price)),)) if price else None,
            clock=lambda: self.now,
        )


def test_rate_is_of_the_last_half_minute() -> None:
    """Photos that ended more than 30 seconds ago do not count."""
    job = _Job()
    watch = job.watch()
    rates = []
    for second in range(0, 100, 10):
        job.now, job.outcomes = float(second), {State.SCORED: min(second, 50) * 10}
        rates.append(watch.look().rate)
    assert rates[3] == 10
    assert rates[-1] == 0


def test_time_left_is_for_what_has_to_be_paid() -> None:
    """Items that were finished before take no time, those still to come included."""
    job = _Job()
    watch = job.watch(finished_before=60)
    watch.total = 100
    job.now, job.outcomes, job.resumed = 10.0, {State.SCORED: 20}, 50
    standing = watch.look()
    assert (standing.done, standing.rate, standing.seconds_left) == (70, 2.0, 10.0)


def test_line_says_all_there_is_to_say() -> None:
    """Everything that is not nothing is in the line, with the budget and the money."""
    job = _Job()
    watch = job.watch(max_calls=50, price="0.5")
    watch.total = 40
    job.now = 2.0
    job.outcomes = {State.SCORED: 5, State.REFUSED_FREE: 2, State.UNKNOWN: 1, State.FAILED_FINAL: 2}
    job.client = Statistics(limit=50, retries={"throttle": 3}, throttled=3, waiting=1)
    assert watch.look().describe() == (
        "10/40 25 % · 5.0/s of 50/s · 0:06 left · 5 scored · 2 refused · 1 failed · 2 dead · 3 retried · "
        "3 throttled · 10/50 calls, 5.00 CNY · waiting for hold"
    )


@pytest.mark.parametrize(
    ("client", "stopped", "cause"),
    [
        (Statistics(), None, "source"),
        (Statistics(in_flight=2), None, "answers"),
        (Statistics(in_flight=2, waiting=1), None, "rate"),
        (Statistics(waiting=1, transport="open"), None, "breaker"),
        (Statistics(in_flight=2), "interrupted", "stop"),
    ],
    ids=["source", "answers", "rate", "breaker", "stop"],
)
def test_what_holds_a_job_up_is_named(client: Statistics, stopped: str | None, cause: str) -> None:
    """A person sees whether the source, the pace, the answers or a breaker is waited for."""
    job = _Job()
    job.client, job.stopped = client, stopped
    assert job.watch().look().waiting_for == cause


def _follow(watch: JobWatch, wanted: Callable[[], bool], **context: Any) -> None:
    """Follow a watch until something is shown, looking all the time."""
    from tencent_liveness_async.cli._job_display import JobDisplay
    from tencent_liveness_async.cli._options import DisplayOptions

    options = DisplayOptions(json_events=context.pop("json_events", False))
    display = JobDisplay(Context(io.StringIO(), io.StringIO(), **context), options, interval=0.0)

    async def run() -> None:
        with display.open():
            following = asyncio.ensure_future(display.follow(watch))
            while not wanted():  # noqa: ASYNC110 - what is written sets no event
                await asyncio.sleep(0)
            display.say("a message")
            following.cancel()

    asyncio.run(run())


def test_terminal_has_a_live_line() -> None:
    """On a terminal the line is live, and messages stand above it."""
    stderr = io.StringIO()
    watch = _Job().watch()
    _follow(
        watch,
        lambda: "waiting for source" in stderr.getvalue(),
        stderr=stderr,
        environment={"COLUMNS": "80"},
        is_stderr_terminal=True,
    )
    assert "tencent-liveness: a message" in stderr.getvalue()
    assert "\x1b[" in stderr.getvalue()


def test_pipe_has_lines() -> None:
    """Where there is no terminal every look is a line of its own."""
    stderr = io.StringIO()
    watch = _Job().watch()
    _follow(watch, lambda: stderr.getvalue().count("\n") > 1, stderr=stderr, environment={})
    lines = stderr.getvalue().splitlines()
    assert lines[0] == "tencent-liveness: 0 · 0.0/s · 0 scored · 0 refused · 0 calls · waiting for source"
    assert lines[-1] == "tencent-liveness: a message"


def test_events_are_whole_objects() -> None:
    """With events everything is one, messages too."""
    stderr = io.StringIO()
    watch = _Job().watch()
    _follow(watch, lambda: bool(stderr.getvalue()), stderr=stderr, environment={}, json_events=True)
    events = [json.loads(line) for line in stderr.getvalue().splitlines()]
    assert events[0]["event"] == "progress"
    assert events[0]["total"] is None
    assert (events[-1]["event"], events[-1]["message"]) == ("message", "a message")
