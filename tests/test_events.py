from __future__ import annotations

import logging
from dataclasses import FrozenInstanceError, fields
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    ClientClosed,
    OutcomeReached,
    Photo,
    RateChanged,
    RetryScheduled,
)
from tencent_liveness_async._errors import LivenessError
from tencent_liveness_async._events import Hooks
from tencent_liveness_async._models import Failed, Timings

if TYPE_CHECKING:
    from tencent_liveness_async import Event

PHOTO = Photo(data=b"photo", id="1")
ERROR = LivenessError("failed")
EVENTS: tuple[Event, ...] = (
    AttemptStarted(PHOTO, 1),
    AttemptEnded(PHOTO, 1, ERROR, 0.5),
    RetryScheduled(PHOTO, ERROR, 0.25),
    OutcomeReached(Failed(PHOTO, ERROR, 1, 0, Timings()), is_abandoned=False),
    BreakerChanged("transport", "open", "15 of the last 20 calls failed", 12.5),
    ClientClosed(3, 1, 20),
    RateChanged(50.0, 19.6, 19.6, 20, 0.0, "throttled: 21 calls where the limit is 20", 1.5),
)


def _raise(event: Event) -> None:
    raise RuntimeError("broken hook")


def _raise_too(event: Event) -> None:
    raise ValueError("also broken")


def test_hooks_are_called_in_order_with_each_event() -> None:
    """Every hook gets every event itself, hook after hook."""
    calls: list[tuple[str, Event]] = []
    hooks = Hooks([lambda event: calls.append(("first", event)), lambda event: calls.append(("last", event))])
    for event in EVENTS:
        hooks.emit(event)
    assert calls == [(name, event) for event in EVENTS for name in ("first", "last")]


def test_hook_that_raises_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """What a hook raises reaches neither the caller nor the other hooks, before it and after it."""
    first: list[Event] = []
    last: list[Event] = []
    hooks = Hooks([first.append, _raise, last.append])
    for event in EVENTS:
        hooks.emit(event)
    assert first == last == list(EVENTS)


def test_hook_that_raises_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each hook that raises is logged at its first error, with the hook's name and the error."""
    hooks = Hooks([_raise, _raise_too, lambda event: None])
    for event in EVENTS:
        hooks.emit(event)
    assert [(record.name, record.levelno) for record in caplog.records] == [
        ("tencent_liveness_async", logging.ERROR)
    ] * 2
    for record, hook, text in zip(
        caplog.records, (_raise, _raise_too), ("broken hook", "also broken"), strict=True
    ):
        assert hook.__name__ in record.getMessage()
        assert text in caplog.text
        assert record.exc_info is not None


def test_each_client_logs_its_hooks_itself(caplog: pytest.LogCaptureFixture) -> None:
    """A hook that two clients share is logged once by each."""
    for _ in range(2):
        Hooks([_raise]).emit(EVENTS[0])
    assert len(caplog.records) == 2


def test_interrupt_in_a_hook_is_not_swallowed(caplog: pytest.LogCaptureFixture) -> None:
    """A keyboard interrupt in a hook ends the program as it does elsewhere."""

    def interrupt(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hooks([interrupt]).emit(EVENTS[0])
    assert not caplog.records


def test_no_hooks_are_fine() -> None:
    """Without hooks an event does nothing."""
    Hooks().emit(EVENTS[0])


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_are_frozen(event: Event) -> None:
    """A hook cannot change an event that another hook will see."""
    for field in fields(event):
        with pytest.raises(FrozenInstanceError):
            setattr(event, field.name, None)
    assert not hasattr(event, "__dict__")


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_do_not_show_the_photo(event: Event) -> None:
    """An event's repr, which ends in logs, does not show the photo's bytes."""
    assert "b'photo'" not in repr(event)
