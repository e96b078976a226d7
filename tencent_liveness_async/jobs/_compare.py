"""What changed between two scorings of the same photos, say by two model versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ._records import Value

HISTOGRAM_STEP: Final = 5
"""Points of score that a bar of a histogram spans; the last one holds 100, too."""

MOVERS: Final = 20
"""How many of the photos whose score moved most are named."""

_QUANTILES: Final = (5, 25, 50, 75, 95)


@dataclass(frozen=True, slots=True)
class Shift:
    """By how many points scores moved, after less before, over photos with a score on both sides.

    Attributes:
        mean: Of the shifts.
        quantiles: Per cent to shift, for 5, 25, 50 (the median), 75 and 95. Each is the shift of a photo
            (nearest rank).
    """

    mean: float
    quantiles: Mapping[int, float]

    @property
    def median(self) -> float:
        """Half of the photos moved by no more than this."""
        return self.quantiles[50]


@dataclass(frozen=True, slots=True)
class Mover:
    """A photo with another score than before.

    Attributes:
        id: As it is after.
        source: Where it is, as it is after.
        before: Its score before.
        after: Its score after.
    """

    id: str
    source: str
    before: float
    after: float

    @property
    def shift(self) -> float:
        """Points from before to after."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two scorings of the same photos.

    Attributes:
        threshold: Score from which a photo counts as live.
        matched: Photos on both sides.
        only_before: Photos that are not in the second.
        only_after: Photos that are not in the first.
        scored: Matched photos with a score on both sides; all that follows is of these, but for the next two.
        gained: Matched photos that have a score only after.
        lost: Matched photos that had a score only before.
        became_live: Below the threshold before, not below it after.
        became_not_live: Not below the threshold before, below it after.
        shift: How far the scores moved; None if `scored` is 0.
        histogram_before: Photos for each `HISTOGRAM_STEP` points of score from 0, before.
        histogram_after: The same, after.
        movers: The `MOVERS` photos that moved most, the farthest first; none that did not move.
        models_before: Model version to the number of all scored photos before, matched or not.
        models_after: The same, after.
    """

    threshold: float
    matched: int
    only_before: int
    only_after: int
    scored: int
    gained: int
    lost: int
    became_live: int
    became_not_live: int
    shift: Shift | None
    histogram_before: tuple[int, ...]
    histogram_after: tuple[int, ...]
    movers: tuple[Mover, ...]
    models_before: Mapping[str, int]
    models_after: Mapping[str, int]


def compare(
    before: Iterable[Mapping[str, Value]], after: Iterable[Mapping[str, Value]], *, threshold: float
) -> Comparison:
    """Compare two scorings, of result files (`read_results`) or of ledgers (`ResultRow.to_values`).

    Photos are matched by `id`; those left over by `key`, one to one, so that renamed ones are found if both
    runs made their keys alike. Of rows with the same id the last one counts. It blocks, and takes flat memory
    and a temporary file in SQLite's folder for them (`SQLITE_TMPDIR`).

    Args:
        before: Rows with `id` and `score`, and if they have them `key`, `source` and `model_version`.
        after: The same, of the second scoring.
        threshold: Score from 0 to 100 from which a photo counts as live.
    """
    # The empty name is a database of its own in a temporary file that goes with the connection.
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.executescript(_TABLES)
        _load(database, "before", before)
        _load(database, "after", after)
        database.executescript(_MATCH)
        return _summarize(database, threshold)


_TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE before (id TEXT PRIMARY KEY, source TEXT, key TEXT, score REAL, model TEXT) WITHOUT ROWID;
CREATE TABLE after (id TEXT PRIMARY KEY, source TEXT, key TEXT, score REAL, model TEXT) WITHOUT ROWID;
CREATE TABLE pair (id TEXT, source TEXT, before REAL, after REAL);
"""

