from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._errors import (
    AuthenticationError,
    BillingError,
    DeadlineExceededError,
    LivenessError,
    MalformedResponseError,
    MissingCredentialsError,
    NotSentError,
    OutcomeUnknownError,
    PhotoUnreadableError,
    ServiceUnreachableError,
    StaleConnectionError,
    make_api_error,
)
from tencent_liveness_async._flow.breaker import AccountBreaker, TransportBreaker

if TYPE_CHECKING:
    from tencent_liveness_async._events import BreakerChanged

ARREARS = make_api_error("ResourceUnavailable.InArrears", "pay", request_id="id-1")
NO_FACE = make_api_error("InvalidParameterValue.NoFaceInPhoto", "no face")
UNSENT = NotSentError("connection refused")


def find_states(events: list[BreakerChanged]) -> list[str]:
    """Return the states that the events tell of, in order."""
    return [event.state for event in events]


def open_account(now: float = 0.0) -> tuple[AccountBreaker, list[BreakerChanged]]:
    """Make an account breaker that is open."""
    events: list[BreakerChanged] = []
    breaker = AccountBreaker(events.append)
    breaker.note(ARREARS, now)
    return breaker, events


def open_transport(now: float = 0.0) -> tuple[TransportBreaker, list[BreakerChanged]]:
    """Make a transport breaker that is open."""
    events: list[BreakerChanged] = []
    breaker = TransportBreaker(events.append)
    for _ in range(20):
        breaker.note(UNSENT, now)
    return breaker, events


def test_new_breakers_let_calls_through() -> None:
    """A breaker that has heard nothing is closed."""
    for breaker in (AccountBreaker(print), TransportBreaker(print)):
        assert breaker.state == "closed"
        assert breaker.check(0.0) is None


@pytest.mark.parametrize(
    "error",
    [ARREARS, make_api_error("AuthFailure.SignatureFailure", ""), MissingCredentialsError("no key")],
)
def test_one_account_fault_stops_the_sending(error: LivenessError) -> None:
    """The first fault of an account or a configuration makes every check return the same error."""
    breaker = AccountBreaker(lambda _: None)
    breaker.note(error, 5.0)
    found = [breaker.check(now) for now in (5.0, 6.0, 64.9)]
    assert [type(one) for one in found] == [type(error)] * 3
    assert [str(one) for one in found] == [str(error)] * 3
    assert breaker.state == "open"


def test_the_error_of_a_call_not_sent_is_its_own() -> None:
    """Each check returns an object of its own, which has no request id, is not billed, and pickles."""
    fault = BillingError("ResourceUnavailable.Freeze", "frozen", request_id="id-1", is_billed=True)
    breaker = AccountBreaker(lambda _: None)
    breaker.note(fault, 0.0)
    first, second = breaker.check(1.0), breaker.check(1.0)
    assert isinstance(first, BillingError)
    assert first is not second
    assert (first.code, first.request_id, first.is_billed) == (fault.code, "", False)
    assert (fault.request_id, fault.is_billed) == ("id-1", True)
    assert str(pickle.loads(pickle.dumps(first))) == str(fault)


@pytest.mark.parametrize(
    "error", [UNSENT, make_api_error("InternalError", ""), DeadlineExceededError("late"), NO_FACE]
)
def test_other_errors_do_not_stop_an_account(error: LivenessError) -> None:
    """Errors of the network, the service or a photo say nothing against the account."""
    breaker = AccountBreaker(lambda _: None)
    breaker.note(error, 0.0)
    assert breaker.state == "closed"
    assert breaker.check(0.0) is None


@given(gaps=st.lists(st.floats(0.01, 100), max_size=60))
def test_an_account_is_probed_once_a_minute(gaps: list[float]) -> None:
    """However often it is asked, a check lets one call through when 60 s have passed since the last."""
    breaker, _ = open_account()
    now = passed = 0.0
    for gap in gaps:
        now += gap
        is_let_through = breaker.check(now) is None
        assert is_let_through == (now >= passed + 60)
        passed = now if is_let_through else passed


def test_a_probe_that_succeeds_closes_the_account_breaker() -> None:
    """After a probe's score all calls are sent, and each change was told with its time."""
    breaker, events = open_account(now=0.0)
    assert breaker.check(60.0) is None
    assert breaker.state == "half-open"
    assert breaker.check(60.5) is not None
    breaker.note_success(61.0, began=60.0)
    assert breaker.check(61.0) is None
    assert [(event.breaker, event.state, event.at) for event in events] == [
        ("account", "open", 0.0),
        ("account", "half-open", 60.0),
        ("account", "closed", 61.0),
    ]
    assert all(event.reason for event in events)


