"""How much of a quota is used and how much is throttled, when the quota is not what was configured."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tencent_liveness_async._flow.quota import QuotaController

from .quota_rules import BotocoreAdaptive, FixedRate, HalveAndAdd, PauseOnThrottle
from .quota_simulation import (
    CHINESE,
    SILENT,
    FixedWindow,
    LeakyBucket,
    Result,
    Rule,
    Scenario,
    Simulation,
    SlidingWindow,
    TokenBucket,
)
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHANGING = ((0.0, 50), (80.0, 20), (160.0, 50))
SCENARIOS = (
    Scenario("1 configured 100, quota 50", 100, ((0.0, 50),)),
    Scenario("2 both 50, others take 20", 50, ((0.0, 50),), others=20),
    Scenario("3 configured 50, quota 50, 20, 50", 50, CHANGING),
    Scenario("3 configured 45, quota 50, 20, 50", 45, CHANGING),
    Scenario("4 configured 45, quota 50", 45, ((0.0, 50),)),
)
OFFSET = partial(FixedWindow, 0.37)
JITTER = 0.02
VARIANTS: dict[str, Callable[[Scenario], Scenario]] = {
    "whole seconds": replace,
    "offset 0.37 s": partial(replace, window=OFFSET),
    "sliding": partial(replace, window=SlidingWindow),
    "whole seconds, jitter": partial(replace, jitter=JITTER),
    "offset, jitter": partial(replace, window=OFFSET, jitter=JITTER),
    "sliding, jitter": partial(replace, window=SlidingWindow, jitter=JITTER),
    "Chinese": partial(replace, message=CHINESE),
    "no numbers": partial(replace, message=SILENT),
    "no numbers, offset": partial(replace, message=SILENT, window=OFFSET),
    "no numbers, sliding": partial(replace, message=SILENT, window=SlidingWindow),
}
OURS = "ours"
RULES: dict[str, tuple[Callable[[float], Rule], type[LeakyBucket | TokenBucket]]] = {
    OURS: (QuotaController, LeakyBucket),
    "fixed rate": (FixedRate, LeakyBucket),
    "pause 1 s": (PauseOnThrottle, LeakyBucket),
    "AIMD": (HalveAndAdd, LeakyBucket),
    "botocore": (BotocoreAdaptive, TokenBucket),
}
SEEDS = (1, 2, 3)
"""For ours, where chance has a say; the worst is shown."""


def simulate(name: str, scenario: Scenario, seed: int = 1) -> Result:
    """Run one rule through one scenario."""
    rule, bucket = RULES[name]
    return Simulation(scenario, rule(scenario.configured), bucket(), seed=seed).run()


def simulate_ours(scenario: Scenario) -> tuple[float, float]:
    """Return the least used and the most throttled, in percent, over the seeds."""
    seeds = SEEDS if scenario.jitter else SEEDS[:1]
    results = [simulate(OURS, scenario, seed) for seed in seeds]
    return min(each.used_percent for each in results), max(each.throttled_percent for each in results)


def list_rows() -> Iterator[tuple[str, Scenario]]:
    """Go through every scenario in every variant, by variant."""
    for variant, change in VARIANTS.items():
        for scenario in SCENARIOS:
            yield variant, change(scenario)


def find_bounds(scenario: Scenario) -> tuple[float, float]:
    """Return the least percent used and the most percent throttled, infinite where nothing is asked."""
    if scenario.message == SILENT:
        return 90, math.inf
    return (90 if scenario.limits == CHANGING else 95), 1


def check() -> None:
    """Simulate ours only and end with a message if a bound is broken; writes nothing."""
    broken = []
    for variant, scenario in list_rows():
        used, throttled = simulate_ours(scenario)
        least, most = find_bounds(scenario)
        if used < least or throttled > most:
            broken.append(f"{scenario.name}, {variant}: {used:.1f} % used, {throttled:.2f} % throttled")
    if broken:
        sys.exit("\n".join(broken))


def main() -> None:
    """Print every rule beside ours, in percent used / percent throttled, and check the bounds of ours."""
    report = Report("quota", "% of the available calls that were answered / % of attempts throttled, 240 s")
    report.add_line("simulated, 0.5 s latency, always work to do; over 100 % is taken from the others")
    table = []
    worst: dict[tuple[str, float, float], tuple[float, float]] = {}
    for variant, scenario in list_rows():
        used, throttled = simulate_ours(scenario)
        peers = (simulate(name, scenario) for name in RULES if name != OURS)
        cells = [(used, throttled), *((peer.used_percent, peer.throttled_percent) for peer in peers)]
        table.append([f"{scenario.name}; {variant}", *(f"{a:.1f} / {b:.2f}" for a, b in cells)])
        report.note(f"{table[-1][0]}: used", "%", [used])
        report.note(f"{table[-1][0]}: throttled", "%", [throttled])
        kind = "no numbers" if scenario.message == SILENT else "with numbers"
        key = (f"{scenario.name}, {kind}", *find_bounds(scenario))
        least, most = worst.get(key, (used, throttled))
        worst[key] = min(least, used), max(most, throttled)
    report.add_table(["scenario; window and message", *RULES], table)
    for (name, least, most), (used, throttled) in worst.items():
        report.check(f"{name}: least used", [used], least, unit="%", is_least=True)
        if most < math.inf:
            report.check(f"{name}: most throttled", [throttled], most, unit="%")
    report.write()
