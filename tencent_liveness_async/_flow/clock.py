"""The service's clock, as far as it is known."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class ServiceClock:
    """This machine's clock plus the offset that the service's answers have shown.

    Signatures more than five minutes off the service's clock are refused.

    Args:
        now: UNIX seconds by this machine's clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.offset = 0.0

    def timestamp(self) -> int:
        """Return UNIX seconds by the service's clock."""
        return int(self._now() + self.offset)

    def adjust(self, date: str) -> None:
        """Take the offset from the Date header of an answer; one that is no date changes nothing."""
        try:
            self.offset = parsedate_to_datetime(date).timestamp() - self._now()
        except (ValueError, OverflowError):
            return
