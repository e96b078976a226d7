"""From what the client says to what the ledger keeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .._errors import (
    AccountError,
    ConfigurationError,
    LivenessAPIError,
    LivenessError,
    PhotoChangedError,
    PhotoRefusedError,
    PhotoRejectedError,
    PhotoUnreadableError,
)
from .._models import Failed, LivenessScore, Scored
from ._records import PhotoRecord, State

if TYPE_CHECKING:
    from .._models import Outcome, Timings


def find_state(error: LivenessError) -> State:
    """Return what an error says about its photo."""
    match error:
        case PhotoRefusedError() | PhotoRejectedError():
            return State.REFUSED_BILLED if error.is_billed else State.REFUSED_FREE
        case PhotoUnreadableError() | PhotoChangedError() | AccountError() | ConfigurationError():
            return State.FAILED_FINAL
        case _ if error.is_billed is None:
            return State.UNKNOWN
        case _:
            return State.FAILED_TRANSIENT


def make_attempt_record(key: str, result: LivenessScore | LivenessError, timings: Timings) -> PhotoRecord:
    """Return what one attempt adds to a photo's record; its counts are those of this attempt."""
    if isinstance(result, LivenessScore):
        return PhotoRecord(
            key=key,
            state=State.SCORED,
            score=result.score,
            model_version=result.model_version,
            request_id=result.request_id,
            attempts=1,
            billed=1,
            queue_seconds=timings.queue,
            rate_seconds=timings.rate,
            attempt_seconds=timings.attempt,
            time=time.time(),
        )
    return PhotoRecord(
        key=key,
        state=find_state(result),
        request_id=result.request_id,
        code=find_code(result),
        message=str(result),
        attempts=1,
        billed=int(result.is_billed is True),
        maybe_billed=int(result.is_billed is None),
        queue_seconds=timings.queue,
        rate_seconds=timings.rate,
        attempt_seconds=timings.attempt,
        time=time.time(),
    )


def make_outcome_record(key: str, outcome: Outcome) -> PhotoRecord:
    """Return what a photo has come to in the end, without counts, which its attempts have."""
    result, timings = outcome.result if isinstance(outcome, Scored) else None, outcome.timings
    error = outcome.error if isinstance(outcome, Failed) else None
    return PhotoRecord(
        key=key,
        state=State.SCORED if error is None else find_state(error),
        score=None if result is None else result.score,
        model_version="" if result is None else result.model_version,
        request_id=outcome.request_id,
        code="" if error is None else find_code(error),
        message="" if error is None else str(error),
        queue_seconds=timings.queue,
        rate_seconds=timings.rate,
        attempt_seconds=timings.attempt,
        time=time.time(),
    )


def make_item_record(key: str, error: LivenessError) -> PhotoRecord:
    """Return the record of an item that cannot be read."""
    return PhotoRecord(
        key=key, state=find_state(error), code=find_code(error), message=str(error), time=time.time()
    )


def find_code(error: LivenessError) -> str:
    """Return the service's code, or the error's class where the service said nothing."""
    return error.code if isinstance(error, LivenessAPIError) else type(error).__name__
