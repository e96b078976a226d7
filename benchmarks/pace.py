"""How well the client keeps its rate: the share of it that is used, and the most attempts in any second."""

from __future__ import annotations

from .jobs import Job, run_rounds
from .peers import OURS
from .report import Report, pick
from .stub import run_stub

ROUNDS = 1
RATES = {45: 8, 200: 3}
"""Calls per second, and for how many seconds."""


def main() -> None:
    """Run in real time, because timers that fire late are part of the question."""
    report = Report("pace", f"attempts as the client begins them, {ROUNDS} run")
    jobs = {rate: Job(OURS, 64, "pace", rate=rate, calls=rate * seconds) for rate, seconds in RATES.items()}
    with run_stub() as stub:
        measured = run_rounds(jobs, stub, ROUNDS)
    for rate, runs in measured.items():
        share, worst = pick(runs, "share_percent"), pick(runs, "worst_second")
        report.check(f"share of {rate} calls/s that is used", share, 99, unit="%", is_least=True)
        report.check(f"attempts in the worst second at {rate} calls/s", worst, int(rate + 1 + 0.02 * rate))
    report.write()
