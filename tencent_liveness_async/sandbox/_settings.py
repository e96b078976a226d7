"""What a sandbox is set to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .._errors import ConfigurationError
from ._faults import FaultScript
from ._latency import Latency
from ._quota import WindowKind, check_limit, check_window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SANDBOX_SECRET_ID = "AKIDsandboxSandboxSandboxSandbox0000"  # noqa: S105 - made up
SANDBOX_SECRET_KEY = "sandboxSecretKeyThatOpensNothing"  # noqa: S105 - made up
BANNER = (
    "This is a sandbox of DetectLiveFaceAccurate. It judges nothing: its scores follow from the "
    "photo's bytes and a seed, and say nothing about a face."
)


def loop_time() -> float:
    """Return the running loop's own clock, which a test may have made virtual."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """What a sandbox is set to; every setting has a default.

    Example:
        >>> SandboxSettings(quota=5, latency=Latency.parse("0.2..1.0")).quota
        5

    Attributes:
        secret_id: The only key it knows. Another one is refused as not found.
        secret_key: What that key signs with.
        token: The token a call has to carry; None: it has to carry none.
        quota: Calls per second, 50 as the service; a lower one throttles sooner, None never does.
            `SandboxApp.set_quota` changes it while the sandbox runs.
        quota_window: Which calls the quota counts together, `fixed` by default: those since
            their window began, so that a burst across a boundary may be twice the quota. `sliding`:
            those of the last second, so that no second has more than the quota. Throttled calls
            count in both, so who goes on calling faster than a sliding quota stays throttled.
        quota_offset: Seconds after each whole one of the clock at which fixed windows begin, from 0,
            the default, to less than 1. Sliding windows have no use for it.
        other_calls: Calls per second that another process of the same account makes, evenly spread,
            0 by default, at most 1,000,000. More leave less of the quota to us. They are in the
            count of a throttling message and in no statistics.
        latency: Seconds that a call's work takes, none by default. Calls that are refused before
            their work (signature, quota, gateway faults) are answered at once.
        seed: Changes scores and latencies, 0 by default. The fault script has its own.
        faults: Which calls go wrong, none by default.
        urls: `trust` scores a URL's text without a download; `fetch` downloads the photo.
        fetch_from: The `host:port` that photos are downloaded from, none by default; only loopback
            addresses and `localhost`.
        fetch_timeout: Seconds one download may take, 5 by default as the service's own budget. A
            longer one lets a slow host hold a thread for so long.
        faces: Whether to look for faces: True needs the extra `faces`, None looks where it is
            installed, False takes every photo for one with a face.
        scores: Scores by the SHA-256 of the photo's bytes in hexadecimal digits, or by URL;
            photos that are not in it get one that follows from their bytes.
        keep_alive: Seconds after which an idle connection is closed, 60 as the service. A shorter
            one makes clients meet closed connections more often.
        clock: Seconds, never going back, for the quota and for the busiest second; None is the
            running loop's clock.
        wall_clock: UNIX seconds for timestamps and the `Date` header. One that is off makes clients
            meet clock skew.
    """

    secret_id: str = SANDBOX_SECRET_ID
    secret_key: str = field(default=SANDBOX_SECRET_KEY, repr=False)
    token: str | None = field(default=None, repr=False)
    quota: int | None = 50
    quota_window: WindowKind = "fixed"
    quota_offset: float = 0.0
    other_calls: float = 0.0
    latency: Latency = field(default_factory=Latency)
    seed: int = 0
    faults: FaultScript = field(default_factory=FaultScript)
    urls: Literal["trust", "fetch"] = "trust"
    fetch_from: tuple[str, ...] = ()
    fetch_timeout: float = 5.0
    faces: bool | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    keep_alive: float = 60.0
    clock: Callable[[], float] | None = None
    wall_clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if not (self.secret_id and self.secret_key):
            raise ConfigurationError("secret_id and secret_key must not be empty")
        check_limit(self.quota)
        check_window(self.quota_window, offset=self.quota_offset, other_calls=self.other_calls)
        if self.urls not in ("trust", "fetch"):
            raise ConfigurationError(f"urls must be `trust` or `fetch`, not {self.urls!r}")
        if min(self.fetch_timeout, self.keep_alive) <= 0:
            raise ConfigurationError("fetch_timeout and keep_alive must be more than 0 seconds")
        for key, score in self.scores.items():
            if not 0 <= score <= 100:
                raise ConfigurationError(f"scores: {key} must be from 0 to 100, not {score}")
