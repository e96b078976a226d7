"""What is shown at the end of a run: the photos and the sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from ._context import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from .._flow import Statistics
    from ._sources import FolderNotes
    from ._tally import Row, Tally

_NARROW_COLUMNS = 6 + 4 + 3 * 3
"""Score, live, and the gaps between four columns."""
_REASON_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Summary:
    """All that the end of a run tells.

    Attributes:
        tally: Photos.
        statistics: Attempts.
        notes: What was not taken from folders.
        found: Photos taken from the sources.
        threshold: The run's.
        seconds: How long it took.
    """

    tally: Tally
    statistics: Statistics
    notes: FolderNotes
    found: int
    threshold: float
    seconds: float


def print_rows(console: Console, tally: Tally) -> None:
    """Print a table of photos: all of a short run, those without a score of a long one."""
    rows = tally.list_rows()
    if rows:
        console.print(_make_table(rows, console.width))
        console.print()
    hidden = tally.without_score - len(tally.rows_without_score)
    if hidden:
        console.print(f"and {hidden:,} more without a score; -o FILE keeps every outcome\n")


def print_summary(console: Console, summary: Summary) -> None:
    """Print the sums."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, text in _list_sums(summary):
        grid.add_row(name, text)
    console.print(grid)


def shorten_left(text: str, width: int) -> str:
    """Cut `text` at its left to so many columns: the end of a path tells more than its beginning."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) >= width:
        text = text[1:]
    return f"…{text}"


def _make_table(rows: Sequence[Row], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("photo", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("live", no_wrap=True)
    reasons = [_make_reason(row) for row in rows]
    longest = max(cell_len(reason.plain) for reason in reasons)
    if longest:
        table.add_column("reason", overflow="fold")
    rest = width - _NARROW_COLUMNS
    name_width = max(rest - min(longest, int(rest * _REASON_SHARE)), 8)
    for row, reason in zip(rows, reasons, strict=True):
        cells = [
            Text(shorten_left(make_printable(row.name), name_width)),
            Text("–" if row.score is None else f"{row.score:.2f}"),
            _make_verdict(row.is_live),
        ]
        table.add_row(*cells, *([reason] if longest else []))
    return table


def _make_verdict(is_live: bool | None) -> Text:  # noqa: FBT001 - a table of three values
    if is_live is None:
        return Text("–")
    return Text("yes", style="green") if is_live else Text("no", style="yellow")


def _make_reason(row: Row) -> Text:
    if not row.code:
        return Text()
    return Text.assemble((make_printable(row.code), "red"), ": ", make_printable(row.reason))


def _list_sums(summary: Summary) -> Iterator[tuple[str, str]]:
    tally, numbers, notes = summary.tally, summary.statistics, summary.notes
    missing = summary.found - tally.done
    found = f"{summary.found:,} {'taken' if missing else 'found'}"
    yield "photos", f"{found}, {tally.scored:,} scored, {tally.live:,} live at {summary.threshold:g}"
    yield "refused", f"{tally.rejected:,} before sending, {tally.refused:,} by the service"
    yield "failed", f"{tally.failed:,}"
    if missing:
        yield "left", f"{missing:,} without an outcome"
    kinds = (
        f"{numbers.billed:,} billed, {numbers.maybe_billed:,} maybe billed, {numbers.throttled:,} throttled"
    )
    yield "attempts", f"{numbers.attempts:,}: {kinds}"
    yield "seconds", f"{summary.seconds:,.1f}"
    if notes.skipped:
        yield "skipped", f"{notes.skipped:,} in folders that are no pictures by their suffix"
    if notes.unreadable:
        yield "unread", f"{notes.unreadable:,} of the folders"
