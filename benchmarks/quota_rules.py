"""How other clients keep within a quota, to compare ours with."""

from __future__ import annotations

import math


class FixedRate:
    """Keeps the configured rate, whatever comes back."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def note_sent(self, now: float) -> None:
        """Change nothing."""

    def note_success(self, sent_at: float, now: float) -> None:
        """Change nothing."""

    def note_throttle(self, message: str, sent_at: float, now: float) -> float:  # noqa: ARG002
        """Hold nothing."""
        return 0.0


class PauseOnThrottle(FixedRate):
    """Keeps the configured rate, and sends nothing for a second after each throttle."""

    def note_throttle(self, message: str, sent_at: float, now: float) -> float:  # noqa: ARG002
        """Hold for the second that the service tells to wait for."""
        return 1.0


class HalveAndAdd(FixedRate):
    """AIMD: halves the rate, at most once a second, and adds 1 call/s every second."""

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._configured = rate
        self._at = 0.0
        self._cut_at = -math.inf

    def note_success(self, sent_at: float, now: float) -> None:  # noqa: ARG002
        """Add what has grown since the last answer."""
        self.rate = min(self._configured, self.rate + now - self._at)
        self._at = now

    def note_throttle(self, message: str, sent_at: float, now: float) -> float:  # noqa: ARG002
        """Halve."""
        self._at = now
        if now - self._cut_at >= 1:
            self._cut_at = now
            self.rate = max(0.5, self.rate / 2)
        return 0.0


class BotocoreAdaptive:
    """The adaptive retry mode of botocore, behind the configured rate, which botocore itself has not.

    After botocore/retries/adaptive.py, throttling.py and bucket.py: a cubic in the time since the last
    throttle, capped at twice the measured rate; no limit at all before the first throttle.
    """

    _BETA = 0.7
    _SCALE = 0.4
    _SMOOTHING = 0.8
    _BUCKET_SECONDS = 0.5

    def __init__(self, rate: float) -> None:
        self.rate = self._configured = rate
        self._is_enabled = False
        self._w_max = self._k = self._failed_at = 0.0
        self._measured = self._bucket_at = 0.0
        self._count = 0

    def note_sent(self, now: float) -> None:
        """Do nothing; it measures answers."""

    def note_success(self, sent_at: float, now: float) -> None:  # noqa: ARG002
        """Go on along the cubic."""
        measured = self._measure(now)
        elapsed = now - self._failed_at
        self._set_rate(self._SCALE * (elapsed - self._k) ** 3 + self._w_max, measured)

    def note_throttle(self, message: str, sent_at: float, now: float) -> float:  # noqa: ARG002
        """Begin a new cubic at 0.7 of the rate; each throttle does."""
        measured = self._measure(now)
        self._w_max = min(measured, self.rate) if self._is_enabled else measured
        self._k = (self._w_max * (1 - self._BETA) / self._SCALE) ** (1 / 3)
        self._failed_at = now
        self._is_enabled = True
        self._set_rate(self._w_max * self._BETA, measured)
        return 0.0

    def _set_rate(self, rate: float, measured: float) -> None:
        if self._is_enabled:
            self.rate = max(0.5, min(rate, 2 * measured, self._configured))

    def _measure(self, now: float) -> float:
        self._count += 1
        bucket = math.floor(now / self._BUCKET_SECONDS) * self._BUCKET_SECONDS
        if bucket > self._bucket_at:
            rate = self._count / (bucket - self._bucket_at)
            self._measured = rate * self._SMOOTHING + self._measured * (1 - self._SMOOTHING)
            self._count = 0
            self._bucket_at = bucket
        return self._measured
