"""When to send: the pace, the retries, the slots, and the stream of outcomes."""

from __future__ import annotations

from .clock import ServiceClock
from .pacer import Pacer
from .retry import RetryPolicy
from .scheduler import Call, PhotoRun, Scheduler
from .statistics import Statistics
from .stream import OutcomeStream, PhotoSources

__all__ = [
    "Call",
    "OutcomeStream",
    "Pacer",
    "PhotoRun",
    "PhotoSources",
    "RetryPolicy",
    "Scheduler",
    "ServiceClock",
    "Statistics",
]
