"""The ledger of a job: what was sent, what came of it and what it cost, in one SQLite file."""

from __future__ import annotations

from ._errors import LedgerDamagedError, LedgerError, LedgerLockedError, LedgerMismatchError
from ._ledger import Ledger
from ._reading import Known, LedgerCounts, LedgerReader
from ._recovery import CheckReport, RecoverReport, check, recover
from ._schema import Parameters

__all__ = [
    "CheckReport",
    "Known",
    "Ledger",
    "LedgerCounts",
    "LedgerDamagedError",
    "LedgerError",
    "LedgerLockedError",
    "LedgerMismatchError",
    "LedgerReader",
    "Parameters",
    "RecoverReport",
    "check",
    "recover",
]
