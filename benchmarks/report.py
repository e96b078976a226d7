"""Tables, bounds and result files."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .jobs import Figures

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, run after run.

    Attributes:
        name: What it is, and of whom.
        unit: Its unit, empty for a ratio.
        values: One for each run.
        bound: The most it may be; None where nothing is asked.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    bound: float | None = None
    is_least: bool = False

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.values)

    @property
    def holds(self) -> bool:
        """Whether the median keeps the bound."""
        if self.bound is None:
            return True
        return self.median >= self.bound if self.is_least else self.median <= self.bound

    def __str__(self) -> str:
        text = f"{self.name:<72}{show(self.values):>22} {self.unit:<4}"
        if self.bound is None:
            return text.rstrip()
        sign, verdict = ">=" if self.is_least else "<=", "holds" if self.holds else "FAILS"
        return f"{text} {sign} {self.bound:<6.4g} {verdict}"


def show(values: Sequence[float]) -> str:
    """Return the median and the spread, in as many digits as mean something."""
    median = statistics.median(values)
    digits = 0 if median >= 100 else 1 if median >= 10 else 2 if median >= 1 else 3
    text = f"{median:.{digits}f}"
    if len(values) == 1:
        return text
    return f"{text} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def pick(figures: Sequence[Figures], key: str) -> tuple[float, ...]:
    """Return one value of each run."""
    return tuple(run[key] for run in figures)


def divide(of: Sequence[float], by: Sequence[float]) -> tuple[float, ...]:
    """Return the ratio within each round: noise meets both alike."""
    return tuple(one / other for one, other in zip(of, by, strict=False))


def _find_commit() -> str:
    """Return which client was measured; `-dirty` says that it was changed since that commit."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "an unknown commit"


class Report:
    """What a benchmark found: printed as it comes, and written as text and as JSON.

    Args:
        name: The benchmark's name.
        title: What is measured, and how, in a sentence.
    """

    def __init__(self, name: str, title: str) -> None:
        self._name = name
        self._lines: list[str] = []
        self._figures: list[Figure] = []
        self.add_line(f"{name}: {title}")

    def add_line(self, line: str = "") -> None:
        """Print a line and keep it."""
        print(line, flush=True)
        self._lines.append(line.rstrip())

    def add_table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table; all columns but the first are to the right."""
        table = [heads, *rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
        self.add_line()
        for row in table:
            first, *others = (
                cell.rjust(width) if at else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            self.add_line("  ".join([first, *others]))
        self.add_line()

    def note(self, name: str, unit: str, values: Sequence[float]) -> None:
        """Keep a figure for machines only; tables show it already."""
        self._figures.append(Figure(name, unit, tuple(values)))

    def check(
        self, name: str, values: Sequence[float], bound: float, *, unit: str = "", is_least: bool = False
    ) -> None:
        """Add a figure with its bound."""
        if not values:
            self.add_line(f"{name:<72}{'not measured':>22}")
            return
        figure = Figure(name, unit, tuple(values), bound, is_least)
        self._figures.append(figure)
        self.add_line(str(figure))

    def write(self) -> None:
        """Write the dated result files."""
        now = datetime.now(UTC)
        machine = (
            f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, "
            f"client at {_find_commit()}"
        )
        self.add_line(f"{machine}, {now:%Y-%m-%d %H:%M} UTC")
        RESULTS.mkdir(exist_ok=True)
        base = RESULTS / f"{now:%Y-%m-%d}-{self._name}"
        base.with_suffix(".txt").write_text("\n".join(self._lines) + "\n")
        figures = [
            asdict(figure) | {"median": figure.median, "holds": figure.holds} for figure in self._figures
        ]
        content = {"name": self._name, "time": now.isoformat(), "machine": machine, "figures": figures}
        base.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
