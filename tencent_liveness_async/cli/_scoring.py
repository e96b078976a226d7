"""The run behind `tencent-liveness score`."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._errors import ConfigurationError, MissingCredentialsError, RunStoppedError
from .._flow import Statistics
from ._context import Context, ExitCode, blaming_usage, count_noun
from ._faults import tell_fault
from ._progress import Progress, Standing
from ._records import JsonLines
from ._report import Summary, TablePrinter, print_summary
from ._service import Service, make_client, open_service
from ._sources import Sources
from ._stop import Stop
from ._tally import Tally
from ._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._client import LivenessClient
    from ._options import ServiceOptions
    from ._writer import Sink


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the command, in its words."""

    sources: tuple[str, ...]
    service: ServiceOptions
    is_json: bool
    is_quiet: bool


def run_score(settings: Settings, context: Context) -> ExitCode:
    """Score all photos of the sources and show the results.

    Raises:
        CommandError: Nothing could be sent.
    """
    run = _Run(settings, context)
    say = None if settings.is_quiet else context.say
    with open_service(settings.service, context.environment, say=say) as service:
        code, message = run.execute(service)
    run.show()
    if message:
        context.say(message)
    return code


class _Run:
    """One run: its sources, its client, its results."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._sources = Sources(settings.sources, warn=self._say)
        self._tally = Tally()
        self._stop = Stop()
        self._client: LivenessClient | None = None
        self._progress: Progress | None = None
        self._seconds = 0.0
        self._is_stdout_broken = False

    def execute(self, service: Service) -> tuple[ExitCode, str]:
        """Score all photos, and return how it ended and what there is to say about it."""
        began = time.monotonic()
        with self._stop.catch_signals(), self._show_progress():
            sink = self._make_sink()
            writer = Writer(self._tally, sink, stop=self._stop.request)
            ended = self._run(service, writer)
        self._seconds = time.monotonic() - began
        if writer.error is not None:
            return self._tell_broken(writer, sink, writer.error)
        code, message = ended or self._judge(service)
        is_early = code in {ExitCode.INTERRUPTED, ExitCode.ACCOUNT, ExitCode.USAGE} and self._client
        return code, f"{message}; {self._tell_kept(sink)}" if is_early else message

    def show(self) -> None:
        """Show what of the table is not shown yet, and the sums, where they belong."""
        settings = self._settings
        if not self._sources.taken or settings.is_quiet:
            return
        if self._is_stdout_broken and not settings.is_json:
            return
        console = self._context.open_stderr() if settings.is_json else self._context.open_stdout()
        if self._tally.done and not settings.is_json:
            console.print()
        summary = Summary(
            tally=self._tally,
            statistics=self._read_statistics(),
            notes=self._sources.notes,
            found=self._sources.taken,
            threshold=settings.service.threshold,
            seconds=self._seconds,
        )
        print_summary(console, summary)

    def _make_sink(self) -> Sink:
        settings, context = self._settings, self._context
        if settings.is_json:
            return JsonLines(context.stdout, name="stdout", threshold=settings.service.threshold)
        is_shared = self._progress is not None and context.is_stdout_terminal
        pause = self._progress.pause if self._progress and is_shared else nullcontext
        return TablePrinter(context.open_stdout(), pause=pause)

    def _run(self, service: Service, writer: Writer) -> tuple[ExitCode, str] | None:
        """Run until the end; return how it ended if it ended before."""
        try:
            with writer:
                asyncio.run(self._score_all(service, writer))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return ExitCode.INTERRUPTED, "interrupted"
        except RunStoppedError as stop:
            is_usage = isinstance(stop.error, ConfigurationError) and not isinstance(
                stop.error, MissingCredentialsError
            )
            code = ExitCode.USAGE if is_usage else ExitCode.ACCOUNT
            return code, f"the run was stopped: {tell_fault(stop.error)}"
        return None

    async def _score_all(self, service: Service, writer: Writer) -> None:
        self._stop.attach()
        await service.check_credentials()
        client = self._make_client(service, writer)
        async with client:
            self._client = client
            photos = self._sources.stream()
            async with client.score_many(photos, deadline=self._settings.service.deadline) as outcomes:
                try:
                    async for _ in outcomes:
                        await writer.wait_room()
                except asyncio.CancelledError:
                    if writer.error is None:
                        self._say(_tell_stopping(client.statistics().in_flight))
                    raise

    def _make_client(self, service: Service, writer: Writer) -> LivenessClient:
        with blaming_usage(ConfigurationError):
            return make_client(service, self._settings.service, hooks=[writer.note])

    @contextmanager
    def _show_progress(self) -> Iterator[None]:
        context, settings = self._context, self._settings
        is_stdout_progress = settings.is_json and context.is_stdout_terminal
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
        in_flight = self._read_statistics().in_flight
        return Standing(tally.scored, tally.without_score, in_flight, self._stop.is_requested)

    def _judge(self, service: Service) -> tuple[ExitCode, str]:
        tally = self._tally
        if not self._sources.taken:
            skipped = self._sources.notes.skipped
            others = f", only {count_noun(skipped, 'file')} without a picture's suffix" if skipped else ""
            return ExitCode.NOT_FOUND, f"no photos in {', '.join(self._settings.sources)}{others}"
        if tally.unanswered and tally.unanswered == tally.done - tally.rejected - tally.unreadable:
            return ExitCode.SOME_FAILED, (
                f"{service.endpoint} gave no answer to any photo: check the endpoint, the network and the "
                f"proxy ({tally.last_transport_error})"
            )
        is_complete = not tally.without_score and not self._sources.notes.unreadable
        return (ExitCode.OK if is_complete else ExitCode.SOME_FAILED), ""

    def _tell_broken(self, writer: Writer, sink: Sink, error: Exception) -> tuple[ExitCode, str]:
        if not isinstance(error, OSError):
            raise error
        self._is_stdout_broken = True
        lost = f"{count_noun(writer.unwritten, 'outcome')} {'was' if writer.unwritten == 1 else 'were'}"
        reason = f"{sink.name} cannot be written: {error.strerror or error}"
        return ExitCode.OTHER, f"{reason}; the run was stopped, and {lost} not written"

    def _tell_kept(self, sink: Sink) -> str:
        missing = self._sources.taken - self._tally.done
        kept = f"{count_noun(sink.written, 'outcome')} on stdout"
        left = f"{count_noun(missing, 'photo')} taken without one"
        rest = "" if self._sources.is_exhausted else "; the rest of the sources was not taken"
        return f"{kept}, {left}{rest}"


def _tell_stopping(in_flight: int) -> str:
    if not in_flight:
        return "stopping"
    verb = "is" if in_flight == 1 else "are"
    waited = f"{count_noun(in_flight, 'attempt')} under way {verb} waited for"
    return f"stopping; {waited}, as they may be billed; another Ctrl-C or signal cuts them off"
