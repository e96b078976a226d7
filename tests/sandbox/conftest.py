"""Signed calls and pictures for the sandbox's tests."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tencent_liveness_async._errors import ConfigurationError
from tencent_liveness_async._protocol.signing import (
    UNSIGNED_PAYLOAD,
    UNSIGNED_PAYLOAD_SHA256,
    build_authorization,
    hash_payload,
)

if TYPE_CHECKING:
    from tencent_liveness_async.sandbox import SandboxApp

with contextlib.suppress(
    ConfigurationError, ModuleNotFoundError
):  # without the extra every module is skipped
    from PIL import Image

    from tencent_liveness_async.sandbox import SANDBOX_SECRET_ID, SANDBOX_SECRET_KEY, SandboxTransport

Sign = Callable[..., dict[str, str]]
Ask = Callable[..., Awaitable[dict[str, Any]]]
Draw = Callable[..., bytes]


def _sign(
    body: bytes,
    *,
    host: str = "sandbox.test",
    signed_host: str | None = None,
    secret_id: str | None = None,
    secret_key: str | None = None,
    service: str = "iai",
    timestamp: int | None = None,
    is_unsigned: bool = False,
    **changes: str | None,
) -> dict[str, str]:
    """Return the headers of a call; `changes` are set after signing, None leaves a header out."""
    timestamp = int(time.time()) if timestamp is None else timestamp
    signed = [("content-type", "application/json"), ("host", signed_host or host)]
    headers: dict[str, str | None] = {
        "host": host,
        "content-type": "application/json",
        "x-tc-action": "DetectLiveFaceAccurate",
        "x-tc-version": "2020-03-03",
        "x-tc-timestamp": str(timestamp),
        "authorization": build_authorization(
            secret_id=secret_id or SANDBOX_SECRET_ID,
            secret_key=secret_key or SANDBOX_SECRET_KEY,
            service=service,
            timestamp=timestamp,
            headers=signed,
            payload_sha256=UNSIGNED_PAYLOAD_SHA256 if is_unsigned else hash_payload(body),
        ),
    }
    if is_unsigned:
        headers["x-tc-content-sha256"] = UNSIGNED_PAYLOAD
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value is not None}


@pytest.fixture
def sign() -> Sign:
    """Return the headers of a signed call with this body."""
    return _sign


@pytest.fixture
def unused_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


@pytest.fixture
def ask() -> Ask:
    """Call a sandbox in process and return what is under `Response`."""

    async def call(app: SandboxApp, payload: object = None, **changes: Any) -> dict[str, Any]:
        payload = {"Url": "http://photos.test/1.jpg"} if payload is None else payload
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        async with httpx.AsyncClient(transport=SandboxTransport(app)) as client:
            response = await client.post("http://sandbox.test/", content=body, headers=_sign(body, **changes))
        assert response.status_code == httpx.codes.OK
        answer: dict[str, Any] = response.json()["Response"]
        return answer

    return call


@pytest.fixture
def draw_picture() -> Draw:
    """Make a picture without a face."""

    def draw(size: tuple[int, int] = (120, 160), kind: str = "JPEG", **options: Any) -> bytes:
        picture = BytesIO()
        Image.linear_gradient("L").resize(size).convert("RGB").save(picture, kind, **options)
        return picture.getvalue()

    return draw


@pytest.fixture
def make_payload() -> Callable[[bytes], dict[str, str]]:
    """Return the payload that carries a photo's bytes."""
    return lambda data: {"Image": base64.b64encode(data).decode()}
