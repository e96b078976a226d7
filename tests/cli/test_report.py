from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async import (
    DeadlineExceededError,
    Failed,
    LivenessError,
    LivenessScore,
    NotSentError,
    Photo,
    PhotoError,
    PhotoRefusedError,
    PhotoRejectedError,
    PhotoUnreadableError,
    Scored,
    Statistics,
    Timings,
)
from tencent_liveness_async._errors import make_api_error
from tencent_liveness_async.cli import Context
from tencent_liveness_async.cli._sources import FolderNotes
from tencent_liveness_async.cli._tally import MAX_ROWS, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tencent_liveness_async import Outcome


def _score(name: str, score: float = 88.123) -> Scored:
    return Scored(Photo(path=Path(name)), LivenessScore(score, "3.0", "r"), 1, 0, Timings())


def _fail(name: str, error: LivenessError) -> Failed:
    return Failed(Photo(path=Path(name)), error, 1, 0, Timings())


def _reject(name: str) -> Failed:
    return _fail(name, PhotoRejectedError(f"{name} is empty", rule="empty", value=0, limit=1))


def _tally(outcomes: Sequence[Outcome]) -> Tally:
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    return tally


def _print_rows(
    outcomes: Sequence[Outcome], *, columns: int = 100, is_terminal: bool = False, **variables: str
) -> str:
    from tencent_liveness_async.cli._report import TablePrinter

    stdout = io.StringIO()
    environment = {"COLUMNS": str(columns), **variables}
    context = Context(io.StringIO(), stdout, io.StringIO(), environment, is_stdout_terminal=is_terminal)
    printer = TablePrinter(context.open_stdout())
    for outcome in outcomes:
        printer.write(outcome)
    printer.finish()
    return stdout.getvalue()


def _print_summary(tally: Tally, statistics: Statistics, notes: FolderNotes, found: int) -> list[str]:
    from tencent_liveness_async.cli._report import Summary, print_summary

    stdout = io.StringIO()
    context = Context(io.StringIO(), stdout, io.StringIO(), {})
    print_summary(context.open_stdout(), Summary(tally, statistics, notes, found, 40.0, 61.26))
    return [line.rstrip() for line in stdout.getvalue().splitlines()]


