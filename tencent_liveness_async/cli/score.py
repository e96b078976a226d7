"""`tencent-liveness score`: files, folders and URLs in, scores out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from ._context import ENDPOINT_VARIABLE, CommandError, Context, ExitCode

_FLAG = Parameter(negative=(), show_default=False)


def score(
    *sources: Annotated[str, Parameter(name="SRC", allow_leading_hyphen=False)],
    sandbox: Annotated[bool, _FLAG] = False,
    rate: Annotated[float, Parameter(validator=Number(gt=0))] = 45.0,
    concurrency: Annotated[int, Parameter(validator=Number(gte=1))] = 64,
    threshold: Annotated[float, Parameter(validator=Number(gte=0, lte=100))] = 40.0,
    deadline: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    region: str = "ap-guangzhou",
    endpoint: str | None = None,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    force: Annotated[bool, _FLAG] = False,
    results_format: Annotated[Literal["table", "json"], Parameter(name="--format")] = "table",
    quiet: Annotated[bool, Parameter(alias="-q", negative=(), show_default=False)] = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    r"""Score photos: files, folders and URLs.

    The key pair comes from TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY in the environment.
    Every score is billed, and so is a photo without a face; photos that break a limit of the API are
    refused before they are sent and cost nothing.

    From a folder and those inside it come all pictures by their suffix, in the order of their names:
    .jpg .jpeg .png .bmp, and .gif .webp .heic .heif .avif .tif .tiff, which the API refuses. Hidden
    files and links to folders are left out. A photo behind a URL is downloaded by the service.

    JSON has one object a line, with the same keys in each: id, source (a URL without its password and
    query; bytes of a file name that are not UTF-8 as escapes like \udcff), score, is_live, threshold,
    model_version, request_id, code and message (of an error), rule (the limit a photo breaks: format,
    header, empty, encoded_size, long_side, short_side, url), error (its class), attempts, is_billed (the
    last attempt; null: not known), maybe_billed (attempts without an answer), queue_seconds,
    rate_seconds, attempt_seconds. What does not apply is null.

    Ctrl-C, SIGTERM and SIGHUP stop the intake and wait for the attempts under way, because they are
    paid for; a second one does not wait.

    Args:
        sources: Files, folders, http(s) URLs.
        sandbox: Score against an emulator started for this run. It judges nothing and costs nothing.
        rate: Attempts per second. Above the account's quota, about 50, the excess is throttled.
        concurrency: Photos that are read, sent or retried at the same time. Each takes up to 10 MB.
        threshold: Score from 0 to 100 from which a photo counts as live.
        deadline: Seconds for one photo, from being taken to its outcome. The default is 60 and the
            time that the photos taken together need at the rate.
        region: The region named in each call.
        endpoint: Where the API is served. The default is TENCENT_LIVENESS_ENDPOINT from the
            environment, else the service.
        output: Write every outcome to this file as JSON, as soon as it is there.
        force: Overwrite the output file if it exists.
        results_format: What goes to stdout: a table, 50 photos at a time as they come, or JSON line by
            line. With an output file the table is at the end, and of more than 50 photos only the first
            50 without a score; JSON is in the file alone.
        quiet: Nothing but results and errors; with an output file nothing on stdout.
        context: Streams and environment.
    """
    if not sources:
        raise CommandError("score needs photos: files, folders or URLs", ExitCode.USAGE)
    if "" in sources:
        raise CommandError("'' is no file, folder or URL", ExitCode.USAGE)
    if output == "":
        raise CommandError("'' is no name of an output file", ExitCode.USAGE)
    if sandbox and endpoint:
        raise CommandError("--sandbox and --endpoint exclude each other", ExitCode.USAGE)
    from ._scoring import Settings, run_score

    settings = Settings(
        sources=sources,
        is_sandbox=sandbox,
        rate=rate,
        concurrency=concurrency,
        threshold=threshold,
        deadline=deadline,
        region=region,
        endpoint=endpoint or context.environment.get(ENDPOINT_VARIABLE) or None,
        output=None if output is None else Path(output),
        is_forced=force,
        is_json=results_format == "json",
        is_quiet=quiet,
    )
    return run_score(settings, context)