def test_a_refused_photo_shows_that_the_account_is_in_order() -> None:
    """A probe whose photo the service refuses closes the breaker; one that ends otherwise decides nothing."""
    breaker, events = open_account()
    breaker.check(60.0)
    breaker.note(UNSENT, 61.0, began=60.0)
    assert find_states(events) == ["open", "half-open"]
    breaker.note(NO_FACE, 62.0, began=60.0)
    assert find_states(events) == ["open", "half-open", "closed"]


def test_a_probe_that_fails_waits_another_minute() -> None:
    """The fault of a probe is the one that calls then fail with, for 60 s from then."""
    breaker, events = open_account()
    breaker.check(60.0)
    breaker.note(make_api_error("AuthFailure.TokenFailure", ""), 62.0, began=60.0)
    assert isinstance(breaker.check(121.9), AuthenticationError)
    assert breaker.check(122.0) is None
    assert find_states(events) == ["open", "half-open", "open", "half-open"]


def test_calls_under_way_at_the_fault_tell_nothing_new() -> None:
    """Calls that passed before the fault neither close the breaker nor put off its probe nor fail it."""
    breaker, events = open_account(now=10.0)
    breaker.note_success(11.0, began=9.0)
    breaker.note(NO_FACE, 11.0, began=9.0)
    breaker.note(make_api_error("UnsupportedRegion", ""), 40.0, began=9.5)
    breaker.note(make_api_error("UnsupportedRegion", ""), 40.0)
    assert find_states(events) == ["open"]
    assert isinstance(breaker.check(69.9), BillingError)
    assert breaker.check(70.0) is None


def test_another_credential_closes_the_account_breaker() -> None:
    """A new key is sent with at once, and late faults of the old one are not held against it."""
    breaker, events = open_account(now=10.0)
    breaker.note_credential(("id-2", ""), 20.0)
    breaker.note(ARREARS, 21.0, began=9.0)
    assert breaker.check(21.0) is None
    assert find_states(events) == ["open", "closed"]


def test_the_same_credential_changes_nothing() -> None:
    """A credential that is noted again and again leaves an open breaker open."""
    breaker = AccountBreaker(lambda _: None)
    breaker.note_credential(("id-1", ""), 0.0)
    breaker.note(ARREARS, 1.0, began=0.0)
    breaker.note_credential(("id-1", ""), 2.0)
    assert breaker.state == "open"


def test_a_secret_is_not_shown() -> None:
    """What tells credentials apart is in no event and no repr."""
    events: list[BreakerChanged] = []
    breaker = AccountBreaker(events.append)
    breaker.note_credential(("id", "s3cret"), 0.0)
    breaker.note(ARREARS, 1.0)
    breaker.note_credential(("id", "s3cret2"), 2.0)
    assert "s3cret" not in repr(events) + repr(breaker)


@given(calls=st.lists(st.tuples(st.floats(0.001, 3), st.booleans()), max_size=120))
def test_the_transport_breaker_opens_at_half_of_twenty(calls: list[tuple[float, bool]]) -> None:
    """It opens at a failure with 20 or more calls and half or more of them failed within 30 s."""
    breaker, seen, now = TransportBreaker(lambda _: None), [], 0.0
    for gap, is_failed in calls:
        now += gap
        if is_failed:
            breaker.note(UNSENT, now)
        else:
            breaker.note_success(now)
        seen.append((int(now), is_failed))
        recent = [failed for second, failed in seen if second > int(now) - 30]
        is_outage = len(recent) >= 20 and 2 * sum(recent) >= len(recent)
        assert (breaker.state == "open") == (is_outage and is_failed)
        if breaker.state == "open":
            return


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UNSENT, "open"),
        (OutcomeUnknownError("read timeout"), "open"),
        (MalformedResponseError("it is HTML", status=502), "open"),
        (StaleConnectionError("closed while idle"), "closed"),
        (ServiceUnreachableError("refused", failed=20, calls=20, retry_after=1.0), "closed"),
        (make_api_error("InternalError", ""), "closed"),
        (make_api_error("RequestLimitExceeded", ""), "closed"),
        (PhotoUnreadableError("missing"), "closed"),
        (DeadlineExceededError("late"), "closed"),
    ],
)
def test_only_a_missing_answer_is_a_failure(error: LivenessError, state: str) -> None:
    """Calls without a usable answer open the breaker; stale connections, error codes and the rest do not."""
    breaker = TransportBreaker(lambda _: None)
    for _ in range(100):
        breaker.note(error, 0.0)
    assert breaker.state == state


