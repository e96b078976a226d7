"""The connection pool; httpx's only home. Foreign errors end here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._errors import ConfigurationError
from .exchange import Answer, Timeouts, exchange, warm_up
from .pool import DEFAULT_KEEPALIVE, ConnectionPool

if TYPE_CHECKING:
    from .lane import ConnectionClass

__all__ = [
    "DEFAULT_KEEPALIVE",
    "Answer",
    "ConnectionPool",
    "Timeouts",
    "exchange",
    "load_fast_connection",
    "warm_up",
]


def load_fast_connection() -> ConnectionClass:
    """Return the connections of the extra `[fast]`.

    Raises:
        ConfigurationError: The extra is not installed.
    """
    try:
        from .fast import FastConnection
    except ImportError as exc:
        raise ConfigurationError(
            "the fast transport needs an extra: pip install 'tencent-liveness-async[fast]'"
        ) from exc
    return FastConnection
