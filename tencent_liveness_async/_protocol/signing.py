"""TC3-HMAC-SHA256, the signature of Tencent Cloud API 3.0.

A signature covers the method, the path, chosen headers and the SHA-256 of the body. The platform
refuses one whose timestamp is more than five minutes off, so a request is signed when it is sent,
not when it is queued. The signing key depends only on the secret key, the UTC date and the service.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ALGORITHM = "TC3-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""Signed in place of a body, and sent as `X-TC-Content-SHA256`; undocumented by the platform."""
UNSIGNED_PAYLOAD_SHA256 = sha256(UNSIGNED_PAYLOAD.encode()).hexdigest()


def hash_payload(body: bytes) -> str:
    """Return the SHA-256 of a body in lower-case hexadecimal digits."""
    return sha256(body).hexdigest()


def build_canonical_request(
    *, method: str, uri: str, query: str, headers: Iterable[tuple[str, str]], payload_sha256: str
) -> str:
    """Return the text whose hash is signed.

    Args:
        method: The HTTP method in capitals.
        uri: The path, `/` for this API.
        query: The query string, empty for POST.
        headers: The headers to sign, in any order and case. Names and values are lower-cased and
            trimmed, as the platform does.
        payload_sha256: `hash_payload(body)`, or `UNSIGNED_PAYLOAD_SHA256`.
    """
    signed = _normalize_headers(headers)
    lines = [method, uri, query, *(f"{name}:{value}" for name, value in signed)]
    return "\n".join([*lines, "", ";".join(name for name, _ in signed), payload_sha256])


def build_string_to_sign(canonical_request: str, *, timestamp: int, service: str) -> str:
    """Return the text that is signed with the signing key."""
    scope = f"{utc_date(timestamp)}/{service}/tc3_request"
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{sha256(canonical_request.encode()).hexdigest()}"


def compute_signature(string_to_sign: str, *, secret_key: str, timestamp: int, service: str) -> str:
    """Return the signature in lower-case hexadecimal digits."""
    key = _derive_signing_key(secret_key, utc_date(timestamp), service)
    return _hmac_sha256(key, string_to_sign).hex()


def build_authorization(
    *,
    secret_id: str,
    secret_key: str,
    service: str,
    timestamp: int,
    headers: Iterable[tuple[str, str]],
    payload_sha256: str,
    method: str = "POST",
    uri: str = "/",
    query: str = "",
) -> str:
    """Return the value of the Authorization header.

    Args:
        secret_id: The id of the key, sent in clear.
        secret_key: The key, never sent.
        service: The first label of the service's host, `iai` for this API.
        timestamp: UNIX seconds, the same as in `X-TC-Timestamp`.
        headers: The headers to sign; `content-type` and `host` must be among them.
        payload_sha256: `hash_payload(body)`, or `UNSIGNED_PAYLOAD_SHA256`.
        method: The HTTP method in capitals.
        uri: The path.
        query: The query string.
    """
    signed = _normalize_headers(headers)
    canonical_request = build_canonical_request(
        method=method, uri=uri, query=query, headers=signed, payload_sha256=payload_sha256
    )
    string_to_sign = build_string_to_sign(canonical_request, timestamp=timestamp, service=service)
    signature = compute_signature(string_to_sign, secret_key=secret_key, timestamp=timestamp, service=service)
    return (
        f"{ALGORITHM} Credential={secret_id}/{utc_date(timestamp)}/{service}/tc3_request, "
        f"SignedHeaders={';'.join(name for name, _ in signed)}, Signature={signature}"
    )


def _normalize_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted((name.strip().lower(), value.strip().lower()) for name, value in headers)


@lru_cache(maxsize=8)
def _date_of_day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def utc_date(timestamp: int) -> str:
    """Return the UTC date of a timestamp, as `2019-02-25`."""
    return _date_of_day(timestamp // 86_400)


@lru_cache(maxsize=64)
def _derive_signing_key(secret_key: str, date: str, service: str) -> bytes:
    key = f"TC3{secret_key}".encode()
    for part in (date, service, "tc3_request"):
        key = _hmac_sha256(key, part)
    return key


def _hmac_sha256(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
