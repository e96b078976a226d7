"""A report of a ledger as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..jobs._wording import STATE_NAMES, format_number, format_seconds, format_share
from ._charts import draw_histogram, format_sums
from ._context import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..jobs._figures import Figures

_BARS = 20


def format_report(figures: Figures) -> str:
    """Return a report's sections, one below the other."""
    sections = [
        ("Outcomes", format_sums(_list_outcomes(figures))),
        ("Errors", _list_codes(figures)),
        ("Scores", _draw_scores(figures)),
        ("Live at", format_sums(_list_bands(figures))),
        ("Seconds", _list_times(figures)),
        ("Calls", format_sums(_list_money(figures))),
        ("Slowest", format_sums(_list_slowest(figures))),
    ]
    return "\n".join(f"{title}\n{text}" for title, text in sections if text)


def _list_outcomes(figures: Figures) -> Iterator[tuple[str, str]]:
    yield "items", f"{figures.inputs:,}"
    for state, count in figures.states.items():
        yield STATE_NAMES[state].lower(), f"{count:,}  {format_share(count, figures.inputs)}"
    missing = figures.inputs - figures.outcomes
    yield (
        "check",
        "every item has an outcome" if figures.is_complete else f"{missing:,} items have no outcome",
    )


def _list_codes(figures: Figures) -> str:
    return "".join(
        f"{each.items:>9,}  {each.code}: {make_printable(each.example.removeprefix(f'{each.code}: '))}\n"
        for each in figures.codes
    )


def _draw_scores(figures: Figures) -> str:
    width = len(figures.scores) // _BARS
    bars = [sum(figures.scores[place : place + width]) for place in range(0, len(figures.scores), width)]
    return draw_histogram(bars) if any(bars) else ""


def _list_bands(figures: Figures) -> Iterator[tuple[str, str]]:
    scored = sum(figures.scores)
    for band in figures.bands:
        yield (
            format_number(band.threshold),
            f"{band.live:>9,}  {format_share(band.live, scored)} of those scored",
        )


def _list_times(figures: Figures) -> str:
    if not figures.sent:
        return ""
    lines = [f"{'':8}{'p50':>10}{'p95':>10}{'p99':>10}\n"]
    for name in ("queue", "rate", "attempt"):
        times = getattr(figures, name)
        values = "".join(f"{format_seconds(each):>10}" for each in (times.p50, times.p95, times.p99))
        lines.append(f"{name:8}{values}\n")
    return "".join(lines)


def _list_money(figures: Figures) -> Iterator[tuple[str, str]]:
    money = figures.money
    yield "sent", f"{money.calls:,}"
    yield "billed", f"{money.billed:,}"
    yield "maybe billed", f"{money.maybe_billed:,}"
    yield "saved", f"{money.saved_by_equality:,} by equal photos"
    if money.cost is not None:
        yield "cost", f"{money.cost}, at most {money.cost_at_most}"


def _list_slowest(figures: Figures) -> Iterator[tuple[str, str]]:
    for slow in figures.slowest:
        yield format_seconds(slow.seconds), slow.id
