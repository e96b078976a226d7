from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._error_codes import CODE_RULES, Handling
from tencent_liveness_async._errors import (
    ConfigurationError,
    DeadlineExceededError,
    LivenessError,
    MalformedResponseError,
    NotSentError,
    OutcomeUnknownError,
    PhotoRejectedError,
    StaleConnectionError,
    make_api_error,
)
from tencent_liveness_async._flow.retry import THROTTLE_WINDOW, RetryPolicy, RetryState


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
