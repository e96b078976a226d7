from __future__ import annotations

import math
from random import Random

import pytest
from fake_calls import FakeCall, make_scheduler
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual

from tencent_liveness_async._error_codes import CODE_RULES, Handling
from tencent_liveness_async._errors import (
    ConfigurationError,
    DeadlineExceededError,
    LivenessError,
    MalformedResponseError,
    NotSentError,
    OutcomeUnknownError,
    PhotoRejectedError,
    ServiceUnreachableError,
    StaleConnectionError,
    make_api_error,
)
from tencent_liveness_async._flow.retry import (
    THROTTLE_WINDOW,
    RetryBudget,
    RetryClass,
    RetryPolicy,
    RetryState,
    classify,
)

INTERNAL = make_api_error("InternalError", "")
THROTTLED = make_api_error("RequestLimitExceeded", "")
UNKNOWN = OutcomeUnknownError("read timeout")
UNREACHABLE = ServiceUnreachableError("refused", failed=20, calls=20, retry_after=1.0)


def count_retries(error: LivenessError, policy: RetryPolicy | None = None, most: int = 50) -> int:
    """Return how often the same error is tried again."""
    state = RetryState(policy or RetryPolicy(), Random(1))
    return next((number for number in range(most) if state.next_wait(error) is None), most)


@pytest.mark.parametrize("code", sorted(CODE_RULES))
def test_every_code_is_retried_as_often_as_its_rule_says(code: str) -> None:
    """An error code is tried again as often as its rule says; throttles without an end."""
    rule = CODE_RULES[code]
    expected = 50 if rule.max_retries is None else rule.max_retries
    assert count_retries(make_api_error(code, "")) == expected
    assert (rule.handling is Handling.THROTTLE) == (expected == 50)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotSentError("refused"), 4),
        (OutcomeUnknownError("read timeout"), 1),
        (MalformedResponseError("html", status=502), 1),
        (PhotoRejectedError("too big", rule="long_side", value=1, limit=1), 0),
        (DeadlineExceededError("late"), 0),
        (UNREACHABLE, 0),
    ],
)
def test_faults_are_retried_by_what_they_may_have_cost(error: LivenessError, expected: int) -> None:
    """What was not sent is tried four times more, what may be billed once, the rest never."""
    assert count_retries(error) == expected


def test_a_stale_connection_is_retried_once_for_free() -> None:
    """The first stale connection is tried again at once and does not use up a retry."""
    state = RetryState(RetryPolicy(max_maybe_billed=1), Random(1))
    assert state.next_wait(StaleConnectionError("closed")) == 0
    assert state.next_wait(StaleConnectionError("closed")) is not None
    assert state.next_wait(StaleConnectionError("closed")) is None


def test_never_paying_twice_can_be_chosen() -> None:
    """With max_maybe_billed=0 an attempt whose outcome is unknown is not followed by another."""
    assert count_retries(OutcomeUnknownError("reset"), RetryPolicy(max_maybe_billed=0)) == 0
    assert count_retries(StaleConnectionError("closed"), RetryPolicy(max_maybe_billed=0)) == 0


def test_classes_are_counted_apart() -> None:
    """Retries of one class leave those of the others."""
    state = RetryState(RetryPolicy(), Random(1))
    for _ in range(4):
        assert state.next_wait(NotSentError("refused")) is not None
    assert state.next_wait(NotSentError("refused")) is None
    assert state.next_wait(OutcomeUnknownError("reset")) is not None
    assert state.next_wait(make_api_error("InternalError", "")) is not None


@given(seed=st.integers(), initial=st.floats(0, 10), factor=st.floats(1, 100))
def test_waits_are_full_jitter_below_a_doubling_bound(seed: int, initial: float, factor: float) -> None:
    """The nth wait is random between 0 and wait_initial x 2^n, and never over wait_max."""
    policy = RetryPolicy(wait_initial=initial, wait_max=initial * factor, max_not_sent=6)
    state = RetryState(policy, Random(seed))
    for number in range(6):
        wait = state.next_wait(NotSentError("refused"))
        assert wait is not None
        assert 0 <= wait <= min(policy.wait_max, initial * 2**number)


def test_throttled_photos_come_back_spread_over_the_window() -> None:
    """A throttled photo waits anywhere within the service's window of one second."""
    state = RetryState(RetryPolicy(), Random(1))
    waits = [state.next_wait(make_api_error("RequestLimitExceeded", "")) for _ in range(200)]
    known = [wait for wait in waits if wait is not None]
    assert len(known) == 200
    assert min(known) < 0.1 * THROTTLE_WINDOW
    assert 0.9 * THROTTLE_WINDOW < max(known) <= THROTTLE_WINDOW


