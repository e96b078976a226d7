"""Whether a call is signed by the key it names, at the time it names."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._protocol.signing import (
    ALGORITHM,
    UNSIGNED_PAYLOAD,
    UNSIGNED_PAYLOAD_SHA256,
    build_canonical_request,
    build_string_to_sign,
    compute_signature,
    utc_date,
)
from ._answers import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._settings import SandboxSettings

SERVICE = "iai"
MAX_CLOCK_SKEW = 300
_SCOPE_END = "tc3_request"
_FIELDS = ("Credential", "SignedHeaders", "Signature")
_MUST_BE_SIGNED = ("content-type", "host")


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an Authorization header says."""

    secret_id: str
    date: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(text: str) -> Authorization:
    """Read an Authorization header.

    Raises:
        RefusalError: It has another form, or leaves out a header that must be signed.
    """
    algorithm, _, rest = text.partition(" ")
    fields = dict(_split_fields(rest))
    credential = fields.get("Credential", "").split("/")
    if algorithm != ALGORITHM or set(fields) != set(_FIELDS) or len(credential) != 4:
        raise RefusalError("AuthFailure.InvalidAuthorization", "Authorization")
    secret_id, date, service, end = credential
    signed_headers = tuple(fields["SignedHeaders"].lower().split(";"))
    if end != _SCOPE_END or not set(_MUST_BE_SIGNED).issubset(signed_headers):
        raise RefusalError("AuthFailure.InvalidAuthorization", "SignedHeaders")
    return Authorization(secret_id, date, service, signed_headers, fields["Signature"])


def _split_fields(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        yield name, value


def is_payload_unsigned(headers: Mapping[str, str]) -> bool:
    """Say whether the call leaves its body out of the signature."""
    return headers.get("x-tc-content-sha256") == UNSIGNED_PAYLOAD


def check_signature(headers: Mapping[str, str], payload_sha256: str, settings: SandboxSettings) -> None:
    """Refuse a call that is not signed with the sandbox's key, now.

    Args:
        headers: The call's, names in lower case.
        payload_sha256: The SHA-256 of its body; not looked at if the payload is unsigned.
        settings: The key, the token and the clock.

    Raises:
        RefusalError: With the code of the first thing that is wrong.
    """
    timestamp = _check_timestamp(headers, settings.wall_clock())
    authorization = parse_authorization(_require(headers, "Authorization"))
    if authorization.secret_id != settings.secret_id:
        raise RefusalError("AuthFailure.SecretIdNotFound")
    if not _is_scope_right(authorization, timestamp, headers["host"]):
        raise RefusalError("AuthFailure.SignatureFailure", "Credential")
    if is_payload_unsigned(headers):
        payload_sha256 = UNSIGNED_PAYLOAD_SHA256
    if not _is_signed(authorization, timestamp, headers, payload_sha256, settings.secret_key):
        raise RefusalError("AuthFailure.SignatureFailure", "Signature")
    if (headers.get("x-tc-token") or None) != settings.token:
        raise RefusalError("AuthFailure.TokenFailure")


def _require(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower())
    if not value:
        raise RefusalError("MissingParameter", name)
    return value


def _check_timestamp(headers: Mapping[str, str], now: float) -> int:
    _require(headers, "Host")
    text = _require(headers, "X-TC-Timestamp")
    if not (text.isascii() and text.isdecimal()) or len(text) > 12:
        raise RefusalError("InvalidParameter", "X-TC-Timestamp")
    if abs(int(text) - now) > MAX_CLOCK_SKEW:
        raise RefusalError("AuthFailure.SignatureExpire")
    return int(text)


def _is_scope_right(authorization: Authorization, timestamp: int, host: str) -> bool:
    services = (SERVICE, host.partition(".")[0], _strip_port(host).partition(".")[0])
    return authorization.date == utc_date(timestamp) and authorization.service in services


def _strip_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _is_signed(
    authorization: Authorization,
    timestamp: int,
    headers: Mapping[str, str],
    payload_sha256: str,
    secret_key: str,
) -> bool:
    """Recompute the signature, then once more for a client that signs the host without its port."""
    if not all(name in headers for name in authorization.signed_headers):
        return False
    signed = {name: headers[name] for name in authorization.signed_headers}
    for host in dict.fromkeys((signed["host"], _strip_port(signed["host"]))):
        canonical = build_canonical_request(
            method="POST",
            uri="/",
            query="",
            headers={**signed, "host": host}.items(),
            payload_sha256=payload_sha256,
        )
        text = build_string_to_sign(canonical, timestamp=timestamp, service=authorization.service)
        expected = compute_signature(
            text, secret_key=secret_key, timestamp=timestamp, service=authorization.service
        )
        if hmac.compare_digest(expected.encode(), authorization.signature.encode()):
            return True
    return False
