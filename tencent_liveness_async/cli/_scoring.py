"""The run behind `tencent-liveness score`."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import anyio.to_thread

from .._client import LivenessClient
from .._credentials import EnvironmentCredentials
from .._errors import ConfigurationError, LivenessAPIError, LivenessError, RunStoppedError
from .._flow import Statistics
from .._protocol.endpoint import DEFAULT_ENDPOINT
from ._context import CommandError, Context, ExitCode
from ._output import clear_output, open_output
from ._progress import Progress, Standing
from ._records import Results
from ._report import Summary, print_rows, print_summary
from ._service import Service, open_sandbox
from ._sources import Sources
from ._tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .._models import Outcome


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the command, in its words."""

    sources: tuple[str, ...]
    is_sandbox: bool
    rate: float
    concurrency: int
    threshold: float
    deadline: float | None
    region: str
    endpoint: str | None
    output: Path | None
    is_forced: bool
    is_json: bool
    is_quiet: bool


def run_score(settings: Settings, context: Context) -> ExitCode:
    """Score all photos of the sources and show the results.

    Raises:
        CommandError: Nothing could be sent.
    """
    run = _Run(settings, context)
    with ExitStack() as stack:
        if settings.output:
            run.file = stack.enter_context(open_output(settings.output, is_forced=settings.is_forced))
        service = stack.enter_context(_open_service(settings, context))
        code, message = run.execute(service)
    run.show()
    if message:
        context.say(message)
    return code


class _Run:
    """One run: its sources, its client, its results."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self.file: TextIO | None = None
        self._settings = settings
        self._context = context
        self._sources = Sources(settings.sources, warn=self._say)
        self._tally = Tally()
        self._client: LivenessClient | None = None
        self._progress: Progress | None = None
        self._seconds = 0.0

    def execute(self, service: Service) -> tuple[ExitCode, str]:
        """Score all photos, and return how it ended and what there is to say about it."""
        stream = self.file or (self._context.stdout if self._settings.is_json else None)
        results = Results(self._tally, stream=stream, threshold=self._settings.threshold)
        began = time.monotonic()
        try:
            try:
                with self._show_progress():
                    asyncio.run(self._score_all(service, results))
            finally:
                self._seconds = time.monotonic() - began
                results.take_rest()
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED, self._tell_interruption()
        except RunStoppedError as stop:
            return ExitCode.ACCOUNT, f"the run was stopped: {_tell_fault(stop.error)}"
        except CommandError as error:
            lost = f", and {results.unwritten:,} outcomes were not written" if results.unwritten else ""
            return error.code, f"{error}{lost}"
        return self._judge(service)

    def show(self) -> None:
        """Show the table and the sums where they belong."""
        settings = self._settings
        if not self._sources.taken or (settings.is_quiet and (settings.is_json or self.file)):
            return
        console = self._context.open_stderr() if settings.is_json else self._context.open_stdout()
        if not settings.is_json:
            print_rows(console, self._tally)
        summary = Summary(
            tally=self._tally,
            statistics=self._read_statistics(),
            notes=self._sources.notes,
            found=self._sources.taken,
            threshold=settings.threshold,
            seconds=self._seconds,
        )
        print_summary(console, summary)

    async def _score_all(self, service: Service, results: Results) -> None:
        await service.check_credentials()
        self._client = self._make_client(service, results)
        photos = self._sources.stream()
        deadline = self._settings.deadline
        async with self._client as client, client.score_many(photos, deadline=deadline) as outcomes:
            if self.file:
                await anyio.to_thread.run_sync(clear_output, self.file)
            try:
                async for outcome in outcomes:
                    await _take(results, outcome)
            except asyncio.CancelledError:
                self._say(_tell_stopping(client.statistics().in_flight))
                raise

    def _make_client(self, service: Service, results: Results) -> LivenessClient:
        settings = self._settings
        try:
            return LivenessClient(
                credentials=service.credentials,
                endpoint=service.endpoint,
                region=settings.region,
                threshold=settings.threshold,
                rate=settings.rate,
                max_concurrency=settings.concurrency,
                trust_env=service.trust_env,
                hooks=[results.note],
            )
        except ConfigurationError as error:
            raise CommandError(str(error), ExitCode.USAGE) from error

    @contextmanager
    def _show_progress(self) -> Iterator[None]:
        context, settings = self._context, self._settings
        is_stdout_progress = settings.is_json and not self.file and context.is_stdout_terminal
        if settings.is_quiet or is_stdout_progress:
            yield
            return
        try:
            with Progress(context, read=self._read_standing, count=self._sources.count) as self._progress:
                yield
        finally:
            self._progress = None

    def _say(self, message: str) -> None:
        (self._progress or self._context).say(message)

    def _read_statistics(self) -> Statistics:
        return self._client.statistics() if self._client else Statistics()

    def _read_standing(self) -> Standing:
        tally = self._tally
        return Standing(tally.scored, tally.without_score, self._read_statistics().in_flight)

    def _judge(self, service: Service) -> tuple[ExitCode, str]:
        tally = self._tally
        if not self._sources.taken:
            skipped = self._sources.notes.skipped
            others = f", only {skipped:,} files that are no pictures by their suffix" if skipped else ""
            return ExitCode.NOT_FOUND, f"no photos in {', '.join(self._settings.sources)}{others}"
        if tally.unanswered and tally.unanswered == tally.done - tally.rejected:
            return ExitCode.SOME_FAILED, (
                f"{service.endpoint} gave no answer to any photo: check the endpoint, the network and the "
                f"proxy ({tally.last_transport_error})"
            )
        is_complete = not tally.without_score and not self._sources.notes.unreadable
        return (ExitCode.OK if is_complete else ExitCode.SOME_FAILED), ""

    def _tell_interruption(self) -> str:
        left = self._sources.taken - self._tally.done
        where = f" and are in {self._settings.output}" if self.file else ""
        return (
            f"interrupted: {self._tally.done:,} photos have an outcome{where}, "
            f"{left:,} more were taken and not scored"
        )


def _open_service(settings: Settings, context: Context) -> AbstractContextManager[Service]:
    if settings.is_sandbox:
        return open_sandbox(None if settings.is_quiet else context.say)
    credentials = EnvironmentCredentials(context.environment)
    return nullcontext(Service(settings.endpoint or DEFAULT_ENDPOINT, credentials))


async def _take(results: Results, outcome: Outcome) -> None:
    if results.stream is None:
        results.take(outcome)
    else:
        await anyio.to_thread.run_sync(results.take, outcome)


def _tell_stopping(in_flight: int) -> str:
    if not in_flight:
        return "stopping"
    waited = f"{in_flight} attempts under way are waited for"
    return f"stopping; {waited}, as they may be billed; another Ctrl-C cuts them off"


def _tell_fault(error: LivenessError) -> str:
    if not isinstance(error, LivenessAPIError):
        return str(error)
    rule = error.rule
    meaning = rule.meaning if rule.is_known else f"{rule.meaning} The service says: {error.message}"
    return f"{error.code}: {meaning} {rule.advice} (request id {error.request_id or 'missing'})"
