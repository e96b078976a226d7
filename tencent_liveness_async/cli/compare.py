"""`tencent-liveness compare`: what changed between two scorings."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ._charts import draw_histogram, format_sums
from ._context import CommandError, Context, ExitCode
from ._options import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..jobs._compare import Comparison
    from ..jobs._records import Value


def compare(
    before: Annotated[Path, Parameter(name="BEFORE")],
    after: Annotated[Path, Parameter(name="AFTER")],
    *,
    threshold: Annotated[float, THRESHOLD] = 40.0,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Compare two scorings of the same photos: who crossed the threshold, and by how much scores moved.

    Photos are matched by their id, and those left over by their bytes.

    Args:
        before: A ledger or a result file (.jsonl, .csv, .parquet).
        after: The same, of the later scoring.
        threshold: Score from 0 to 100 from which a photo counts as live.
        context: Streams and environment.
    """
    from ..jobs._compare import compare as compare_rows

    for path in (before, after):
        if not path.is_file():
            raise CommandError(f"{path} is not there", ExitCode.NOT_FOUND)
    found = compare_rows(_read(before, threshold), _read(after, threshold), threshold=threshold)
    context.write(_format(found))
    return ExitCode.OK


def _read(path: Path, threshold: float) -> Iterator[Mapping[str, Value]]:
    from ._job_parts import RESULT_SUFFIXES

    if path.suffix.lower() in RESULT_SUFFIXES:
        from ..jobs.sinks import read_results

        yield from read_results(path)
        return
    from ..jobs.ledger import LedgerReader

    with LedgerReader(path) as reader:
        for rows in reader.rows():
            for row in rows:
                yield row.to_values(threshold)


def _format(found: Comparison) -> str:
    parts = [format_sums(_list_sums(found))]
    if found.scored:
        parts += [
            "\nScores before\n" + draw_histogram(found.histogram_before),
            "\nScores after\n" + draw_histogram(found.histogram_after),
        ]
    if found.movers:
        moved = (
            (f"{mover.shift:+.2f}", _tell_mover(mover.before, mover.after, mover.id))
            for mover in found.movers
        )
        parts.append("\nMoved most\n" + format_sums(moved))
    return "".join(parts)


def _tell_mover(before: float, after: float, name: str) -> str:
    return f"{before:.2f} to {after:.2f}  {name}"


def _list_sums(found: Comparison) -> Iterator[tuple[str, str]]:
    single = f"{found.only_before:,} only before, {found.only_after:,} only after"
    yield "photos", f"{found.matched:,} on both sides, {single}"
    yield "scored", f"{found.scored:,} on both sides, {found.gained:,} only after, {found.lost:,} only before"
    yield (
        f"threshold {found.threshold:g}",
        f"{found.became_live:,} became live, {found.became_not_live:,} are live no more",
    )
    if found.shift is not None:
        quantiles = ", ".join(f"p{percent} {shift:+.2f}" for percent, shift in found.shift.quantiles.items())
        yield "shift", f"mean {found.shift.mean:+.2f}, {quantiles}"
    for side, models in (("before", found.models_before), ("after", found.models_after)):
        yield f"models {side}", ", ".join(f"{name or 'unknown'}: {count:,}" for name, count in models.items())
