from __future__ import annotations

import io
from dataclasses import replace

import pytest

pytest.importorskip("PIL")

from simulation.campaign import main
from simulation.invariants import InvariantError, check, find_complaints
from simulation.runner import Result, run
from simulation.scenario import Scenario, generate, make_large

from tencent_liveness_async.sandbox import FaultRule, Latency


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_seeded_scenarios(first: int) -> None:
    """Whatever goes wrong, each photo has one outcome, the bounds hold and the bill agrees."""
    for seed in range(first, first + 10):
        check(run(generate(seed)))


def test_the_seeds_have_all_that_can_go_wrong() -> None:
    """The sample has cancelled, dropped, unfinished and shared photos, throttles, and paid lost answers."""
    results = [run(generate(seed)) for seed in range(60)]
    ends = {end for result in results for _, end in result.ends}
    assert ends == {"handed out", "cancelled", "dropped", "unfinished"}
    assert min(
        sum(result.ours.shared for result in results),
        sum(result.ours.throttled for result in results),
        sum(result.sandbox.billed_unanswered for result in results),
        sum(result.scenario.is_undisturbed for result in results),
    )


def test_a_scenario_goes_the_same_way_every_time() -> None:
    """A seed that fails can be run again: every event comes at the same virtual moment."""
    one, other = run(generate(7)), run(generate(7))
    assert one.witness.attempt_times == other.witness.attempt_times
    assert one.ends == other.ends


def test_a_large_run_has_every_outcome() -> None:
    """5,000 photos with faults, cancellations and equal photos keep every rule."""
    result = run(make_large(5000))
    check(result)
    assert result.ours.scored >= 0.95 * 5000


def test_equal_photos_share_calls() -> None:
    """Of equal photos that are in flight together one is sent, and the others get its score."""
    result = run(Scenario(photos=200, duplicates=0.8, rate=100, quota=None))
    check(result)
    assert result.ours.scored == 200
    assert result.ours.attempts == result.ours.billed == 200 - result.ours.shared < 150


def test_a_quota_that_falls_does_not_spend_the_source() -> None:
    """While the quota is low for a while, a stream waits with its photos and refuses none at once."""
    result = run(Scenario(photos=1000, rate=50, quota_changes=((5.0, 2), (40.0, 50))))
    check(result)
    assert result.ours.failed <= 0.05 * 1000


def test_a_probe_does_not_refuse_photos() -> None:
    """The rate between a probe's calls, a few a second for milliseconds, is not taken for the wait."""
    quota_changes = ((80.0, 20), (160.0, 50))
    result = run(
        Scenario(
            photos=9000,
            rate=50,
            quota_offset=0.3,
            quota_changes=quota_changes,
            singles=0.01,
            singles_within=200,
        )
    )
    check(result)
    assert result.ours.failed == 0


def test_an_account_fault_leaves_every_photo_named() -> None:
    """Arrears in the middle of a run: each photo taken is either handed out or named as unfinished."""
    faults = (FaultRule(fault="arrears", after=100),)
    result = run(Scenario(photos=500, latency=Latency.uniform(0.1, 0.9), faults=faults))
    check(result)
    assert {end for _, end in result.ends} == {"handed out", "unfinished"}
    assert result.ours.scored == 100


def break_result(result: Result) -> list[Result]:
    """Return copies of a result, each with one thing wrong."""
    ours, sandbox = result.ours, result.sandbox
    return [
        replace(result, leftovers=["slots: 1"]),
        replace(result, ours=replace(ours, billed=ours.billed + 1)),
        replace(result, ours=replace(ours, attempts=ours.attempts - 1)),
        replace(result, sandbox=replace(sandbox, billed=sandbox.billed + 1)),
        replace(result, sandbox=replace(sandbox, billed_unanswered=1)),
        replace(result, ends=result.ends - type(result.ends)({(3, "handed out"): 1})),
        replace(result, ends=result.ends + result.ends),
        replace(result, asked=bytearray(len(result.asked))),
        replace(result, scenario=replace(result.scenario, max_concurrency=1)),
    ]


def test_each_rule_is_noticed_when_broken() -> None:
    """A result with one thing wrong is complained of, so that the rules are no empty words."""
    result = run(Scenario(photos=20, quota=None))
    assert not list(find_complaints(result))
    for broken in break_result(result):
        with pytest.raises(InvariantError, match="seed 0"):
            check(broken)


def test_attempts_above_the_bound_are_noticed() -> None:
    """The bound of the pace is that of the rate in force, not of the configured one."""
    result = run(Scenario(photos=200, rate=50, quota=None))
    assert not list(find_complaints(result))
    result.witness.rates.append((1.0, 20.0))
    assert any("attempts in the" in complaint for complaint in find_complaints(result))


def test_the_command_reports_progress_and_throughput() -> None:
    """`python tests/simulation` says how many scenarios and photos it has run, and ends with 0."""
    out = io.StringIO()
    assert main(["--scenarios", "2", "--first", "5"], out) == 0
    assert main(["--items", "50"], out) == 0
    assert "2 of 2 scenarios" in out.getvalue()
    assert "50 photos in" in out.getvalue()
