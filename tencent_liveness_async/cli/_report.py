"""What is shown of a run: the photos and the sums."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from ._context import count_noun, make_printable
from ._tally import MAX_ROWS, make_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from rich.console import Console

    from .._flow import Statistics
    from .._models import Outcome
    from ._sources import FolderNotes
    from ._tally import Row, Tally

_NARROW_COLUMNS = 6 + 4 + 3 * 2
"""Score, live, and the gaps between four columns."""
_NAME_SHARE = 0.4
_HEADER = tuple(map(Text, ("photo", "score", "live", "reason")))


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


class TablePrinter:
    """Prints photos in blocks as they come, all in the same columns under one header.

    On a terminal a name is cut at its left and a reason wrapped, to fit; elsewhere every photo is one whole
    line, and the first column is as wide as the longest name of the first block.

    Args:
        console: Where the table goes.
        pause: Holds the live line, if there is one, while a block is printed.

    Attributes:
        written: Photos printed.
    """

    name = "stdout"

    def __init__(
        self, console: Console, *, pause: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self.written = 0
        self._console = console
        self._pause = pause
        self._rows: list[Row] = []
        self._width = console.width - _NARROW_COLUMNS
        self._name_width = max(int(self._width * _NAME_SHARE), 8)

    def write(self, outcome: Outcome) -> None:
        """Take an outcome, and print the block if it is full.

        Raises:
            OSError: The block could not be printed.
        """
        self._rows.append(make_row(outcome))
        if len(self._rows) == MAX_ROWS:
            self.finish()

    def finish(self) -> None:
        """Print the block so far.

        Raises:
            OSError: It could not be printed.
        """
        rows, self._rows = self._rows, []
        if rows:
            with self._pause():
                self.print_rows(sorted(rows, key=lambda row: row.name))

    def print_rows(self, rows: Sequence[Row]) -> None:
        """Print photos, below the header if they are the first."""
        if not self.written and not self._console.is_terminal:
            self._name_width = max(8, *(cell_len(make_printable(row.name)) for row in rows))
        lines = [] if self.written else [self._lay_out(_HEADER, "bold")]
        lines += [self._lay_out(_make_cells(row)) for row in rows]
        self._console.print(Text("\n").join(lines), soft_wrap=True)
        self.written += len(rows)

    def _lay_out(self, cells: Sequence[Text], style: str = "") -> Text:
        name, score, verdict, reason = cells
        shown, reasons = name.plain, [reason]
        if self._console.is_terminal:
            shown = shorten_left(shown, self._name_width)
            reason_width = max(self._width - self._name_width, 8)
            reasons = list(reason.wrap(self._console, reason_width, overflow="fold")) or [reason]
        line = Text.assemble(_pad(shown, self._name_width), f"  {score.plain:>6}  ", style=style)
        line.append_text(verdict).append(" " * (6 - len(verdict)))
        indent = Text("\n" + " " * (self._name_width + _NARROW_COLUMNS))
        return line.append_text(indent.join(reasons))


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


def _pad(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _make_cells(row: Row) -> Sequence[Text]:
    score = Text("–" if row.score is None else f"{row.score:.2f}")
    return Text(make_printable(row.name)), score, _make_verdict(row.is_live), _make_reason(row)


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
    if tally.unreadable or notes.unreadable:
        files, folders = count_noun(tally.unreadable, "file"), count_noun(notes.unreadable, "folder")
        yield "unreadable", f"{files}, {folders}" if notes.unreadable else files
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
