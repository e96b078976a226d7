"""Scores an archive: source, ledger, client and results joined.

Every item of the source is looked up in the ledger first. One that is finished there is not sent again;
equal photos are sent once. What is sent has an intent in the ledger before its first byte, and its slot is
free only when its outcome is committed: so a crash leaves unknown only what is on the wire.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from .._errors import LivenessError, RunStoppedError
from .._models import Failed, LivenessScore, Outcome, Photo
from ._budget import Budget, BudgetExhaustedError
from ._intake import Intake, Prepared
from ._outcomes import make_attempt_record, make_outcome_record
from ._records import State
from ._results import Results
from ._witness import RunWitness
from .ledger import LedgerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from .._client import LivenessClient
    from .._flow import OutcomeStream
    from .._models import Timings
    from ._records import Sink, Source
    from .ledger import Ledger

StopReason: TypeAlias = Literal["finished", "budget", "errors", "time", "account", "interrupted"]
"""Why a job ended."""
UnknownPolicy: TypeAlias = Literal["retry", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """What a job may do.

    Attributes:
        on_unknown: What to do with photos that were sent in an earlier run and whose outcome is unknown: they
            may be paid. `retry` sends them again, which may pay twice; `skip` leaves them.
        only: Send only photos that the ledger has in one of these states; None for all that are not finished.
        max_calls: The most calls that may be billed, retries included; None for no limit.
        max_seconds: Take in nothing more after so long; None for no limit.
        max_errors: Stop when more photos than this have failed; None for no limit. Refused ones have not.
        max_error_share: Stop when more than this share of at least 100 photos has failed, 0 to 1.
    """

    on_unknown: UnknownPolicy = "skip"
    only: frozenset[State] | None = None
    max_calls: int | None = None
    max_seconds: float | None = None
    max_errors: int | None = None
    max_error_share: float | None = None


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes:
        found: Items taken from the source so far.
        is_complete: Whether the source has ended, so that `found` is all.
        resumed: Items whose photo was finished before this run.
        equal: Items whose photo is another item's, too, and was not sent for them.
        skipped_unknown: Items left alone because it is unknown whether they were paid.
        outcomes: Photos that got an outcome in this run, by state.
        billed: Calls of this run that are billed.
        maybe_billed: Calls of this run that may be.
        stopped: Why it takes in nothing more; None while it does.
    """

    found: int
    is_complete: bool
    resumed: int
    equal: int
    skipped_unknown: int
    outcomes: dict[State, int]
    billed: int
    maybe_billed: int
    stopped: StopReason | None

    @property
    def failed(self) -> int:
        """Photos of this run that have no score and were not refused."""
        return sum(
            self.outcomes.get(state, 0)
            for state in (State.FAILED_TRANSIENT, State.FAILED_FINAL, State.UNKNOWN)
        )


