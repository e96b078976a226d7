"""Archives: sources, ledger, sinks, budget, report, and the job that joins them.

async with LivenessClient() as client, await Ledger.open(path, Parameters(None, endpoint)) as ledger:
job = ScoreJob(client, open_source("photos/"), ledger)
progress = await job.run()
"""

from __future__ import annotations

from ._budget import BudgetExhaustedError
from ._job import JobProgress, JobSettings, ScoreJob
from ._price import PriceTable, PriceTier
from ._records import RESULT_COLUMNS, Item, PhotoRecord, ResultRow, Sink, Source, State
from ._results import write_results
from .ledger import (
    Ledger,
    LedgerDamagedError,
    LedgerError,
    LedgerLockedError,
    LedgerMismatchError,
    LedgerReader,
    Parameters,
)
from .sinks import ResultsError, SinkError, open_sink
from .sources import Columns, SourceError, open_source

__all__ = [  # noqa: RUF022 - grouped by what they are for
    # the job
    "JobProgress",
    "JobSettings",
    "ScoreJob",
    # what goes in
    "Columns",
    "Item",
    "Source",
    "open_source",
    # what is kept
    "Ledger",
    "LedgerReader",
    "Parameters",
    "PhotoRecord",
    "State",
    # what comes out
    "RESULT_COLUMNS",
    "ResultRow",
    "Sink",
    "open_sink",
    "write_results",
    # what it costs
    "PriceTable",
    "PriceTier",
    # errors
    "BudgetExhaustedError",
    "LedgerDamagedError",
    "LedgerError",
    "LedgerLockedError",
    "LedgerMismatchError",
    "ResultsError",
    "SinkError",
    "SourceError",
]
