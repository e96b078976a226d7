"""What a report says of a run, counted from its rows."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from .._flow.latency import LatencyBook, Quantiles
from .._models import Timings
from ._records import State
from ._selection import SeenKeys, Smallest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ._records import ResultRow, RunNotes

BANDS = (5.0, 10.0, 40.0, 70.0, 90.0)
"""The thresholds that the API page names, from lenient to strict."""

SCORE_BINS = 100
"""Bars of the histogram of scores, each 1 wide; a score of 100 is in the last."""

SLOWEST = 10
NEAREST = 24


@dataclass(frozen=True, slots=True)
class CodeCount:
    """How often one error occurred.

    Attributes:
        code: The service's error code, or the class of the error.
        state: The state of its first photo.
        items: How many items.
        example: The message of the first.
    """

    code: str
    state: State
    items: int
    example: str


@dataclass(frozen=True, slots=True)
class Band:
    """How many items are live at a threshold.

    Attributes:
        threshold: 0 to 100.
        live: Scored items that reach it.
    """

    threshold: float
    live: int


@dataclass(frozen=True, slots=True)
class Money:
    """Calls over all runs, each counted once however many items share its photo.

    Attributes:
        calls: Calls sent.
        billed: Calls of them that are billed for certain.
        maybe_billed: Calls of them that were sent and brought no answer.
        saved_by_equality: Items that needed no call because an equal photo had one.
        saved_by_resume: Photos that needed no call because an earlier run had finished them.
        cost: What the billed calls cost; None without prices.
        cost_at_most: The same if every call that may be billed is; None without prices.
    """

    calls: int
    billed: int
    maybe_billed: int
    saved_by_equality: int
    saved_by_resume: int
    cost: str | None = None
    cost_at_most: str | None = None


@dataclass(frozen=True, slots=True)
class Slow:
    """One of the slowest photos.

    Attributes:
        id: The item's.
        timings: Where its time went in the last run.
    """

    id: str
    timings: Timings

    @property
    def seconds(self) -> float:
        """All its time."""
        return self.timings.queue + self.timings.rate + self.timings.attempt


@dataclass(frozen=True, slots=True)
class Near:
    """A photo whose score is near the threshold.

    Attributes:
        id: The item's.
        source: Where it is, without secrets.
        score: 0 to 100.
        path: The file, if `source` is one that is here.
    """

    id: str
    source: str
    score: float
    path: Path | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a report says.

    Items are counted as the source gave them; calls, times, `slowest` and `nearest` take every photo once,
    under the name of the first item that shares it.

    Attributes:
        threshold: The run's.
        inputs: Items that the run was given.
        outcomes: Items of them whose outcome is known.
        photos: Different photos among the rows.
        states: Items by state, every state in its order.
        codes: Errors, the most frequent first.
        scores: Items by score, in bins of 1.
        bands: Live items at the named thresholds and the run's own, in growing order.
        sent: Photos that were sent; those that the quantiles are of.
        queue: Seconds waiting for a slot and the file.
        rate: Seconds waiting for permits and retries.
        attempt: Seconds of sending and waiting for answers.
        money: Calls and what they cost.
        run: Notes of the last run, if there are any.
        slowest: The slowest photos, slowest first.
        nearest: Photos with a score nearest to the threshold, nearest first.
    """

    threshold: float
    inputs: int
    outcomes: int
    photos: int
    states: Mapping[State, int]
    codes: tuple[CodeCount, ...]
    scores: tuple[int, ...]
    bands: tuple[Band, ...]
    sent: int
    queue: Quantiles
    rate: Quantiles
    attempt: Quantiles
    money: Money
    run: RunNotes | None
    slowest: tuple[Slow, ...]
    nearest: tuple[Near, ...]

    @property
    def is_complete(self) -> bool:
        """Whether inputs equal outcomes."""
        return self.inputs == self.outcomes

    @property
    def live(self) -> int:
        """Items that are live at the run's own threshold."""
        return next(band.live for band in self.bands if band.threshold == self.threshold)


def compute_figures(
    batches: Iterable[Sequence[ResultRow]],
    *,
    threshold: float,
    run: RunNotes | None,
    inputs: int | None = None,
    price: Callable[[int], str] | None = None,
) -> Figures:
    """Count what a report says, in one pass.

    Memory does not grow with the rows, except for at most 32 bytes a photo that tell equal photos.
    A row takes 4 to 8 us. At the end it looks whether the photos nearest to the threshold are files here.

    Args:
        batches: Rows in the order of their numbers.
        threshold: Score from 0 to 100 at which a photo is live.
        run: Notes of the last run.
        inputs: Items that the run was given, those without a row included; None: as many as rows.
        price: What so many calls cost, as text.
    """
    tally = _Tally(threshold)
    for batch in batches:
        for row in batch:
            tally.add(row)
    return tally.sum_up(run, inputs, price)


