"""The official SDK, with connections kept alive."""

from __future__ import annotations

import asyncio
import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303.models import DetectLiveFaceAccurateRequest

from benchmarks.load import SECRET_ID, SECRET_KEY

from .by_hand import keep_in_flight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tencentcloud.iai.v20200303.iai_client import IaiClient

    from benchmarks.load import Load, Source
    from benchmarks.stub import Target

    from . import Run


def _make_profile(target: Target) -> ClientProfile:
    profile = HttpProfile(protocol=target.url.partition(":")[0], endpoint=target.host, keepAlive=True)
    return ClientProfile(httpProfile=profile, language="en-US")


def _make_request(source: Source) -> DetectLiveFaceAccurateRequest:
    request = DetectLiveFaceAccurateRequest()
    if isinstance(source, str):
        request.Url = source
    else:
        request.Image = base64.b64encode(source.read_bytes()).decode()
    return request


@asynccontextmanager
async def open_async(target: Target, in_flight: int) -> AsyncIterator[Run]:
    """Open the async client: at most 100 connections, and certificates from SSL_CERT_FILE only."""
    from tencentcloud.iai.v20200303.iai_client_async import IaiClient as AsyncIaiClient  # noqa: PLC0415

    credential = Credential(SECRET_ID, SECRET_KEY)
    async with AsyncIaiClient(credential, "ap-guangzhou", _make_profile(target)) as client:

        async def call(source: Source) -> float:
            score: float = (await client.DetectLiveFaceAccurate(_make_request(source))).Score
            return score

        async def run(load: Load) -> None:
            await keep_in_flight(load, in_flight, call)

        yield run


@asynccontextmanager
async def open_threads(target: Target, in_flight: int) -> AsyncIterator[Run]:
    """Open threads with a client each: one client keeps at most ten connections."""
    from tencentcloud.iai.v20200303.iai_client import IaiClient  # noqa: PLC0415

    local, lock = threading.local(), threading.Lock()

    def find_client() -> IaiClient:
        if not hasattr(local, "client"):
            profile = _make_profile(target)
            profile.httpProfile.certification = target.ca_file
            local.client = IaiClient(Credential(SECRET_ID, SECRET_KEY), "ap-guangzhou", profile)
        return local.client

    def work(load: Load) -> None:
        while True:
            with lock:
                source = next(load, None)
            if source is None:
                return
            score = find_client().DetectLiveFaceAccurate(_make_request(source)).Score
            with lock:
                load.note(score)

    with ThreadPoolExecutor(in_flight) as pool:

        async def run(load: Load) -> None:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, work, load) for _ in range(in_flight)))

        yield run