# The n-th photo of a key that is left over on one side goes with the n-th one on the other.
_MATCH = """
INSERT INTO pair SELECT id, after.source, before.score, after.score FROM after JOIN before USING (id);
CREATE TABLE rest_before AS
    SELECT id, key, score, row_number() OVER (PARTITION BY key ORDER BY id) AS place
    FROM before WHERE id NOT IN (SELECT id FROM after) AND key <> '';
CREATE TABLE rest_after AS
    SELECT id, source, key, score, row_number() OVER (PARTITION BY key ORDER BY id) AS place
    FROM after WHERE id NOT IN (SELECT id FROM before) AND key <> '';
CREATE INDEX rest ON rest_before (key, place);
INSERT INTO pair
    SELECT a.id, a.source, b.score, a.score FROM rest_after a JOIN rest_before b USING (key, place);
CREATE TABLE scored AS
    SELECT *, after - before AS shift FROM pair WHERE before IS NOT NULL AND after IS NOT NULL;
CREATE INDEX shifts ON scored (shift);
"""


def _load(database: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Value]]) -> None:
    values = (
        (row["id"], row.get("source"), row.get("key"), row["score"], row.get("model_version")) for row in rows
    )
    database.execute("BEGIN")
    database.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?)", values)  # noqa: S608
    database.execute("COMMIT")


def _summarize(database: sqlite3.Connection, threshold: float) -> Comparison:
    matched, gained, lost = _read_row(
        database,
        "SELECT count(*), coalesce(sum(before IS NULL AND after IS NOT NULL), 0),"
        " coalesce(sum(before IS NOT NULL AND after IS NULL), 0) FROM pair",
    )
    scored, became_live, became_not_live = _read_row(
        database,
        "SELECT count(*), coalesce(sum(before < :threshold AND after >= :threshold), 0),"
        " coalesce(sum(before >= :threshold AND after < :threshold), 0) FROM scored",
        threshold=threshold,
    )
    return Comparison(
        threshold=threshold,
        matched=matched,
        only_before=_read_row(database, "SELECT count(*) FROM before")[0] - matched,
        only_after=_read_row(database, "SELECT count(*) FROM after")[0] - matched,
        scored=scored,
        gained=gained,
        lost=lost,
        became_live=became_live,
        became_not_live=became_not_live,
        shift=_measure_shift(database, scored),
        histogram_before=_count_bars(database, "before"),
        histogram_after=_count_bars(database, "after"),
        movers=tuple(_find_movers(database)),
        models_before=_count_models(database, "before"),
        models_after=_count_models(database, "after"),
    )


def _read_row(database: sqlite3.Connection, query: str, **values: float) -> tuple[int, ...]:
    row: tuple[int, ...] = database.execute(query, values).fetchone()
    return row


def _measure_shift(database: sqlite3.Connection, scored: int) -> Shift | None:
    if not scored:
        return None
    (mean,) = database.execute("SELECT avg(shift) FROM scored").fetchone()
    nearest = "SELECT shift FROM scored ORDER BY shift LIMIT 1 OFFSET ?"
    quantiles = {
        percent: database.execute(nearest, (ceil(scored * percent / 100) - 1,)).fetchone()[0]
        for percent in _QUANTILES
    }
    return Shift(mean, quantiles)


def _count_bars(database: sqlite3.Connection, side: str) -> tuple[int, ...]:
    bars = 100 // HISTOGRAM_STEP
    query = f"SELECT min(CAST({side} / ? AS INTEGER), ?) AS bar, count(*) FROM scored GROUP BY bar"  # noqa: S608
    counts = dict(database.execute(query, (HISTOGRAM_STEP, bars - 1)))
    return tuple(counts.get(bar, 0) for bar in range(bars))


def _find_movers(database: sqlite3.Connection) -> Iterator[Mover]:
    query = (
        "SELECT id, coalesce(source, ''), before, after FROM scored WHERE shift <> 0"
        " ORDER BY abs(shift) DESC, id LIMIT ?"
    )
    return (Mover(*row) for row in database.execute(query, (MOVERS,)))


def _count_models(database: sqlite3.Connection, table: str) -> dict[str, int]:
    query = (
        f"SELECT coalesce(model, ''), count(*) FROM {table}"  # noqa: S608
        " WHERE score IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    return dict(database.execute(query))
