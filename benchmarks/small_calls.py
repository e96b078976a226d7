"""What a small call costs: CPU of the whole process for a signed call that names a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ceiling import Ceiling, measure_ceiling
from .jobs import Job, run_rounds
from .peers import OFFICIAL, OURS, OURS_FAST, PEERS
from .report import Report, divide, pick, show
from .stub import run_stub

if TYPE_CHECKING:
    from .jobs import Figures

LEVELS = (16, 128, 512)
ROUNDS = {"http": 3, "https": 2}
SLOW = (("httpx", 128), ("httpx", 512), (OFFICIAL, 512))
"""httpcore's pool scans all connections and all waiting requests again and again, so that these take many
seconds to settle. They have one run each, whose figure varies by a factor of four: not to be quoted.
"""

Measured = dict[tuple[str, int], list["Figures"]]


def _make_jobs(levels: tuple[int, ...]) -> dict[tuple[str, int], Job]:
    return {
        (peer, level): Job(peer, level, seconds=1.5 if (peer, level) in SLOW else 0.5)
        for level in levels
        for peer in PEERS
    }


def measure_small_calls(*, is_tls: bool, levels: tuple[int, ...], rounds: int) -> tuple[Measured, Ceiling]:
    """Return the figures of all peers at all levels, and the stub's ceiling."""
    jobs = _make_jobs(levels)
    slow = {key: jobs.pop(key) for key in SLOW if key in jobs}
    with run_stub(is_tls=is_tls) as stub:
        ceiling = measure_ceiling(stub)
        measured = run_rounds(jobs, stub, rounds)
        return measured | run_rounds(slow, stub, 1), ceiling


def _tell(report: Report, scheme: str, measured: Measured, levels: tuple[int, ...], ceiling: Ceiling) -> None:
    heads = [f"{scheme}, us of CPU a call", *(f"{level} in flight" for level in levels), "calls/s at most"]
    rows = []
    for peer in PEERS:
        cells = [measured.get((peer, level), []) for level in levels]
        rates = [rate for runs in cells for rate in pick(runs, "calls_per_second")]
        shown = [show(pick(runs, "cpu_us")) if runs else "-" for runs in cells]
        rows.append([peer, *shown, f"{max(rates):.0f}" if rates else "-"])
        for level, runs in zip(levels, cells, strict=True):
            report.note(f"{scheme}, {peer}, {level} in flight, CPU a call", "us", pick(runs, "cpu_us"))
    report.add_table(heads, rows)
    rate, fastest = max(
        (rate, peer) for (peer, _), runs in measured.items() for rate in pick(runs, "calls_per_second")
    )
    report.add_line("a figure without a spread has one run, is not settled, and is not to be quoted")
    report.add_line(ceiling.describe(fastest, rate))


def _check(report: Report, scheme: str, measured: Measured, levels: tuple[int, ...]) -> None:
    for peer, bound in ((OURS, 1 / 5), (OURS_FAST, 1 / 8)):
        ratios = divide(_cpu(measured, peer, 128), _cpu(measured, OFFICIAL, 128))
        report.check(f"{scheme}: CPU a small call at 128 in flight, {peer} / {OFFICIAL}", ratios, bound)
        if len(levels) > 1:
            ratios = divide(_cpu(measured, peer, 512), _cpu(measured, peer, 16))
            report.check(f"{scheme}: CPU a small call, {peer}, at 512 / at 16 in flight", ratios, 1.3)


def _cpu(measured: Measured, peer: str, level: int) -> tuple[float, ...]:
    return pick(measured.get((peer, level), []), "cpu_us")


def main() -> None:
    """Measure over HTTP at all levels, and over HTTPS at 128 in flight."""
    report = Report("small-calls", "signed URL calls, a fresh process each, interleaved rounds")
    for scheme, levels in (("http", LEVELS), ("https", (128,))):
        measured, ceiling = measure_small_calls(
            is_tls=scheme == "https", levels=levels, rounds=ROUNDS[scheme]
        )
        _tell(report, scheme, measured, levels, ceiling)
        _check(report, scheme, measured, levels)
    report.write()
