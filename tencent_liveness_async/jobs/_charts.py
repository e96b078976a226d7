"""Charts as inline SVG: across in per cent, down in pixels, so that letters keep their size at any width."""

from __future__ import annotations

from html import escape
from itertools import accumulate
from math import ceil, floor, log10, sqrt
from typing import TYPE_CHECKING

from ._figures import SCORE_BINS
from ._wording import STATE_NAMES, count_photos, format_number, format_seconds, format_share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .._flow.latency import Quantiles
    from .._models import Timings
    from ._figures import Figures
    from ._records import State

_PLOT = 180
_PLOT_TOP = 22
_LEAST_BAR = 1.5
_LEAST_SECONDS = 0.001


def draw_outcomes(states: Mapping[State, int]) -> str:
    """Return one bar of all photos, divided by state."""
    total = sum(states.values())
    parts = ((f"state-{state}", items, _name_part(state, items, total)) for state, items in states.items())
    words = ", ".join(f"{STATE_NAMES[state]} {items:,}" for state, items in states.items() if items)
    return _wrap("bar", 28, f"Outcomes: {words}", _stack(parts, total, 28))


def draw_scores(figures: Figures) -> str:
    """Return the histogram of scores, with lines at the named thresholds and at the run's own."""
    highest = max(figures.scores)
    bars = (_draw_bar(score, items, highest, figures.threshold) for score, items in enumerate(figures.scores))
    lines = (_draw_threshold(band.threshold, figures.threshold) for band in figures.bands)
    ends = _text(0, "0", "start"), _text(100, "100", "end")
    words = f"Histogram of the scores of {count_photos(sum(figures.scores))}, 0 to 100"
    return _wrap("histogram", _PLOT_TOP + _PLOT + 22, words, "".join((*lines, *bars, *ends)))


def draw_quantiles(quantiles: Quantiles, decades: range) -> str:
    """Return p50, p95 and p99 as three dots on a logarithmic line from 10**first to 10**last seconds."""
    places = [_place(seconds, decades) for seconds in (quantiles.p50, quantiles.p95, quantiles.p99)]
    grid = "".join(
        f'<line class="grid" x1="{_place(10.0**decade, decades):.2f}%" y1="0" '
        f'x2="{_place(10.0**decade, decades):.2f}%" y2="24"/>'
        for decade in decades
    )
    line = f'<line class="span" x1="{places[0]:.2f}%" y1="12" x2="{places[2]:.2f}%" y2="12"/>'
    dots = "".join(
        f'<circle class="dot {name}" cx="{place:.2f}%" cy="12" r="5"/>'
        for place, name in zip(places, ("p50", "p95", "p99"), strict=True)
    )
    words = f"p50 {format_seconds(quantiles.p50)}, p99 {format_seconds(quantiles.p99)}"
    return _wrap("quantiles", 24, words, grid + line + dots)


def find_decades(quantiles: Iterable[Quantiles]) -> range:
    """Return the powers of ten that hold all quantiles, as exponents of seconds."""
    values = [max(seconds, _LEAST_SECONDS) for one in quantiles for seconds in (one.p50, one.p99)]
    first = floor(log10(min(values)))
    return range(first, max(ceil(log10(max(values))), first + 1) + 1)


def draw_timings(timings: Timings, longest: float) -> str:
    """Return where a photo's time went, as a bar that is as wide as its share of the longest."""
    named = (("queue", timings.queue), ("rate", timings.rate), ("attempt", timings.attempt))
    parts = [(f"time-{name}", seconds, f"{name} {format_seconds(seconds)}") for name, seconds in named]
    return _wrap("timings", 12, ", ".join(words for _, _, words in parts), _stack(parts, longest, 12))


def _stack(parts: Iterable[tuple[str, float, str]], total: float, height: int) -> str:
    """Lay parts (class, size, title) beside each other."""
    shown = [part for part in parts if part[1] > 0]
    ends = list(accumulate(100 * size / total for _, size, _ in shown))
    return "".join(
        f'<rect class="{name}" x="{end - 100 * size / total:.3f}%" width="{100 * size / total:.3f}%" '
        f'y="0" height="{height}"><title>{escape(title)}</title></rect>'
        for (name, size, title), end in zip(shown, ends, strict=True)
    )


def _name_part(state: State, items: int, total: int) -> str:
    return f"{STATE_NAMES[state]}: {count_photos(items)}, {format_share(items, total)}"


def _draw_bar(score: int, items: int, highest: int, threshold: float) -> str:
    if not items:
        return ""
    # By the root, or the few photos near the threshold vanish beside the heaps at both ends.
    height = max(_PLOT * sqrt(items / highest), _LEAST_BAR)
    name = "live" if score >= threshold else "below"
    step = 100 / SCORE_BINS
    return (
        f'<rect class="{name}" x="{score * step + 0.08:.2f}%" width="{step - 0.16:.2f}%" '
        f'y="{_PLOT_TOP + _PLOT - height:.1f}" height="{height:.1f}">'
        f"<title>score {score} to {score + 1}: {count_photos(items)}</title></rect>"
    )


def _draw_threshold(threshold: float, own: float) -> str:
    name = "own" if threshold == own else "named"
    line = (
        f'<line class="{name}" x1="{threshold:.2f}%" y1="{8 if threshold == own else _PLOT_TOP}" '
        f'x2="{threshold:.2f}%" y2="{_PLOT_TOP + _PLOT}"/>'
    )
    label = _text(threshold, format_number(threshold), "middle") if 0 < threshold < 100 else ""
    if threshold != own:
        return line + label
    anchor, shift = ("start", 6) if threshold < 60 else ("end", -6)
    return (
        f'{line}{label}<text class="own" x="{threshold:.2f}%" dx="{shift}" y="14" text-anchor="{anchor}">'
        f"threshold {format_number(threshold)}</text>"
    )


def _text(across: float, words: str, anchor: str) -> str:
    return f'<text x="{across:.2f}%" y="{_PLOT_TOP + _PLOT + 17}" text-anchor="{anchor}">{words}</text>'


def _place(seconds: float, decades: Sequence[int]) -> float:
    """Return how far across a time is, in per cent; dots at both ends stay inside."""
    first, last = decades[0], decades[-1]
    return 2 + 96 * (log10(max(seconds, _LEAST_SECONDS)) - first) / (last - first)


def _wrap(name: str, height: int, words: str, content: str) -> str:
    return (
        f'<svg class="{name}" width="100%" height="{height}" role="img" aria-label="{escape(words)}">'
        f"{content}</svg>"
    )
