"""What a program written by hand for this one call does, whatever it sends with."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING

import orjson
import pybase64

from benchmarks.load import SECRET_ID, SECRET_KEY
from tencent_liveness_async._protocol.signing import build_authorization

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.load import Load, Source

_CONTENT_TYPE = "application/json"


def build_body(source: Source) -> bytes:
    """Return the JSON text: a URL, or a file's bytes in Base64."""
    if isinstance(source, str):
        return orjson.dumps({"Url": source})
    return b'{"Image":"%b"}' % pybase64.b64encode(source.read_bytes())


def build_headers(body: bytes, host: str) -> dict[str, str]:
    """Return the signed headers of a request, but Host and Content-Length, which clients set."""
    timestamp = int(time.time())
    return {
        "Content-Type": _CONTENT_TYPE,
        "Authorization": build_authorization(
            secret_id=SECRET_ID,
            secret_key=SECRET_KEY,
            service="iai",
            timestamp=timestamp,
            headers=(("content-type", _CONTENT_TYPE), ("host", host)),
            payload_sha256=hashlib.sha256(body).hexdigest(),
        ),
        "X-TC-Action": "DetectLiveFaceAccurate",
        "X-TC-Version": "2020-03-03",
        "X-TC-Timestamp": str(timestamp),
        "X-TC-Region": "ap-guangzhou",
        "X-TC-Language": "en-US",
    }


def parse_score(content: bytes | memoryview) -> float:
    """Return the score in an answer."""
    score: float = orjson.loads(content)["Response"]["Score"]
    return score


async def keep_in_flight(load: Load, in_flight: int, call: Callable[[Source], Awaitable[float]]) -> None:
    """Keep so many calls in flight until the load ends."""

    async def work() -> None:
        for source in load:
            load.note(await call(source))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(work())
