"""Calls that need no photo and no network: the seam of the scheduler's and the stream's tests."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from tencent_liveness_async._events import Hook, Hooks
from tencent_liveness_async._flow import PhotoRun, RetryPolicy, Scheduler
from tencent_liveness_async._models import LivenessScore, Photo

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from tencent_liveness_async._errors import LivenessError
    from tencent_liveness_async._models import PhotoSource


class FakeCall:
    """Plays a script: each attempt takes `seconds` and raises the next error, or scores when none is left."""

    def __init__(
        self,
        name: str = "photo",
        *errors: LivenessError,
        seconds: float = 0.5,
        prepare_error: Exception | None = None,
        key: Hashable = None,
    ) -> None:
        self.photo = Photo(url=f"https://example.com/{name}", id=name)
        self.key = key
        self.sent_at: list[float] = []
        self._errors = list(errors)
        self._seconds = seconds
        self._prepare_error = prepare_error

    async def prepare(self) -> None:
        """Be ready at once, or not at all."""
        if self._prepare_error is not None:
            raise self._prepare_error

    def close(self) -> None:
        """Hold nothing."""

    async def authenticate(self) -> str:
        """Have a credential."""
        return "credential"

    async def send(self, seconds: float) -> LivenessScore:
        """Make one attempt."""
        self.sent_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(min(self._seconds, seconds))
        if self._errors:
            raise self._errors.pop(0)
        return LivenessScore(score=90.0, model_version="3.0", request_id=self.photo.name)


class CallFactory:
    """Begins the fake call of each photo and remembers how many are under way."""

    def __init__(
        self, scheduler: Scheduler, calls: Iterable[FakeCall] = (), *, deadline: float = 60.0
    ) -> None:
        self.started: list[str] = []
        self._scheduler = scheduler
        self._calls = {call.photo.name: call for call in calls}
        self._deadline = deadline

    def __call__(self, source: PhotoSource) -> PhotoRun:
        """Begin the run of one photo, as the client does."""
        name = str(source)
        self.started.append(name)
        call = self._calls.get(name) or FakeCall(name)
        return self._scheduler.start(call, deadline=self._deadline, lane="bulk")


def make_scheduler(
    *,
    rate: float = 1000.0,
    max_concurrency: int = 4,
    retry: RetryPolicy | None = None,
    attempt_timeout: float = 15.0,
    hooks: Iterable[Hook] = (),
) -> Scheduler:
    """Make a scheduler with seeded jitter."""
    return Scheduler(
        rate=rate,
        max_concurrency=max_concurrency,
        retry=retry or RetryPolicy(),
        attempt_timeout=attempt_timeout,
        hooks=Hooks(hooks),
        random=Random(7),
    )