@pytest.mark.parametrize(
    "settings",
    [
        {"wait_initial": -1.0},
        {"wait_initial": 9.0, "wait_max": 1.0},
        {"max_not_sent": -1},
        {"max_maybe_billed": -1},
        {"budget": -1.0},
        {"budget": math.nan},
        {"transient_cost": -1.0},
        {"maybe_billed_cost": math.inf},
        {"success_refund": math.nan},
    ],
)
def test_a_policy_out_of_range_is_refused(settings: dict[str, float]) -> None:
    """Settings that make no sense are one clear error."""
    with pytest.raises(ConfigurationError):
        RetryPolicy(**settings)  # type: ignore[arg-type]


def test_the_bound_of_the_jitter_doubles() -> None:
    """Over many seeds the longest of the nth waits comes near to wait_initial x 2^n."""
    policy = RetryPolicy(wait_initial=1.0, wait_max=100.0)
    longest = [0.0] * 4
    for seed in range(300):
        state = RetryState(policy, Random(seed))
        waits = [state.next_wait(NotSentError("refused")) or 0.0 for _ in range(4)]
        longest = list(map(max, longest, waits))
    assert [wait / 2**number > 0.95 for number, wait in enumerate(longest)] == [True] * 4


def test_each_code_has_retries_of_its_own() -> None:
    """Retries of one error code do not use up those of another."""
    state = RetryState(RetryPolicy(), Random(1))
    for _ in range(3):
        assert state.next_wait(make_api_error("InternalError", "")) is not None
    assert state.next_wait(make_api_error("FailedOperation", "")) is not None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (THROTTLED, RetryClass.THROTTLE),
        (INTERNAL, RetryClass.TRANSIENT),
        (make_api_error("AuthFailure.SignatureExpire", ""), RetryClass.TRANSIENT),
        (NotSentError("refused"), RetryClass.NOT_SENT),
        (UNKNOWN, RetryClass.MAYBE_BILLED),
        (StaleConnectionError("closed"), RetryClass.MAYBE_BILLED),
        (MalformedResponseError("html", status=502), RetryClass.MAYBE_BILLED),
        (UNREACHABLE, RetryClass.FINAL),
        (make_api_error("ResourceUnavailable.InArrears", ""), RetryClass.FINAL),
        (make_api_error("InvalidParameterValue.NoFaceInPhoto", ""), RetryClass.FINAL),
        (DeadlineExceededError("late"), RetryClass.FINAL),
    ],
)
def test_every_error_has_a_class(error: LivenessError, expected: RetryClass) -> None:
    """An error asks for a retry of the class that says what it costs and what limits it."""
    assert classify(error) is expected


@pytest.mark.parametrize("code", sorted(CODE_RULES))
def test_only_final_errors_are_not_tried_again(code: str) -> None:
    """A code is of the final class if and only if it is never tried again."""
    error = make_api_error(code, "")
    assert (classify(error) is RetryClass.FINAL) == (count_retries(error) == 0)


@given(
    size=st.integers(0, 1000),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 100)), max_size=100),
)
def test_a_budget_never_leaves_its_bounds(size: int, steps: list[tuple[bool, int]]) -> None:
    """Spending takes all of a cost or nothing; there are never less than 0 tokens nor more than the size."""
    budget = RetryBudget(size)
    for is_spent, tokens in steps:
        before = budget.tokens
        if is_spent:
            can_spend = budget.can_spend(tokens)
            assert can_spend == (before >= tokens)
            assert budget.spend(tokens) is can_spend
            assert budget.tokens == before - tokens * can_spend
        else:
            budget.give_back(tokens)
            assert budget.tokens == min(size, before + tokens)
        assert 0 <= budget.tokens <= size


def test_a_budget_shows_its_level() -> None:
    """The repr tells how many tokens are left of how many."""
    budget = RetryBudget(100)
    budget.spend(14)
    assert repr(budget) == "<RetryBudget 86 of 100>"


@pytest.mark.parametrize(
    ("error", "cost"),
    [
        (INTERNAL, 14),
        (UNKNOWN, 28),
        (MalformedResponseError("html", status=502), 28),
        (THROTTLED, 0),
        (NotSentError("refused"), 0),
        (StaleConnectionError("closed"), 0),
        (make_api_error("AuthFailure.SignatureExpire", ""), 0),
        (make_api_error("AuthFailure.TokenFailure", ""), 0),
        (DeadlineExceededError("late"), 0),
        (make_api_error("FailedOperation.FaceSizeTooSmall", ""), 0),
    ],
)
def test_a_retry_costs_what_its_class_costs(error: LivenessError, cost: int) -> None:
    """Transient retries cost 14 tokens, those that may be billed 28, the others and no retry nothing."""
    budget = RetryBudget()
    RetryState(RetryPolicy(), Random(1), budget=budget).next_wait(error)
    assert budget.tokens == 500 - cost


