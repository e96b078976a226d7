"""The photos that a page lists: not all of a large run, but those that a person has to look at."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ._records import State, Value
from ._selection import Smallest
from ._wording import STATE_NAMES, format_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_ROWS = 2_000
"""Rows in a page; half of them at least are for each kind, if there are so many."""

_URGENCY = {
    State.UNKNOWN: 0,
    State.FAILED_FINAL: 1,
    State.FAILED_TRANSIENT: 2,
    State.REFUSED_BILLED: 3,
    State.REFUSED_FREE: 4,
}
_COLUMNS = (
    ("Photo", "text", ""),
    ("State", "text", ""),
    ("Score", "number", ""),
    ("Live", "text", "wide"),
    ("Error", "text", ""),
    ("Calls", "number", "wide"),
    ("Time", "number", "wide"),
)


def pick_rows(
    rows: Iterable[Mapping[str, Value]], *, threshold: float
) -> tuple[list[Mapping[str, Value]], int]:
    """Return at most `MAX_ROWS` rows, and how many there are.

    Those without a score come first, the most urgent before the others; then scores by their distance
    from the threshold.
    """
    failed: Smallest[Mapping[str, Value]] = Smallest(MAX_ROWS)
    scored: Smallest[Mapping[str, Value]] = Smallest(MAX_ROWS)
    count = 0
    for row in rows:
        count += 1
        score = row["score"]
        if isinstance(score, float | int):
            scored.add(abs(score - threshold), row)
        else:
            failed.add(_URGENCY.get(State(str(row["state"])), 0), row)
    nearest = scored.sort()
    picked = failed.sort()[: max(MAX_ROWS // 2, MAX_ROWS - len(nearest))]
    return picked + nearest[: MAX_ROWS - len(picked)], count


def make_table(rows: Sequence[Mapping[str, Value]]) -> str:
    """Return the table; its script sorts and filters by what the cells show."""
    head = "".join(
        f'<th scope="col" class="{name}" data-kind="{kind}" aria-sort="none">'
        f'<button type="button">{title}</button></th>'
        for title, kind, name in _COLUMNS
    )
    body = "\n".join(map(_make_row, rows))
    return f'<table class="photos"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'


def make_options(values: Iterable[str]) -> str:
    """Return choices of a filter, in order and once each."""
    unique = dict.fromkeys(value for value in values if value)
    return "".join(f"<option>{escape(value)}</option>" for value in unique)


def _make_row(row: Mapping[str, Value]) -> str:
    state, code, score = State(str(row["state"])), _show(row["code"]), row["score"]
    seconds = sum(_to_float(row[f"{part}_seconds"]) for part in ("queue", "rate", "attempt"))
    live = "" if row["is_live"] is None else "yes" if row["is_live"] else "no"
    message = f'<small class="clipped">{escape(_show(row["message"]))}</small>' if row["message"] else ""
    return (
        f'<tr data-state="{STATE_NAMES[state]}" data-code="{escape(code)}">'
        f'<th scope="row">{_make_name(row)}</th>'
        f'<td><span class="badge state-{state}">{STATE_NAMES[state]}</span></td>'
        f"{_make_number(score, '' if score is None else f'{_to_float(score):.2f}')}"
        f'<td class="wide">{live}</td><td>{escape(code)}{message}</td>'
        f"{_make_number(row['attempts'], _show(row['attempts']), 'wide')}"
        f"{_make_number(seconds, format_seconds(seconds) if seconds else '', 'wide')}</tr>"
    )


def _make_name(row: Mapping[str, Value]) -> str:
    name, source = _show(row["id"]), _show(row["source"])
    where = "" if source == name else f'<small class="clipped">{escape(source)}</small>'
    return f"{escape(name)}{where}"


def _make_number(value: Value, shown: str, name: str = "") -> str:
    return f'<td class="number {name}" data-value="{_to_float(value) if shown else ""}">{escape(shown)}</td>'


def _show(value: Value) -> str:
    return "" if value is None else str(value)


def _to_float(value: Value) -> float:
    return float(value) if isinstance(value, float | int) else 0.0
