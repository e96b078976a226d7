"""The client: where credentials, protocol, flow and transport meet."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Literal, Self

import anyio

from ._call import CallOptions, ScoreCall, Wire
from ._credentials import Credential, CredentialProvider, EnvironmentCredentials, StaticCredentials
from ._error_codes import BILLED_CODES
from ._errors import ClientClosedError, ConfigurationError
from ._events import Hook, Hooks, RateChanged
from ._flow import (
    Journal,
    Lane,
    LoopHome,
    OutcomeStream,
    PhotoRun,
    PhotoSources,
    RetryPolicy,
    Scheduler,
    ServiceClock,
    Statistics,
)
from ._models import RECOMMENDED_THRESHOLD, Failed, LivenessScore, Photo, PhotoSource
from ._protocol.endpoint import DEFAULT_ENDPOINT, DEFAULT_REGION, Endpoint, Endpoints
from ._protocol.request import Language, RequestSettings
from ._transport import ConnectionPool, Timeouts, load_fast_connection, warm_up
from ._upload import Uploads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from ssl import SSLContext
    from types import TracebackType

    import httpx

ENDPOINT_VARIABLE = "TENCENT_LIVENESS_ENDPOINT"
DEFAULT_RATE = 45.0
"""Calls per second; the account's quota is about 50."""
DEFAULT_MAX_CONCURRENCY = 64
DEFAULT_DEADLINE = 60.0
DEFAULT_GRACE = 10.0


