"""What a run's client went through: throttles, and the time they cost."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING

from ._records import RunNotes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._client import LivenessClient
    from .._events import RateChanged


class RunWitness:
    """Looks at a client when a run begins, and again when it ends.

    Args:
        client: The client.
    """

    def __init__(self, client: LivenessClient) -> None:
        self._client = client
        self._began = time.time()
        self._began_at = asyncio.get_running_loop().time()
        self._attempts = client.statistics().attempts

    def make_notes(self, *, skipped_by_resume: int) -> RunNotes:
        """Return the notes of the run, which ends now."""
        changes = [change for change in self._client.rate_changes() if change.at >= self._began_at]
        return RunNotes(
            began=self._began,
            ended=time.time(),
            calls=self._client.statistics().attempts - self._attempts,
            throttled=sum(change.reason.startswith("throttled") for change in changes),
            seconds_throttled=_measure_loss(changes, asyncio.get_running_loop().time()),
            skipped_by_resume=skipped_by_resume,
            rate_changes=len(changes),
        )


def _measure_loss(changes: Sequence[RateChanged], ends_at: float) -> float:
    """Return the seconds that were lost to rates below the first: half of the rate loses half of the time."""
    if not changes:
        return 0.0
    full = changes[0].rate_before
    spans = [(change.rate, until.at - change.at) for change, until in pairwise(changes)]
    spans.append((changes[-1].rate, ends_at - changes[-1].at))
    return sum(seconds * max(0.0, 1 - rate / full) for rate, seconds in spans)
