from __future__ import annotations

import heapq
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._flow.quota import (
    MIN_HOLD,
    MIN_RATE,
    PROBE_INTERVAL,
    PROBE_INTERVAL_LATER,
    PROBE_OFTEN_FOR,
    QuotaController,
    read_numbers,
)

if TYPE_CHECKING:
    from tencent_liveness_async._events import RateChanged

LATENCY = 0.5
NO_NUMBERS = "Too many requests."


def english(count: int, limit: int) -> str:
    """Return the service's text."""
    return (
        f"Your current request times equals to `{count}` in a second, which exceeds the frequency limit "
        f"`{limit}` for a second. Please reduce the frequency of calls."
    )


def chinese(count: int, limit: int) -> str:
    """Return the service's text."""
    return f"接口 `X` 每秒请求 `{count}` 次，超过了每秒频率上限 `{limit}`，请等到下一秒再试。"


def send(controller: QuotaController, begin: float, end: float, rate: float) -> None:
    """Send evenly from `begin` up to, not including, `end`."""
    for number in range(round((end - begin) * rate)):
        controller.note_sent(begin + number / rate)


def cut(rate: float = 100.0, *, limit: int = 50) -> QuotaController:
    """Return a controller that was throttled at 1.0 for a call sent at 0.5, alone on the account."""
    controller = QuotaController(rate)
    send(controller, 0.0, 1.0, rate)
    count = round(rate / 2) + 1
    controller.note_throttle(english(count, limit), 0.5, 1.0)
    return controller


def drive(controller: QuotaController, limit: int, seconds: float) -> list[tuple[float, bool]]:
    """Send whenever the rate allows, to a service that counts whole seconds; return when and if throttled."""
    answers: list[tuple[float, float, int]] = []
    sent: list[tuple[float, bool]] = []
    window = count = 0
    now = 0.0
    while now < seconds:
        held = 0.0
        while answers and answers[0][0] <= now:
            answered_at, sent_at, seen = heapq.heappop(answers)
            if seen > limit:
                held = max(held, controller.note_throttle(english(seen, limit), sent_at, answered_at))
            else:
                controller.note_success(sent_at, answered_at)
        if held:
            now += held
            continue
        count = count + 1 if int(now) == window else 1
        window = int(now)
        controller.note_sent(now)
        sent.append((now, count > limit))
        heapq.heappush(answers, (now + LATENCY, now, count))
        now += 1 / controller.rate
    return sent


@pytest.mark.parametrize(
    "message",
    [
        english(51, 50),
        chinese(51, 50),
        english(51, 50).replace("`", ""),
        chinese(51, 50).replace("`", ""),
        english(51, 50).replace(" `", "  ` ").replace("` ", " `  "),
        chinese(51, 50).replace(" ", ""),
    ],
)
def test_numbers_are_read_in_both_languages(message: str) -> None:
    """The count and the limit are read from English and Chinese, whatever blanks and backquotes there are."""
    assert read_numbers(message) == (51, 50)


@pytest.mark.parametrize("message", ["", NO_NUMBERS, "limit `50`", "每秒请求 `51` 次"])
def test_a_message_without_both_numbers_tells_nothing(message: str) -> None:
    """Half a message is no number."""
    assert read_numbers(message) is None


def test_a_new_controller_has_the_configured_rate() -> None:
    """Before the first throttle the configured rate holds and nothing else is known."""
    controller = QuotaController(45.0)
    assert (controller.rate, controller.ceiling) == (45.0, 45.0)
    assert controller.limit is controller.others is None
    assert not controller.changes


def test_the_first_throttle_tells_the_limit() -> None:
    """Alone on the account, 0.98 of the limit that the message names becomes rate and ceiling."""
    controller = cut()
    assert (controller.limit, controller.others) == (50, 0.0)
    assert controller.rate == controller.ceiling == pytest.approx(49.0)


def test_what_others_take_is_left_to_them() -> None:
    """What the service counts and we did not send is the others'; the rate is 0.98 of the rest."""
    controller = QuotaController(50.0)
    send(controller, 0.0, 2.0, 50)
    controller.note_throttle(english(70, 50), 1.99, 2.4)
    assert controller.others == pytest.approx(20, abs=1)
    assert controller.rate == pytest.approx(0.98 * 30, abs=1)


def test_later_throttles_of_an_episode_show_more_of_the_others() -> None:
    """A window that has just begun shows few of the others' calls; the highest count of an episode stands."""
    controller = QuotaController(50.0)
    send(controller, 0.0, 2.0, 50)
    for count in (51, 60, 70, 55):
        controller.note_throttle(english(count, 50), 1.99, 2.4)
    assert controller.others == pytest.approx(20, abs=1)


