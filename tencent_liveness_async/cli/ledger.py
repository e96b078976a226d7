"""`tencent-liveness ledger`: look at a ledger's file, or save what is left of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ._charts import format_sums
from ._context import Context, ExitCode

_Ledger = Annotated[Path, Parameter(name="FILE")]


def check(ledger: _Ledger, *, context: Annotated[Context, Parameter(parse=False)]) -> ExitCode:
    """Read a whole ledger and say what is damaged. It ends with 1 if anything is.

    Args:
        ledger: The ledger, or the output that it belongs to.
        context: Streams and environment.
    """
    from ..jobs.ledger import check as check_ledger
    from ._job_parts import find_ledger

    found = check_ledger(find_ledger(ledger))
    sums = [
        ("ledger", str(found.path)),
        (
            "made by",
            f"version {found.software_version or 'unknown'}, format {found.format_version or 'unknown'}",
        ),
        ("holds", f"{found.items:,} items, {found.photos:,} photos, {found.intents:,} calls on their way"),
        *(("damage", problem) for problem in found.problems),
    ]
    context.write(format_sums(sums))
    context.write(
        "nothing is damaged\n" if found.is_whole else "it is damaged; `ledger recover` saves the rest\n"
    )
    return ExitCode.OK if found.is_whole else ExitCode.OTHER


def recover(
    ledger: _Ledger,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    *,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Save every row of a damaged ledger that can be read into a new one. The damaged one is not changed.

    Args:
        ledger: The damaged ledger.
        output: The new ledger, a file that is not there yet.
        context: Streams and environment.
    """
    from ..jobs.ledger import recover as recover_ledger
    from ._job_parts import find_ledger

    saved = recover_ledger(find_ledger(ledger), output)
    context.write(
        format_sums(
            [
                (
                    "saved",
                    f"{saved.items:,} items, {saved.photos:,} photos, {saved.intents:,} calls on their way",
                ),
                (
                    "lost",
                    f"{saved.lost_items:,} items, {saved.lost_photos:,} photos that were there for certain",
                ),
                ("ledger", str(saved.target)),
            ]
        )
    )
    return ExitCode.OK
