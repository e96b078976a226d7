"""What the sandbox has counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from .._error_codes import BILLED_CODES, Kind, find_code_rule

if TYPE_CHECKING:
    from collections.abc import Mapping

OK = "OK"
"""Stands for a score where error codes are counted."""


@dataclass(frozen=True, slots=True)
class SandboxStatistics:
    """What the sandbox has counted since its start or its last reset.

    Attributes:
        calls: Requests that arrived at `/`, whatever became of them.
        billed: Calls the service would bill: scores, and photos without a face.
        billed_unanswered: Billed calls whose full answer was not sent: it was reset or cut, or the
            peer had gone before it.
        throttled: Answers with a throttling code.
        busiest_second: The most calls that arrived within one whole second of the clock.
        codes: Answers by error code, `OK` for scores; answers that were not delivered included.
        faults: Faults that took effect, by kind.
    """

    calls: int = 0
    billed: int = 0
    billed_unanswered: int = 0
    throttled: int = 0
    busiest_second: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return it as `GET /_sandbox/statistics` shows it."""
        return asdict(self)


class StatisticsBook:
    """Counts. Written by the event loop's thread alone, read by any."""

    def __init__(self) -> None:
        self._calls = 0
        self._billed = 0
        self._billed_unanswered = 0
        self._throttled = 0
        self._second = -1
        self._second_calls = 0
        self._busiest_second = 0
        self._codes: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()

    def add_call(self, now: float) -> None:
        """Count a call that arrives at `now`."""
        self._calls += 1
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_calls = 0
        self._second_calls += 1
        self._busiest_second = max(self._busiest_second, self._second_calls)

    def add_answer(self, code: str) -> bool:
        """Count an answer that is ready, and say whether its call is billed."""
        self._codes[code] += 1
        is_billed = code == OK or code in BILLED_CODES
        self._billed += is_billed
        self._throttled += code != OK and find_code_rule(code).kind is Kind.THROTTLE
        return is_billed

    def add_unanswered(self) -> None:
        """Count a billed call whose full answer is not sent."""
        self._billed_unanswered += 1

    def add_fault(self, fault: str) -> None:
        """Count a fault that takes effect."""
        self._faults[fault] += 1

    def snapshot(self) -> SandboxStatistics:
        """Return the counts; calls that are under way may be counted in part."""
        return SandboxStatistics(
            calls=self._calls,
            billed=self._billed,
            billed_unanswered=self._billed_unanswered,
            throttled=self._throttled,
            busiest_second=self._busiest_second,
            codes=dict(self._codes),
            faults=dict(self._faults),
        )