def test_a_few_calls_too_many_are_no_others() -> None:
    """A count up to 5 % of the limit over ours is jitter, not another program."""
    controller = QuotaController(50.0)
    send(controller, 0.0, 2.0, 50)
    controller.note_throttle(english(52, 50), 1.99, 2.4)
    assert controller.others == 0.0


def test_an_episode_cuts_once() -> None:
    """Throttles of calls that were sent before, or up to a second after, the cut do not cut again."""
    controller = cut()
    changes = len(controller.changes)
    send(controller, 1.5, 2.0, 49)
    for sent_at, count in ((0.5, 51), (0.7, 71), (0.99, 100), (1.6, 45), (1.99, 26)):
        assert controller.note_throttle(english(count, 50), sent_at, sent_at + 1.2) == 0.0
    assert len(controller.changes) == changes
    send(controller, 2.0, 3.0, 49)
    assert controller.note_throttle(english(51, 50), 2.99, 3.5) >= MIN_HOLD
    assert controller.rate == pytest.approx(0.95 * 49)


def test_without_numbers_the_rate_is_cut_to_what_was_answered() -> None:
    """A throttle that tells nothing cuts to 0.85 of the calls answered in the second before."""
    controller = QuotaController(100.0)
    send(controller, 0.0, 1.0, 100)
    controller.note_throttle(NO_NUMBERS, 0.8, 1.3)
    assert controller.rate == pytest.approx(0.85 * 80)
    assert controller.limit is None


def test_without_numbers_a_client_that_idled_keeps_some_rate() -> None:
    """Few calls sent say little of what is available: one cut is to 0.425 of the rate at most."""
    controller = QuotaController(100.0)
    controller.note_sent(5.0)
    controller.note_throttle(NO_NUMBERS, 5.0, 5.5)
    assert controller.rate == pytest.approx(0.85 * 50)


def test_others_that_take_all_leave_a_share() -> None:
    """Where others take the whole limit, the rate is cut as without numbers."""
    controller = QuotaController(50.0)
    send(controller, 0.0, 2.0, 50)
    controller.note_throttle(english(200, 50), 1.99, 2.4)
    assert controller.rate == pytest.approx(0.85 * 49, abs=1)
    assert controller.others is None


def test_the_hold_lasts_until_the_last_second_is_empty_enough() -> None:
    """After a cut nothing is sent until the last second holds no more calls than the new rate."""
    controller = QuotaController(100.0)
    send(controller, 0.0, 1.0, 100)
    hold = controller.note_throttle(english(51, 50), 0.5, 1.0)
    assert hold == pytest.approx(0.5, abs=0.03)


def test_old_successes_are_no_recovery() -> None:
    """Answers to calls that were sent before the cut's hold was over do not raise the rate."""
    controller = QuotaController(50.0)
    send(controller, 0.0, 2.0, 50)
    hold = controller.note_throttle(english(51, 50), 1.99, 2.4)
    rate = controller.rate
    assert rate < controller.ceiling
    for number in range(50):
        controller.note_success(1.5 + number * 0.01, 2.4 + number * 0.01)
    assert controller.rate == rate
    controller.note_success(2.4 + hold, 2.9 + hold)
    assert controller.rate > rate


def test_steps_of_recovery_grow_up_to_the_ceiling() -> None:
    """Each step is twice the one before, at least a second apart, and ends at the ceiling."""
    controller = QuotaController(100.0)
    send(controller, 0.0, 2.0, 100)
    controller.note_throttle(NO_NUMBERS, 1.99, 2.4)
    for number in range(1500):
        controller.note_success(2.7 + number * 0.01, 3.2 + number * 0.01)
    steps = [change for change in controller.changes if change.reason == "recovered"]
    sizes = [change.rate - change.rate_before for change in steps[:-1]]
    assert sizes == pytest.approx([sizes[0] * 2**number for number in range(len(sizes))])
    assert all(later.at - earlier.at >= 1 for earlier, later in pairwise(steps))
    assert controller.rate == controller.ceiling == pytest.approx(0.98 * 99, abs=1)


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 120)), max_size=60), st.floats(0.1, 300))
def test_the_rate_stays_between_floor_and_configured(numbers: list[tuple[int, int]], rate: float) -> None:
    """Whatever the service tells, the rate is at most the configured one and at least 0.5 a second."""
    controller = QuotaController(rate)
    for at, (count, limit) in enumerate(numbers):
        now = 3.0 * at
        send(controller, now, now + 1, 10)
        controller.note_throttle(english(count, limit), now + 0.9, now + 1.4)
        controller.note_success(now + 2.5, now + 2.9)
        assert min(MIN_RATE, rate) <= controller.rate <= rate
        assert controller.ceiling <= rate


