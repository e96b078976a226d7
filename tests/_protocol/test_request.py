from __future__ import annotations

import re

import pytest

from tencent_liveness_async._errors import ConfigurationError
from tencent_liveness_async._protocol.body import RequestBody, build_image_body
from tencent_liveness_async._protocol.request import RequestSettings, build_headers
from tencent_liveness_async._protocol.signing import build_authorization

HOST = "iai.ap-shanghai.tencentcloudapi.com:8443"
SETTINGS = RequestSettings("ap-shanghai", "en-US")


def _headers(body: RequestBody, *, token: str | None = None) -> dict[str, str]:
    pairs = build_headers(
        body,
        SETTINGS,
        host=HOST,
        secret_id="id",
        secret_key="secret-key",
        token=token,
        timestamp=1_700_000_000,
    )
    names = [name.lower() for name, _ in pairs]
    assert len(set(names)) == len(names)
    return dict(pairs)


def test_headers_are_those_the_platform_asks_for() -> None:
    """A request has the documented headers and no other."""
    body = build_image_body(b"photo")
    headers = _headers(body)
    authorization, client = headers.pop("Authorization"), headers.pop("X-TC-RequestClient")
    assert headers == {
        "Host": "iai.ap-shanghai.tencentcloudapi.com:8443",
        "Content-Type": "application/json",
        "Content-Length": str(body.content_length),
        "X-TC-Action": "DetectLiveFaceAccurate",
        "X-TC-Version": "2020-03-03",
        "X-TC-Timestamp": "1700000000",
        "X-TC-Region": "ap-shanghai",
        "X-TC-Language": "en-US",
    }
    assert authorization.startswith("TC3-HMAC-SHA256 Credential=id/2023-11-14/iai/tc3_request, ")
    assert re.fullmatch("[0-9a-zA-Z-_,;.]{1,128}", client)


@pytest.mark.parametrize("is_signed", [True, False])
def test_signature_covers_what_is_sent(is_signed: bool) -> None:
    """The signature covers the host, the content type, the timestamp and the body's hash as they are sent."""
    body = build_image_body(b"photo", is_signed=is_signed)
    headers = _headers(body)
    assert headers["Authorization"] == build_authorization(
        secret_id="id",
        secret_key="secret-key",
        service="iai",
        timestamp=int(headers["X-TC-Timestamp"]),
        headers=[(name, headers[name]) for name in ("Content-Type", "Host")],
        payload_sha256=body.sha256,
    )


def test_unsigned_body_is_declared() -> None:
    """The header that declares an unsigned body is sent exactly when the body is not signed."""
    name = "X-TC-Content-SHA256"
    assert _headers(build_image_body(b"photo", is_signed=False))[name] == "UNSIGNED-PAYLOAD"
    assert name not in _headers(build_image_body(b"photo"))


def test_token_is_sent_only_with_a_temporary_key() -> None:
    """The token's header is sent exactly when there is a token."""
    body = build_image_body(b"photo")
    assert _headers(body, token="token")["X-TC-Token"] == "token"
    assert "X-TC-Token" not in _headers(body)


def test_secret_key_is_not_sent() -> None:
    """No header holds the secret key."""
    assert "secret-key" not in str(_headers(build_image_body(b"photo"), token="token"))


@pytest.mark.parametrize("region", ["", "ap guangzhou", "ap-guangzhou\r\nX: y", "广州"])
def test_a_region_that_is_none_is_refused(region: str) -> None:
    """A region goes into a header, so it is only what regions are made of."""
    with pytest.raises(ConfigurationError, match="region"):
        RequestSettings(region, "en-US")
