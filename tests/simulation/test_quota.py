from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

pytest.importorskip("PIL")

from simulation.invariants import check
from simulation.runner import run
from simulation.scenario import Scenario

pytestmark = pytest.mark.campaign
SECONDS = 240.0
QUOTAS = {
    "configured 100, true 50": (Scenario(rate=100, quota=50), 50 * 240, 0.95),
    "configured 50, others 20": (Scenario(rate=50, quota=50, other_calls=20), 30 * 240, 0.95),
    "50, then 20, then 50": (
        Scenario(rate=50, quota=50, quota_changes=((80.0, 20), (160.0, 50))),
        (50 + 20 + 50) * 80,
        0.9,
    ),
    "configured 45, true 50": (Scenario(rate=45, quota=50), 45 * 240, 0.95),
}


@pytest.mark.parametrize("network", [0.0, 0.02])
@pytest.mark.parametrize("window", ["fixed", "sliding"])
@pytest.mark.parametrize("name", QUOTAS)
def test_the_quota_is_used_and_not_exceeded(
    name: str, window: Literal["fixed", "sliding"], network: float
) -> None:
    """A client that always has work uses what the quota leaves it and is hardly ever throttled."""
    scenario, available, least = QUOTAS[name]
    result = run(with_work(scenario, window, network))
    check(result)
    witness = result.witness
    assert not all(result.asked)
    assert witness.answered >= least * available
    assert witness.throttled <= 0.01 * sum(witness.started)


def with_work(scenario: Scenario, window: Literal["fixed", "sliding"], network: float) -> Scenario:
    """Return a scenario whose stream has more photos than can be sent until it is cut."""
    return replace(
        scenario,
        photos=13_000,
        quota_window=window,
        quota_offset=0.3,
        network=network,
        leave_at=SECONDS,
        leave_by="cancel",
    )
