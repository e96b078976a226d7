"""How reports put states, numbers and times into words."""

from __future__ import annotations

from ._records import State

STATE_NAMES = {
    State.SCORED: "Scored",
    State.REFUSED_BILLED: "Refused, paid",
    State.REFUSED_FREE: "Refused, free",
    State.FAILED_TRANSIENT: "Failed for now",
    State.FAILED_FINAL: "Failed",
    State.UNKNOWN: "Unknown",
}

STATE_MEANINGS = {
    State.SCORED: "The photo has a score. It is not paid again.",
    State.REFUSED_BILLED: "The service found no face in it, and billed the call. It is not sent again.",
    State.REFUSED_FREE: "The service does not take this photo. The same bytes would be refused again.",
    State.FAILED_TRANSIENT: "It failed in a way that may pass. The next run tries it again.",
    State.FAILED_FINAL: "It cannot be read, or the account is at fault. Mend the cause, then retry it.",
    State.UNKNOWN: "A call was sent and no answer came: it may be paid. Sending it again is up to you.",
}

_MINUTE = 60.0
_HOUR = 3600.0


def format_share(part: int, whole: int) -> str:
    """Return a share in per cent; what is not all is never shown as 100, what is not nothing never as 0."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def format_seconds(seconds: float) -> str:
    """Return a duration in the unit that suits it, with about two figures."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE - 0.5:
        return f"{seconds:.0f} s"
    if seconds < _HOUR - 30:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def format_number(number: float) -> str:
    """Return a number without zeros behind its point: a threshold, a score."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def count_photos(number: int) -> str:
    """Return `1 photo`, `2,000 photos`."""
    return f"{number:,} {'photo' if number == 1 else 'photos'}"
