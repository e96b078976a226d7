"""`tencent-liveness export`: results from a ledger, again."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .._errors import ConfigurationError
from ._context import CommandError, Context, ExitCode, blaming_usage, count_noun
from ._options import FLAG, THRESHOLD

if TYPE_CHECKING:
    from ..jobs.ledger import LedgerReader


def export(
    ledger: Annotated[Path, Parameter(name="LEDGER")],
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    threshold: Annotated[float, THRESHOLD] = 40.0,
    force: Annotated[bool, FLAG] = False,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Write the results of a ledger to a file. A job may use the ledger meanwhile.

    Args:
        ledger: The ledger, or the output that it belongs to.
        output: The file: .jsonl, .csv or .parquet.
        threshold: Score from 0 to 100 from which a photo counts as live.
        force: Overwrite the file if it exists.
        context: Streams and environment.
    """
    from ..jobs._results import write_results
    from ..jobs.ledger import LedgerReader
    from ..jobs.sinks import open_sink
    from ._job_parts import find_ledger

    if output.exists() and not force:
        raise CommandError(f"{output} exists; --force overwrites it", ExitCode.USAGE)
    with LedgerReader(find_ledger(ledger)) as reader:
        with blaming_usage(ConfigurationError):
            sink = open_sink(output, _list_columns(reader))
        count = write_results(reader, sink, threshold=threshold)
    context.say(f"{count_noun(count, 'result')} in {output}")
    return ExitCode.OK


def _list_columns(reader: LedgerReader) -> tuple[str, ...]:
    """Return the carried columns of all rows, in the order in which they come up."""
    return tuple(dict.fromkeys(name for rows in reader.rows() for row in rows for name in row.extra))