class LivenessClient:
    """Scores face photos for liveness, one at a time or a stream of them.

    All calls of a client share its connections, its pace and its slots. Use it as
    `async with LivenessClient() as client:`, in one event loop, for as long as there is work: every
    client has a pace of its own, so two of them send twice as fast.

    Args:
        credentials: The key pair, or a provider of it; by default TENCENTCLOUD_SECRET_ID and
            TENCENTCLOUD_SECRET_KEY from the environment.
        endpoint: Where the API is served, a URL or a host name; by default TENCENT_LIVENESS_ENDPOINT from
            the environment, else the service.
        fallback_endpoints: Where to send while that one gives no answer, in order of preference; regional
            host names such as `iai.ap-shanghai.tencentcloudapi.com`. The quota is one for all.
        region: The region named in each call.
        language: The language of the service's messages.
        model_version: The face model that shall judge, `3.0`; None leaves it to the service.
        threshold: The score, 0 to 100, from which `is_live()` says yes. Higher is stricter.
        rate: Attempts per second, never exceeded. Above the account's quota the client finds the quota by
            its first throttles and stays below it; below it time is lost.
        max_concurrency: The most photos that are read, sent or retried at the same time; fewer are if the
            rate needs no more. Too low and the rate is not reached: it takes the rate times the seconds
            an answer takes. Higher takes more memory, about half a megabyte for each photo.
        deadline: Seconds for one photo's waiting and attempts together. Shorter sheds load earlier.
        retry: Which failed attempts are followed by another.
        timeouts: Seconds for the parts of one attempt.
        unsigned_payload: Leave the body out of the signature, which saves hashing it. Undocumented by
            the platform, so off by default.
        single_flight: Whether equal photos (same bytes or URL, same parameters) that are in flight at the
            same time share one call. Off, each is sent and paid for.
        billed_codes: Error codes whose calls are billed.
        proxy: A proxy for all calls; by default as HTTPS_PROXY and NO_PROXY say.
        verify: An SSL context; True for the usual certificates, False for no verification.
        trust_env: Whether the environment's proxy and certificate variables count.
        transport: `"fast"` for the HTTP parser of the extra `[fast]`, which takes less CPU a call; or any
            other httpx transport, which whoever made it closes.
        hooks: Functions that are told of every event.

    Raises:
        ConfigurationError: A setting is out of its range.

    Example:
        >>> async def main() -> None:
        ...     async with LivenessClient() as client:
        ...         result = await client.score("selfie.jpg")
        ...         print(result.score, result.is_live())
    """

    def __init__(
        self,
        *,
        credentials: Credential | CredentialProvider | None = None,
        endpoint: str | None = None,
        fallback_endpoints: Sequence[str] = (),
        region: str = DEFAULT_REGION,
        language: Language = "en-US",
        model_version: str | None = None,
        threshold: float = RECOMMENDED_THRESHOLD,
        rate: float = DEFAULT_RATE,
        max_concurrency: int = DEFAULT_MAX_CONCURRENCY,
        deadline: float = DEFAULT_DEADLINE,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        unsigned_payload: bool = False,
        single_flight: bool = True,
        billed_codes: Collection[str] = BILLED_CODES,
        proxy: httpx.Proxy | str | None = None,
        verify: SSLContext | bool = True,
        trust_env: bool = True,
        transport: httpx.AsyncBaseTransport | Literal["fast"] | None = None,
        hooks: Iterable[Hook] = (),
    ) -> None:
        _check_over_zero(rate=rate, max_concurrency=max_concurrency)
        addresses = (endpoint or _find_endpoint(), *fallback_endpoints)
        self._options = CallOptions(
            request=RequestSettings(region, language),
            timeouts=timeouts or Timeouts(),
            threshold=threshold,
            deadline=deadline,
            model_version=model_version,
            is_signed=not unsigned_payload,
            is_shared=single_flight,
            billed_codes=frozenset(billed_codes),
        )
        self._is_owner = True
        self._engine = _Engine(
            wire=Wire(
                credentials=_to_provider(credentials),
                clock=ServiceClock(time.time),
                endpoints=Endpoints([Endpoint.parse(each) for each in addresses], time.monotonic),
                transport=_to_transport(transport, proxy=proxy, verify=verify, trust_env=trust_env),
                uploads=Uploads(),
            ),
            is_transport_ours=transport is None or transport == "fast",
            scheduler=Scheduler(
                rate=rate,
                max_concurrency=max_concurrency,
                retry=retry or RetryPolicy(),
                attempt_timeout=self._options.timeouts.attempt,
                hooks=Hooks(hooks),
                random=Random(),
            ),
        )

    async def __aenter__(self) -> Self:
        """Open the client.

        Raises:
            MissingCredentialsError: There is no credential to sign with.
            ClientClosedError: The client was closed before; make another.
        """
        if self._is_owner:
            await self._engine.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        engine, numbers = self._engine, self.statistics()
        return (
            f"<LivenessClient {engine.wire.endpoints.current.url} {engine.state}: "
            f"{numbers.rate:.3g} calls/s, {numbers.in_flight} in flight, {numbers.waiting} waiting>"
        )

    async def aclose(self, *, grace: float = DEFAULT_GRACE) -> None:
        """Close the client. Closing it twice is fine.

        What waits is dropped; attempts under way may end for up to `grace` seconds, because they may
        be billed, and are then cut off. On what `with_options` returned it does nothing.
        """
        if self._is_owner:
            await self._engine.close(grace)

    async def warm_up(self, connections: int) -> None:
        """Open connections before the first calls need them, so that these do not wait for handshakes.

        It sends nothing and is not billed. Behind a proxy, and with a transport that was given, it does
        nothing.

        Args:
            connections: How many shall be open; more than `max_concurrency` are never used.

        Raises:
            NotSentError: The service cannot be reached.
            ClientClosedError: The client is not open.
        """
        count = min(connections, self._engine.open_scheduler.max_concurrency)
        wire, seconds = self._engine.wire, self._options.timeouts.connect
        await warm_up(wire.transport, wire.endpoints.current.url, count, seconds=seconds)

    def with_options(
        self,
        *,
        threshold: float | None = None,
        deadline: float | None = None,
        model_version: str | None = None,
        language: Language | None = None,
    ) -> LivenessClient:
        """Return a client with other options that shares connections, pace and slots with this one.

        It is open and closed with this one. What is None stays as it is.
        """
        options = self._options.replace(threshold=threshold, deadline=deadline, model_version=model_version)
        if language is not None:
            options = replace(options, request=replace(options.request, language=language))
        other = object.__new__(type(self))
        other._options = options
        other._engine = self._engine
        other._is_owner = False
        return other

    def statistics(self) -> Statistics:
        """Return what the client and all that share its connections have done so far."""
        return self._engine.scheduler.statistics()

    def rate_changes(self) -> tuple[RateChanged, ...]:
        """Return the last 200 changes of the rate, the oldest first."""
        return tuple(self._engine.scheduler.quota.changes)

    async def score(
        self,
        photo: PhotoSource,
        *,
        threshold: float | None = None,
        deadline: float | None = None,
        lane: Lane = "interactive",
    ) -> LivenessScore:
        """Score one photo for liveness.

        Waits for a free slot and a rate permit. Cancelling it while it waits costs nothing; once the
        request has been sent, the attempt ends in the background and may be billed.

        Args:
            photo: A path, the encoded bytes, or an http(s) URL that the service can fetch.
            threshold: Score from 0 to 100 at which `is_live()` says yes. Defaults to the client's (40).
            deadline: Seconds for queueing and all attempts together. Defaults to the client's (60). A
                shorter one sheds load earlier.
            lane: `interactive` goes before `bulk`, which keeps a tenth of the turns.

        Raises:
            PhotoUnreadableError: The file is missing or cannot be read; nothing is billed.
            PhotoRejectedError: Refused before sending (size, format, pixels); nothing is billed.
            LivenessAPIError: The service refused it; `code`, `request_id` and `is_billed` say how.
            TransportError: No usable answer; `is_billed` is None if the call may be billed.
            DeadlineTooShortError: The deadline would pass in the interactive queue; refused at once.
            DeadlineExceededError: The deadline passed first.
            ClientClosedError: The client is not open.
            WrongLoopError: It was opened in another event loop.
        """
        options = self._options.replace(threshold=threshold, deadline=deadline)
        call = ScoreCall(self._engine.wire, options, Photo.of(photo))
        outcome = await self._engine.open_scheduler.run(call, deadline=options.deadline, lane=lane)
        if isinstance(outcome, Failed):
            raise outcome.error
        return outcome.result

    def score_many(
        self,
        photos: PhotoSources,
        *,
        ordered: bool = False,
        threshold: float | None = None,
        deadline: float | None = None,
        lane: Lane = "bulk",
        journal: Journal | None = None,
    ) -> OutcomeStream:
        """Score many photos: `async with client.score_many(photos) as outcomes`, then `async for`.

        Takes from the source only when there is room and holds at most twice `max_concurrency` photos
        and outcomes. A photo's error is a value, `Failed`; every photo taken has exactly one outcome.

        Args:
            photos: Any iterable or async iterable of paths, bytes, URLs or `Photo`s. A plain one is
                advanced in the event loop, so it must not block.
            ordered: Hand out in input order instead of completion order.
            threshold: As for `score`.
            deadline: Seconds for each photo, from being taken to its outcome. Defaults to the client's, and
                the time that the photos taken together need at the rate.
            lane: `bulk` lets `interactive` calls of the same client go first.
            journal: Told of every attempt before it is sent and after it has ended, as a job's ledger is.

        Raises:
            ClientClosedError: The client is not open.
            WrongLoopError: It was opened in another event loop.
            TypeError: `photos` is one photo; or, while iterating, an item is none.
            RunStoppedError: While iterating: an account fault ended the run. Its `finished` has every
                outcome that was not handed out, its `unfinished` the photos without one.
        """
        if isinstance(photos, str | bytes | os.PathLike | Photo):
            raise TypeError("score_many takes many photos; for one use score, or put it into a list")
        options = self._options.replace(threshold=threshold, deadline=deadline)
        scheduler = self._engine.open_scheduler
        window = 2 * scheduler.max_concurrency

        def start(source: PhotoSource) -> PhotoRun:
            call = ScoreCall(self._engine.wire, options, Photo.of(source))
            seconds = options.deadline
            if deadline is None:  # for each photo: a rate that has fallen shall slow the run, not refuse it
                seconds += max(scheduler.estimate_seconds(window), scheduler.estimate_wait(lane))
            return scheduler.start(call, deadline=seconds, lane=lane, journal=journal)

        return OutcomeStream(photos, start=start, window=window, is_ordered=ordered)


