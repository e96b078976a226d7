"""Which photos of a ledger are sent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread

from ..jobs._keys import make_url_key
from ..jobs._records import State
from ..jobs.ledger import LedgerReader
from ._context import CommandError, ExitCode
from ._job_parts import open_job_source
from ._job_run import run_job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from typing import Literal

    from ..jobs._records import Item, Source
    from ..jobs.ledger import Parameters
    from ._context import Context
    from ._job_run import JobRequest

_CLASSES = {
    "transient": State.FAILED_TRANSIENT,
    "unknown": State.UNKNOWN,
    "final": State.FAILED_FINAL,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is sent again.

    Attributes:
        states: Photos in one of these states.
        codes: And of these only those with one of these codes; empty for all.
    """

    states: frozenset[State]
    codes: frozenset[str]

    @property
    def on_unknown(self) -> Literal["retry", "skip"]:
        """What this means for photos that may be paid."""
        return "retry" if State.UNKNOWN in self.states else "skip"


def choose(classes: Sequence[str]) -> Choice:
    """Return what classes and error codes mean.

    Raises:
        CommandError: Both are given: a code is a choice within all classes.
    """
    codes = frozenset(name for name in classes if name not in _CLASSES)
    if codes and len(codes) < len(set(classes)):
        raise CommandError("--class takes classes or error codes, not both at once", ExitCode.USAGE)
    states = _CLASSES.values() if codes else (_CLASSES[name] for name in classes)
    return Choice(frozenset(states), codes)


class ItemsWithCodes:
    """Items of a source whose photos the ledger has with one of some codes; it closes the source.

    Args:
        source: Where the items are.
        ledger: The ledger, which another may write meanwhile; it is closed with the source.
        parameters: What the job scores with.
        codes: The codes.
    """

    def __init__(
        self, source: Source, ledger: LedgerReader, parameters: Parameters, codes: frozenset[str]
    ) -> None:
        self.name = source.name
        self.extra_columns = source.extra_columns
        self._source = source
        self._ledger = ledger
        self._parameters = parameters.model_version or ""
        self._codes = codes

    async def __aiter__(self) -> AsyncIterator[list[Item]]:
        async for batch in self._source:
            yield await anyio.to_thread.run_sync(self._choose, batch)

    async def aclose(self) -> None:
        """Let go of the source and the ledger."""
        self._ledger.close()
        await self._source.aclose()

    def _choose(self, batch: list[Item]) -> list[Item]:
        keys = [
            make_url_key(item, self._parameters) if item.url else known.key
            for item, known in zip(batch, self._ledger.look_up(batch), strict=True)
        ]
        records = self._ledger.find([key for key in keys if key])
        return [
            item
            for item, key in zip(batch, keys, strict=True)
            if key in records and records[key].code in self._codes
        ]


def read_model_version(ledger: Path) -> str | None:
    """Return the face model that a ledger's photos were judged by.

    Raises:
        LedgerError: It cannot be read.
    """
    with LedgerReader(ledger) as reader:
        return reader.parameters.model_version


def run_retry(request: JobRequest, choice: Choice, context: Context) -> ExitCode:
    """Run the job that sends again what was chosen.

    Raises:
        LivenessError: It could not begin.
    """
    if not choice.codes:
        return run_job(request, context)

    async def open_chosen(parameters: Parameters) -> Source:
        source = await open_job_source(request.source, request.reading, context)
        ledger = await anyio.to_thread.run_sync(LedgerReader, request.ledger)
        return ItemsWithCodes(source, ledger, parameters, choice.codes)

    return run_job(request, context, opener=open_chosen)