def test_photos_are_shown_by_name() -> None:
    """A table has a line for each photo, in the order of names."""
    lines = _print_rows([_score("b.jpg", 39.996), _score("a.jpg", 40.0)]).splitlines()
    assert [line.split() for line in lines[1:3]] == [["a.jpg", "40.00", "yes"], ["b.jpg", "40.00", "no"]]
    assert lines[0].split() == ["photo", "score", "live", "reason"]


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (PhotoRejectedError("a.jpg is empty", rule="empty", value=0, limit=1), "empty: is empty"),
        (PhotoUnreadableError("a.jpg cannot be read: Is a directory"), "unreadable: cannot be read: Is a"),
        (
            make_api_error("InvalidParameterValue.NoFaceInPhoto", "x"),
            "InvalidParameterValue.NoFaceInPhoto: No face was found",
        ),
        (make_api_error("Novelty", "the service's own\x1b words"), "Novelty: the service's own\ufffd words"),
        (NotSentError("no connection"), "NotSentError: no connection"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_reason_is_one_line_with_its_code(error: LivenessError, shown: str) -> None:
    """A photo without a score says why: the code, the broken limit or the error's class, and a sentence."""
    row = _print_rows([_fail("a.jpg", error)], columns=160).splitlines()[1]
    assert row.startswith("a.jpg")
    assert shown in row


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_table_fits_the_terminal(columns: int) -> None:
    """No line is wider than the terminal, and the end of a long path is what stays."""
    outcomes: list[Outcome] = [_reject(f"{'folder/' * 30}照片.jpg"), _score("a.jpg")]
    lines = _print_rows(outcomes, columns=columns, is_terminal=True, NO_COLOR="1").splitlines()
    from rich.cells import cell_len
    from rich.text import Text

    lines = [Text.from_ansi(line).plain for line in lines]
    assert max(map(cell_len, lines)) <= columns
    shortened = next(line for line in lines if line.startswith("…"))
    assert "照片.jpg" in shortened


def test_tally_counts() -> None:
    """Photos are counted and not kept."""
    tally = _tally([_reject("f.jpg")] * 500 + [_score("s.jpg")] * 500)
    assert (tally.done, tally.scored, tally.rejected) == (1000, 500, 500)


def test_terminal_has_colours_unless_they_are_not_wanted() -> None:
    """NO_COLOR turns colours off on a terminal, and there are none elsewhere."""
    outcomes: list[Outcome] = [_score("a.jpg"), _reject("b.jpg")]
    green, red = "\x1b[32m", "\x1b[31m"
    coloured = _print_rows(outcomes, is_terminal=True)
    plain = _print_rows(outcomes, is_terminal=True, NO_COLOR="1")
    assert green in coloured
    assert red in coloured
    assert green not in plain
    assert red not in plain
    assert "\x1b" not in _print_rows(outcomes)


def test_unanswered_photos_are_counted() -> None:
    """A photo counts as unanswered also if its deadline ended the tries to reach the service."""
    late = DeadlineExceededError("a.jpg got no score within 1 s")
    late.__cause__ = NotSentError("no connection")
    tally = _tally([_fail("a.jpg", late), _fail("b.jpg", NotSentError("no connection"))])
    assert (tally.failed, tally.unanswered) == (2, 2)


def test_sums_are_complete() -> None:
    """The summary has the photos, the refusals, the failures, the attempts and the time."""
    tally = _tally([_score("a.jpg"), _score("b.jpg", 1.0), _reject("c.jpg")])
    statistics = Statistics(attempts=1234, billed=1000, maybe_billed=4, throttled=30)
    assert _print_summary(tally, statistics, FolderNotes(), 3) == [
        "photos    3 found, 2 scored, 1 live at 40",
        "refused   1 before sending, 0 by the service",
        "failed    0",
        "attempts  1,234: 1,000 billed, 4 maybe billed, 30 throttled",
        "seconds   61.3",
    ]


def test_sums_tell_what_was_left_out() -> None:
    """The summary tells of photos without an outcome, other files and unreadable folders if there are any."""
    lines = _print_summary(_tally([]), Statistics(), FolderNotes(skipped=1200, unreadable=1), 7)
    assert lines[0] == "photos      7 taken, 0 scored, 0 live at 40"
    assert "left        7 without an outcome" in lines
    assert "skipped     1,200 in folders that are no pictures by their suffix" in lines
    assert "unreadable  0 files, 1 folder" in lines


def test_unreadable_files_have_their_own_place() -> None:
    """A file that cannot be read is not counted as refused."""
    lines = _print_summary(
        _tally([_fail("a.jpg", PhotoUnreadableError("gone")), _reject("b.jpg")]),
        Statistics(),
        FolderNotes(),
        2,
    )
    assert "refused     1 before sending, 0 by the service" in lines
    assert "unreadable  1 file" in lines


def test_refusal_of_the_service_is_no_refusal_before_sending() -> None:
    """A photo that the service refused was sent, whatever other classes its error belongs to."""

    class BothError(PhotoRefusedError, PhotoError):
        pass

    error = BothError("InvalidParameterValue.X", "x", request_id="r", is_billed=False)
    tally = _tally([_fail("a.jpg", error), _fail("b.jpg", make_api_error("InvalidParameterValue.Y", "y"))])
    assert (tally.refused, tally.rejected) == (2, 0)


def _print_blocks(count: int, *, columns: int = 100, is_terminal: bool = False) -> tuple[str, list[int]]:
    from tencent_liveness_async.cli._report import TablePrinter

    stdout = io.StringIO()
    context = Context(
        io.StringIO(), stdout, io.StringIO(), {"COLUMNS": str(columns)}, is_stdout_terminal=is_terminal
    )
    printer = TablePrinter(context.open_stdout())
    lengths = []
    for number in range(count):
        printer.write(_score(f"{number:04}.jpg"))
        lengths.append(stdout.getvalue().count("\n"))
    printer.finish()
    assert printer.written == count
    return stdout.getvalue(), lengths


def test_every_score_is_printed_in_blocks() -> None:
    """A run of any length prints every photo, fifty at a time, under one header."""
    text, lengths = _print_blocks(2 * MAX_ROWS + 3)
    lines = text.splitlines()
    assert len(lines) == 2 * MAX_ROWS + 4
    assert text.count("score") == 1
    assert {line.index("yes") for line in lines[1:]} == {lines[0].index("live")}
    assert (lengths[MAX_ROWS - 2], lengths[MAX_ROWS - 1]) == (0, MAX_ROWS + 1)


def test_nothing_reached_prints_nothing() -> None:
    """A run without outcomes has no header."""
    assert _print_blocks(0)[0] == ""


def test_pipe_gets_whole_lines_without_trailing_blanks() -> None:
    """In a pipe a photo is one line, its name is whole, and no line ends in blanks."""
    name = f"{'folder/' * 30}照片.jpg"
    text = _print_rows([_reject(name), _score("a.jpg")], columns=60)
    assert len(text.splitlines()) == 3
    assert name in text
    assert not [line for line in text.splitlines() if line.endswith(" ")]