@dataclass(slots=True)
class _Engine:
    """What a client and all that share its connections work with."""

    wire: Wire
    scheduler: Scheduler
    is_transport_ours: bool
    state: str = "new"
    home: LoopHome | None = None

    @property
    def open_scheduler(self) -> Scheduler:
        if self.state != "open":
            raise ClientClosedError(
                f"the client is {self.state}; calls are made inside `async with LivenessClient() as client:`"
            )
        if self.home is not None:
            self.home.check()
        return self.scheduler

    async def open(self) -> None:
        if self.state == "closed":
            raise ClientClosedError("the client was closed and cannot be opened again; make another")
        if self.home is not None:
            self.home.check()
        await self.wire.credentials.get()
        self.home = LoopHome()
        self.state = "open"

    async def close(self, grace: float) -> None:
        """Close in spite of a cancellation around it: grace and a turn or two of the loop bound it."""
        if self.home is not None:
            self.home.check_unless_gone()
        self.state = "closed"
        with anyio.CancelScope(shield=True):
            try:
                await self.scheduler.aclose(grace=grace)
            finally:
                if self.is_transport_ours:
                    await self.wire.transport.aclose()


def _find_endpoint() -> str:
    return os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT


def _to_transport(
    transport: httpx.AsyncBaseTransport | Literal["fast"] | None,
    *,
    proxy: httpx.Proxy | str | None,
    verify: SSLContext | bool,
    trust_env: bool,
) -> httpx.AsyncBaseTransport:
    if transport is None:
        return ConnectionPool(proxy=proxy, verify=verify, trust_env=trust_env)
    if transport == "fast":
        fast = load_fast_connection()
        return ConnectionPool(proxy=proxy, verify=verify, trust_env=trust_env, connection_class=fast)
    if isinstance(transport, str):
        raise ConfigurationError(f"transport is 'fast' or an httpx transport, not {transport!r}")
    return transport


def _to_provider(credentials: Credential | CredentialProvider | None) -> CredentialProvider:
    if credentials is None:
        return EnvironmentCredentials()
    return StaticCredentials(credentials) if isinstance(credentials, Credential) else credentials


def _check_over_zero(**settings: object) -> None:
    for name, value in settings.items():
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ConfigurationError(f"{name} must be a number over 0, not {value!r}")
