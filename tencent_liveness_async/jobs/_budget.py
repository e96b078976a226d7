"""What a job may spend: calls, and through them money."""

from __future__ import annotations

from .._errors import LivenessError


class BudgetExhaustedError(LivenessError):
    """The job's budget has no call left, so this one was not sent."""


class Budget:
    """Counts calls that are or may be billed, and never lets more be sent than are left.

    A call is reserved before it is sent, as if it were billed; one that turns out to be free is given back.
    So the limit holds whatever the service does, retries included.

    Args:
        max_calls: The most calls that may be billed; None for no limit.

    Attributes:
        spent: Calls that are billed, or may be.
        reserved: Calls that are under way.
    """

    def __init__(self, max_calls: int | None = None) -> None:
        self.max_calls = max_calls
        self.spent = 0
        self.reserved = 0

    @property
    def left(self) -> int | None:
        """Calls that may still be sent; None for no limit."""
        return None if self.max_calls is None else self.max_calls - self.spent - self.reserved

    @property
    def is_exhausted(self) -> bool:
        """Whether no call is left, even if all that are under way turn out to be free."""
        return self.max_calls is not None and self.spent >= self.max_calls

    def reserve(self) -> None:
        """Take one call.

        Raises:
            BudgetExhaustedError: None is left.
        """
        if self.left is not None and self.left <= 0:
            raise BudgetExhaustedError(
                f"the budget of {self.max_calls} calls is used up: {self.spent} are billed or may be, "
                f"{self.reserved} are under way"
            )
        self.reserved += 1

    def settle(self, *, is_billed: bool | None) -> None:
        """Give a call back, or count it if it is billed or may be."""
        self.reserved -= 1
        self.spent += is_billed is not False
