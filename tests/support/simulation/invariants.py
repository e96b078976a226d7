"""What holds after every simulation, whatever has gone wrong in it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .runner import End, Result
    from .witness import Witness

WINDOWS = (0.1, 1.0, 5.0)
"""Seconds in which the attempts are counted."""
ENDS: tuple[End, ...] = ("handed out", "unfinished", "cancelled", "dropped")
_ROUNDING = 1e-6


class InvariantError(AssertionError):
    """A simulation has broken a rule. The message names the scenario and all that is wrong."""


def check(result: Result) -> None:
    """Check everything.

    Raises:
        InvariantError: Something is wrong.
    """
    complaints = [*result.witness.complaints, *find_complaints(result)]
    if complaints:
        lines = "\n  ".join(complaints[:30])
        raise InvariantError(f"seed {result.scenario.seed}: {len(complaints)} complaints\n  {lines}")


def find_complaints(result: Result) -> Iterator[str]:
    """Yield whatever is wrong with a finished simulation."""
    yield from (f"left after closing: {leftover}" for leftover in result.leftovers)
    yield from _check_photos(result)
    yield from _check_pace(result.witness)
    yield from _check_counts(result)
    yield from _check_bill(result)
    yield from _check_undisturbed(result)


def _check_photos(result: Result) -> Iterator[str]:
    """One outcome for each photo: none is lost, none comes twice, and no paid one is without a witness."""
    scenario, witness = result.scenario, result.witness
    may_be_left = scenario.leave_at is not None or scenario.close_at is not None
    for number, is_asked in enumerate(result.asked):
        ends = [end for end in ENDS if result.ends[number, end]]
        count = sum(result.ends[number, end] for end in ENDS)
        reached, started = witness.reached[number], witness.started[number]
        name = f"photo {number} ({started} attempts, {reached} outcomes, ends {ends})"
        is_left = may_be_left and number not in result.singles
        if count > 1 or (not count and is_asked and not is_left):
            yield f"{name} has {count} ends in place of one"
        if reached > 1:
            yield f"{name} has more than one outcome"
        if (started or ends == ["handed out"]) and not reached:
            yield f"{name} was sent or handed out without the event of its outcome"
        if ends == ["dropped"] and (started or scenario.close_at is None):
            yield f"{name} was dropped"
        if not is_asked and (started or reached or count):
            yield f"{name} was never asked for"


def _check_pace(witness: Witness) -> Iterator[str]:
    """No window holds more attempts than the bucket of the highest rate in force in it lets through."""
    times = witness.attempt_times
    for window in WINDOWS:
        for index, count in enumerate(_count_windows(times, window)):
            begin = times[index]
            if count <= _find_bound(witness, begin, begin, window):
                continue
            bound = _find_bound(witness, begin, begin + window, window)
            if count > bound:
                yield f"{count} attempts in the {window} s from {begin:.6f} on; the bound is {bound:.2f}"
                break


def _count_windows(times: Sequence[float], window: float) -> Iterator[int]:
    """Yield, for each attempt, how many began in the window that it opens, the end not included."""
    end = 0
    for index, begin in enumerate(times):
        while end < len(times) and times[end] < begin + window - _ROUNDING:
            end += 1
        yield end - index


def _find_bound(witness: Witness, begin: float, end: float, window: float) -> float:
    rates = witness.rates
    first = bisect_left(rates, (begin - _ROUNDING, 0.0)) - 1
    last = bisect_right(rates, (end, float("inf")))
    highest = max(rate for _, rate in rates[max(0, first) : last])
    return highest * window + 1 + 0.02 * highest + _ROUNDING


def _check_counts(result: Result) -> Iterator[str]:
    witness, ours, scenario = result.witness, result.ours, result.scenario
    if witness.most_in_flight > scenario.max_concurrency:
        yield f"{witness.most_in_flight} attempts in flight; the most is {scenario.max_concurrency}"
    pairs = {
        "attempts (events, statistics)": (sum(witness.started), ours.attempts),
        "outcomes (events, statistics)": (sum(witness.reached), ours.scored + ours.failed),
        "scored (events, statistics)": (witness.scored, ours.scored),
        "shared (events, statistics)": (witness.shared, ours.shared),
        "throttled (events, statistics)": (witness.throttled, ours.throttled),
        "billed (events, statistics)": (witness.billed, ours.billed),
        "maybe billed (outcomes, statistics)": (witness.maybe_billed, ours.maybe_billed),
    }
    yield from _compare(pairs)


def _check_bill(result: Result) -> Iterator[str]:
    """The service's books agree with ours; exact as long as the sandbox sees every call and every end."""
    ours, sandbox = result.ours, result.sandbox
    if result.scenario.network:
        return
    yield from _compare(
        {
            "calls (ours, the sandbox's)": (ours.attempts, sandbox.calls),
            "billed and answered (ours, the sandbox's)": (
                ours.billed,
                sandbox.billed - sandbox.billed_unanswered,
            ),
        }
    )
    if sandbox.billed_unanswered > ours.maybe_billed:
        yield f"{sandbox.billed_unanswered} billed without an answer; we report {ours.maybe_billed}"
    if ours.throttled > sandbox.throttled:
        yield f"{ours.throttled} throttles; the sandbox made {sandbox.throttled}"


def _check_undisturbed(result: Result) -> Iterator[str]:
    scored = result.ours.scored
    if result.scenario.is_undisturbed and scored != result.scenario.photos:
        yield f"{scored} of {result.scenario.photos} photos scored, and nothing was in the way"


def _compare(pairs: dict[str, tuple[int, int]]) -> Iterator[str]:
    yield from (f"{name}: {one} and {other}" for name, (one, other) in pairs.items() if one != other)
