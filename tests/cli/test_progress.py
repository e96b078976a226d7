from __future__ import annotations

import io
import threading

import pytest

from tencent_liveness_async.cli import Context
from tencent_liveness_async.cli._progress import Progress, Standing

PATIENCE = 10.0


class _Watched(io.StringIO):
    """A stream that tells when something was written to it."""

    def __init__(self, awaited: str) -> None:
        super().__init__()
        self._awaited = awaited
        self.has_it = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._awaited in self.getvalue():
            self.has_it.set()
        return written


class _Run:
    """A run whose standing, total and time are set by the test."""

    def __init__(self, *, total: int | None = None) -> None:
        self.now = 0.0
        self.standing = Standing(0, 0, 0)
        self.total = total

    def make_progress(self, stderr: io.StringIO, *, is_terminal: bool = False, **variables: str) -> Progress:
        return Progress(
            Context(io.StringIO(), io.StringIO(), stderr, variables, is_stderr_terminal=is_terminal),
            read=lambda: self.standing,
            count=lambda is_stopped: self.total,
            interval=0.001,
            clock=lambda: self.now,
        )


def test_line_has_the_rate_of_the_last_seconds() -> None:
    """The rate is the one of the last five seconds, not of the whole run."""
    run = _Run()
    progress = run.make_progress(io.StringIO())
    rates = []
    for second, done in enumerate([0, 100, 200, 300, 400, 500, 600, 600, 600, 600, 600, 600, 600]):
        run.now, run.standing = float(second), Standing(done, 0, 3)
        rates.append(progress.describe().split(" · ")[3])
    assert rates[1] == "100.0/s"
    assert rates[6] == "100.0/s"
    assert rates[-1] == "0.0/s"


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (
            None,
            "12,345/100,000 · 12,001 scored · 344 refused/failed · 45.0/s · 12 in flight · 4:34 · 32:25 left",
        ),
        (90, "12,345/100,000 · 12,001 scored · 344 refused/failed · 45.0/s · 12 in flight · 4:34"),
        (80, "12,345/100,000 · 12,001 scored · 344 refused/failed · 45.0/s · 4:34"),
        (60, "12,345/100,000 · 344 refused/failed · 45.0/s · 4:34"),
    ],
)
def test_line_fits_its_terminal(width: int | None, line: str) -> None:
    """A narrow terminal gets the parts that matter most."""
    run = _Run(total=100_000)
    with run.make_progress(_Watched("")) as progress:
        pass
    run.now, run.standing = 270.0, Standing(11821, 344, 12)
    progress.describe()
    run.now, run.standing = 274.0, Standing(12001, 344, 12)
    assert progress.describe(width) == line


def test_narrow_line_without_a_total_has_no_time_left() -> None:
    """What is not known is not shown, and not missed when there is little room."""
    run = _Run()
    progress = run.make_progress(io.StringIO())
    run.now, run.standing = 3661.0, Standing(5, 0, 0)
    assert progress.describe(10) == "5 · 0 refused/failed · 0.0/s · 1:01:01"


def test_elsewhere_there_is_a_line_now_and_then() -> None:
    """Without a terminal the progress is written as lines."""
    stderr = _Watched("5 scored")
    run = _Run()
    run.standing = Standing(5, 2, 1)
    with run.make_progress(stderr) as progress:
        assert stderr.has_it.wait(PATIENCE)
        progress.say("stopping")
    lines = set(stderr.getvalue().splitlines())
    assert "tencent-liveness: 7 · 5 scored · 2 refused/failed · 0.0/s · 1 in flight · 0:00" in lines
    assert "tencent-liveness: stopping" in lines


def test_dumb_terminal_gets_lines() -> None:
    """A terminal that cannot move its cursor gets lines."""
    stderr = _Watched("0 scored")
    with _Run().make_progress(stderr, is_terminal=True, TERM="dumb"):
        assert stderr.has_it.wait(PATIENCE)
    assert "\x1b" not in stderr.getvalue()


def test_terminal_has_a_live_line_that_leaves_no_trace() -> None:
    """On a terminal one line is renewed, other lines stand above it, and it is gone at the end."""
    stderr = _Watched("7 · 5 scored")
    run = _Run()
    run.standing = Standing(5, 2, 1)
    with run.make_progress(stderr, is_terminal=True, COLUMNS="80") as progress:
        assert stderr.has_it.wait(PATIENCE)
        progress.say("stopping")
    assert "tencent-liveness: stopping\n" in stderr.getvalue()
    assert stderr.getvalue().endswith("\x1b[1A\x1b[2K")


def test_first_line_has_the_rate_so_far() -> None:
    """The first line counts from the run's beginning."""
    run = _Run()
    progress = run.make_progress(io.StringIO())
    run.now, run.standing = 10.0, Standing(450, 0, 0)
    assert " 45.0/s " in progress.describe()


def test_idle_seconds_do_not_make_the_end_far() -> None:
    """The time left comes from the whole run, so that a pause does not multiply it."""
    run = _Run(total=200)
    with run.make_progress(_Watched("")) as progress:
        pass
    lines = []
    for second, done in [(10.0, 100), (16.0, 100), (20.0, 101)]:
        run.now, run.standing = second, Standing(done, 0, 0)
        lines.append(progress.describe())
    assert lines[-1].endswith("0:20 · 0:19 left")


def test_stopping_run_has_no_time_left() -> None:
    """A run that is being stopped says so, instead of when it would have ended."""
    run = _Run(total=200)
    with run.make_progress(_Watched("")) as progress:
        pass
    run.now, run.standing = 10.0, Standing(100, 0, 3, is_stopping=True)
    line = progress.describe()
    assert line.startswith("stopping: 100/200 · ")
    assert "left" not in line


def test_live_line_makes_room() -> None:
    """The live line is gone while something else is written to the terminal, and comes back after it."""
    stderr = _Watched("7 · 5 scored")
    run = _Run()
    run.standing = Standing(5, 2, 1)
    with run.make_progress(stderr, is_terminal=True, COLUMNS="80") as progress:
        assert stderr.has_it.wait(PATIENCE)
        with progress.pause():
            assert stderr.getvalue().endswith("\x1b[1A\x1b[2K")
            stderr.write("table\n")
    assert stderr.getvalue().endswith("\x1b[1A\x1b[2K")
    with _Run().make_progress(io.StringIO()) as progress, progress.pause():
        pass


def test_no_thread_is_left() -> None:
    """The threads that count and show end with the block."""
    with _Run(total=3).make_progress(io.StringIO()):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("progress")]
