from __future__ import annotations

import pytest

from tencent_liveness_async._flow import ServiceClock


def test_timestamps_follow_the_given_clock() -> None:
    """Without an answer to learn from, the machine's clock counts."""
    assert ServiceClock(lambda: 1551113065.9).timestamp() == 1551113065


def test_an_answers_date_sets_the_offset() -> None:
    """After an adjustment, timestamps are the service's and go on with the machine's clock."""
    now = 1000.0
    clock = ServiceClock(lambda: now)
    clock.adjust("Mon, 25 Feb 2019 16:44:25 GMT")
    assert clock.timestamp() == 1551113065
    now += 60
    assert clock.timestamp() == 1551113125


@pytest.mark.parametrize("date", ["", "yesterday", "25 Feb", "Mon, 25 Feb 99999999999 16:44:25 GMT"])
def test_what_is_no_date_changes_nothing(date: str) -> None:
    """A Date header that cannot be read leaves the clock alone."""
    clock = ServiceClock(lambda: 1000.0)
    clock.adjust(date)
    assert clock.timestamp() == 1000
