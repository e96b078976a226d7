"""Asyncio client for Tencent Cloud's DetectLiveFaceAccurate: is this face photo live?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._credentials import Credential, CredentialProvider, EnvironmentCredentials
from ._error_codes import BILLED_CODES, CodeRule, Handling, find_code_rule
from ._errors import (
    AccountError,
    AuthenticationError,
    BillingError,
    ClientClosedError,
    ConfigurationError,
    DeadlineExceededError,
    DeadlineTooShortError,
    LivenessAPIError,
    LivenessError,
    MalformedResponseError,
    MissingCredentialsError,
    NoFaceError,
    NotSentError,
    OutcomeUnknownError,
    PhotoChangedError,
    PhotoError,
    PhotoRefusedError,
    PhotoRejectedError,
    PhotoUnreadableError,
    RequestRefusedError,
    RunStoppedError,
    ServiceUnreachableError,
    StaleConnectionError,
    ThrottledError,
    TransientAPIError,
    TransportError,
    WrongLoopError,
)
from ._events import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    ClientClosed,
    Event,
    Hook,
    OutcomeReached,
    RateChanged,
    RetryScheduled,
)
from ._models import (
    RECOMMENDED_THRESHOLD,
    Failed,
    LivenessScore,
    Outcome,
    Photo,
    PhotoSource,
    Scored,
    Timings,
)
from ._version import __version__

if TYPE_CHECKING:
    from ._client import LivenessClient
    from ._flow import Lane, OutcomeStream, Quantiles, RetryPolicy, Statistics
    from ._transport import ConnectionPool, Timeouts

__all__ = [  # noqa: RUF022 - grouped by what they are for
    # the client
    "LivenessClient",
    "Lane",
    "OutcomeStream",
    "Quantiles",
    "Statistics",
    # what goes in and comes out
    "Failed",
    "LivenessScore",
    "Outcome",
    "Photo",
    "PhotoSource",
    "RECOMMENDED_THRESHOLD",
    "Scored",
    "Timings",
    # settings
    "BILLED_CODES",
    "ConnectionPool",
    "Credential",
    "CredentialProvider",
    "EnvironmentCredentials",
    "RetryPolicy",
    "Timeouts",
    # events
    "AttemptEnded",
    "AttemptStarted",
    "BreakerChanged",
    "ClientClosed",
    "Event",
    "Hook",
    "OutcomeReached",
    "RateChanged",
    "RetryScheduled",
    # errors
    "AccountError",
    "AuthenticationError",
    "BillingError",
    "ClientClosedError",
    "CodeRule",
    "ConfigurationError",
    "DeadlineExceededError",
    "DeadlineTooShortError",
    "Handling",
    "LivenessAPIError",
    "LivenessError",
    "MalformedResponseError",
    "MissingCredentialsError",
    "NoFaceError",
    "NotSentError",
    "OutcomeUnknownError",
    "PhotoChangedError",
    "PhotoError",
    "PhotoRefusedError",
    "PhotoRejectedError",
    "PhotoUnreadableError",
    "RequestRefusedError",
    "RunStoppedError",
    "ServiceUnreachableError",
    "StaleConnectionError",
    "ThrottledError",
    "TransientAPIError",
    "TransportError",
    "WrongLoopError",
    "find_code_rule",
    # the version
    "__version__",
]

_LOADED_LATE = {
    "ConnectionPool": "._transport",
    "Lane": "._flow",
    "LivenessClient": "._client",
    "OutcomeStream": "._flow",
    "Quantiles": "._flow",
    "RetryPolicy": "._flow",
    "Statistics": "._flow",
    "Timeouts": "._transport",
}


def __getattr__(name: str) -> object:
    """Load what needs httpx when it is first asked for: `tencent-liveness --help` never does."""
    if name not in _LOADED_LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_LOADED_LATE[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
