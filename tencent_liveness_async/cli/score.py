"""`tencent-liveness score`: files, folders and URLs in, scores out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ._context import CommandError, Context, ExitCode
from ._options import (
    DISPLAY,
    FLAG,
    LIMITS,
    SERVICE,
    SOURCE,
    TOGETHER,
    DisplayOptions,
    LimitOptions,
    ServiceOptions,
    SourceOptions,
)


def score(
    *sources: Annotated[str, Parameter(name="SRC")],
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    ledger: Path | None = None,
    force: Annotated[bool, FLAG] = False,
    service: Annotated[ServiceOptions, TOGETHER] = SERVICE,
    limits: Annotated[LimitOptions, TOGETHER] = LIMITS,
    reading: Annotated[SourceOptions, TOGETHER] = SOURCE,
    results_format: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
    display: Annotated[DisplayOptions, TOGETHER] = DISPLAY,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    r"""Score photos: files, folders and URLs; an archive with an output or a ledger.

    The key pair comes from TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY in the environment.
    Every score is billed, and so is a photo without a face; photos that break a limit of the API are
    refused before they are sent and cost nothing.

    With an output or a ledger it is a job over one source, which is also a manifest (.csv, .jsonl,
    .parquet), an archive (.tar, .tar.gz, .zip), a bucket (cos://, s3://), or - for a list on standard
    input. A ledger, OUTPUT.ledger unless it is named, notes every call before it is sent and every
    outcome. The same command, run again, goes on where the last run ended and pays for nothing twice.
    Options for limits, columns, pattern and --json are for jobs.

    Without both, scores go to the terminal. From a folder and those inside it come all pictures by
    their suffix, in the order of their names: .jpg .jpeg .png .bmp, and .gif .webp .heic .heif .avif
    .tif .tiff, which the API refuses. Hidden files and links to folders are left out. A photo behind a
    URL is downloaded by the service.

    JSON has one object a line, with the same keys in each: id, source (a URL without its password and
    query; bytes of a file name that are not UTF-8 as escapes like \udcff), score, is_live, threshold,
    model_version, request_id, code and message (of an error), rule (the limit a photo breaks: format,
    header, empty, encoded_size, long_side, short_side, url), error (its class), attempts, is_billed (the
    last attempt; null: not known), maybe_billed (attempts without an answer), queue_seconds,
    rate_seconds, attempt_seconds. What does not apply is null.

    Ctrl-C, SIGTERM and SIGHUP stop the intake and wait for the attempts under way, because they are
    paid for; a second one does not wait.

    Args:
        sources: Files, folders, http(s) URLs; of a job one source.
        output: Write results to this file: .jsonl, .csv or .parquet.
        ledger: The ledger's file. The default is the output with .ledger behind its name.
        force: Overwrite an output that has no ledger, and go on in a ledger of other parameters.
        service: Where calls go, and how fast.
        limits: What the job may do and spend.
        reading: What the source holds.
        results_format: What goes to stdout without a job: a table, 50 photos at a time as they come, or
            JSON line by line.
        display: What is said.
        context: Streams and environment.
    """
    _check_sources(sources)
    service.check()
    if output == "":
        raise CommandError("'' is no name of an output file", ExitCode.USAGE)
    if output is None and ledger is None:
        if limits != LIMITS or reading != SOURCE or display.json_events:
            raise CommandError(
                "limits, columns, pattern and --json are for jobs: give --output or --ledger", ExitCode.USAGE
            )
        from ._scoring import Settings, run_score

        is_json = results_format == "json"
        return run_score(Settings(sources, service, is_json=is_json, is_quiet=display.quiet), context)
    if len(sources) > 1:
        raise CommandError(
            "a job takes one source: a folder, an archive, or a manifest that lists the photos",
            ExitCode.USAGE,
        )
    if results_format == "json":
        raise CommandError(
            "--format is for scores on stdout; a job's results go to its output", ExitCode.USAGE
        )
    from ._job_parts import name_ledger
    from ._job_run import JobRequest, run_job
    from ._sources import check_output

    results = None if output is None else Path(output)
    if results is not None:
        check_output(results, sources)
    request = JobRequest(
        source=sources[0],
        ledger=ledger or name_ledger(Path(output or "")),
        output=results,
        is_forced=force,
        service=service,
        reading=reading,
        limits=limits,
        display=display,
    )
    return run_job(request, context)


def _check_sources(sources: tuple[str, ...]) -> None:
    if not sources:
        raise CommandError("score needs photos: files, folders or URLs", ExitCode.USAGE)
    if "" in sources:
        raise CommandError("'' is no file, folder or URL", ExitCode.USAGE)