class ScoreJob:
    """One run over a source, to be awaited once: `progress = await ScoreJob(...).run()`.

    Args:
        client: An open client; its pace, lanes and statistics are the job's.
        source: Where the photos are.
        ledger: Where it is kept what was paid.
        open_sink: Opens the result file, now and once more when all is done; None leaves results in the
            ledger.
        settings: What the job may do.
        threshold: Score, 0 to 100, from which a row says that the photo is live.
    """

    def __init__(
        self,
        client: LivenessClient,
        source: Source,
        ledger: Ledger,
        *,
        open_sink: Callable[[], Sink] | None = None,
        settings: JobSettings | None = None,
        threshold: float = 40.0,
    ) -> None:
        self.settings = settings or JobSettings()
        self.budget = Budget(self.settings.max_calls)
        self._client = client
        self._ledger = ledger
        self._results = Results(ledger, open_sink, threshold=threshold)
        self._intake = Intake(source, ledger, self._results, self.settings)
        self._outcomes: Counter[State] = Counter()
        self._billed = 0
        self._maybe_billed = 0
        self._keys: dict[str, Prepared] = {}
        self._stopped: StopReason | None = None
        self._fault: LivenessError | None = None
        self._ends_at = float("inf")
        self._stream: OutcomeStream | None = None

    def progress(self) -> JobProgress:
        """Return how far it is; any time, from its own event loop."""
        intake = self._intake
        outcomes = self._outcomes.copy()
        if intake.unreadable:
            outcomes[State.FAILED_FINAL] += intake.unreadable
        return JobProgress(
            found=intake.found,
            is_complete=intake.is_complete,
            resumed=intake.resumed,
            equal=intake.equal,
            skipped_unknown=intake.skipped_unknown,
            outcomes=dict(outcomes),
            billed=self._billed,
            maybe_billed=self._maybe_billed,
            stopped=self._stopped,
        )

    def stop(self, reason: StopReason = "interrupted") -> None:
        """Take in nothing more, drop what waits, and let attempts under way end. Twice changes nothing."""
        self._stopped = self._stopped or reason
        if self._stream is not None:
            self._stream.stop()

    async def run(self) -> JobProgress:
        """Run to the end of the source, or to a stop.

        Raises:
            LedgerError: The ledger cannot be written; what was acknowledged before is in it.
            SinkError: The results cannot be written; they can be exported from the ledger.
            SourceError: The source cannot be read on.
            LivenessError: An account or configuration fault; `progress().stopped` is "account".
        """
        if self.settings.max_seconds is not None:
            self._ends_at = time.monotonic() + self.settings.max_seconds
        witness = RunWitness(self._client)
        async with self._results:
            await self._score_all()
            await self._ledger.add_run(witness.make_notes(skipped_by_resume=self._intake.resumed))
            if self._fault is not None:
                raise self._fault
        return replace(self.progress(), stopped=self._stopped or "finished")

    async def _score_all(self) -> None:
        try:
            async with self._client.score_many(self._photos(), journal=self) as self._stream:
                if self._stopped is not None:
                    self._stream.stop()
                async for outcome in self._stream:
                    await self._note_outcome(outcome)
        except RunStoppedError as exc:
            for outcome in exc.finished:
                await self._note_outcome(outcome)
            self.stop("account")
            self._fault = self._fault or exc.error

    async def _photos(self) -> AsyncIterator[Photo]:
        async for prepared in self._intake:
            if self._is_over():
                break
            self._keys[prepared.item.id] = prepared
            yield prepared.photo
        await self._intake.aclose()

    def _is_over(self) -> bool:
        if time.monotonic() >= self._ends_at:
            self._stopped = self._stopped or "time"
        elif self.budget.is_exhausted:
            self._stopped = self._stopped or "budget"
        return self._stopped is not None or self._fault is not None

    # What the client asks before and after every attempt.

    async def begin_attempt(self, photo: Photo) -> None:
        """Reserve the call and write the intent.

        Raises:
            BudgetExhaustedError: No call is left.
            LedgerError: The intent cannot be written, so nothing is sent.
        """
        self.budget.reserve()
        try:
            await self._ledger.begin_attempt(self._key_of(photo))
        except LedgerError as exc:
            self.budget.settle(is_billed=False)
            self._fault = self._fault or exc
            raise

    async def end_attempt(
        self, photo: Photo, result: LivenessScore | LivenessError, timings: Timings
    ) -> None:
        """Write what the attempt has come to, in place of its intent."""
        record = make_attempt_record(self._key_of(photo), result, timings)
        self._billed += record.billed
        self._maybe_billed += record.maybe_billed
        is_billed = True if isinstance(result, LivenessScore) else result.is_billed
        self.budget.settle(is_billed=is_billed)
        try:
            await self._ledger.end_attempt(record, is_last=record.state is State.SCORED)
        except LedgerError as exc:
            self._fault = self._fault or exc
            raise

    def _key_of(self, photo: Photo) -> str:
        return self._keys[photo.id or ""].key

    async def _note_outcome(self, outcome: Outcome) -> None:
        prepared = self._keys.pop(outcome.photo.id or "")
        if isinstance(outcome, Failed) and isinstance(outcome.error, BudgetExhaustedError):
            self.stop("budget")
            self._intake.forget(prepared)
            return
        if isinstance(outcome, Failed) and isinstance(outcome.error, LedgerError):
            self.stop("interrupted")
            self._intake.forget(prepared)
            return
        record = make_outcome_record(prepared.key, outcome)
        if isinstance(outcome, Failed) or outcome.is_shared:  # else its attempt has written all of it
            await self._ledger.put(record)
        self._outcomes[record.state] += 1
        await self._results.add(self._intake.forget(prepared), prepared.key)
        self._check_errors()

    def _check_errors(self) -> None:
        settings, failed = self.settings, self.progress().failed
        ended = sum(self._outcomes.values())
        if settings.max_errors is not None and failed > settings.max_errors:
            self.stop("errors")
        share = settings.max_error_share
        if share is not None and ended >= 100 and failed > share * ended:
            self.stop("errors")
