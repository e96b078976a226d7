from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("PIL")
pytest.importorskip("tencentcloud")

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.iai.v20200303 import models
from tencentcloud.iai.v20200303.iai_client import IaiClient

from tencent_liveness_async.sandbox import (
    SANDBOX_SECRET_ID,
    SANDBOX_SECRET_KEY,
    SandboxServer,
    SandboxSettings,
    invent_score,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URL = "http://photos.test/1.jpg"


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """Serve a sandbox with a small quota."""
    with SandboxServer(SandboxSettings(faces=False, quota=1000)) as server:
        yield server


def _make_client(
    server: SandboxServer,
    secret_key: str = SANDBOX_SECRET_KEY,
    *,
    token: str | None = None,
    is_unsigned: bool = False,
) -> IaiClient:
    http = HttpProfile(protocol="http", endpoint=server.endpoint.removeprefix("http://"))
    profile = ClientProfile(httpProfile=http, language="en-US")
    profile.unsignedPayload = is_unsigned
    return IaiClient(Credential(SANDBOX_SECRET_ID, secret_key, token), "ap-guangzhou", profile)


def _make_request(**fields: str) -> models.DetectLiveFaceAccurateRequest:
    request = models.DetectLiveFaceAccurateRequest()
    for name, value in fields.items():
        setattr(request, name, value)
    return request


@pytest.mark.parametrize("is_unsigned", [False, True])
def test_official_sdk_gets_a_score(server: SandboxServer, *, is_unsigned: bool) -> None:
    """A client that shares no line with ours is answered, with its payload signed or not."""
    client = _make_client(server, is_unsigned=is_unsigned)
    response = client.DetectLiveFaceAccurate(_make_request(Url=URL))
    assert response.Score == invent_score(URL, seed=0)
    assert response.FaceModelVersion == "3.0"
    assert len(response.RequestId) == 36


def test_official_sdk_sends_a_picture(server: SandboxServer, draw_picture: Callable[..., bytes]) -> None:
    """A picture is decoded and scored."""
    image = base64.b64encode(draw_picture()).decode()
    response = _make_client(server).DetectLiveFaceAccurate(_make_request(Image=image))
    assert 0 <= response.Score <= 100


@pytest.mark.parametrize(
    ("secret_key", "token", "fields", "code"),
    [
        ("wrong", None, {"Url": URL}, "AuthFailure.SignatureFailure"),
        (SANDBOX_SECRET_KEY, "token", {"Url": URL}, "AuthFailure.TokenFailure"),
        (SANDBOX_SECRET_KEY, None, {}, "MissingParameter.ErrorParameterEmpty"),
        (SANDBOX_SECRET_KEY, None, {"Url": "photo"}, "InvalidParameterValue.UrlIllegal"),
        (SANDBOX_SECRET_KEY, None, {"Image": "QUJD"}, "FailedOperation.ImageDecodeFailed"),
        (
            SANDBOX_SECRET_KEY,
            None,
            {"Url": URL, "FaceModelVersion": "2.0"},
            "InvalidParameterValue.FaceModelVersionIllegal",
        ),
    ],
)
def test_official_sdk_gets_documented_codes(
    server: SandboxServer, secret_key: str, token: str | None, fields: dict[str, str], code: str
) -> None:
    """Errors arrive as the SDK's exception, with the documented code and a request id."""
    client = _make_client(server, secret_key, token=token)
    with pytest.raises(TencentCloudSDKException) as caught:
        client.DetectLiveFaceAccurate(_make_request(**fields))
    assert caught.value.get_code() == code
    assert caught.value.get_message()
    assert len(caught.value.get_request_id()) == 36


def test_official_sdk_calling_another_action_is_refused(server: SandboxServer) -> None:
    """The sandbox has one action."""
    with pytest.raises(TencentCloudSDKException, match="InvalidAction"):
        _make_client(server).DetectFace(models.DetectFaceRequest())
