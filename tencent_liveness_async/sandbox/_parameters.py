"""What a call asks for: its headers and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._answers import ACTION, MODEL_VERSION, RefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "2020-03-03"
_NAMES = ("Image", "Url", "FaceModelVersion")
_LARGE_BODY = 65_536
_JSON_SPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The photo a call is about: Base64 text, or a URL, which wins."""

    image: bytes | str | None
    url: str | None


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse another action, another version, or a body that is not said to be JSON.

    Raises:
        RefusalError: With the code for it.
    """
    if headers["content-type"].partition(";")[0].strip().lower() != "application/json":
        raise RefusalError("InvalidRequest", "Content-Type")
    if _require(headers, "X-TC-Action") != ACTION:
        raise RefusalError("InvalidAction", headers["x-tc-action"])
    if _require(headers, "X-TC-Version") != VERSION:
        raise RefusalError("NoSuchVersion", headers["x-tc-version"])


def _require(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower())
    if not value:
        raise RefusalError("MissingParameter", name)
    return value


def parse_parameters(body: bytes) -> Parameters:
    """Read a call's JSON.

    Raises:
        RefusalError: It is not JSON, has a wrong type, an unknown parameter, another model, or
            names no photo.
    """
    data = _decode(body)
    for name, value in data.items():
        if name not in _NAMES:
            raise RefusalError("UnknownParameter", name)
        if value is not None and not isinstance(value, str | bytes):
            raise RefusalError("InvalidParameter", name)
    if data.get("FaceModelVersion") not in (None, "", MODEL_VERSION):
        raise RefusalError("InvalidParameterValue.FaceModelVersionIllegal")
    return _pick_photo(data)


def _pick_photo(data: Mapping[str, object]) -> Parameters:
    image, url = data.get("Image"), data.get("Url")
    if isinstance(url, str) and url:
        return Parameters(None, url)
    if not isinstance(image, str | bytes):
        raise RefusalError("MissingParameter.ErrorParameterEmpty")
    if not image:
        raise RefusalError("InvalidParameterValue.ImageEmpty")
    return Parameters(image, None)


def _decode(body: bytes) -> Mapping[str, object]:
    if len(body) > _LARGE_BODY:
        data = _decode_around_image(body)
        if data is not None:
            return data
    return _decode_json(body)


def _decode_json(body: bytes) -> dict[str, object]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusalError("InvalidRequest") from None
    if not isinstance(data, dict):
        raise RefusalError("InvalidRequest")
    return data


def _decode_around_image(body: bytes) -> dict[str, object] | None:
    """Cut the image out of a large body before it is decoded; None where that is not safe.

    `json.loads` holds the interpreter for 10 ms over 5 MB, the searches here for 0.3 ms.
    """
    start = _find_image(body)
    end = body.find(b'"', start)
    if start < 0 or end < 0 or b"\\" in body[start:end]:
        return None
    try:
        data = _decode_json(body[:start] + body[end:])
    except RefusalError:
        return None
    if data.get("Image") != "":
        return None
    data["Image"] = body[start:end]
    return data


def _find_image(body: bytes) -> int:
    """Return where the text of the first `"Image": "` begins, or -1."""
    key = body.find(b'"Image"')
    head = body[key + 7 : key + 64].lstrip(_JSON_SPACE)
    if key < 0 or not head.startswith(b":"):
        return -1
    quote = body.find(b'"', key + 7)
    is_next = not body[key + 7 : quote].strip(_JSON_SPACE + b":")
    return quote + 1 if quote >= 0 and is_next else -1
