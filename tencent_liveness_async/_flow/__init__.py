"""When to send: the pace, the quota, the lanes, the retries, the breakers, and the stream of outcomes."""

from __future__ import annotations

from .clock import ServiceClock
from .home import LoopHome
from .lanes import Lane
from .latency import Quantiles
from .pacer import Pacer
from .retry import RetryPolicy
from .run import Call, Journal, PhotoRun
from .scheduler import Scheduler
from .statistics import Statistics
from .stream import OutcomeStream, PhotoSources

__all__ = [
    "Call",
    "Journal",
    "Lane",
    "LoopHome",
    "OutcomeStream",
    "Pacer",
    "PhotoRun",
    "PhotoSources",
    "Quantiles",
    "RetryPolicy",
    "Scheduler",
    "ServiceClock",
    "Statistics",
]
