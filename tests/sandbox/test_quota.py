from __future__ import annotations

import pytest

pytest.importorskip("PIL")

from tencent_liveness_async.sandbox._quota import FixedWindowQuota


def test_calls_of_one_second_are_counted_together() -> None:
    """A window begins at a whole second and counts every call in it."""
    quota = FixedWindowQuota(2)
    assert [quota.count_call(now) for now in (7.0, 7.5, 7.999, 8.0, 8.1, 10.0)] == [1, 2, 3, 1, 2, 1]
