from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tencent_liveness_async._protocol.signing import (
    UNSIGNED_PAYLOAD,
    UNSIGNED_PAYLOAD_SHA256,
    _derive_signing_key,
    build_authorization,
    build_canonical_request,
    build_string_to_sign,
    compute_signature,
    hash_payload,
    utc_date,
)

PUBLISHED = json.loads((Path(__file__).parents[1] / "data" / "signing_vectors.json").read_text())
DAY = 86_400
YEAR_2100 = 4_102_444_800
LAST_DAY = YEAR_2100 // DAY

key_texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
hosts = st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z0-9]{1,12}){1,3}(:[1-9][0-9]{0,4})?", fullmatch=True
)
timestamps = st.integers(0, YEAR_2100) | st.builds(
    lambda day, second: max(0, day * DAY + second), st.integers(0, LAST_DAY), st.integers(-2, 2)
)
json_bodies = st.dictionaries(
    st.text(max_size=20), st.text(max_size=50) | st.integers() | st.booleans() | st.none(), max_size=5
)


def _published_headers(vector: dict[str, Any]) -> list[tuple[str, str]]:
    headers = [("content-type", PUBLISHED["content_type"]), ("host", PUBLISHED["host"])]
    if "action" in vector:
        headers.append(("x-tc-action", vector["action"]))
    return headers


every_vector = pytest.mark.parametrize(
    "vector", PUBLISHED["vectors"], ids=["key", "key with stars", "signed action"]
)


@every_vector
def test_canonical_request_is_the_published_one(vector: dict[str, Any]) -> None:
    """The hash of the canonical request is the published one."""
    text = build_canonical_request(
        method=PUBLISHED["method"],
        uri=PUBLISHED["uri"],
        query=PUBLISHED["query"],
        headers=_published_headers(vector),
        payload_sha256=hash_payload(PUBLISHED["body"].encode()),
    )
    assert sha256(text.encode()).hexdigest() == vector["canonical_request_sha256"]


@every_vector
def test_authorization_is_the_published_one(vector: dict[str, Any]) -> None:
    """The Authorization header names the published key, scope and headers and has the published signature."""
    authorization = build_authorization(
        secret_id=vector["secret_id"],
        secret_key=vector["secret_key"],
        service=PUBLISHED["service"],
        timestamp=PUBLISHED["timestamp"],
        headers=_published_headers(vector),
        payload_sha256=PUBLISHED["body_sha256"],
    )
    scope = f"{PUBLISHED['date']}/{PUBLISHED['service']}/tc3_request"
    assert authorization == (
        f"TC3-HMAC-SHA256 Credential={vector['secret_id']}/{scope}, "
        f"SignedHeaders={';'.join(vector['signed_headers'])}, Signature={vector['signature']}"
    )


def test_action_is_signed_in_lower_case() -> None:
    """The value of a signed header is lower-cased, as in the third published example."""
    vector = PUBLISHED["vectors"][2]
    text = build_canonical_request(
        method="POST",
        uri="/",
        query="",
        headers=[*_published_headers(vector)[:2], ("X-TC-Action", "DescribeInstances")],
        payload_sha256=PUBLISHED["body_sha256"],
    )
    assert sha256(text.encode()).hexdigest() == vector["canonical_request_sha256"]


def test_payload_hash_is_the_published_one() -> None:
    """The hash of a body is the published one."""
    assert hash_payload(PUBLISHED["body"].encode()) == PUBLISHED["body_sha256"]


def test_unsigned_payload_hash_is_the_published_one() -> None:
    """The hash that stands for an unsigned body is the published one."""
    assert PUBLISHED["unsigned_payload"]["hash_used_in_canonical_request"] == UNSIGNED_PAYLOAD_SHA256
    assert PUBLISHED["unsigned_payload"]["header"] == f"X-TC-Content-SHA256: {UNSIGNED_PAYLOAD}"


def _sign_with_sdk(
    *,
    secret_id: str,
    secret_key: str,
    host: str,
    timestamp: int,
    body: dict[str, Any] | bytes,
    is_signed: bool,
) -> Any:
    """Let the official SDK build and sign a request, at a time of our choice; nothing is sent."""
    pytest.importorskip("tencentcloud")
    from tencentcloud.common import abstract_client
    from tencentcloud.common.common_client import CommonClient
    from tencentcloud.common.credential import Credential
    from tencentcloud.common.http.request import RequestInternal
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile

    profile = ClientProfile(httpProfile=HttpProfile(endpoint=host))
    profile.unsignedPayload = not is_signed
    client = CommonClient("iai", "2020-03-03", Credential(secret_id, secret_key), "ap-guangzhou", profile)
    request = RequestInternal(host, "POST", "/")
    is_binary = isinstance(body, bytes)
    request.data = body
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(abstract_client, "time", SimpleNamespace(time=lambda: float(timestamp)))
        client._build_req_with_tc3_signature(
            "DetectLiveFaceAccurate", body, request, {"IsOctetStream": is_binary}
        )
    return request