class _Tally:
    """Everything that is counted, row by row."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._thresholds = sorted({*BANDS, threshold})
        self._reached = [0] * (len(self._thresholds) + 1)
        self._states: Counter[State] = Counter()
        self._codes: Counter[str] = Counter()
        self._examples: dict[str, tuple[State, str]] = {}
        self._scores = [0] * SCORE_BINS
        self._seen = SeenKeys()
        self._sent = self._calls = self._billed = self._maybe_billed = self._equal = 0
        self._books = (LatencyBook(), LatencyBook(), LatencyBook())
        self._slowest: Smallest[Slow] = Smallest(SLOWEST)
        self._nearest: Smallest[ResultRow] = Smallest(NEAREST)

    def add(self, row: ResultRow) -> None:
        record = row.record
        self._states[record.state] += 1
        if record.code:
            self._codes[record.code] += 1
            self._examples.setdefault(record.code, (record.state, record.message))
        if record.score is not None:
            self._scores[max(0, min(int(record.score), SCORE_BINS - 1))] += 1
            self._reached[bisect_right(self._thresholds, record.score)] += 1
        if self._seen.add(record.key):
            self._add_photo(row)
        elif record.attempts:
            self._equal += 1

    def _add_photo(self, row: ResultRow) -> None:
        """Count what a photo has once, whatever number of items share it."""
        record = row.record
        if record.score is not None:
            self._nearest.add(abs(record.score - self._threshold), row)
        if not record.attempts:
            return
        self._sent += 1
        self._calls += record.attempts
        self._billed += record.billed
        self._maybe_billed += record.maybe_billed
        seconds = (record.queue_seconds, record.rate_seconds, record.attempt_seconds)
        slow = Slow(row.id, Timings(*seconds))
        self._slowest.add(-slow.seconds, slow)
        for book, value in zip(self._books, seconds, strict=True):
            # All at one moment, so that the book, made for the last minute, forgets none.
            book.record(value, now=0.0)

    def sum_up(self, run: RunNotes | None, inputs: int | None, price: Callable[[int], str] | None) -> Figures:
        rows = self._states.total()
        queue, rate, attempt = (book.quantiles() for book in self._books)
        return Figures(
            threshold=self._threshold,
            inputs=rows if inputs is None else inputs,
            outcomes=rows - self._states[State.UNKNOWN],
            photos=self._seen.count,
            states={state: self._states[state] for state in State},
            codes=tuple(CodeCount(code, *self._fill_in(code, items)) for code, items in self._rank_codes()),
            scores=tuple(self._scores),
            bands=self._make_bands(),
            sent=self._sent,
            queue=queue,
            rate=rate,
            attempt=attempt,
            money=self._make_money(run, price),
            run=run,
            slowest=tuple(self._slowest.sort()),
            nearest=tuple(map(_make_near, self._nearest.sort())),
        )

    def _rank_codes(self) -> list[tuple[str, int]]:
        return sorted(self._codes.items(), key=lambda entry: (-entry[1], entry[0]))

    def _fill_in(self, code: str, items: int) -> tuple[State, int, str]:
        state, example = self._examples[code]
        return state, items, example

    def _make_bands(self) -> tuple[Band, ...]:
        live = list(accumulate(reversed(self._reached)))[-2::-1]
        return tuple(map(Band, self._thresholds, live))

    def _make_money(self, run: RunNotes | None, price: Callable[[int], str] | None) -> Money:
        return Money(
            calls=self._calls,
            billed=self._billed,
            maybe_billed=self._maybe_billed,
            saved_by_equality=self._equal,
            saved_by_resume=run.skipped_by_resume if run else 0,
            cost=price(self._billed) if price else None,
            cost_at_most=price(self._billed + self._maybe_billed) if price else None,
        )


def _make_near(row: ResultRow) -> Near:
    score = row.record.score
    return Near(row.id, row.source, 0.0 if score is None else score, _find_file(row.source))


def _find_file(source: str) -> Path | None:
    path = Path(source)
    try:
        return path if path.is_file() else None
    except (OSError, ValueError):
        # It is too long or holds a null byte: no name of a file.
        return None