def test_changes_are_kept_with_reasons_up_to_200() -> None:
    """The last 200 changes are kept, each with its reason, and each is told of once."""
    told: list[RateChanged] = []
    controller = QuotaController(50.0, on_change=told.append)
    for at in range(300):
        send(controller, 2.0 * at, 2.0 * at + 1, 50)
        controller.note_throttle(english(51, 50), 2 * at + 0.99, 2 * at + 1.4)
        controller.note_success(2 * at + 1.99, 2 * at + 1.995)
    assert len(told) > 200
    assert list(controller.changes) == told[-200:]
    assert {change.reason for change in told} == {"throttled: 51 calls where the limit is 50", "recovered"}
    assert all(later.rate_before == earlier.rate for earlier, later in pairwise(told))


def test_the_wrong_rate_settles_below_the_limit() -> None:
    """Configured at twice the limit, at least 95 % of the limit is used and 1 % of the attempts throttled."""
    sent = drive(QuotaController(100.0), limit=50, seconds=240)
    throttled = sum(is_throttled for _, is_throttled in sent)
    assert throttled / len(sent) <= 0.01
    assert (len(sent) - throttled) / (240 * 50) >= 0.95


def test_the_right_rate_is_left_alone() -> None:
    """Alone and below the limit, nothing is throttled, probed or changed."""
    controller = QuotaController(45.0)
    sent = drive(controller, limit=50, seconds=60)
    assert not any(is_throttled for _, is_throttled in sent)
    assert not controller.changes


def test_probes_are_frequent_first_and_seldom_later() -> None:
    """While the limit stays, probes come every 15 s for 90 s and every 60 s after that."""
    controller = QuotaController(100.0)
    drive(controller, limit=50, seconds=300)
    begins = [change.at for change in controller.changes if change.reason == "probe begins"]
    first = begins[0]
    gaps = [(later - first, later - earlier) for earlier, later in pairwise(begins)]
    # An answered probe, as one across two windows is, is soon followed by a larger one.
    apart = [(at, gap) for at, gap in gaps if gap > 5]
    assert all(
        gap == pytest.approx(PROBE_INTERVAL, abs=6)
        for at, gap in apart
        if at < PROBE_OFTEN_FOR - PROBE_INTERVAL
    )
    assert apart[-1][1] == pytest.approx(PROBE_INTERVAL_LATER, abs=6)


def test_a_raised_limit_is_found() -> None:
    """A limit that was lowered and is raised again is used within 25 seconds."""
    controller = cut(50.0, limit=20)
    drive(controller, limit=50, seconds=25)
    assert controller.rate >= 0.95 * 49


def test_a_probe_is_a_few_calls_within_the_configured_rate() -> None:
    """A probe ends with the second that has its calls, never exceeds the configured rate, and rests after."""
    controller = cut(100.0)
    drive(controller, limit=50, seconds=17)
    probing = next(change for change in controller.changes if change.reason == "probe begins")
    resting = next(change for change in controller.changes if change.reason == "probe rests")
    assert controller.ceiling < probing.rate <= 100.0
    assert resting.at - probing.at < 0.5
    assert resting.rate < probing.rate_before


def test_an_idle_client_does_not_probe() -> None:
    """A probe needs calls; a client that sends less than its rate makes none."""
    controller = cut()
    for number in range(600):
        at = 2 + number * 0.1
        controller.note_sent(at)
        controller.note_success(at - LATENCY, at)
    assert not [change for change in controller.changes if change.reason == "probe begins"]


def test_a_probe_without_calls_ends() -> None:
    """A probe that does not reach its calls within three seconds leaves the rate as it was."""
    controller = cut()
    send(controller, 2.0, 17.0, 49)
    assert controller.changes[-1].reason == "probe begins"
    controller.note_sent(20.1)
    assert controller.rate == pytest.approx(49.0)
    assert controller.changes[-1].reason == "probe had too few calls to send"


def test_old_times_are_forgotten() -> None:
    """The times of sending take no more memory after an hour than after 20 seconds."""
    controller = QuotaController(50.0)
    send(controller, 0.0, 3600.0, 50)
    assert len(controller._sent) <= 20 * 50 + 2


def test_repr_tells_the_levels() -> None:
    """What is known is in the repr."""
    assert repr(cut()) == ("<QuotaController 49.0/s of at most 100/s, ceiling 49.0/s, limit 50, others 0.0>")
