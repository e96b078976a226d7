"""`tencent-liveness report`: what a ledger says."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .._errors import ConfigurationError
from ._context import Context, ExitCode, blaming_usage
from ._options import THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..jobs._figures import Figures
    from ..jobs._records import Value
    from ..jobs.ledger import LedgerReader


def report(
    ledger: Annotated[Path, Parameter(name="LEDGER")],
    *,
    html: Path | None = None,
    threshold: Annotated[float, THRESHOLD] = 40.0,
    prices: Path | None = None,
    context: Annotated[Context, Parameter(parse=False)],
) -> ExitCode:
    """Say what a job came to: outcomes, scores, times, calls and money. A job may run meanwhile.

    It ends with 5 if some items have no outcome yet.

    Args:
        ledger: The ledger, or the output that it belongs to.
        html: Write a page with charts, a table to filter, and photos near the threshold; it shows faces.
        threshold: Score from 0 to 100 from which a photo counts as live.
        prices: A TOML file with the prices of calls.
        context: Streams and environment.
    """
    from ..jobs._figures import compute_figures
    from ..jobs.ledger import LedgerReader
    from ._job_parts import find_ledger
    from ._report_text import format_report

    price = _make_price(prices)
    with LedgerReader(find_ledger(ledger)) as reader:
        inputs = reader.count().items
        figures = compute_figures(
            reader.rows(), threshold=threshold, run=reader.find_last_run(), inputs=inputs, price=price
        )
        context.write(format_report(figures))
        if html is not None:
            _write_page(reader, figures, html)
            context.say(f"page in {html}")
    return ExitCode.OK if figures.is_complete else ExitCode.TEMPORARY


def _make_price(prices: Path | None) -> Callable[[int], str] | None:
    if prices is None:
        return None
    from ..jobs._price import PriceTable
    from ._job_standing import tell_cost

    with blaming_usage(ConfigurationError):
        table = PriceTable.read(prices)
    return lambda calls: tell_cost(table, calls) or ""


def _write_page(reader: LedgerReader, figures: Figures, html: Path) -> None:
    from ..jobs._page import write_page

    write_page(figures, html, rows=_list_values(reader, figures.threshold))


def _list_values(reader: LedgerReader, threshold: float) -> Iterator[dict[str, Value]]:
    for rows in reader.rows():
        for row in rows:
            yield row.to_values(threshold)
