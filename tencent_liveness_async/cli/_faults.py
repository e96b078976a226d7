"""What an error means for the one line that a person sees, and for the exit code."""

from __future__ import annotations

from .._errors import (
    AccountError,
    LivenessAPIError,
    LivenessError,
    MissingCredentialsError,
)
from ._context import ExitCode


def find_exit_code(error: Exception) -> ExitCode | None:
    """Return how the program ends with an error; None for one that nobody expected."""
    from ..jobs.ledger import LedgerLockedError, LedgerMismatchError
    from ..jobs.sources import SourceError

    # The first class that fits counts.
    codes: dict[tuple[type[Exception], ...], ExitCode] = {
        (MissingCredentialsError, AccountError): ExitCode.ACCOUNT,
        (LedgerLockedError,): ExitCode.TEMPORARY,
        (LedgerMismatchError,): ExitCode.USAGE,
        (SourceError,): ExitCode.NOT_FOUND,
        (LivenessError, OSError): ExitCode.OTHER,
    }
    return next((code for classes, code in codes.items() if isinstance(error, classes)), None)


def tell_fault(error: Exception) -> str:
    """Return an error's text; of the service's, its meaning and what to do, and not its own words."""
    if not isinstance(error, LivenessAPIError):
        return str(error)
    rule = error.rule
    meaning = rule.meaning if rule.is_known else f"{rule.meaning} The service says: {error.message}"
    return f"{error.code}: {meaning} {rule.advice} (request id {error.request_id or 'missing'})"
