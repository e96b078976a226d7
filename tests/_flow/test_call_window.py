from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tencent_liveness_async._flow.call_window import CallWindow

calls = st.lists(st.tuples(st.floats(0, 12), st.booleans()), max_size=150)


@given(calls=calls)
def test_counts_are_those_of_the_last_thirty_seconds(calls: list[tuple[float, bool]]) -> None:
    """The counts are those of the calls of this second of the clock and of the 29 before it."""
    window, seen, now = CallWindow(), [], 0.0
    for gap, is_failed in calls:
        now += gap
        window.add(now, is_failed=is_failed)
        seen.append((int(now), is_failed))
        recent = [failed for second, failed in seen if second > int(now) - 30]
        assert (window.calls, window.failed) == (len(recent), sum(recent))
        assert window.is_outage == (len(recent) >= 20 and 2 * sum(recent) >= len(recent))
        assert len(window._buckets) <= 30
