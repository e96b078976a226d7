"""The answer: a score, or a typed error, whatever came back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from .._error_codes import BILLED_CODES
from .._errors import MalformedResponseError, make_api_error
from .._models import RECOMMENDED_THRESHOLD, LivenessScore

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_RESPONSE_BYTES = 65_536
"""An answer of the API has a few hundred bytes; more than this cannot be one and is not read."""

_EXCERPT_BYTES = 200
_KEYS = (
    b'"Response"',
    b'"Score"',
    b'"FaceModelVersion"',
    b'"RequestId"',
    b'"Error"',
    b'"Code"',
    b'"Message"',
)
_REQUEST_ID = re.compile(rb'"RequestId"\s*:\s*"([0-9A-Za-z-]{1,64})"')


def parse_response(
    content: bytes,
    *,
    status: int,
    threshold: float = RECOMMENDED_THRESHOLD,
    billed_codes: Collection[str] = BILLED_CODES,
) -> LivenessScore:
    """Return the score in an answer, or raise the error it stands for.

    The Content-Type and the HTTP status do not decide: the platform answers every business error
    with 200, and gateways answer with anything.

    Args:
        content: The body, whole or cut off.
        status: The HTTP status, for the error's message.
        threshold: What the score's `is_live()` compares with.
        billed_codes: Error codes whose calls are billed.

    Raises:
        LivenessAPIError: The service answered with an error code.
        MalformedResponseError: The content is not an answer of the API.
    """
    response = _parse_envelope(content, status)
    if response.get("Error") is not None:
        _raise_api_error(response, content, status, billed_codes)
    score = response.get("Score")
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise _malformed("it has no numeric Score", content, status)
    if not 0 <= score <= 100:
        raise _malformed(f"its Score {score} is outside 0 to 100", content, status)
    return LivenessScore(
        score=float(score),
        model_version=_text(response, "FaceModelVersion", content, status),
        request_id=_text(response, "RequestId", content, status),
        threshold=threshold,
    )


def _parse_envelope(content: bytes, status: int) -> Mapping[str, Any]:
    if len(content) > MAX_RESPONSE_BYTES:
        raise _malformed(f"it is longer than {MAX_RESPONSE_BYTES} bytes", content, status)
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise _malformed("it is not JSON" if content else "it is empty", content, status) from exc
    response = document.get("Response") if isinstance(document, dict) else None
    if not isinstance(response, dict):
        raise _malformed("it has no Response object", content, status)
    if _may_have_key_twice(content) and _has_key_twice(content):
        raise _malformed("it has a key twice", content, status)
    return response


def _may_have_key_twice(content: bytes) -> bool:
    """Tell most answers apart from suspicious ones in under 1 us; orjson keeps the last of two keys."""
    return b"\\u" in content or any(content.count(key) > 1 for key in _KEYS)


def _has_key_twice(content: bytes) -> bool:
    found: list[str] = []

    def note_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            found.append("twice")
        return keys

    try:
        json.loads(content, object_pairs_hook=note_twice)
    except RecursionError:
        return True
    return bool(found)


def _raise_api_error(
    response: Mapping[str, Any], content: bytes, status: int, billed_codes: Collection[str]
) -> NoReturn:
    error = response["Error"]
    code = error.get("Code") if isinstance(error, dict) else None
    if not isinstance(code, str) or not code:
        raise _malformed("its Error has no Code", content, status)
    message = error.get("Message")
    raise make_api_error(
        code,
        message if isinstance(message, str) else "",
        request_id=_text(response, "RequestId", content, status),
        billed_codes=billed_codes,
    )


def _text(response: Mapping[str, Any], key: str, content: bytes, status: int) -> str:
    value = response.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _malformed(f"its {key} is not a text", content, status)
    return value


def _malformed(reason: str, content: bytes, status: int) -> MalformedResponseError:
    found = _REQUEST_ID.search(content, 0, MAX_RESPONSE_BYTES)
    return MalformedResponseError(
        reason,
        status=status,
        request_id=found[1].decode() if found else "",
        excerpt=content[:_EXCERPT_BYTES],
    )
