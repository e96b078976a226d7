"""The connection pool; httpx's only home. Foreign errors end here."""

from __future__ import annotations

from .exchange import Answer, Timeouts, exchange, warm_up
from .pool import DEFAULT_KEEPALIVE, ConnectionPool

__all__ = ["DEFAULT_KEEPALIVE", "Answer", "ConnectionPool", "Timeouts", "exchange", "warm_up"]
