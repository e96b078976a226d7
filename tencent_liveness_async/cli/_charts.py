"""Sums and charts of text, for a terminal and for a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._context import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BAR = 40
_STEP = 10


def format_sums(sums: Iterable[tuple[str, str]]) -> str:
    """Return names and values as lines, the values below one another."""
    rows = list(sums)
    width = max((len(name) for name, _ in rows), default=0)
    return "".join(f"{name:{width}}  {make_printable(value)}\n" for name, value in rows)


def draw_scores(scores: Iterable[float]) -> str:
    """Return a histogram of scores, 0 to 100, in steps of 10."""
    counts = [0] * (100 // _STEP)
    for score in scores:
        counts[min(int(score / _STEP), len(counts) - 1)] += 1
    return draw_histogram(counts)


def draw_histogram(counts: Sequence[int]) -> str:
    """Return bars of counts, which share the scores from 0 to 100 equally; the longest has 40 signs."""
    most, step = max(counts, default=0), 100 // len(counts)
    lines = []
    for place, count in enumerate(counts):
        bar = "#" * -(-count * _BAR // most) if most else ""  # what is not nothing has a sign
        lines.append(f"{place * step:3} to {(place + 1) * step:3}  {count:>9,}  {bar}".rstrip())
    return "\n".join(lines) + "\n"