def test_error_codes_are_answers() -> None:
    """An error code counts as an answer: with more of them than failures the breaker stays closed."""
    breaker = TransportBreaker(lambda _: None)
    for _ in range(50):
        breaker.note(make_api_error("InternalError", ""), 0.0)
        breaker.note(make_api_error("InternalError", ""), 0.0)
        breaker.note(UNSENT, 0.0)
    assert breaker.state == "closed"


def test_an_open_transport_breaker_says_why_and_until_when() -> None:
    """The error of a call that is held back counts the failures and names the time of the next try."""
    events: list[BreakerChanged] = []
    breaker = TransportBreaker(events.append)
    for number in range(24):
        breaker.note_success(float(number))
    for _ in range(24):
        breaker.note(UNSENT, 24.0)
    error = breaker.check(24.25)
    assert error is not None
    assert (error.failed, error.calls, error.is_billed) == (24, 48, False)
    assert error.retry_after == pytest.approx(0.75)
    assert "24 of the last 48" in str(error)
    assert "connection refused" in str(error)
    assert "24 of 48 calls failed" in events[0].reason
    assert (events[0].breaker, events[0].state, events[0].at) == ("transport", "open", 24.0)


def test_probes_that_fail_come_ever_more_seldom() -> None:
    """Single calls are let through 1, 2, 4, 8, 16, 30 and again 30 s after the last failure."""
    breaker, events = open_transport()
    waits, failed_at = [], 0.0
    for tick in range(1, 1600):
        now = tick / 8
        if breaker.check(now) is None:
            waits.append(now - failed_at)
            failed_at = now + 0.125
            breaker.note(UNSENT, failed_at, began=now)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert find_states(events) == ["open", *["half-open", "open"] * 10]


@given(gaps=st.lists(st.floats(0.01, 40), max_size=50))
def test_a_probe_goes_alone(gaps: list[float]) -> None:
    """While a probe is under way nothing else is sent, unless nothing was heard of it for 30 s."""
    breaker, _ = open_transport()
    now, next_at = 0.0, 1.0
    for gap in gaps:
        now += gap
        error = breaker.check(now)
        assert (error is None) == (now >= next_at)
        next_at = now + 30 if error is None else next_at
        assert error is None or 0 < error.retry_after <= 1


@pytest.mark.parametrize("error", [None, make_api_error("InternalError", ""), NO_FACE])
def test_a_probe_that_is_answered_closes_the_transport_breaker(error: LivenessError | None) -> None:
    """A score or an error code ends the outage; the next one begins with new counts and short waits."""
    breaker, events = open_transport()
    breaker.check(1.0)
    breaker.note(UNSENT, 1.5, began=1.0)
    breaker.check(3.5)
    if error is None:
        breaker.note_success(4.0, began=3.5)
    else:
        breaker.note(error, 4.0, began=3.5)
    assert breaker.check(4.0) is None
    assert find_states(events) == ["open", "half-open", "open", "half-open", "closed"]
    for _ in range(19):
        breaker.note(UNSENT, 5.0)
    assert breaker.state == "closed"
    breaker.note(UNSENT, 5.0)
    assert breaker.check(5.9) is not None
    assert breaker.check(6.0) is None


def test_late_ends_of_the_outage_are_no_news() -> None:
    """Calls that passed before the breaker opened neither close it, nor fail its probe, nor open it again."""
    breaker, events = open_transport(now=10.0)
    breaker.note_success(10.5, began=9.0)
    breaker.check(11.0)
    for _ in range(30):
        breaker.note(UNSENT, 11.2, began=9.5)
    assert breaker.state == "half-open"
    breaker.note_success(11.5, began=11.0)
    for _ in range(30):
        breaker.note(UNSENT, 12.0, began=10.0)
    assert find_states(events) == ["open", "half-open", "closed"]


def test_a_slow_probe_still_counts() -> None:
    """A probe that is answered after it was given up closes the breaker all the same."""
    breaker, _ = open_transport()
    breaker.check(1.0)
    breaker.check(31.0)
    breaker.note_success(32.0, began=1.0)
    assert breaker.state == "closed"
