"""When to stop sending: two breakers, for a faulty account and for a failed network.

A breaker is asked before every call and told how every call has ended. Nothing here waits, and nothing
reads a clock: `now` is in seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from copy import copy
from math import inf
from typing import Literal, TypeAlias

from .._errors import (
    RUN_FAULTS,
    AccountError,
    ConfigurationError,
    LivenessAPIError,
    LivenessError,
    PhotoRefusedError,
    ServiceUnreachableError,
    StaleConnectionError,
    TransportError,
)
from .._events import BreakerChanged, BreakerState
from .call_window import CallWindow

ACCOUNT_PROBE_SECONDS = 60.0
"""Between two calls that find out whether the account is in order again: somebody has to mend it."""
PROBE_WAIT_INITIAL = 1.0
"""Seconds until the first probe; doubled by each that fails."""
PROBE_WAIT_MAX = 30.0
"""Seconds between probes at most, and after which a probe that nothing is heard of counts as lost."""

Emit: TypeAlias = Callable[[BreakerChanged], None]


class _Lamp:
    """Shows a breaker's state, and tells of every change."""

    def __init__(self, breaker: Literal["account", "transport"], emit: Emit) -> None:
        self.state: BreakerState = "closed"
        self._breaker = breaker
        self._emit = emit

    def turn(self, state: BreakerState, reason: str, now: float) -> None:
        if state != self.state:
            self.state = state
            self._emit(BreakerChanged(self._breaker, state, reason, now))


class AccountBreaker:
    """Stops sending for a credential at the first fault that every call with it would meet.

    Every 60 s one call is let through to find out whether it was mended. Until that call is decided, or
    for another 60 s, the others go on failing without being sent. A score, another answer that only an
    account in order gets, or another credential ends it.

    Args:
        emit: Told of every change of the state, for example `hooks.emit`.

    Example:
        >>> breaker = AccountBreaker(emit=print)
        >>> breaker.check(now=0.0) is None
        True
    """

    def __init__(self, emit: Emit) -> None:
        self._lamp = _Lamp("account", emit)
        self._error: AccountError | ConfigurationError | None = None
        self._opened_at = -inf
        self._probe_at = inf
        self._key: Hashable = None
        self._key_since = -inf

    @property
    def state(self) -> BreakerState:
        """What it does with calls."""
        return self._lamp.state

    def peek(self, now: float) -> AccountError | ConfigurationError | None:
        """Return the error that a call would fail with now, without taking the turn of a probe."""
        if self._error is None or now >= self._probe_at:
            return None
        return copy(self._error)  # raising the same object again and again would grow its traceback

    def check(self, now: float) -> AccountError | ConfigurationError | None:
        """Return the error that the call shall fail with, or None if it may be sent.

        The error says what the one that ended an earlier photo says, and its message has that call's
        request id. It is a new object without a request id of its own, because nothing was sent.
        """
        error = self.peek(now)
        if error is not None or self._error is None:
            return error
        self._probe_at = now + ACCOUNT_PROBE_SECONDS
        self._lamp.turn("half-open", "one call finds out whether the fault was mended", now)
        return None

    def note(self, error: LivenessError, now: float, *, began: float | None = None) -> None:
        """Hear of the error that a photo has ended with, not of one that is still tried again.

        Faults of a run stop the sending. A refused photo shows that the account is in order, for the service
        has judged it. Other errors show nothing.

        Args:
            error: The error.
            now: The time.
            began: When the call passed `check`. One that passed before the fault, or before the credential
                was changed, tells nothing new. Without it, the call counts as begun now.
        """
        if isinstance(error, PhotoRefusedError):
            self.note_success(now, began=began)
        elif isinstance(error, RUN_FAULTS) and self._is_news(began):
            self._open(error, now)

    def note_success(self, now: float, *, began: float | None = None) -> None:
        """Hear of a score: send again; `began` as for `note`."""
        if self._is_news(began):
            self._close("a call has succeeded", now)

    def note_credential(self, key: Hashable, now: float) -> None:
        """Hear which credential the next calls use; another one than before is sent with.

        Args:
            key: What tells credentials apart, for example secret id and token. It is never shown.
            now: The time.
        """
        if key == self._key:
            return
        self._key, self._key_since, self._opened_at = key, now, -inf
        self._close("there is another credential", now)

    def _is_news(self, began: float | None) -> bool:
        return began is None or (began > self._opened_at and began >= self._key_since)

    def _open(self, error: AccountError | ConfigurationError, now: float) -> None:
        if self.state == "open":  # the first fault is known, and a late one shall not put off the probe
            return
        if self.state == "closed":
            self._opened_at = now
        self._error = _make_template(error)
        self._probe_at = now + ACCOUNT_PROBE_SECONDS
        self._lamp.turn("open", str(error), now)

    def _close(self, reason: str, now: float) -> None:
        self._error = None
        self._lamp.turn("closed", reason, now)


