"""What a job is made of: its source, its parameters, its prices and its budget."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import anyio.to_thread

from .._errors import ConfigurationError
from .._protocol.endpoint import Endpoint
from ..jobs._price import PriceTable
from ..jobs.ledger import Parameters
from ..jobs.sources import Columns, open_source
from ._context import CommandError, ExitCode, blaming_usage

if TYPE_CHECKING:
    from pathlib import Path

    from ..jobs._records import Source
    from ._context import Context
    from ._options import LimitOptions, ServiceOptions, SourceOptions

LEDGER_SUFFIX = ".ledger"
RESULT_SUFFIXES = (".jsonl", ".csv", ".parquet")
_SANDBOX = "sandbox"
"""Stands for the endpoint of a sandbox, which has another port in every run."""
_READ_ONCE = ("http://", "https://", "s3://", "cos://")
_READ_WHOLE = (".tar", ".tar.gz", ".tgz")


def name_ledger(output: Path) -> Path:
    """Return where the ledger of a result file is: beside it."""
    return output.with_name(output.name + LEDGER_SUFFIX)


def find_ledger(path: Path) -> Path:
    """Return the ledger that was named, itself or by its result file.

    Raises:
        CommandError: There is none.
    """
    beside = name_ledger(path)
    found = beside if beside.exists() else path
    if not found.exists():
        raise CommandError(f"{path} is not there, and no ledger {beside}", ExitCode.NOT_FOUND)
    return found


async def open_job_source(text: str, options: SourceOptions, context: Context) -> Source:
    """Open a job's source, in a thread.

    Raises:
        SourceError: It cannot be opened.
        ConfigurationError: It needs an extra that is not installed.
    """
    stdin = context.stdin.buffer if text == "-" else None
    return await anyio.to_thread.run_sync(
        lambda: open_source(
            text,
            pattern=options.pattern,
            is_sorted=not options.unsorted,
            columns=_name_columns(options),
            stdin=stdin,
        )
    )


async def count_items(text: str, options: SourceOptions) -> int | None:
    """Count a source's items by reading it once more; None where that is dear or cannot be done.

    Raises:
        LivenessError: It cannot be read.
    """
    name = text.lower()
    if text == "-" or name.startswith(_READ_ONCE) or name.endswith(_READ_WHOLE):
        return None
    source = await anyio.to_thread.run_sync(
        lambda: open_source(text, pattern=options.pattern, is_sorted=False, columns=_name_columns(options))
    )
    try:
        return sum([len(batch) async for batch in source])
    finally:
        await source.aclose()


def make_parameters(options: ServiceOptions, endpoint: str) -> Parameters:
    """Return what makes the same photo another one to pay for.

    Raises:
        CommandError: The endpoint is none.
    """
    with blaming_usage(ConfigurationError):
        address = _SANDBOX if options.sandbox else Endpoint.parse(endpoint).url
    return Parameters(options.model_version, address)


def read_prices(limits: LimitOptions) -> PriceTable | None:
    """Return the prices; None if none are given.

    Raises:
        CommandError: There is a limit in money and no prices, or the file makes no sense.
    """
    if limits.prices is not None:
        with blaming_usage(ConfigurationError):
            return PriceTable.read(limits.prices)
    if limits.max_cost is not None:
        raise CommandError("--max-cost needs --prices: no price is known here", ExitCode.USAGE)
    return None


def find_max_calls(limits: LimitOptions, prices: PriceTable | None) -> int | None:
    """Return the budget in calls: the smaller of what calls and money allow; None without a limit."""
    allowed = [] if limits.max_calls is None else [limits.max_calls]
    if limits.max_cost is not None and prices is not None:
        allowed.append(prices.max_calls_for(_read_money(limits.max_cost)))
    return min(allowed, default=None)


def _read_money(text: str) -> Decimal:
    try:
        money = Decimal(text)
    except InvalidOperation:
        money = Decimal("NaN")
    if not money.is_finite() or money < 0:
        raise CommandError(f"--max-cost is a sum of money, such as 12.50, not {text!r}", ExitCode.USAGE)
    return money


def _name_columns(options: SourceOptions) -> Columns:
    return Columns(id=options.id_column, path=options.path_column, url=options.url_column)