def test_an_outage_is_not_answered_with_a_storm() -> None:
    """When every photo fails, the client makes 35 retries and no more; free ones go on."""
    policy, budget = RetryPolicy(), RetryBudget()
    waits = [RetryState(policy, Random(1), budget=budget).next_wait(INTERNAL) for _ in range(1000)]
    assert [wait is not None for wait in waits] == [True] * 35 + [False] * 965
    for error in (THROTTLED, NotSentError("refused"), StaleConnectionError("closed")):
        assert RetryState(policy, Random(1), budget=budget).next_wait(error) is not None


def test_a_retry_that_is_refused_costs_nothing() -> None:
    """A photo whose retries are used up, or cannot be paid for, leaves the budget as it is."""
    budget = RetryBudget(27)
    state = RetryState(RetryPolicy(), Random(1), budget=budget)
    assert state.next_wait(UNKNOWN) is None
    assert budget.tokens == 27
    state = RetryState(RetryPolicy(max_maybe_billed=0), Random(1), budget=RetryBudget(500))
    assert state.next_wait(UNKNOWN) is None
    assert budget.tokens == 27


def test_a_first_success_gives_a_token_back() -> None:
    """A photo that is scored at its first attempt gives one token back, one that was tried again none."""

    async def scenario() -> list[float]:
        scheduler, tokens = make_scheduler(), list[float]()
        scheduler.retry_budget.spend(100)
        for call in (FakeCall("first"), FakeCall("second", NotSentError("refused"))):
            await scheduler.run(call, deadline=60)
            tokens.append(scheduler.retry_budget.tokens)
        return tokens

    assert run_virtual(scenario()) == [401, 401]


def test_prices_are_the_policys() -> None:
    """Costs come from the policy, and an infinite budget never says no."""
    policy = RetryPolicy(transient_cost=3.0, maybe_billed_cost=5.0, success_refund=2.0)
    budget = RetryBudget(10.0)
    RetryState(policy, Random(1), budget=budget).next_wait(INTERNAL)
    RetryState(policy, Random(1), budget=budget).next_wait(UNKNOWN)
    assert budget.tokens == 2.0
    endless = RetryBudget(math.inf)
    for _ in range(100):
        assert RetryState(policy, Random(1), budget=endless).next_wait(INTERNAL) is not None


def test_a_photo_that_fails_while_others_are_scored_ends() -> None:
    """The third error of the same code ends a photo if another was scored since the first of them."""
    scored = 7
    state = RetryState(RetryPolicy(), Random(1), count_scored=lambda: scored)
    assert state.next_wait(INTERNAL) is not None
    scored += 1
    assert state.next_wait(INTERNAL) is not None
    assert state.next_wait(INTERNAL) is None


def test_a_photo_is_not_blamed_for_an_outage() -> None:
    """While nobody is scored, the code's own rule decides; scores before the first error do not count."""
    state = RetryState(RetryPolicy(), Random(1), count_scored=lambda: 1000)
    assert [state.next_wait(INTERNAL) is not None for _ in range(4)] == [True, True, True, False]


def test_a_mended_service_ends_the_patience() -> None:
    """A photo that outlived two errors of an outage ends at its next if others are scored by then."""
    scored = 0
    unavailable = make_api_error("ServiceUnavailable", "")
    state = RetryState(RetryPolicy(), Random(1), count_scored=lambda: scored)
    assert [state.next_wait(unavailable) is not None for _ in range(4)] == [True] * 4
    scored = 1
    assert state.next_wait(unavailable) is None


def test_poison_is_one_code_of_the_service() -> None:
    """Different codes, throttles and failures of the network do not add up to a poisoned photo."""
    scored = iter(range(1000))
    state = RetryState(RetryPolicy(max_maybe_billed=5), Random(1), count_scored=lambda: next(scored))
    codes = ("InternalError", "FailedOperation.RpcFail", "ServiceUnavailable")
    for code in codes * 2:
        assert state.next_wait(make_api_error(code, "")) is not None
    for error in (THROTTLED, NotSentError("refused"), UNKNOWN):
        assert [state.next_wait(error) is not None for _ in range(4)] == [True] * 4
    assert state.next_wait(make_api_error("ServiceUnavailable", "")) is None


def test_a_poisoned_photo_costs_nothing_more() -> None:
    """The retry that a poisoned photo does not get is not paid for."""
    scored = iter(range(10))
    budget = RetryBudget()
    state = RetryState(RetryPolicy(), Random(1), budget=budget, count_scored=lambda: next(scored))
    for _ in range(3):
        state.next_wait(INTERNAL)
    assert budget.tokens == 500 - 2 * 14