class TransportBreaker:
    """Stops sending when most recent calls got no usable answer.

    It opens when at least 20 calls ended within 30 s and at least half of them failed. Then single calls
    are let through: the first after 1 s, and after each that fails twice as long, up to 30 s. One that
    is answered closes it.

    A failure is a call without a usable answer. Malformed answers are failures, though some machine has
    answered: a gateway that says 502 to everything, or a captive portal, is as good as a dead link, and
    each of its answers may be paid for. Answers with an error code are none, for the service is there.
    Stale connections are neither: a service that closes idle connections is in good health.

    Args:
        emit: Told of every change of the state, for example `hooks.emit`.

    Example:
        >>> breaker = TransportBreaker(emit=print)
        >>> breaker.check(now=0.0) is None
        True
    """

    def __init__(self, emit: Emit) -> None:
        self._lamp = _Lamp("transport", emit)
        self._window = CallWindow()
        self._opened_at = -inf
        self._probe_at = inf
        self._wait = PROBE_WAIT_INITIAL
        self._reason = ""

    @property
    def state(self) -> BreakerState:
        """What it does with calls."""
        return self._lamp.state

    def peek(self, now: float) -> ServiceUnreachableError | None:
        """Return the error that a call would fail with now, without taking the turn of a probe."""
        if self.state == "closed" or now >= self._probe_at:
            return None
        return self._make_error(now)

    def check(self, now: float) -> ServiceUnreachableError | None:
        """Return the error that the call shall fail with, or None if it may be sent at once.

        To be asked last before sending: a call that passes and then waits for something else is a probe
        that tells late, or a call that ends up in the outage.
        """
        error = self.peek(now)
        if error is not None or self.state == "closed":
            return error
        self._probe_at = now + PROBE_WAIT_MAX
        self._lamp.turn("half-open", "one call finds out whether the service can be reached", now)
        return None

    def note(self, error: LivenessError, now: float, *, began: float | None = None) -> None:
        """Hear how an attempt has failed.

        Args:
            error: Its error.
            now: The time.
            began: When it passed `check`. One that passed before the breaker opened tells nothing new, so
                that calls of the outage that end late neither pass for the probe nor open it again.
                Without it, the attempt counts as begun now.
        """
        if isinstance(error, StaleConnectionError | ServiceUnreachableError):
            return
        if isinstance(error, LivenessAPIError):
            self.note_success(now, began=began)
        elif isinstance(error, TransportError) and self._is_news(now, began):
            self._note_failure(str(error), now)

    def note_success(self, now: float, *, began: float | None = None) -> None:
        """Hear that an attempt was answered; `began` as for `note`."""
        if not self._is_news(now, began):
            return
        if self.state == "closed":
            self._window.add(now, is_failed=False)
            return
        self._window = CallWindow()
        self._wait = PROBE_WAIT_INITIAL
        self._lamp.turn("closed", "a call was answered", now)

    def _is_news(self, now: float, began: float | None) -> bool:
        return (now if began is None else began) > self._opened_at

    def _note_failure(self, reason: str, now: float) -> None:
        if self.state == "closed":
            self._window.add(now, is_failed=True)
            if self._window.is_outage:
                self._opened_at = now
                self._open(reason, now)
        elif self.state == "half-open":
            self._wait = min(2 * self._wait, PROBE_WAIT_MAX)
            self._open(reason, now)

    def _open(self, reason: str, now: float) -> None:
        self._reason = reason
        self._probe_at = now + self._wait
        counts = f"{self._window.failed} of {self._window.calls} calls failed"
        self._lamp.turn("open", f"{counts}; next try in {self._wait:g} s; the latest: {reason}", now)

    def _make_error(self, now: float) -> ServiceUnreachableError:
        is_probed = self.state == "half-open"  # and soon decided, long before the probe counts as lost
        return ServiceUnreachableError(
            self._reason,
            failed=self._window.failed,
            calls=self._window.calls,
            retry_after=min(PROBE_WAIT_INITIAL if is_probed else inf, self._probe_at - now),
        )


def _make_template(error: AccountError | ConfigurationError) -> AccountError | ConfigurationError:
    """Copy an error for calls that are not sent: without its traceback, its request id and its bill."""
    template = copy(error)
    template.request_id = ""
    template.is_billed = False
    return template
