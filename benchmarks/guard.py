"""The guard against regressions: a ratio within one run, never seconds, so that it holds on any machine."""

from __future__ import annotations

import statistics
import sys

from .jobs import Job, JobError, run_rounds
from .peers import OFFICIAL, OURS
from .report import divide, pick, show
from .stub import run_stub

BOUND = 1 / 4
"""Looser than the bound of `small_calls`, which is 1/5: a guard must not fail for noise."""
IN_FLIGHT = 128
ROUNDS = 3
TRIES = 3


def main() -> None:
    """Compare this client's CPU a small call with the official SDK's; end with 1 if no try holds."""
    with run_stub() as stub:
        for _ in range(TRIES):
            measured = run_rounds({peer: Job(peer, IN_FLIGHT) for peer in (OURS, OFFICIAL)}, stub, ROUNDS)
            if len(measured) < 2:
                raise JobError("a peer could not be measured")
            ratios = divide(pick(measured[OURS], "cpu_us"), pick(measured[OFFICIAL], "cpu_us"))
            print(
                f"CPU a small call at {IN_FLIGHT} in flight, {OURS} / {OFFICIAL}: {show(ratios)}", flush=True
            )
            if statistics.median(ratios) <= BOUND:
                return
    sys.exit(f"the ratio is over {BOUND} in {TRIES} tries")
