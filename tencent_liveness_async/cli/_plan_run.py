"""The work behind `tencent-liveness plan`."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from typing import TYPE_CHECKING

import anyio.to_thread

from .._protocol.endpoint import DEFAULT_ENDPOINT
from ..jobs._plan import GivenItems, estimate_share, make_plan
from ..jobs._records import State
from ..jobs.ledger import LedgerReader
from ._charts import draw_scores, format_sums
from ._context import CommandError, ExitCode, count_noun
from ._job_parts import make_parameters, open_job_source, read_prices
from ._job_run import run_job
from ._job_standing import tell_cost
from ._progress import tell_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..jobs._plan import Plan
    from ..jobs._records import PhotoRecord, Source
    from ..jobs.ledger import Parameters
    from ._context import Context
    from ._job_run import JobRequest

_FIELDS = (
    "found",
    "equal",
    "finished",
    "unknown",
    "refused",
    "unreadable",
    "to_score",
    "calls_at_best",
    "calls_at_worst",
)


def run_plan(request: JobRequest, context: Context, *, sample: int, seed: int) -> ExitCode:
    """Make a plan and print it; with a sample, score that, too.

    Raises:
        CommandError: There is nothing to plan or to sample.
        LivenessError: The source or the ledger cannot be read.
    """
    work = _Planning(request, context, sample=sample, seed=seed)
    if not sample:
        return asyncio.run(work.run_alone())
    code = run_job(request, context, opener=work.open_sample)
    work.print_sample()
    return code


class _Planning:
    """Makes a plan and shows it."""

    def __init__(self, request: JobRequest, context: Context, *, sample: int, seed: int) -> None:
        self._request = request
        self._context = context
        self._prices = read_prices(request.limits)
        self._sample = sample
        self._seed = seed
        self._sampled: frozenset[tuple[str, str]] = frozenset()

    async def run_alone(self) -> ExitCode:
        """Make the plan; a sandbox is not needed for that."""
        endpoint = self._request.service.endpoint or DEFAULT_ENDPOINT
        source, plan = await self._open_and_plan(make_parameters(self._request.service, endpoint))
        await source.aclose()
        return ExitCode.OK if plan.to_score or plan.unknown else ExitCode.NOTHING_TO_DO

    async def open_sample(self, parameters: Parameters) -> Source:
        """Make the plan and return the sample as a source."""
        source, plan = await self._open_and_plan(parameters)
        if not plan.sample:
            await source.aclose()
            raise CommandError("nothing to sample: no photo would be sent", ExitCode.NOTHING_TO_DO)
        self._sampled = frozenset((item.id, item.source) for item in plan.sample)
        return GivenItems(source, plan.sample)

    async def _open_and_plan(self, parameters: Parameters) -> tuple[Source, Plan]:
        request = self._request
        source = await open_job_source(request.source, request.reading, self._context)
        try:
            ledger = await anyio.to_thread.run_sync(self._open_ledger)
            with ledger or nullcontext():
                plan = await make_plan(
                    source,
                    ledger,
                    parameters,
                    retries_unknown=request.limits.on_unknown == "retry",
                    sample=self._sample,
                    seed=self._seed,
                )
        except BaseException:
            await source.aclose()
            raise
        if not plan.found:
            await source.aclose()
            raise CommandError(f"no photos in {request.source}", ExitCode.NOT_FOUND)
        self._print(plan)
        return source, plan

    def _open_ledger(self) -> LedgerReader | None:
        path = self._request.ledger
        return LedgerReader(path) if path.is_file() else None

    def _print(self, plan: Plan) -> None:
        if self._request.display.json_events:
            values = {name: getattr(plan, name) for name in _FIELDS}
            self._context.write(json.dumps(values) + "\n")
            return
        self._context.write(format_sums(self._list_sums(plan)))

    def _list_sums(self, plan: Plan) -> Iterator[tuple[str, str]]:
        rate = self._request.service.rate
        unknown = f", {plan.unknown:,} may be paid" if plan.unknown else ""
        yield (
            "photos",
            f"{plan.found:,} found, {plan.equal:,} equal, {plan.finished:,} finished before{unknown}",
        )
        rules = ", ".join(f"{count:,} {rule}" for rule, count in plan.refused.items())
        refused = f"{sum(plan.refused.values()):,} refused before sending"
        yield "not sent", f"{refused}{f' ({rules})' if rules else ''}, {plan.unreadable:,} unreadable"
        yield "to be scored", count_noun(plan.to_score, "photo")
        yield "calls", f"{plan.calls_at_best:,} at best, {plan.calls_at_worst:,} at worst"
        yield "time", f"{tell_duration(plan.to_score / rate)} at {rate:g} calls a second"
        if self._prices is not None:
            best, worst = (tell_cost(self._prices, n) for n in (plan.calls_at_best, plan.calls_at_worst))
            yield "cost", f"{best} at best, {worst} at worst"

    def print_sample(self) -> None:
        """Print what the scores of the sample say about all photos."""
        records = self._read_sample()
        if not records or self._request.display.json_events:
            return
        scores = [record.score for record in records if record.score is not None]
        refused = sum(record.state in (State.REFUSED_BILLED, State.REFUSED_FREE) for record in records)
        low, high = estimate_share(refused, len(records))
        self._context.write(
            f"\nsample of {count_noun(len(records), 'photo')}: {refused:,} refused, "
            f"{100 * low:.1f} to {100 * high:.1f} % of all (95 % confidence)\n{draw_scores(scores)}"
        )

    def _read_sample(self) -> list[PhotoRecord]:
        """Return what came of the sample; of a run that was cut short, of a part of it."""
        ledger = self._open_ledger()
        if ledger is None:
            return []
        with ledger:
            rows = (row for batch in ledger.rows() for row in batch)
            return [row.record for row in rows if (row.id, row.source) in self._sampled]
