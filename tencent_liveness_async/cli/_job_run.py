"""Runs a job from the command line: opens what it needs, shows how it goes, and says how it ended."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from .._errors import LivenessError
from .._flow import Statistics
from ..jobs._job import JobSettings, ScoreJob
from ..jobs.ledger import Ledger
from ..jobs.sinks import open_sink
from ._context import CommandError, ExitCode, count_noun
from ._job_display import JobDisplay
from ._job_end import JobEnd, judge, tell_end
from ._job_parts import (
    RESULT_SUFFIXES,
    count_items,
    find_max_calls,
    make_parameters,
    open_job_source,
    read_prices,
)
from ._job_standing import JobWatch, tell_cost
from ._service import make_client, open_service
from ._stop import Stop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import Literal, TypeAlias

    from .._client import LivenessClient
    from ..jobs._job import JobProgress
    from ..jobs._price import PriceTable
    from ..jobs._records import Sink, Source, State
    from ..jobs.ledger import Parameters
    from ._context import Context
    from ._options import DisplayOptions, LimitOptions, ServiceOptions, SourceOptions
    from ._service import Service

    Opener: TypeAlias = Callable[[Parameters], Awaitable[Source]]

STOP_GRACE = 30.0
"""Seconds that photos which were taken have for their end, after the first Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job as it was asked for.

    Attributes:
        source: Where the photos are.
        ledger: The ledger's file.
        output: The result file; None writes none.
        only: The states that are sent again; None for all that are not finished.
        is_forced: Whether to overwrite results of another ledger, and to go on with other parameters.
        service: Where calls go.
        reading: What the source holds.
        limits: What it may do.
        display: What is said.
    """

    source: str
    ledger: Path
    output: Path | None = None
    only: frozenset[State] | None = None
    is_forced: bool = False
    service: ServiceOptions
    reading: SourceOptions
    limits: LimitOptions
    display: DisplayOptions


def run_job(request: JobRequest, context: Context, *, opener: Opener | None = None) -> ExitCode:
    """Run a job to its end, or to a stop.

    Args:
        request: The job.
        context: Streams and environment.
        opener: Opens another source than the request names.

    Raises:
        CommandError: It could not begin.
        LivenessError: The same.
    """
    display = JobDisplay(context, request.display)
    if request.output is not None:
        _check_output(request.output, request)
    prices = read_prices(request.limits)
    say = None if request.display.quiet else display.say
    stop = Stop()
    with stop.catch_signals(), open_service(request.service, context.environment, say=say) as service:
        run = _Run(request, context, display=display, service=service, prices=prices, stop=stop)
        run.opener = opener
        try:
            end = asyncio.run(run.execute())
        except (KeyboardInterrupt, asyncio.CancelledError):
            end = run.make_interrupted_end()
    display.tell("end", end.to_event())
    if not (request.display.quiet or request.display.json_events):
        tell_end(end, request, context)
    if end.message and not request.display.json_events:
        display.say(end.message)
    return end.code


class _Run:
    """One job: its source, its ledger, its client."""

    def __init__(
        self,
        request: JobRequest,
        context: Context,
        *,
        display: JobDisplay,
        service: Service,
        prices: PriceTable | None,
        stop: Stop,
    ) -> None:
        self.opener: Opener | None = None
        self._request = request
        self._context = context
        self._display = display
        self._service = service
        self._prices = prices
        self._stop = stop
        self._max_calls = find_max_calls(request.limits, prices)
        self._client: LivenessClient | None = None
        self._job: ScoreJob | None = None
        self._began = time.monotonic()

    async def execute(self) -> JobEnd:
        """Run the job; an error before it began is raised, later ones are its end."""
        request = self._request
        async with AsyncExitStack() as stack:
            parameters = make_parameters(request.service, self._service.endpoint)
            source = await self._open_source(parameters)
            stack.push_async_callback(source.aclose)
            await self._service.check_credentials()
            ledger = await Ledger.open(request.ledger, parameters, is_forced=request.is_forced)
            await stack.enter_async_context(ledger)
            settings = await self._make_settings(ledger)
            self._client = await stack.enter_async_context(make_client(self._service, request.service))
            self._job = ScoreJob(
                self._client,
                source,
                ledger,
                open_sink=self._find_sink(source),
                settings=settings,
                threshold=request.service.threshold,
            )
            return await self._watch(self._job, ledger)

    def make_interrupted_end(self) -> JobEnd:
        """Return the end of a job that was cut off."""
        progress = self._job.progress() if self._job else None
        return self._make_end(replace(progress, stopped="interrupted") if progress else None, None)

    async def _watch(self, job: ScoreJob, ledger: Ledger) -> JobEnd:
        counts = await ledger.count()
        watch = JobWatch(
            read_job=job.progress,
            read_client=self._read_client,
            finished_before=sum(count for state, count in counts.photos.items() if state.is_finished),
            max_calls=self._max_calls,
            prices=self._prices,
            clock=time.monotonic,
        )
        request = self._request
        self._display.tell(
            "start",
            {
                "source": request.source,
                "ledger": str(request.ledger),
                "output": str(request.output) if request.output else None,
                "finished_before": sum(n for state, n in counts.photos.items() if state.is_finished),
                "max_calls": self._max_calls,
            },
        )
        with self._display.open():
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._display.follow(watch)),
                    group.create_task(self._count(watch)),
                ]
                try:
                    return await self._run_to_end(job)
                finally:
                    for task in beside:
                        task.cancel()

    async def _run_to_end(self, job: ScoreJob) -> JobEnd:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def begin_stop() -> None:
            job.stop("interrupted")
            self._display.say(_tell_stopping(self._read_client().in_flight))
            if task is not None:
                loop.call_later(STOP_GRACE, task.cancel)

        self._stop.attach(begin_stop)
        try:
            return self._make_end(await job.run(), None)
        except (LivenessError, OSError) as error:
            return self._make_end(job.progress(), error)

    async def _count(self, watch: JobWatch) -> None:
        if self.opener is not None:
            return
        with suppress(LivenessError):  # the job itself meets it, too
            watch.total = await count_items(self._request.source, self._request.reading)

    async def _make_settings(self, ledger: Ledger) -> JobSettings:
        limits = self._request.limits
        errors = limits.max_errors
        return JobSettings(
            on_unknown=await self._decide_unknown(ledger),
            only=self._request.only,
            max_calls=self._max_calls,
            max_seconds=limits.max_duration,
            max_errors=errors.count if errors else None,
            max_error_share=errors.share if errors else None,
        )

    async def _decide_unknown(self, ledger: Ledger) -> Literal["retry", "skip"]:
        chosen = self._request.limits.on_unknown
        if chosen != "ask":
            return chosen
        unknown = (await ledger.count()).unknown
        if not unknown:
            return "skip"
        cost = tell_cost(self._prices, unknown)
        told = (
            f"{count_noun(unknown, 'photo')} of an earlier run may be paid: sent, and no answer came. "
            f"Sending again costs {count_noun(unknown, 'call')}{'' if cost is None else f', {cost}'}"
        )
        context = self._context
        if not (context.is_stdin_terminal and context.is_stderr_terminal):
            self._display.say(f"{told}; they are left as they are, --on-unknown retry sends them")
            return "skip"
        # Nothing else runs yet, so the loop may wait for the person.
        answer = context.ask(f"{told}. Send them? [y/N]")
        return "retry" if answer.lower() in {"y", "yes"} else "skip"

    async def _open_source(self, parameters: Parameters) -> Source:
        if self.opener is not None:
            return await self.opener(parameters)
        return await open_job_source(self._request.source, self._request.reading, self._context)

    def _find_sink(self, source: Source) -> Callable[[], Sink] | None:
        output = self._request.output
        return None if output is None else partial(open_sink, output, source.extra_columns)

    def _make_end(self, progress: JobProgress | None, error: Exception | None) -> JobEnd:
        code, message = judge(progress, error, self._request, self._context.arguments)
        return JobEnd(
            code=code,
            message=message,
            progress=progress,
            statistics=self._read_client(),
            seconds=time.monotonic() - self._began,
            cost=tell_cost(self._prices, progress.billed + progress.maybe_billed) if progress else None,
        )

    def _read_client(self) -> Statistics:
        return self._client.statistics() if self._client else Statistics()


def _check_output(output: Path, request: JobRequest) -> None:
    """Look that results may go there: to a new file, or to this ledger's older results."""
    if output.suffix.lower() not in RESULT_SUFFIXES:
        raise CommandError(f"{output}: a result file ends in {', '.join(RESULT_SUFFIXES)}", ExitCode.USAGE)
    if output.exists() and not request.ledger.exists() and not request.is_forced:
        raise CommandError(
            f"{output} exists and its ledger {request.ledger} does not; --force overwrites it", ExitCode.USAGE
        )


def _tell_stopping(in_flight: int) -> str:
    under_way = (
        f"{count_noun(in_flight, 'attempt')} under way may be billed" if in_flight else "nothing is under way"
    )
    return (
        f"stopping; {under_way}, photos that were taken are finished; another Ctrl-C or signal cuts them off"
    )
