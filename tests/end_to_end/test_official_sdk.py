from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tencent_liveness_async import Credential, LivenessAPIError, LivenessClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("PIL")
pytest.importorskip("cv2")
pytest.importorskip("tencentcloud")

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import models
from tencentcloud.iai.v20200303.iai_client import IaiClient
from tencentcloud.iai.v20200303.iai_client_async import IaiClient as AsyncIaiClient

from tencent_liveness_async.sandbox import (
    SANDBOX_SECRET_ID,
    SANDBOX_SECRET_KEY,
    SandboxServer,
    SandboxSettings,
)

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
CASES = [
    "https://photos.test/1.jpg",
    "https://photos.test/2.jpg?signed=yes",
    "nonsense",
    *(
        PHOTOS / name
        for name in (
            "astronaut.png",
            "officer.jpg",
            "officer-rotated-by-exif.jpg",
            "refused-no-face.jpg",
            "refused-face-too-small.jpg",
            "refused-truncated.jpg",
        )
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """Serve a sandbox that looks for faces."""
    with SandboxServer(SandboxSettings(quota=None, faces=True)) as server:
        yield server


def make_request(case: str | Path) -> models.DetectLiveFaceAccurateRequest:
    """Make the SDK's request for a photo."""
    request = models.DetectLiveFaceAccurateRequest()
    if isinstance(case, Path):
        request.Image = base64.b64encode(case.read_bytes()).decode()
    else:
        request.Url = case
    return request


def make_profile(server: SandboxServer) -> ClientProfile:
    """Point the SDK at the sandbox by its endpoint."""
    http = HttpProfile(protocol="http", endpoint=server.endpoint.removeprefix("http://"))
    return ClientProfile(httpProfile=http, language="en-US")


def ask_sync_sdk(server: SandboxServer, case: str | Path) -> float | str:
    """Return the SDK's score or error code."""
    key = credential.Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY)
    client = IaiClient(key, "ap-guangzhou", make_profile(server))
    try:
        return float(client.DetectLiveFaceAccurate(make_request(case)).Score)
    except TencentCloudSDKException as error:
        return str(error.get_code())


async def ask_async_sdk(server: SandboxServer, case: str | Path) -> float | str:
    """Return the async SDK's score or error code."""
    key = credential.Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY)
    async with AsyncIaiClient(key, "ap-guangzhou", make_profile(server)) as client:
        try:
            return float((await client.DetectLiveFaceAccurate(make_request(case))).Score)
        except TencentCloudSDKException as error:
            return str(error.get_code())


async def ask_our_client(server: SandboxServer, case: str | Path) -> float | str:
    """Return our score or error code; our own check of URLs before sending is named like the service's."""
    key = Credential(SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY)
    async with LivenessClient(credentials=key, endpoint=server.endpoint, retry=RetryPolicy()) as client:
        try:
            return (await client.score(case)).score
        except LivenessAPIError as error:
            return error.code


@pytest.mark.parametrize("case", CASES, ids=[str(getattr(case, "name", case)) for case in CASES])
def test_both_official_clients_and_ours_agree(
    server: SandboxServer, case: str | Path, allow_blocking: None
) -> None:
    """The official SDK, sync and async, and our client get the same score or error code from the sandbox."""
    official = ask_sync_sdk(server, case)
    assert asyncio.run(ask_async_sdk(server, case)) == official
    if case == "nonsense":
        assert official == "InvalidParameterValue.UrlIllegal"
    else:
        assert asyncio.run(ask_our_client(server, case)) == official