@given(
    secret_id=key_texts,
    secret_key=key_texts,
    host=hosts,
    timestamp=timestamps,
    body=json_bodies | st.binary(max_size=500),
    is_signed=st.booleans(),
)
def test_authorization_equals_the_official_one(
    *,
    secret_id: str,
    secret_key: str,
    host: str,
    timestamp: int,
    body: dict[str, Any] | bytes,
    is_signed: bool,
) -> None:
    """The Authorization header equals the official SDK's byte for byte."""
    official = _sign_with_sdk(
        secret_id=secret_id,
        secret_key=secret_key,
        host=host,
        timestamp=timestamp,
        body=body,
        is_signed=is_signed,
    )
    content = official.data if isinstance(official.data, bytes) else official.data.encode()
    ours = build_authorization(
        secret_id=secret_id,
        secret_key=secret_key,
        service="iai",
        timestamp=timestamp,
        headers=[("Content-Type", official.header["Content-Type"]), ("Host", official.header["Host"])],
        payload_sha256=hash_payload(content) if is_signed else UNSIGNED_PAYLOAD_SHA256,
    )
    assert official.header.get("X-TC-Content-SHA256") == (None if is_signed else UNSIGNED_PAYLOAD)
    assert ours.encode() == official.header["Authorization"].encode()


@given(
    order=st.permutations(_published_headers(PUBLISHED["vectors"][2])),
    change_name=st.sampled_from([str.upper, str.title, str.lower]),
    change_value=st.sampled_from([str.upper, str.title, str.lower]),
    padding=st.sampled_from(["", " ", "\t "]),
)
def test_order_and_case_of_headers_do_not_matter(
    order: list[tuple[str, str]], change_name: Any, change_value: Any, padding: str
) -> None:
    """Headers in any order and case, with spaces around them, give the same Authorization header."""
    vector = PUBLISHED["vectors"][2]
    authorization = build_authorization(
        secret_id=vector["secret_id"],
        secret_key=vector["secret_key"],
        service=PUBLISHED["service"],
        timestamp=PUBLISHED["timestamp"],
        headers=[
            (padding + change_name(name) + padding, padding + change_value(value) + padding)
            for name, value in order
        ],
        payload_sha256=PUBLISHED["body_sha256"],
    )
    assert authorization.endswith(
        f"SignedHeaders=content-type;host;x-tc-action, Signature={vector['signature']}"
    )


def test_headers_may_come_from_an_iterator() -> None:
    """Headers are read once, so that an iterator signs as its list does."""
    vector = PUBLISHED["vectors"][0]
    authorization = build_authorization(
        secret_id=vector["secret_id"],
        secret_key=vector["secret_key"],
        service=PUBLISHED["service"],
        timestamp=PUBLISHED["timestamp"],
        headers=iter(_published_headers(vector)),
        payload_sha256=PUBLISHED["body_sha256"],
    )
    assert authorization.endswith(vector["signature"])


def _sign(**changes: Any) -> str:
    arguments: dict[str, Any] = {
        "secret_id": "id",
        "secret_key": "key",
        "service": "iai",
        "timestamp": 1_700_000_000,
        "headers": (("content-type", "application/json"), ("host", "iai.tencentcloudapi.com")),
        "payload_sha256": hash_payload(b"{}"),
    }
    return build_authorization(**(arguments | changes)).rpartition("Signature=")[2]


@pytest.mark.parametrize(
    "changes",
    [
        {"secret_key": "kez"},
        {"service": "sts"},
        {"timestamp": 1_700_000_001},
        {"headers": (("content-type", "text/plain"), ("host", "iai.tencentcloudapi.com"))},
        {"headers": (("content-type", "application/json"), ("host", "iai.tencentcloudapi.co"))},
        {"payload_sha256": hash_payload(b"{ }")},
        {"method": "GET"},
        {"uri": "/x"},
        {"query": "a=b"},
    ],
    ids=str,
)
def test_signature_covers_everything(changes: dict[str, Any]) -> None:
    """A change in anything that is signed changes the signature."""
    assert re.fullmatch("[0-9a-f]{64}", _sign())
    assert _sign(**changes) != _sign()


@given(timestamps)
@example(0)
@example(YEAR_2100)
def test_date_is_the_utc_date(timestamp: int) -> None:
    """The date of a timestamp is its date in UTC, also one second before and after midnight."""
    assert utc_date(timestamp) == (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=timestamp)).strftime(
        "%Y-%m-%d"
    )


def test_string_to_sign_has_the_documented_form() -> None:
    """The string to sign has the algorithm, the timestamp, the scope and the hash, one per line."""
    text = build_string_to_sign("canonical", timestamp=1_551_113_065, service="cvm")
    assert text.split("\n") == [
        "TC3-HMAC-SHA256",
        "1551113065",
        "2019-02-25/cvm/tc3_request",
        sha256(b"canonical").hexdigest(),
    ]


def test_signing_key_is_derived_once_per_key_date_and_service() -> None:
    """The signing key is derived anew only for another secret key, another UTC date or another service."""
    _derive_signing_key.cache_clear()

    def count_derivations(secret_key: str, timestamp: int, service: str) -> int:
        before = _derive_signing_key.cache_info().misses
        compute_signature("text", secret_key=secret_key, timestamp=timestamp, service=service)
        return _derive_signing_key.cache_info().misses - before

    assert count_derivations("key", 100 * DAY, "iai") == 1
    assert count_derivations("key", 100 * DAY, "iai") == 0
    assert count_derivations("key", 101 * DAY - 1, "iai") == 0
    assert count_derivations("key", 101 * DAY, "iai") == 1
    assert count_derivations("other key", 100 * DAY, "iai") == 1
    assert count_derivations("key", 100 * DAY, "sts") == 1
    assert _derive_signing_key.cache_info().hits == 2
