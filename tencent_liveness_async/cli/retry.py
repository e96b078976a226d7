"""`tencent-liveness retry`: send again what the ledger has in a class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations
from typing import Annotated

from cyclopts import Parameter

from ._context import Context, ExitCode  # noqa: TC001 - as above
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


def retry(
    ledger: Annotated[Path, Parameter(name="LEDGER")],
    source: Annotated[str, Parameter(name="SOURCE")],
    *,
    classes: Annotated[tuple[str, ...], Parameter(name="--class", negative=())],
    service: Annotated[ServiceOptions, TOGETHER] = SERVICE,
    limits: Annotated[LimitOptions, TOGETHER] = LIMITS,
    reading: Annotated[SourceOptions, TOGETHER] = SOURCE,
    display: Annotated[DisplayOptions, TOGETHER] = DISPLAY,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Send again what the ledger has in a class, and nothing else.

    Results are in the ledger; `export` writes them to a file.

    Args:
        ledger: The ledger, or the output that it belongs to.
        source: The job's source, where the photos are read again.
        classes: transient (failed in a way that may pass), unknown (may be paid), final (cannot be read, or
            the account was at fault), or an error code, such as FailedOperation.ServerError; may be
            repeated.
        service: Where calls go, and how fast.
        limits: What the job may do and spend.
        reading: What the source holds.
        display: What is said.
        context: Streams and environment.
    """
    service.check()
    from ._job_parts import find_ledger
    from ._job_run import JobRequest
    from ._retry_choice import choose, read_model_version, run_retry

    choice = choose(classes)
    path = find_ledger(ledger)
    request = JobRequest(
        source=source,
        ledger=path,
        only=choice.states,
        service=replace(service, model_version=service.model_version or read_model_version(path)),
        limits=replace(limits, on_unknown=choice.on_unknown),
        reading=reading,
        display=display,
    )
    return run_retry(request, choice, context)
