"""What of a small call's CPU is our own: signing, headers, parsing, scheduling, events, statistics.

Nothing is sent: each part runs alone, many times, and the client runs over a transport that answers at once.
"""

from __future__ import annotations

import asyncio
import gc
import time
from random import Random
from typing import TYPE_CHECKING

import httpx

from tencent_liveness_async import Credential, LivenessClient, LivenessScore, Photo
from tencent_liveness_async._events import Hooks
from tencent_liveness_async._flow import RetryPolicy, Scheduler
from tencent_liveness_async._protocol.body import build_url_body
from tencent_liveness_async._protocol.endpoint import DEFAULT_ENDPOINT, DEFAULT_REGION, Endpoint
from tencent_liveness_async._protocol.request import RequestSettings, build_headers
from tencent_liveness_async._protocol.response import parse_response

from .load import SECRET_ID, SECRET_KEY
from .report import Report, show

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROUNDS = 5
CALLS = 5000
IN_FLIGHT = 128
URL = "https://photos.test/1.jpg"
ANSWER = (
    b'{"Response":{"Score":99.0,"FaceModelVersion":"3.0","RequestId":"1f2e3d4c-0000-4000-8000-00000000abcd"}}'
)
BODY = build_url_body(URL)
HOST = Endpoint.parse(DEFAULT_ENDPOINT).host
SETTINGS = RequestSettings(DEFAULT_REGION, "en-US")
SCORE = parse_response(ANSWER, status=200)


def _sign() -> None:
    build_headers(
        BODY,
        SETTINGS,
        host=HOST,
        secret_id=SECRET_ID,
        secret_key=SECRET_KEY,
        token=None,
        timestamp=int(time.time()),
    )


def _parse() -> None:
    parse_response(ANSWER, status=200)


class _NoCall:
    """A call that costs nothing, so that the scheduler is all that is measured."""

    photo = Photo(url=URL)
    key = None

    async def prepare(self) -> None:
        pass

    async def authenticate(self) -> str:
        return SECRET_ID

    async def send(self, seconds: float) -> LivenessScore:  # noqa: ARG002 - the scheduler's own
        return SCORE

    def close(self) -> None:
        pass


class AtOnce(httpx.AsyncBaseTransport):
    """Answers without a connection."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - any
        """Answer with a score."""
        return httpx.Response(200, stream=httpx.ByteStream(ANSWER))


def _time(part: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        part()
    return 1e6 * (time.process_time() - began) / CALLS


async def _time_in_flight(call: Callable[[], Awaitable[object]]) -> float:
    async def work() -> None:
        for _ in range(CALLS // IN_FLIGHT):
            await call()

    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return 1e6 * (time.process_time() - began) / (CALLS // IN_FLIGHT * IN_FLIGHT)


async def _schedule() -> float:
    scheduler = Scheduler(
        rate=1e6,
        max_concurrency=IN_FLIGHT,
        retry=RetryPolicy(),
        attempt_timeout=15.0,
        hooks=Hooks([lambda _: None]),
        random=Random(),
    )
    call = _NoCall()
    return await _time_in_flight(lambda: scheduler.run(call, deadline=60.0))


async def _score() -> float:
    client = LivenessClient(
        credentials=Credential(SECRET_ID, SECRET_KEY),
        rate=1e6,
        max_concurrency=IN_FLIGHT,
        transport=AtOnce(),
    )
    async with client:
        return await _time_in_flight(lambda: client.score(URL))


def main() -> None:
    """Measure each part, round by round."""
    report = Report("hot-path", f"CPU of a small call's parts, nothing sent, {ROUNDS} rounds of {CALLS}")
    parts: dict[str, list[float]] = {name: [] for name in ("headers", "parsing", "scheduling", "client")}
    gc.freeze()
    for _ in range(ROUNDS):
        parts["headers"].append(_time(_sign))
        parts["parsing"].append(_time(_parse))
        parts["scheduling"].append(asyncio.run(_schedule()))
        parts["client"].append(asyncio.run(_score()))
    rows = [
        ("headers and signature", show(parts["headers"])),
        ("parsing the answer", show(parts["parsing"])),
        ("slot, permit, deadline, task, events, statistics", show(parts["scheduling"])),
        ("`client.score` over a transport that answers at once", show(parts["client"])),
    ]
    report.add_table(["us", ""], rows)
    together = [
        sum(part) for part in zip(parts["headers"], parts["parsing"], parts["scheduling"], strict=True)
    ]
    report.check("headers, parsing, scheduling, events and statistics", together, 60, unit="us")
    report.write()
