"""The sections of a page, as HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from ._charts import draw_outcomes, draw_quantiles, draw_scores, draw_timings, find_decades
from ._page_table import make_options, make_table, pick_rows
from ._records import State
from ._thumbnails import can_make_thumbnails, make_thumbnail
from ._wording import (
    STATE_MEANINGS,
    STATE_NAMES,
    count_photos,
    format_number,
    format_seconds,
    format_share,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._flow.latency import Quantiles
    from ._figures import Figures
    from ._records import RunNotes, Value

_QUEUE, _RATE, _ATTEMPT = (
    "Waiting for a slot and the file",
    "Waiting for the pace and retries",
    "Sending and being answered",
)


def make_header(figures: Figures, title: str) -> str:
    """Return what a person reads first: the main numbers, and whether anything is open."""
    scored, money = figures.states[State.SCORED], figures.money
    when = f"<p>{_tell_time(figures.run)}</p>" if figures.run else ""
    maybe = f"and {money.maybe_billed:,} maybe" if money.maybe_billed else f"of {money.calls:,} sent"
    threshold = format_number(figures.threshold)
    cards = (
        _card("Photos", f"{figures.inputs:,}", f"{figures.photos:,} different"),
        _card("Scored", f"{scored:,}", format_share(scored, figures.inputs)),
        _card(
            f"Live at {threshold}",
            f"{figures.live:,}",
            f"{format_share(figures.live, scored)} of scored",
            "main",
        ),
        _card("Billed calls", f"{money.billed:,}", maybe),
    )
    return (
        f"<header><h1>{escape(title)}</h1>{when}</header>"
        f'<dl class="cards">{"".join(cards)}</dl>{_make_check(figures)}'
    )


def make_outcomes(figures: Figures) -> str:
    """Return what became of the photos, and the errors there were."""
    total = max(figures.inputs, sum(figures.states.values()))
    rows = "".join(
        f'<tr><th scope="row"><span class="badge state-{state}">{STATE_NAMES[state]}</span></th>'
        f'<td class="number">{items:,}</td><td class="number">{format_share(items, total)}</td>'
        f'<td class="meaning"><small>{STATE_MEANINGS[state]}</small></td></tr>'
        for state, items in figures.states.items()
    )
    head = _make_head("Outcome", "#Photos", "#Share", "!meaning What it means")
    return _section(
        "Outcomes",
        "",
        f"{draw_outcomes(figures.states)}<table>{head}<tbody>{rows}</tbody></table>",
        _make_codes(figures),
    )


def make_scores(figures: Figures) -> str:
    """Return the histogram, and how many photos are live at each threshold."""
    scored = sum(figures.scores)
    if not scored:
        return _section("Scores", "No photo has a score.")
    rows = "".join(
        f"<tr{' class=own' if band.threshold == figures.threshold else ''}>"
        f'<th scope="row">{format_number(band.threshold)}</th><td class="number">{band.live:,}</td>'
        f'<td class="number">{format_share(band.live, scored)}</td>'
        f'<td class="number">{scored - band.live:,}</td></tr>'
        for band in figures.bands
    )
    head = _make_head("Threshold", "#Live", "#Share", "#Not live")
    lead = "Higher is more likely a live face. Heights grow with the square root of the number of photos."
    return _section("Scores", lead, draw_scores(figures), f"<table>{head}<tbody>{rows}</tbody></table>")


def make_times(figures: Figures) -> str:
    """Return how long photos took, and the slowest."""
    if not figures.sent:
        return _section("Time", "No photo was sent.")
    decades = find_decades((figures.queue, figures.rate, figures.attempt))
    phases = ((_QUEUE, figures.queue), (_RATE, figures.rate), (_ATTEMPT, figures.attempt))
    rows = "".join(_make_phase(words, quantiles, decades) for words, quantiles in phases)
    span = f"{format_seconds(10.0 ** decades[0])} to {format_seconds(10.0 ** decades[-1])}"
    head = _make_head("Time per photo", "#p50", "#p95", "#p99", f"!chart {span}")
    lead = f"Of {count_photos(figures.sent)} sent, half took no longer than p50 and 99 % no longer than p99."
    table = f'<table class="timetable">{head}<tbody>{rows}</tbody></table>'
    return _section("Time", lead, table, _make_slowest(figures))


def make_money(figures: Figures) -> str:
    """Return calls, what they cost, what was saved, and what throttles took."""
    money, run = figures.money, figures.run
    facts = [
        ("Calls sent", f"{money.calls:,}"),
        ("Billed", f"{money.billed:,}"),
        ("Maybe billed", f"{money.maybe_billed:,}"),
        ("Saved: equal photos", f"{money.saved_by_equality:,}"),
        ("Saved: finished by an earlier run", f"{money.saved_by_resume:,}"),
    ]
    if money.cost is not None:
        facts.append(("Cost of the billed calls", money.cost))
    if money.cost_at_most is not None and money.maybe_billed:
        facts.append(("Cost at most", money.cost_at_most))
    if run is not None:
        facts += [
            ("Calls of the last run", f"{run.calls:,}"),
            ("Throttle episodes", f"{run.throttled:,}"),
            ("Time lost to throttles", format_seconds(run.seconds_throttled)),
            ("Changes of the rate", f"{run.rate_changes:,}"),
        ]
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    lead = "Calls of all runs. A call that brought no answer may be billed."
    return _section("Calls and money", lead, f'<dl class="facts">{listed}</dl>')


def make_gallery(figures: Figures) -> str:
    """Return pictures of the photos nearest to the threshold, where they are files here and can be read."""
    if not figures.nearest:
        return ""
    name = f"Near the threshold of {format_number(figures.threshold)}"
    if not can_make_thumbnails():
        note = "Pictures of these photos need Pillow: pip install 'tencent-liveness-async[report]'."
        return _section(name, note)
    shown = [
        (near, picture) for near in figures.nearest if near.path and (picture := make_thumbnail(near.path))
    ]
    pictures = "".join(
        f'<li class="{"live" if near.score >= figures.threshold else "below"}"><figure>'
        f'<img src="{picture}" alt="{escape(near.id)}" width="160" height="160">'
        f"<figcaption><strong>{near.score:.2f}</strong>{escape(near.id)}</figcaption></figure></li>"
        for near, picture in shown
    )
    lead = (
        f"The {count_photos(len(figures.nearest))} that the verdict is closest for. Look whether you agree."
    )
    missing = len(figures.nearest) - len(shown)
    note = (
        f"{count_photos(missing)} of them cannot be shown: not a file here, or not readable. "
        if missing
        else ""
    )
    keep = "This page holds pictures of faces: keep it as safe as the photos." if shown else ""
    return _section(name, lead, f'<ol class="gallery">{pictures}</ol>', f'<p class="note">{note}{keep}</p>')


def make_photos(figures: Figures, rows: Iterable[Mapping[str, Value]]) -> str:
    """Return the table of photos with its filters."""
    picked, count = pick_rows(rows, threshold=figures.threshold)
    if not picked:
        return ""
    states = make_options(STATE_NAMES[State(str(row["state"]))] for row in picked)
    codes = make_options(sorted(str(row["code"] or "") for row in picked))
    lead = f"All {count_photos(count)}."
    if len(picked) < count:
        lead = (
            f"{len(picked):,} of {count_photos(count)}: those without a score first, then those nearest "
            "to the threshold. The results file has all."
        )
    controls = (
        '<form class="controls" hidden autocomplete="off">'
        '<label>Find<input name="text" type="search"></label>'
        f'<label>State<select name="state"><option value="">All</option>{states}</select></label>'
        f'<label>Error<select name="code"><option value="">All</option>{codes}</select></label></form>'
        '<p class="screen"><small id="shown" role="status"></small></p>'
    )
    printed = '<p class="note printed">Printed: the first 200 rows.</p>' if len(picked) > 200 else ""
    return _section("Photos", lead, controls, make_table(picked), printed)


def _make_check(figures: Figures) -> str:
    if figures.is_complete:
        words = f"Inputs equal outcomes: all {count_photos(figures.inputs)} have theirs."
        return f'<p class="check"><strong>Complete.</strong> {words}</p>'
    unknown = figures.states[State.UNKNOWN]
    rest = figures.inputs - figures.outcomes - unknown
    sentences = [f"{count_photos(figures.inputs)} in, {figures.outcomes:,} with a known outcome."]
    if unknown:
        sentences.append(f"{count_photos(unknown)} may be paid, but brought no answer.")
    if rest > 0:
        sentences.append(f"{count_photos(rest)} not reached yet: run the job again.")
    if rest < 0:
        sentences.append(f"{count_photos(-rest)} more than were put in.")
    return f'<p class="check open"><strong>Not complete.</strong> {" ".join(sentences)}</p>'


def _make_codes(figures: Figures) -> str:
    if not figures.codes:
        return ""
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(code.code)}</code><small>{STATE_NAMES[code.state]}</small></th>'
        f'<td class="number">{code.items:,}</td><td><small>{escape(code.example)}</small></td></tr>'
        for code in figures.codes
    )
    return (
        f'<h3>Errors</h3><table class="errors">'
        f"{_make_head('Error', '#Photos', 'For example')}<tbody>{rows}</tbody></table>"
    )


def _make_phase(words: str, quantiles: Quantiles, decades: range) -> str:
    seconds = (quantiles.p50, quantiles.p95, quantiles.p99)
    values = "".join(f'<td class="number">{format_seconds(value)}</td>' for value in seconds)
    chart = draw_quantiles(quantiles, decades)
    return f'<tr><th scope="row">{words}</th>{values}<td class="chart">{chart}</td></tr>'


def _make_slowest(figures: Figures) -> str:
    longest = max(figures.slowest[0].seconds, 0.001)
    legend = "".join(
        f'<span><span class="key time-{name}"></span>{words}</span>'
        for name, words in (("queue", _QUEUE), ("rate", _RATE), ("attempt", _ATTEMPT))
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(slow.id)}</th><td class="number">{format_seconds(slow.seconds)}</td>'
        f'<td class="chart">{draw_timings(slow.timings, longest)}</td></tr>'
        for slow in figures.slowest
    )
    head = _make_head("Photo", "#Time", "!chart Where it went")
    return (
        f'<h3>Slowest {len(figures.slowest)}</h3><small class="legend">{legend}</small>'
        f"<table>{head}<tbody>{rows}</tbody></table>"
    )


def _tell_time(run: RunNotes) -> str:
    began, ended = (datetime.fromtimestamp(time, UTC) for time in (run.began, run.ended))
    return f"{began:%Y-%m-%d %H:%M} UTC, {format_seconds((ended - began).total_seconds())}"


def _card(name: str, value: str, note: str, kind: str = "") -> str:
    return f'<div class="{kind}"><dt>{name}</dt><dd>{value} <small>{note}</small></dd></div>'


def _make_head(*titles: str) -> str:
    """Return a table's header; `#` begins a column of numbers, `!NAME ` one of a class."""
    return f"<thead><tr>{''.join(map(_make_head_cell, titles))}</tr></thead>"


def _make_head_cell(title: str) -> str:
    kind = ""
    if title.startswith("#"):
        kind, title = "number", title[1:]
    elif title.startswith("!"):
        kind, _, title = title[1:].partition(" ")
    return f'<th scope="col" class="{kind}">{title}</th>'


def _section(title: str, lead: str, *parts: str) -> str:
    first = f'<p class="lead">{lead}</p>' if lead else ""
    return f"<section><h2>{title}</h2>{first}{''.join(parts)}</section>"
