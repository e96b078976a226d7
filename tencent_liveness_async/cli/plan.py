"""`tencent-liveness plan`: what a job would do and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ._context import CommandError, Context, ExitCode
from ._options import (
    DISPLAY,
    LIMITS,
    SERVICE,
    SOURCE,
    TOGETHER,
    DisplayOptions,
    LimitOptions,
    ServiceOptions,
    SourceOptions,
)

_NO_LEDGER = Path()
"""The working folder, where nothing is looked up."""


def plan(
    source: Annotated[str, Parameter(name="SOURCE")],
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    ledger: Path | None = None,
    sample: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    seed: int = 0,
    service: Annotated[ServiceOptions, TOGETHER] = SERVICE,
    limits: Annotated[LimitOptions, TOGETHER] = LIMITS,
    reading: Annotated[SourceOptions, TOGETHER] = SOURCE,
    display: Annotated[DisplayOptions, TOGETHER] = DISPLAY,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Say what a job would do and cost. Without a sample nothing is sent and nothing is paid.

    It reads every photo that the ledger does not know, to find equal ones and those that break a limit of
    the API. Calls at worst are those with every retry that may be billed.

    A sample is a paid pilot: so many of the photos that a job would send, chosen at random, are scored
    into the ledger, so that the job does not pay for them again. It shows the scores and between which
    shares the refused ones lie, with 95 % confidence (Wilson's interval).

    Args:
        source: What `score` takes as a job's source.
        output: The results that the job would write; its ledger is the one beside it.
        ledger: The job's ledger.
        sample: Score so many photos, chosen at random.
        seed: Decides which.
        service: Where calls would go, and how fast.
        limits: What the job may do and spend.
        reading: What the source holds.
        display: What is said.
        context: Streams and environment.
    """
    service.check()
    if sample and output is None and ledger is None:
        raise CommandError(
            "a sample is paid for, so it needs a ledger: give --output or --ledger", ExitCode.USAGE
        )
    from ._job_parts import name_ledger
    from ._job_run import JobRequest
    from ._plan_run import run_plan

    request = JobRequest(
        source=source,
        ledger=ledger or (name_ledger(output) if output else _NO_LEDGER),
        service=service,
        reading=reading,
        limits=limits,
        display=display,
    )
    return run_plan(request, context, sample=sample, seed=seed)
