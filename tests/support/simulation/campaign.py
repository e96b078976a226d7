"""The simulations that take too long for the suite: many small scenarios, or a large one."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, TextIO

from .invariants import check
from .runner import run
from .scenario import generate, make_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .scenario import Scenario

_REPORT_EVERY = 100


def main(arguments: Sequence[str], out: TextIO) -> int:
    """Run what the arguments ask for; return 1 if a rule was broken, with the seed on `out`."""
    options = _parse(arguments)
    if options.items:
        return _run_large(options.items, out)
    return _run_campaign(range(options.first, options.first + options.scenarios), out)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/simulation", description=__doc__)
    parser.add_argument("--scenarios", type=int, default=2000, help="how many small ones (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first (default: 0)")
    parser.add_argument("--items", type=int, default=0, help="one large scenario with so many photos instead")
    return parser.parse_args(arguments)


def _run_campaign(seeds: range, out: TextIO) -> int:
    began, photos = time.perf_counter(), 0
    for count, seed in enumerate(seeds, start=1):
        scenario = generate(seed)
        photos += scenario.photos
        if not _holds(scenario, out):
            return 1
        if count % _REPORT_EVERY == 0 or count == len(seeds):
            seconds = time.perf_counter() - began
            out.write(f"{count:,} of {len(seeds):,} scenarios, {photos:,} photos in {seconds:.1f} s\n")
            out.flush()
    return 0


def _run_large(photos: int, out: TextIO) -> int:
    began = time.perf_counter()
    if not _holds(make_large(photos), out):
        return 1
    seconds = time.perf_counter() - began
    out.write(f"{photos:,} photos in {seconds:.1f} s, {photos / seconds:,.0f} a second\n")
    return 0


def _holds(scenario: Scenario, out: TextIO) -> bool:
    """Run a scenario; whatever it breaks is reported with all that it takes to run it again."""
    try:
        result = run(scenario)
        check(result)
    except Exception as error:  # noqa: BLE001 - a simulation that breaks down has failed
        out.write(f"seed {scenario.seed} failed: {type(error).__name__}: {error}\n{scenario}\n")
        return False
    return True
