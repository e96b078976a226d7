"""How a job ended: its exit code, the line about it, and its sums."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .._errors import ConfigurationError, MissingCredentialsError
from ..jobs._records import State
from ._charts import format_sums
from ._context import PROGRAM, ExitCode, count_noun
from ._faults import find_exit_code, tell_fault
from ._progress import tell_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._flow import Statistics
    from ..jobs._job import JobProgress
    from ._context import Context
    from ._job_run import JobRequest

_STOPS = {
    "errors": (ExitCode.TOO_MANY_ERRORS, "too many photos failed"),
    "budget": (ExitCode.BUDGET, "the budget is used up"),
    "time": (ExitCode.TIME, "the time is over"),
    "interrupted": (ExitCode.INTERRUPTED, "interrupted"),
}


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended.

    Attributes:
        code: The exit code.
        message: What there is to say about it; empty if there is nothing.
        progress: How far it came; None if it did not begin.
        statistics: What its client did.
        seconds: How long it took.
        cost: What its calls cost; None without prices.
    """

    code: ExitCode
    message: str
    progress: JobProgress | None
    statistics: Statistics
    seconds: float
    cost: str | None

    def to_event(self) -> dict[str, object]:
        """Return the fields of the end event."""
        progress = asdict(self.progress) if self.progress else {}
        return {
            "exit_code": int(self.code),
            "message": self.message,
            "seconds": round(self.seconds, 2),
            "attempts": self.statistics.attempts,
            "throttled": self.statistics.throttled,
            "cost": self.cost,
            **progress,
        }


def judge(
    progress: JobProgress | None, error: Exception | None, request: JobRequest, arguments: Sequence[str]
) -> tuple[ExitCode, str]:
    """Return the exit code and what there is to say.

    Args:
        progress: How far the job came; None if it did not begin.
        error: What ended it, if anything did.
        request: The job.
        arguments: The command line, to tell how to go on.
    """
    if error is not None:
        is_usage = isinstance(error, ConfigurationError) and not isinstance(error, MissingCredentialsError)
        code = ExitCode.USAGE if is_usage else find_exit_code(error)
        if code is None:
            raise error
        return code, f"the job was stopped: {tell_fault(error)}"
    go_on = f"to go on: {PROGRAM} {shlex.join(arguments)}"
    if progress is None:
        return ExitCode.INTERRUPTED, "interrupted before anything was sent"
    if progress.stopped in _STOPS:
        code, reason = _STOPS[progress.stopped]
        return code, f"{reason}; {go_on}"
    if not progress.found and request.only is None:
        return ExitCode.NOT_FOUND, f"no photos in {request.source}"
    return _judge_outcomes(progress, go_on, is_choice=request.only is not None)


def _judge_outcomes(progress: JobProgress, go_on: str, *, is_choice: bool) -> tuple[ExitCode, str]:
    outcomes = progress.outcomes
    dead = outcomes.get(State.FAILED_FINAL, 0)
    passing = outcomes.get(State.FAILED_TRANSIENT, 0) + outcomes.get(State.UNKNOWN, 0)
    if not is_choice:
        passing += progress.skipped_unknown
    if dead:
        told = f"{count_noun(dead, 'photo')} failed in a way that will not pass by itself"
        return ExitCode.SOME_FAILED, told
    if passing:
        return ExitCode.TEMPORARY, f"{count_noun(passing, 'photo')} failed or may be paid; {go_on}"
    if not sum(outcomes.values()):
        reason = "the ledger has no such photo" if is_choice else "every photo was finished before"
        return ExitCode.NOTHING_TO_DO, f"nothing to do: {reason}"
    return ExitCode.OK, ""


def tell_end(end: JobEnd, request: JobRequest, context: Context) -> None:
    """Print the sums of a job on stdout."""
    if end.progress is None:
        return
    context.write(format_sums(_list_sums(end, end.progress, request)))


def _list_sums(end: JobEnd, progress: JobProgress, request: JobRequest) -> Iterator[tuple[str, str]]:
    counts = {state: progress.outcomes.get(state, 0) for state in State}
    refused = counts[State.REFUSED_BILLED] + counts[State.REFUSED_FREE]
    passing = counts[State.FAILED_TRANSIENT] + counts[State.UNKNOWN]
    yield (
        "photos",
        f"{progress.found:,} found, {progress.resumed:,} finished before, {progress.equal:,} equal",
    )
    scored, failed = counts[State.SCORED], counts[State.FAILED_FINAL]
    yield "this run", f"{scored:,} scored, {refused:,} refused, {passing:,} failed for now, {failed:,} failed"
    cost = "" if end.cost is None else f", {end.cost}"
    billed = f"{progress.billed:,} billed, {progress.maybe_billed:,} maybe billed"
    yield "calls", f"{billed}{cost}, {end.statistics.throttled:,} throttled"
    yield "time", tell_duration(end.seconds)
    if request.output is not None:
        yield "results", str(request.output)
    yield "ledger", f"{request.ledger} (tencent-liveness report {shlex.quote(str(request.ledger))})"
